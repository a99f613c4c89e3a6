"""Panels over the main screen: help, findings, a stall with its stack, and questions."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Static

from fwtui.analysis.lines import short
from fwtui.recording.vocabulary import PHASES
from fwtui.tui.commands import Command
from fwtui.view.frame import Frame, Stall
from fwtui.view.units import show

CLOSE: list[BindingType] = [Binding("escape,q", "dismiss", "close")]


class TextPanel(ModalScreen[None]):
    """A text that scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = CLOSE
    title_text = ""

    def text(self) -> Text:
        """What the panel says."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="panel fitted") as panel:
            panel.border_title = f"{self.title_text} · esc closes"
            yield Static(self.text())


class HelpPanel(TextPanel):
    """What the screen shows and what the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss", "close")]
    title_text = "help"

    def __init__(self, commands: tuple[Command, ...]) -> None:
        super().__init__()
        self._commands = commands

    def text(self) -> Text:
        made = Text()
        made.append("The bars ", "bold")
        made.append(
            "at the top are each lane's typical step by phase, all on one scale: the shorter, the faster. Behind them "
            "stands how long a lane takes of the fastest one's time, with the 95 % interval, and what stalls cost.\n\n"
        )
        made.append("The chart ", "bold")
        made.append(
            "is the step time over wall time, one scale and one time axis for all lanes: the bright line is the middle "
            "of the steps, the dim band holds nine in ten. ▲ is a stalled step, left out of both. "
        )
        made.append("lost ", "bold")
        made.append("is the share of time that stalls cost, ")
        made.append("why ", "bold")
        made.append("the letter of the phase that swelled. ")
        made.append("step ", "bold")
        made.append("and ")
        made.append("stall ", "bold")
        made.append(
            "are the typical and the stalled step by phase. Each fills its row: the phase that swells is the cause; "
            "before the second stands how many typical steps it takes.\n\n"
        )
        for command in self._commands:
            made.append(f"{command.shown:>12}  ", "bold")
            made.append(f"{command.help}\n")
        made.append("         1–9  ", "bold")
        made.append("focus a lane; a double click maximises it, the wheel zooms\n\n")
        for phase in PHASES:
            made.append(f"{phase.letter:>3} ", "bold")
            made.append(f"{phase.name:<12} {phase.meaning}\n")
        return made


class FindingsPanel(TextPanel):
    """All findings of all lanes, with evidence and advice."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "dismiss", "close")]
    title_text = "findings"

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self._frame = frame

    def text(self) -> Text:
        made = Text()
        if self._frame.headline:
            made.append(f"{self._frame.headline}\n", "bold")
        for lane in self._frame.lanes:
            made.append(f"\n{lane.index + 1} {lane.name}", "bold")
            made.append("\n" if lane.findings else "  nothing found\n")
            for finding in lane.findings:
                where = f"  at {finding.place}" if finding.location else ""
                share = f", {show(finding.share, 'share')} of its time" if finding.share is not None else ""
                made.append(f"  {finding.letter} {finding.code}", "bold")
                made.append(f" ({finding.severity}{share}){where}\n    {finding.evidence}\n    → {finding.advice}\n")
        return made


class StallPanel(TextPanel):
    """One stall: when, how long, in which phase, and the stack that was taken while it lasted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "app.stall(1)", "next"),
        Binding("N", "app.stall(-1)", "previous"),
    ]

    def __init__(self, stall: Stall, number: int, count: int, start_ns: int) -> None:
        super().__init__()
        self._stall, self._start_ns = stall, start_ns
        self.title_text = f"stall {number} of {count} · n next · N previous"

    def text(self) -> Text:
        stall = self._stall
        made = Text()
        made.append(f"lost {show(stall.lost_ms, 'ms')}", "bold")
        ended = f"ended {show((stall.end_ns - self._start_ns) / 1e9, 's')} into the run"
        made.append(f" in {stall.phase}, {'and it goes on' if stall.in_progress else ended}\n")
        if stall.code:
            made.append(f"cause: {stall.code}\n")
        if stall.location:
            made.append(f"at {stall.location}" + (f" in {stall.function}" if stall.function else "") + "\n")
        made.append("\nstack, innermost first\n", "bold")
        made.append("\n".join(f"  {line}" for line in stall.stack) or "  none was taken: it was over too soon")
        return made


class StackPanel(TextPanel):
    """Where a lane stands now, a stack a rank."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("k", "dismiss", "close")]

    def __init__(self, lane: str, rows: list[dict[str, Any]]) -> None:
        super().__init__()
        self._rows = rows
        self.title_text = f"stack of {lane}"

    def text(self) -> Text:
        made = Text()
        for row in self._rows:
            place = f"at {row['location']}" if row.get("location") else "in no code of the user's"
            made.append(f"rank {row.get('rank') or 0}  " if len(self._rows) > 1 else "")
            made.append(place + (f" in {row['function']}" if row.get("function") else ""), "bold")
            made.append(f", inside {short(row['framework'])}\n" if row.get("framework") else "\n")
            made.append("".join(f"  {short(file)}:{line} {name}\n" for file, line, name in row.get("frames") or ()))
        return made


class QuestionPanel(ModalScreen[str]):
    """A question with a few answers; escape gives the last one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "answer('')", "stay")]

    def __init__(self, question: str, answers: tuple[tuple[str, str, str], ...]) -> None:
        """`answers` are (key, result, words)."""
        super().__init__()
        self._question, self._answers = question, answers
        for key, result, words in answers:
            self._bindings.bind(key, f"answer('{result}')", words)

    def compose(self) -> ComposeResult:
        with Vertical(classes="question"):
            yield Label(self._question, markup=False)
            with Horizontal():
                for key, result, words in self._answers:
                    name = {"escape": "esc"}.get(key, key)
                    yield Button(f"{words} ({name})", id=result or "stay", variant="default" if result else "primary")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss("" if event.button.id == "stay" else event.button.id)

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)
