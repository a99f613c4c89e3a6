"""The setup screen: choose what to train and how, see what is missing beside it, start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Label, RadioSet, SelectionList, Static

from fwtui.tui import palettes
from fwtui.tui.choices import Choice
from fwtui.tui.choices import Choices as Ticks
from fwtui.tui.theme import Theme


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from."""

    workloads: Sequence[tuple[str, str]]
    """(name, what it is)"""
    lanes: Sequence[tuple[str, str]]
    """(lane, what it is)"""
    scripts: Sequence[str]
    schedules: Sequence[str]


@dataclass(frozen=True, slots=True)
class Setup:
    """What was chosen; also what is remembered."""

    workload: str
    lanes: tuple[str, ...]
    scripts: tuple[str, ...] = ()
    more: str = ""
    """Further lanes, and options of `fwtui run`, as they are typed."""
    schedule: str = "turns"
    epochs: str = ""
    seconds: str = ""

    def argv(self) -> list[str]:
        """The arguments of `fwtui run`."""
        words = self.more.split()
        lanes = [*self.lanes, *(word for word in words if not word.startswith("-") and "=" not in word.split(":")[0])]
        options = [word for word in words if word not in lanes]
        made: list[str] = list(self.scripts)
        if lanes:
            made += ["--workload", self.workload, "--lanes", ",".join(lanes)]
        for name in ("epochs", "seconds"):
            if getattr(self, name) and (lanes or name == "seconds"):
                made += [f"--{name}", getattr(self, name)]
        return [*made, "--schedule", self.schedule, *options]


Check = Callable[[list[str]], Sequence[tuple[str, bool, str]]]
"""Arguments to (lane, whether it can run, its interpreter or what is missing)."""


class SetupApp(App["Setup | None"]):
    """Returns the setup to be started; None when it was left."""

    CSS_PATH = "setup.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s", "start", "start"),
        Binding("escape,ctrl+q", "leave", "leave"),
    ]

    def __init__(self, choices: Choices, last: Setup, check: Check, theme: Theme) -> None:
        super().__init__()
        palettes.register(self)
        self.theme = palettes.textual_name(theme.name)
        self._choices, self._last, self._check = choices, last, check
        self._checked: list[str] | None = None
        self._complete = False

    def compose(self) -> ComposeResult:
        last = self._last
        yield Static("fwtui  what shall train?", id="title")
        with Horizontal(id="choices"):
            with VerticalScroll(classes="column"):
                yield Label("workload")
                with RadioSet(id="workload"):
                    for name, _ in self._choices.workloads:
                        yield Choice(name, value=name == last.workload, name=name)
                yield Static(id="about")
            with VerticalScroll(classes="column"):
                yield Label("lanes (space takes one)")
                yield Ticks(
                    *((f"{name:<22} {about}", name, name in last.lanes) for name, about in self._choices.lanes),
                    id="lanes",
                )
                if self._choices.scripts:
                    yield Label("your scripts here")
                    yield Ticks(*((name, name, name in last.scripts) for name in self._choices.scripts), id="scripts")
        with Horizontal(classes="row"):
            yield Label("more lanes and options")
            yield Input(last.more, placeholder="keras:steps_per_execution=16 --batch-size 128", id="more")
        with Horizontal(classes="row"):
            yield Label("epochs")
            yield Input(last.epochs, type="integer", placeholder="as usual", id="epochs")
            yield Label("seconds")
            yield Input(last.seconds, type="number", placeholder="no limit", id="seconds")
            with RadioSet(id="schedule"):
                for name in self._choices.schedules:
                    yield Choice(name, value=name == last.schedule, name=name)
        with Vertical(id="result"):
            yield Static(id="command", markup=False)
            yield Static(id="checks")
        with Horizontal(id="buttons"):
            yield Button("Start (F5)", id="start", variant="primary")
            yield Button("Leave (esc)", id="leave")

    def on_mount(self) -> None:
        self.query_one("#lanes").focus()
        self._look()

    def on_radio_set_changed(self, event: RadioSet.Changed) -> None:
        self._look()

    def on_selection_list_selected_changed(self, event: Any) -> None:
        self._look()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._look()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "start":
            self.action_start()
        else:
            self.exit(None)

    def chosen(self) -> Setup:
        """What is chosen now."""

        def pressed(name: str, otherwise: str) -> str:
            button = self.query_one(f"#{name}", RadioSet).pressed_button
            return str(button.name) if button is not None else otherwise

        scripts = self.query("#scripts").results(SelectionList)
        return Setup(
            workload=pressed("workload", self._last.workload),
            lanes=tuple(self.query_one("#lanes", SelectionList).selected),
            scripts=tuple(name for found in scripts for name in found.selected),
            more=self.query_one("#more", Input).value.strip(),
            schedule=pressed("schedule", "turns"),
            epochs=self.query_one("#epochs", Input).value.strip(),
            seconds=self.query_one("#seconds", Input).value.strip(),
        )

    def _look(self) -> None:
        """Show the command that it comes to, and check its lanes in the background."""
        setup = self.chosen()
        about = dict(self._choices.workloads).get(setup.workload, "")
        self.query_one("#about", Static).update(Text(about))
        argv = setup.argv()
        self.query_one("#command", Static).update(Text("fwtui run " + " ".join(argv)))
        if argv != self._checked:
            self._checked, self._complete = argv, False
            self.query_one("#checks", Static).update(Text("looking …", style="dim"))
            self.run_worker(self._run_checks(argv), exclusive=True, group="check")

    async def _run_checks(self, argv: list[str]) -> None:
        found = await asyncio.to_thread(self._check, argv)
        text = Text()
        for lane, good, words in found:
            text.append("✓ " if good else "✗ ", "green" if good else "bold red")
            text.append(f"{lane}  ", "bold")
            text.append(f"{words}\n", "dim" if good else "")
        self._complete = bool(found) and all(good for _, good, _ in found)
        self.query_one("#checks", Static).update(text)

    def action_start(self) -> None:
        """Start what is chosen; while something is missing, say so."""
        if self._complete:
            self.exit(self.chosen())
        else:
            self.notify("something is missing: it stands beside the lanes below", severity="warning", markup=False)

    def action_leave(self) -> None:
        self.exit(None)
