"""The lanes against each other: distributions over each other, the gap by phase, and whether they do the same work."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.binding import Binding, BindingType

from fwtui.analysis.results import Comparison, Pair
from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.tui import ranking, sections
from fwtui.tui.cells import Canvas, clip
from fwtui.tui.distributions import LANE_INKS, LANE_MARKS, overlaid
from fwtui.tui.sheet import MOST_ROWS, SheetScreen
from fwtui.view.frame import Frame
from fwtui.view.units import show


class CompareScreen(SheetScreen):
    """The comparison of all lanes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "dismiss", "back")]

    def draw(self, width: int, height: int) -> Canvas:
        app = self.fwtui
        lanes = [(lane.name, app.session.step_times(lane.index, app.moment_ns)) for lane in app.frame.lanes]
        return draw(width, height, app.frame, lanes)


def draw(width: int, height: int, frame: Frame, lanes: list[tuple[str, np.ndarray]]) -> Canvas:
    """The sheet."""
    canvas = Canvas(MOST_ROWS, width)
    row = sections.paragraph(canvas, 0, 1, frame.headline or "no verdict yet", 3, ranking.verdict_words(frame)[1]) + 1
    row = _distributions(canvas, row, frame, lanes, min(10, max(4, height // 4))) + 1
    comparison = frame.comparison
    if comparison is None:
        canvas.put(row, 1, "one lane alone has nothing to be compared with", "dim")
        return canvas.top(row + 1)
    for pair in comparison.pairs:
        row = _pair(canvas, row, pair, comparison.baseline) + 1
    row = _parity(canvas, row, comparison, [name for name, _ in lanes])
    return canvas.top(min(row + 1, MOST_ROWS))


def _distributions(canvas: Canvas, row: int, frame: Frame, lanes: list[tuple[str, np.ndarray]], height: int) -> int:
    row = sections.heading(
        canvas, row, "step times", "each lane's distribution, its peak at full height; marks: medians"
    )
    column = 1
    for index, (name, _) in enumerate(lanes):
        lane = frame.lanes[index]
        text = f"{name} {show(lane.step_ms.median if lane.step_ms else None, 'ms')}"
        if column > 1 and column + len(text) + 4 > canvas.width:
            row, column = row + 1, 1
        column = canvas.put(row, column, LANE_MARKS[index % 6] + " ", LANE_INKS[index % len(LANE_INKS)])
        column = canvas.put(row, column, text, "text") + 3
    return overlaid(canvas, row + 1, 2, height, lanes)


def _pair(canvas: Canvas, row: int, pair: Pair, baseline: str) -> int:
    """One lane against the baseline: the ratio, and the gap's parts as bars to the right (slower) or left (faster)."""
    interval = " [{:.2f}, {:.2f}]".format(*pair.ci95) if pair.ci95 else ""
    words = f"{show(pair.ratio, 'x')}{interval}  {pair.verdict}" if pair.ratio is not None else pair.verdict
    row = sections.heading(
        canvas, row, f"{pair.lane} against {baseline}", f"{words}{f': {pair.reason}' if pair.reason else ''}"
    )
    if not pair.causes:
        return row
    canvas.put(row, 1, f"gap {show(pair.gap_ms, 'ms')} a step, by cause; to the right: {pair.lane} takes longer", "dim")
    row += 1
    largest = max(abs(cause.ms) for cause in pair.causes) or 1.0
    wide = canvas.width >= 90
    figures, name = (48, 22) if wide else (30, 12)
    room = max(4, canvas.width - figures - name - 4)
    middle = name + 2 + max((room * -min(0.0, *(c.ms for c in pair.causes)) / _span(pair)), 0)
    for cause in pair.causes:
        phase = getattr(cause, "phase", None) or cause.code
        ink = phase if phase in PHASE_NAMES else "stall"
        canvas.put(row, 1, clip(cause.code, name), "text")
        length = round(abs(cause.ms) / _span(pair) * room)
        start = round(middle) if cause.ms >= 0 else round(middle) - length
        canvas.put(row, start, "█" * length or "▏", ink)
        share = f" {show(cause.share_of_gap, 'share')} of the gap" if cause.share_of_gap is not None else ""
        bounds = f" [{cause.ci95[0]:+.3g}, {cause.ci95[1]:+.3g}]" if cause.ci95 and wide else ""
        sign = "+" if cause.ms >= 0 else "-"
        canvas.put(
            row,
            name + 3 + room,
            f"{sign}{show(abs(cause.ms), 'ms'):>9}{bounds}{share}",
            "dim" if abs(cause.ms) < largest / 50 else "text",
        )
        row += 1
    return row


def _span(pair: Pair) -> float:
    """From the most that is saved to the most that is lost, in ms."""
    return max(0.0, *(cause.ms for cause in pair.causes)) - min(0.0, *(cause.ms for cause in pair.causes)) or 1.0


def _parity(canvas: Canvas, row: int, comparison: Comparison, names: list[str]) -> int:
    """Whether the lanes do the same work, item by item."""
    unknown = sum(item.equal is None for item in comparison.conditions)
    fair = f"fair as far as known; {unknown} not known" if unknown else "fair"
    note = fair if comparison.fair else "UNFAIR"
    if comparison.parity is not None:
        parity = comparison.parity
        note += f"; losses of {parity.checked_steps} steps differ by at most {parity.max_abs_loss_difference:.2g}"
    row = sections.heading(canvas, row, "same work?", note)
    width = max(8, min(24, (canvas.width - 36) // max(1, len(names))))
    canvas.put(row, 35, "".join(f"{clip(name, width - 1):<{width}}" for name in names), "dim")
    row += 1
    for item in comparison.conditions:
        mark, ink = {True: ("✓", "good"), False: ("≠", "bad" if item.fatal else "warn"), None: ("?", "dim")}[item.equal]
        canvas.put(row, 1, mark, ink)
        canvas.put(row, 3, clip(item.name, 30), "text")
        values = dict(item.values)
        text = "".join(f"{clip(values.get(name, 'n/a').strip(chr(34)), width - 1):<{width}}" for name in names)
        canvas.put(row, 35, text, ink if item.equal is False else "dim")
        row += 1
    return row
