"""Every command once: its keys, name and help. Bindings, footer, help panel and palette are made from this table."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Command:
    """One thing a user can do."""

    keys: str
    """Textual's names, comma-separated."""
    shown: str
    """The keys as people write them."""
    name: str
    action: str
    help: str
    footer: bool = False
    palette: bool = True


COMMANDS = (
    Command("q", "q", "quit", "leave", "leave; while lanes run, ask: stop, detach or stay", True),
    Command("question_mark", "?", "help", "help", "what the screen shows and what the keys do", True),
    Command("space", "space", "pause", "pause", "hold the view still; the lanes train on", True),
    Command("tab", "tab", "lane", "next_lane", "focus the next lane", True, False),
    Command("shift+tab", "shift+tab", "lane back", "previous_lane", "focus the lane before", False, False),
    Command("enter,z", "enter z", "maximise", "maximise", "show the focused lane alone, and back", True),
    Command("left", "←", "back", "history(-1)", "look a quarter of the window further back"),
    Command("right", "→", "forward", "history(1)", "look a quarter of the window further on"),
    Command("home", "home", "oldest", "oldest", "look at the run's beginning"),
    Command("end", "end", "live", "live", "back to the newest moment"),
    Command("plus,equals_sign", "+", "zoom in", "zoom(-1)", "less time a column"),
    Command("minus,underscore", "-", "zoom out", "zoom(1)", "more time a column"),
    Command("f", "f", "findings", "findings", "why lanes are slow, with advice", True),
    Command("o", "o", "output", "output", "what the focused lane printed", True),
    Command("s", "s", "screenshot", "shot", "save the screen as SVG in the run folder", True),
    Command("y", "y", "shared scale", "shared_scale", "one y-scale for all lanes, or each its own"),
    Command("l", "l", "log scale", "log_scale", "a logarithmic y-scale, and back"),
    Command("p", "p", "pause lane", "pause_lane", "pause the focused lane at its next step, and go on"),
    Command("t", "t", "schedule", "schedule", "change between turns and together"),
    Command("d", "d", "detach", "detach", "leave the screen; the lanes train on"),
    Command("ctrl+p,slash", "ctrl+p /", "palette", "command_palette", "find a command by its name", True, False),
    Command("ctrl+c", "ctrl+c", "stop", "interrupt", "stop all lanes and leave"),
)


def bindings() -> list[Binding]:
    """All bindings: the table, and the digits that focus a lane."""
    made = [
        Binding(
            command.keys,
            command.action,
            command.name,
            show=command.footer,
            key_display=command.shown.split()[0],
            priority=command.keys == "ctrl+c",
        )
        for command in COMMANDS
    ]
    return made + [Binding(str(n), f"focus_lane({n - 1})", f"lane {n}", show=False) for n in range(1, 10)]
