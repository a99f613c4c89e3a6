"""Why one lane is slower, by experiment: what is being tried, what was found, and the run behind each row."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType

from fwtui.analysis.explanation import Experiment, Explanation, Measured, Together
from fwtui.tui import sections
from fwtui.tui.cells import Canvas, clip
from fwtui.tui.sheet import MOST_ROWS, SheetScreen
from fwtui.view import explain_process, waterfall
from fwtui.view.frame import Frame
from fwtui.view.units import show

INKS = {"proven": "good", "makes it worse": "bad", "failed": "bad", "undecided": "warn"}


class ExplainScreen(SheetScreen):
    """Starts the experiments where there are none yet, and follows them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "dismiss", "back"),
        Binding("k", "end", "end the experiments"),
        Binding("g", "begin", "start them again"),
        *(Binding(str(number), f"open_run({number})", show=False) for number in range(1, 10)),
    ]

    def on_mount(self) -> None:
        if self.fwtui.frame.explanation is None:
            self.action_begin()
        super().on_mount()

    def action_begin(self) -> None:
        """Start the experiments, unless they are being made."""
        known = self.fwtui.frame.explanation
        if known is not None and known.status == "running":
            return
        if len(self.fwtui.frame.lanes) < 2:
            return
        try:
            explain_process.start(self.fwtui.session.folder)
        except OSError as error:
            self.notify(f"the experiments cannot be started: {error.strerror}", severity="error", markup=False)

    def action_end(self) -> None:
        """End the experiments; what was found stays."""
        known = self.fwtui.frame.explanation
        if known is not None:
            explain_process.stop(known)

    def action_open_run(self, number: int) -> None:
        """Open the run of the experiment with that number on a screen of its own; leaving it comes back here."""
        found = self.fwtui.frame.explanation
        rows = numbered(found) if found is not None else []
        if number > len(rows):
            return
        folder = self.fwtui.session.folder.path.parent / str(rows[number - 1].run)
        try:
            with self.app.suspend():
                subprocess.run(
                    [sys.executable, "-m", "fwtui", "attach", "--on-quit", "detach", str(folder)], check=False
                )
        except SuspendNotSupported:
            self.notify(f"in a terminal: fwtui attach {rows[number - 1].run}", markup=False)

    def draw(self, width: int, height: int) -> Canvas:
        frame = self.fwtui.frame
        return draw(width, frame, explain_process.last_words(self.fwtui.session.folder))


def draw(width: int, frame: Frame, words: str) -> Canvas:
    """The sheet.

    Args:
        width: in cells.
        frame: the run at a moment.
        words: what the process that explains said last; shown while there is no explanation.
    """
    canvas = Canvas(MOST_ROWS, width)
    found = frame.explanation
    if len(frame.lanes) < 2:
        canvas.put(0, 1, "one lane alone has no gap to explain", "dim")
        return canvas.top(2)
    if found is None:
        sections.heading(canvas, 0, "why, by experiment", "e or escape: back")
        row = sections.paragraph(canvas, 2, 1, "the experiments are starting …", 2, "text")
        return canvas.top(sections.paragraph(canvas, row, 1, words, 4, "dim") + 1)
    row = sections.heading(canvas, 0, "why, by experiment", f"{_keys(found)} · e: back")
    row = sections.paragraph(canvas, row, 1, found.sentence or "nothing is found yet", 6, "warn") + 1
    row = _waterfall(canvas, _progress(canvas, row, found), found)
    rows = numbered(found)
    for number, item in enumerate(rows, 1):
        row = _experiment(canvas, row, item, number)
    for item in found.experiments:
        if item not in rows and item.verdict != "not tried":
            row = _experiment(canvas, row, item, None)
    if found.together is not None:
        row = _together(canvas, row, found, found.together)
    untried = [item.cause for item in found.experiments if item.verdict == "not tried"]
    if untried:
        row = sections.paragraph(canvas, row + 1, 1, f"not tried: {'; '.join(untried)}", 6, "dim")
    return canvas.top(min(row + 1, MOST_ROWS))


def numbered(found: Explanation) -> list[Experiment]:
    """The experiments that have a run to open, the one that is being made first."""
    running = (found.running,) if found.running is not None else ()
    return [item for item in (*running, *found.experiments) if item.run]


def _keys(found: Explanation) -> str:
    first = "k: end, keeping what was found" if found.status == "running" else "g: try again"
    return f"{first} · 1–9: open its run" if numbered(found) else first


def _progress(canvas: Canvas, row: int, found: Explanation) -> int:
    """What is tried, how far it is, and the time left."""
    if found.status != "running":
        word = {"stopped": "ended before all was tried", "failed": "broken off by an error"}.get(found.status, "done")
        canvas.put(row, 1, f"{word}: {found.done} of {found.planned} experiments", "dim")
        return row + 2
    length = max(1, min(40, canvas.width - 46))
    full = round(length * min(1.0, found.spent_s / found.budget_s)) if found.budget_s else 0
    column = canvas.put(row, 1, "━" * full, "good")
    column = canvas.put(row, column, "─" * (length - full), "faint")
    canvas.put(row, column + 1, f"{found.done} of {found.planned}, at most {show(found.left_s, 's')} left", "text")
    if found.now:
        canvas.put(row + 1, 1, clip(f"now: {found.now}; the lanes of this run wait", canvas.width - 2), "dim")
        row += 1
    return row + 2


def _waterfall(canvas: Canvas, row: int, found: Explanation) -> int:
    """The gap by cause, once one is proven."""
    gap = waterfall.by_cause(found)
    for text in waterfall.lines(gap, canvas.width - 2) if gap is not None else ():
        canvas.put(row, 0, text, "text")
        row += 1
    return row + (gap is not None)


def _experiment(canvas: Canvas, row: int, item: Experiment, number: int | None) -> int:
    """One experiment: number, verdict, cause, effect, share of the gap; below it the change to make."""
    ink = INKS.get(item.verdict, "dim")
    canvas.put(row, 1, f"{number or '':>2} {item.verdict:<14}", ink)
    figures = f"{_measured(item.effect_ms, 'ms')}  {_measured(item.share_of_gap, 'share')}" if item.effect_ms else ""
    if item.verdict == "running" and item.turns:
        figures += f"  {item.turns} pairs"
    wide = canvas.width >= 100
    room = canvas.width - 20 - (len(figures) + 2 if wide else 0)
    canvas.put(row, 19, clip(item.cause, room), "text" if item.verdict == "proven" else "dim")
    if wide and figures:
        canvas.right(row, canvas.width - 1, figures, ink)
    elif figures:
        row += 1
        canvas.put(row, 19, figures, ink)
    row += 1
    below = f"→ {item.change}" if item.verdict == "proven" else item.reason or ""
    return sections.paragraph(canvas, row, 19, below, 2, "dim") if below else row


def _together(canvas: Canvas, row: int, found: Explanation, joint: Together) -> int:
    row = sections.heading(canvas, row + 1, "with the proven changes", joint.changed)
    if joint.reason:
        row = sections.paragraph(canvas, row, 1, joint.reason, 2, "dim")
    if joint.effect_ms is not None:
        share = _measured(joint.share_of_gap, "share")
        canvas.put(row, 1, f"{_measured(joint.effect_ms, 'ms')} a step, {share} of the gap", "text")
        canvas.put(row + 1, 1, f"{_measured(joint.ratio, 'x')} {found.faster}'s step time is left", "good")
        row += 2
    if joint.additive is not None:
        canvas.put(row, 1, f"the effects {'add up' if joint.additive else 'do not add up'}", "warn")
        row += 1
    return row


def _measured(value: Measured | None, unit: str) -> str:
    if value is None:
        return "n/a"
    if value.ci95 is None:
        return show(value.value, unit)
    low, high = (show(bound, unit).removesuffix(f" {unit}").rstrip("x% ") for bound in value.ci95)
    return f"{show(value.value, unit)} [{low}, {high}]"
