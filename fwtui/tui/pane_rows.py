"""The rows below a pane's chart: which there are, which give way first, and how each is drawn."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from fwtui.analysis.results import Finding
from fwtui.tui import chart, phase_bar, rank_rows, sections
from fwtui.tui.cells import Canvas, clip
from fwtui.tui.window import Window
from fwtui.view.frame import LaneFrame
from fwtui.view.units import show

GUTTER = 7
"""Cells left of the chart, for labels."""
OPTIONAL_ROWS = (
    "typical",
    "lost",
    "system",
    "why",
    "finding",
    "ranks",
    "axis",
    "stalled",
    "advice",
    "loss",
    "evidence",
    "evidence+",
    "advice+",
)
"""What a tall pane shows below the chart, weightiest first: a low pane drops from the end."""
RACED_ROWS = (
    "lost",
    "why",
    "finding",
    "ranks",
    "axis",
    "system",
    "stalled",
    "typical",
    "advice",
    "loss",
    "evidence",
    "evidence+",
    "advice+",
)
"""The same, where the typical steps are drawn as bars above the panes."""
ORDER = (
    "lost",
    "why",
    "axis",
    "typical",
    "stalled",
    "finding",
    "evidence",
    "evidence+",
    "advice",
    "advice+",
    "ranks",
    "loss",
    "system",
)
AXIS_ROWS = ("lost", "why", "axis")
"""Rows that share the chart's axis of time."""
EVIDENCE_HEIGHT = 26
"""From this height on, a finding's evidence has a row of its own."""


@dataclass(frozen=True, slots=True)
class PaneData:
    """What a pane draws besides its frame."""

    lane: LaneFrame
    window: Window
    scale: chart.Scale | None
    focused: bool
    rows: frozenset[str]
    """Optional rows that some lane has something for: every pane keeps a place for them, so that panes align."""
    raced: bool = False
    """Whether the lanes' bars above the panes say the ratio and the typical step already."""
    fair: bool = True
    divided: bool = False
    """Whether another pane stands to the left."""
    page: str = ""
    """`2/6` where other lanes are on other pages."""
    moving: bool = False
    """Whether the moment shown goes on by itself."""


def rows_of(lane: LaneFrame, width: int) -> set[str]:
    """Optional rows that this lane has something for, on a pane of this width."""
    empty = {
        "typical": lane.typical_ms is None,
        "lost": not lane.steps,
        "why": not lane.steps,
        "stalled": lane.stalled_ms is None,
        "finding": not (lane.findings or lane.current_stall or lane.error or lane.why_no_steps),
        "advice": not lane.findings,
        "ranks": not lane.ranks,
        "evidence": not lane.findings,
        "evidence+": len(_said(lane, "evidence", width)) < 2,
        "advice+": len(_said(lane, "advice", width)) < 2,
        "loss": lane.loss_last is None,
    }
    alarm = {"alarm"} if lane.current_stall or lane.error or lane.why_no_steps else set()
    return {row for row in OPTIONAL_ROWS if not empty.get(row, False)} | alarm


def _lost(canvas: Canvas, row: int, data: PaneData) -> None:
    share = data.lane.lost_share
    canvas.put(row, 0, "lost".rjust(GUTTER - 1), "stall" if share and share >= 0.01 else "dim")
    chart.draw_lost(canvas, row, GUTTER, data.window.columns)
    stall = data.lane.current_stall
    if stall is not None:
        first, last = max(0, data.window.cell_of(stall.start_ns)), data.window.now
        canvas.put(row, GUTTER + first, "█" * (last - first + 1), "stall")


def _why(canvas: Canvas, row: int, data: PaneData) -> None:
    canvas.put(row, 0, "why".rjust(GUTTER - 1), "dim")
    chart.draw_why(canvas, row, GUTTER, data.window.columns)
    stall = data.lane.current_stall
    if stall is not None:
        canvas.put(row, GUTTER + data.window.now, phase_bar.letter(stall.phase), "stall")


def _axis(canvas: Canvas, row: int, data: PaneData) -> None:
    chart.draw_axis(canvas, row, GUTTER, data.window.cells, data.window.first_cell, data.window.cell_s)


def _bar(canvas: Canvas, row: int, data: PaneData, stalled: bool) -> None:
    """A step's phases, each step filling the width: the phase that swells is the cause."""
    phases = (data.lane.stalled_ms if stalled else data.lane.typical_ms) or {}
    total = sum(phases.values()) if phases else None
    canvas.put(row, 0, ("stall" if stalled else "step").rjust(GUTTER - 1), "stall" if stalled else "dim")
    column = canvas.put(row, GUTTER, show(total, "ms").ljust(8), "stall" if stalled else "strong") + 1
    typical = sum((data.lane.typical_ms or {}).values())
    if stalled and total and typical:  # each bar fills the width: that they are of unequal length must be said
        times = f"{total / typical:,.0f}"
        column = canvas.put(row, column, f"= {times} steps" if canvas.width >= 56 else f"×{times}", "dim") + 1
    if total is not None:
        phase_bar.draw(canvas, row, column, max(0, canvas.width - column - 1), phases, total)


def _typical(canvas: Canvas, row: int, data: PaneData) -> None:
    _bar(canvas, row, data, stalled=False)


def _stalled(canvas: Canvas, row: int, data: PaneData) -> None:
    if data.lane.stalled_ms:
        _bar(canvas, row, data, stalled=True)


def _finding(canvas: Canvas, row: int, data: PaneData) -> None:
    lane = data.lane
    stall = lane.current_stall
    if stall is not None:
        where = f" at {stall.location}" if stall.location else ""
        function = f" in {stall.function}" if stall.function else ""
        text, ink = f"▲ stalled in {stall.phase} for {stall.lost_ms / 1000:.1f} s{where}{function}", "stall"
    elif lane.error:
        text, ink = f"■ {lane.error}", "bad"
    elif lane.findings:
        text, ink = finding_words(lane.findings[0], canvas.width - 2, canvas.height < EVIDENCE_HEIGHT), "warn"
    else:
        return
    canvas.put(row, 1, clip(text, canvas.width - 2), ink)


def finding_words(finding: Finding, room: int, evidence: bool) -> str:
    """A finding in one line: what, how much of the time, where; the evidence where there is room for it."""
    share = f" {show(finding.share, 'share')}" if finding.share is not None else ""
    where = f" at {finding.location}" if finding.location else ""
    said = f"{finding.letter} {finding.code}{share}"
    if len(said) + len(where) > room:
        where = f" at {finding.location.rpartition('/')[2]}" if finding.location else ""
    return f"{said}{where}: {finding.evidence}" if evidence else f"{said}{where}"


def _said(lane: LaneFrame, part: str, width: int) -> list[str]:
    """The first finding's evidence or advice, wrapped."""
    if not lane.findings:
        return []
    text = getattr(lane.findings[0], part)
    return textwrap.wrap(f"→ {text}" if part == "advice" else text, max(20, width - 4))


def _evidence(canvas: Canvas, row: int, data: PaneData) -> None:
    lines = [] if data.lane.error else _said(data.lane, "evidence", canvas.width)
    canvas.put(row, 3, _line(lines, 0, "evidence+" in data.rows), "text")


def _more_evidence(canvas: Canvas, row: int, data: PaneData) -> None:
    lines = [] if data.lane.error else _said(data.lane, "evidence", canvas.width)
    canvas.put(row, 3, _line(lines, 1, False), "text")


def _advice(canvas: Canvas, row: int, data: PaneData) -> None:
    if canvas.height >= EVIDENCE_HEIGHT:
        text = _line(_said(data.lane, "advice", canvas.width), 0, True)
    else:
        text = clip(f"→ {data.lane.findings[0].advice}", canvas.width - 4) if data.lane.findings else ""
    canvas.put(row, 3, text, "dim")


def _more_advice(canvas: Canvas, row: int, data: PaneData) -> None:
    canvas.put(row, 5, _line(_said(data.lane, "advice", canvas.width), 1, False), "dim")


def _line(lines: list[str], number: int, goes_on: bool) -> str:
    """One of some wrapped lines; `…` where the next is not shown."""
    if number >= len(lines):
        return ""
    return lines[number] + (" …" if len(lines) > number + 1 and not goes_on else "")


def _ranks(canvas: Canvas, row: int, data: PaneData) -> None:
    if data.lane.ranks:
        canvas.put(row, 0, "ranks".rjust(GUTTER - 1), "dim")
        canvas.put(row, GUTTER, clip(rank_rows.summary(data.lane), canvas.width - GUTTER - 1), "text")


def _loss(canvas: Canvas, row: int, data: PaneData) -> None:
    last = data.lane.loss_last
    if last is None:
        return
    canvas.put(row, 0, "loss".rjust(GUTTER - 1), "dim")
    text = f" {last:.4g}"
    room = 2 * max(0, canvas.width - GUTTER - 1 - len(text))
    chart.draw_spark(canvas, row, GUTTER, data.window.loss[:room], "loss")
    canvas.right(row, canvas.width - 1, text, "loss")


def _system(canvas: Canvas, row: int, data: PaneData) -> None:
    """CPU, GPU and memory: the figure, and its recent past where there is room; each value keeps its place."""
    lane = data.lane
    gpu = lane.gpu
    unit = "" if gpu is not None and canvas.width < 56 else " cores"
    cores = "n/a" if lane.cpu_cores is None else f"{lane.cpu_cores:.1f}{unit}"
    parts: list[tuple[str, str, str, float | None]] = [("cpu", cores, "cpu_cores", None)]
    if gpu is not None and gpu.util is not None:
        parts.append(("gpu", show(gpu.util, "share"), "gpu_util", 1.0))
    elif canvas.width >= 56:
        parts.append(("gpu", "n/a", "", None))
    parts.append(("mem", show(lane.rss_bytes, "bytes"), "rss_bytes", None))
    if gpu is not None and gpu.memory_bytes is not None and canvas.width >= 80:
        parts.append(("vram", show(gpu.memory_bytes, "bytes"), "gpu_memory_bytes", None))
    width = max(1, (canvas.width - 2) // len(parts))
    for place, (name, text, metric, top) in enumerate(parts):
        column = canvas.put(row, 1 + place * width, f"{name} ", "dim")
        column = canvas.put(row, column, text, "text")
        column = max(column + 1, 1 + place * width + 14)
        room = 1 + (place + 1) * width - column - 2
        if room >= 4 and metric:
            sections.blocks_until(canvas, row, column, data.window.series(metric), data.window.now, room, top)


DRAW = {
    "lost": _lost,
    "why": _why,
    "axis": _axis,
    "typical": _typical,
    "stalled": _stalled,
    "finding": _finding,
    "evidence": _evidence,
    "evidence+": _more_evidence,
    "advice": _advice,
    "advice+": _more_advice,
    "ranks": _ranks,
    "loss": _loss,
    "system": _system,
}


FINDING_ROWS = ("finding", "evidence", "evidence+", "advice", "advice+")
CLICKS = {**dict.fromkeys(FINDING_ROWS, "findings"), "stalled": "stall(-1)"}
"""What a click on a row opens."""
