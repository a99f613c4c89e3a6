"""Panels over the main screen: help, findings, a lane's output, and the question before leaving."""

from __future__ import annotations

from typing import ClassVar

from rich.markup import escape
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Label, RichLog, Static

from fwtui.recording.vocabulary import PHASES
from fwtui.tui.commands import COMMANDS
from fwtui.view.frame import Frame

_CLOSE: list[BindingType] = [Binding("escape,q,f,o,question_mark", "dismiss", "close")]


class HelpPanel(ModalScreen[None]):
    """What the screen shows and what the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = _CLOSE

    def compose(self) -> ComposeResult:
        keys = "\n".join(f"[b]{escape(command.shown):>12}[/b]  {command.help}" for command in COMMANDS)
        phases = "\n".join(f"[b]{phase.letter} {phase.name:<12}[/b] {phase.meaning}" for phase in PHASES)
        text = (
            f"{keys}\n\n[b]The chart[/b] is the step time over wall time: a bright mean in a dim band that holds nine "
            "steps in ten, on one scale for all lanes. ▲ is a stalled step; [b]lost[/b] is the share of time that "
            "stalls cost, [b]why[/b] the phase that swelled. Below it stand the typical and the stalled step by "
            f"phase:\n\n{phases}"
        )
        with VerticalScroll(classes="panel") as panel:
            panel.border_title = "help · esc closes"
            yield Static(text)


class FindingsPanel(ModalScreen[None]):
    """All findings of all lanes, with evidence and advice."""

    BINDINGS: ClassVar[list[BindingType]] = _CLOSE

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self._frame = frame

    def compose(self) -> ComposeResult:
        parts = [Text(self._frame.headline + "\n", style="bold")] if self._frame.headline else []
        for lane in self._frame.lanes:
            parts.append(Text(f"\n{lane.name}", style="bold"))
            if not lane.findings:
                parts.append(Text("  nothing found", style="dim"))
            for finding in lane.findings:
                where = f"  {finding.location}" if finding.location else ""
                parts.append(Text(f"  {finding.letter} {finding.code} ({finding.severity}){where}\n", style="#ff6a3d"))
                parts.append(Text(f"    {finding.evidence}\n    → {finding.advice}"))
        with VerticalScroll(classes="panel") as panel:
            panel.border_title = "findings · esc closes"
            yield Static(Text("\n").join(parts))


class OutputPanel(ModalScreen[None]):
    """The end of what a lane printed: colours kept, control sequences harmless."""

    BINDINGS: ClassVar[list[BindingType]] = _CLOSE

    def __init__(self, name: str, text: str) -> None:
        super().__init__()
        self._title, self._text = name, text

    def compose(self) -> ComposeResult:
        log = RichLog(classes="panel", wrap=True, markup=False, highlight=False)
        log.border_title = f"output of {self._title} · esc closes"
        yield log

    def on_mount(self) -> None:
        log = self.query_one(RichLog)
        for line in self._text.splitlines() or ["(nothing printed yet)"]:
            log.write(Text.from_ansi(line.rpartition("\r")[2]))


class LeavePanel(ModalScreen[str]):
    """What is to become of lanes that still train."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "answer('stopped')", "stop"),
        Binding("d", "answer('detached')", "detach"),
        Binding("escape,q", "answer('')", "stay"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="question"):
            yield Label("Lanes are still training.")
            with Horizontal():
                yield Button("Stop them (s)", id="stopped", variant="error")
                yield Button("Detach (d)", id="detached")
                yield Button("Stay (esc)", id="stay", variant="primary")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss("" if event.button.id == "stay" else event.button.id)

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)
