"""Every command once: keys, name, help. Bindings, bottom line, help, palette and the README's list come from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Command:
    """One thing a user can do."""

    id: str
    """What the configuration file calls it."""
    keys: str
    """Textual's names, comma-separated."""
    shown: str
    """The keys as people write them."""
    name: str
    action: str
    help: str
    footer: int = 0
    """Place in the bottom line; 0: not there."""
    palette: bool = True

    @property
    def shown_first(self) -> str:
        """The first of its keys, as people write it."""
        return self.shown.split()[0]


COMMANDS: tuple[Command, ...] = (
    Command("quit", "q", "q", "quit", "leave", "leave; while lanes run, ask: stop, detach or stay", 1),
    Command("help", "question_mark", "?", "help", "help", "what the screen shows and what the keys do", 2),
    Command("pause", "space", "space", "pause", "pause", "hold the view still; the lanes train on", 5),
    Command("frame", "full_stop", ".", "one frame", "one_frame", "hold the view and go on by one column of time"),
    Command("next-lane", "tab", "tab", "lane", "next_lane", "focus the next lane", 8, False),
    Command("previous-lane", "shift+tab", "shift+tab", "lane back", "previous_lane", "focus the lane before", 0, False),
    Command("maximise", "enter,z", "enter z", "maximise", "maximise", "all that is known of the focused lane; back", 3),
    Command("compare", "c", "c", "compare", "compare", "distributions over each other, the gap by phase, parity", 4),
    Command("explain", "e", "e", "explain", "explain", "find by experiments why a lane is slower; the lanes wait"),
    Command("back", "left", "←", "back", "history(-1)", "look a quarter of the window further back"),
    Command("forward", "right", "→", "forward", "history(1)", "look a quarter of the window further on"),
    Command("oldest", "home", "home", "oldest", "oldest", "look at the run's beginning"),
    Command("live", "end", "end", "live", "live", "back to the newest moment"),
    Command("zoom-in", "plus,equals_sign", "+", "zoom in", "zoom(-1)", "less time a column"),
    Command("zoom-out", "minus,underscore", "-", "zoom out", "zoom(1)", "more time a column"),
    Command("whole-run", "0", "0", "whole run", "whole_run", "the whole run in the chart; again: as wide as before"),
    Command("next-stall", "n", "n", "next stall", "stall(1)", "go to the lane's next stall, with its stack", 9),
    Command("previous-stall", "N", "N", "previous stall", "stall(-1)", "go to the lane's stall before"),
    Command("stack", "k", "k", "stack", "stack", "where the focused lane stands now: its stack"),
    Command("findings", "f", "f", "findings", "findings", "why lanes are slow, with advice", 6),
    Command("output", "o", "o", "output", "output", "what the focused lane printed, searchable", 7),
    Command("try", "w", "w", "try advice", "try_advice", "start a lane with the advice's fix beside the others", 10),
    Command("deep", "x", "x", "look inside", "deep", "profile a few of the lane's steps; they are not counted"),
    Command("screenshot", "s", "s", "shot", "shot", "save the screen as SVG in the run folder", 11),
    Command("shared-scale", "y", "y", "shared scale", "shared_scale", "one y-scale for all lanes, or each its own"),
    Command("log-scale", "l", "l", "log scale", "log_scale", "a logarithmic y-scale, and back"),
    Command("pause-lane", "p", "p", "pause lane", "pause_lane", "pause the focused lane at its next step, and go on"),
    Command("restart", "r", "r", "restart lane", "restart", "start the focused lane again from its beginning; asks"),
    Command("schedule", "t", "t", "schedule", "schedule", "change between turns and together"),
    Command("slower", "less_than_sign", "<", "slower", "speed(-1)", "replay at half the speed"),
    Command("faster", "greater_than_sign", ">", "faster", "speed(1)", "replay at double speed"),
    Command("theme", "T", "T", "theme", "next_theme", "the next theme: dark, light, high contrast, 16 colours, none"),
    Command("detach", "d", "d", "detach", "detach", "leave the screen; the lanes train on"),
    Command("palette", "ctrl+p,slash", "ctrl+p /", "palette", "command_palette", "find a command by name", 12, False),
    Command("stop", "ctrl+c", "ctrl+c", "stop", "interrupt", "stop all lanes and leave"),
)


def remapped(keys: Mapping[str, str]) -> tuple[Command, ...]:
    """The commands with other keys, by command id.

    Raises:
        ValueError: no command of that name, or two commands with one key; one sentence.
    """
    known = {command.id for command in COMMANDS}
    for name in keys:
        if name not in known:
            raise ValueError(f"there is no command {name!r}: there are {', '.join(sorted(known))}")
    made = tuple(
        replace(command, keys=keys[command.id], shown=keys[command.id].replace(",", " "))
        if command.id in keys
        else command
        for command in COMMANDS
    )
    owner: dict[str, str] = {}
    for command in made:
        for key in command.keys.split(","):
            if owner.setdefault(key, command.id) != command.id:
                raise ValueError(f"the key {key!r} is given to both {owner[key]} and {command.id}")
    return made


def bindings(commands: tuple[Command, ...] = COMMANDS) -> list[Binding]:
    """All bindings: the table, and the digits that focus a lane."""
    made = [
        Binding(
            command.keys,
            command.action,
            command.name,
            show=bool(command.footer),
            key_display=command.shown_first,
            priority=command.id == "stop",
        )
        for command in commands
    ]
    return made + [Binding(str(n), f"focus_lane({n - 1})", f"lane {n}", show=False) for n in range(1, 10)]


def markdown(commands: tuple[Command, ...] = COMMANDS) -> str:
    """The key list as the README has it."""
    parts = [f"`{'` `'.join(command.shown.split())}` {command.help}" for command in commands]
    return " · ".join(parts)
