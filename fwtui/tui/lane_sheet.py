"""A maximised lane: everything known of it on one sheet that scrolls."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from fwtui.tui import lane_pane, phase_bar, rank_rows, sections
from fwtui.tui.cells import Canvas, clip
from fwtui.tui.distributions import histogram
from fwtui.tui.lane_pane import chart_cells
from fwtui.tui.pane_rows import GUTTER, OPTIONAL_ROWS, PaneData, rows_of
from fwtui.tui.sheet import MOST_ROWS, SheetScreen
from fwtui.tui.theme import SEVERITY_INK
from fwtui.tui.window import Window
from fwtui.view.frame import LaneFrame
from fwtui.view.units import lost_words, show

TWO_COLUMNS = 110
"""From this width on, the sheet has two columns."""


class LaneScreen(SheetScreen):
    """The focused lane alone."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,z", "dismiss", "back")]

    def draw(self, width: int, height: int) -> Canvas:
        app = self.fwtui
        lane = app.frame.lanes[app.focused_lane]
        cells = chart_cells(width)
        window = Window(app.session, lane.index, app.moment_ns, cells, app.cell_s_for(cells))
        data = PaneData(
            lane=lane,
            window=window,
            scale=app.scale_of(lane.step_ms.median if lane.step_ms else None),
            focused=False,
            rows=frozenset(rows_of(lane, width)),
        )
        top = 3 + min(max(6, height // 3), lane_pane.MOST_CHART) + len(data.rows & set(OPTIONAL_ROWS))
        head = lane_pane.draw(top, width, data, app.cell_theme.dots)
        steps_ms = app.session.step_times(lane.index, app.moment_ns)
        sheet = Canvas(MOST_ROWS, width)
        sheet.paste(head, 0, 0)
        row = top + 1
        if width < TWO_COLUMNS:
            row = _left(sheet, row, lane, window, steps_ms)
            row = _right(sheet, row + 1, lane)
        else:
            half = width // 2
            left, right = Canvas(MOST_ROWS, half - 1), Canvas(MOST_ROWS, width - half)
            narrow = chart_cells(half - 1)
            window = Window(app.session, lane.index, app.moment_ns, narrow, app.cell_s_for(narrow))
            ends = _left(left, 0, lane, window, steps_ms), _right(right, 0, lane)
            sheet.paste(left, row, 0)
            sheet.paste(right, row, half)
            sheet.links.clear()  # a row belongs to two columns here
            row += max(ends)
        return sheet.top(min(row + 1, MOST_ROWS))


def _left(canvas: Canvas, row: int, lane: LaneFrame, window: Window, steps_ms: Any) -> int:
    """What was measured: step times, phases, hardware."""
    row = sections.heading(canvas, row, "step times")
    row = histogram(canvas, row, GUTTER, 5, steps_ms, lane) + 1
    if lane.typical_ms:
        row = _phase_table(canvas, row, lane) + 1
        row = sections.phases_over_time(canvas, row, GUTTER, 6, window) + 1
    metrics = [("mem", "rss_bytes", "bytes"), ("cpu", "cpu_cores", "cores")]
    if lane.gpu is not None:
        metrics += [("gpu", "gpu_util", "share"), ("vram", "gpu_memory_bytes", "bytes"), ("power", "gpu_power_w", "W")]
    for metric in metrics:
        row = sections.metric_over_time(canvas, row, GUTTER, 3, window, metric) + 1
    return row


def _phase_table(canvas: Canvas, row: int, lane: LaneFrame) -> int:
    """Each phase's mean time and share; `n/a` where nothing measures it."""
    row = sections.heading(canvas, row, "where a step's time goes", "mean of the counted steps")
    for name, phase in lane.phases.items():
        if phase is None:
            canvas.put(row, 1, f"{name:<12}{'n/a':>10}", "faint")
        else:
            column = canvas.put(row, 1, f"{name:<12}{show(phase.ms, 'ms'):>10}{show(phase.share, 'share'):>7} ", "text")
            room = max(0, canvas.width - column - 2)
            canvas.put(row, column, "━" * max(1 if phase.share > 0.002 else 0, round(phase.share * room)), name)
        row += 1
    return row


def _right(canvas: Canvas, row: int, lane: LaneFrame) -> int:
    """What it means and what is known besides: findings, ranks, the deep split, facts, output."""
    row = sections.heading(canvas, row, "findings", "" if lane.findings else "nothing found")
    for finding in lane.findings:
        share = f"  {show(finding.share, 'share')} of its time" if finding.share is not None else ""
        ink = SEVERITY_INK.get(finding.severity, "warn")
        canvas.put(row, 1, clip(f"{finding.letter} {finding.code}  {finding.severity}{share}", canvas.width - 2), ink)
        where = f" at {finding.place}" if finding.location else ""
        row = sections.paragraph(canvas, row + 1, 3, f"{finding.evidence}{where}", 4, "text")
        row = sections.paragraph(canvas, row, 3, f"→ {finding.advice}", 4, "dim") + 1
    if lane.deep is not None:
        row = _deep(canvas, row, lane) + 1
    if lane.ranks:
        row = rank_rows.draw(canvas, row, lane, 14) + 1
    row = _facts(canvas, row, lane) + 1
    row = sections.output(canvas, row, lane, 8)
    return row


def _deep(canvas: Canvas, row: int, lane: LaneFrame) -> int:
    """Inside a fused step, as a profiler's window saw it."""
    deep = lane.deep
    assert deep is not None
    cost = f"cost {show(deep.cost_ms, 'ms')} in {deep.steps} steps, {deep.how}"
    row = sections.heading(canvas, row, "inside the step (estimate)", cost)
    if deep.note:
        row = sections.paragraph(canvas, row, 1, deep.note, 3, "warn")
    compute = (lane.typical_ms or {}).get("compute")
    if deep.phases:
        phases = {name: share * (compute or 1.0) for name, share in deep.phases.items()}
        phase_bar.draw(canvas, row, 1, canvas.width - 2, phases, sum(phases.values()))
        row += 1
    for name, ms, share in deep.operations[:10]:
        canvas.put(row, 1, clip(f"{show(ms, 'ms'):>10}{show(share, 'share'):>6}  {name}", canvas.width - 2), "text")
        row += 1
    return row


def _facts(canvas: Canvas, row: int, lane: LaneFrame) -> int:
    """What the guest learnt, and the lane's own times."""
    row = sections.heading(canvas, row, "facts")
    times = {
        "start-up": show(lane.startup_s, "s"),
        "compiling": show(lane.compile_s, "s"),
        "evaluation": show(lane.evaluation_s, "s"),
        "waiting": show(lane.waiting_s, "s"),
        "memory peak": show(lane.rss_peak_bytes, "bytes"),
        "time lost": f"{show(lane.lost_share, 'share')}: {lost_words(lane.lost)}",
        "throughput": show(lane.throughput_samples_s, "samples/s"),
    }
    for name, value in {"python": lane.python, **flat(lane.facts), **times, **_results(lane)}.items():
        label = clip(name.replace("_", " "), 22)
        lines = textwrap.wrap(value, max(10, canvas.width - 26)) or ["n/a"]
        canvas.put(row, 1, label, "dim")
        for line in lines[:2]:
            canvas.put(row, 24, line, "text")
            row += 1
    return row


def _results(lane: LaneFrame) -> dict[str, str]:
    return {name: show(value, "number") for name, value in lane.results.items()}


def flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested facts in one level: `optimizer.name`."""
    made: dict[str, str] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            made.update(flat(value, f"{prefix}{name}."))
        else:
            made[prefix + name] = value if isinstance(value, str) else "n/a" if value is None else json.dumps(value)
    return made
