"""One lane on one grid of cells: title, progress, chart, and below it what there is room for."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from fwtui.analysis.results import Finding
from fwtui.tui import chart, phase_bar, rank_rows, sections
from fwtui.tui.cells import Canvas, CellGrid, clip
from fwtui.tui.theme import STATE_INK, Theme
from fwtui.tui.window import Window
from fwtui.view.frame import ENDED_STATES, LaneFrame
from fwtui.view.units import show

_TAKE_TURNS = 4
"""So many panes are drawn anew at moments of their own."""
HEAD_ROWS = 2
"""Title and progress."""
GUTTER = 7
"""Cells left of the chart, for labels."""
LEAST_CHART = 3
MOST_CHART = 20
REDRAW_NS = 1_000_000_000
"""While time goes on, what lies below the two top rows is drawn anew once a cell of the chart, or this often."""

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
LEAST_BELOW = 6
"""Rows that are worth a section of their own; fewer make the chart higher."""
TALL_HEIGHT = 40
"""A pane of this height lists all findings below its rows, which then need none for the first one."""
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


def chart_cells(width: int) -> int:
    """Cells of the chart in a pane of this width."""
    return max(0, width - GUTTER - 1)


def draw(height: int, width: int, data: PaneData, dots: bool) -> Canvas:
    """The pane as cells."""
    canvas = draw_body(height, width, data, dots)
    draw_head(canvas, data)
    return canvas


def draw_head(canvas: Canvas, data: PaneData) -> None:
    """Title, rate, state and progress: the two top rows, which change with every frame."""
    _title(canvas, data)
    _progress(canvas, data.lane)
    if data.divided:
        _divide(canvas, HEAD_ROWS)


def draw_body(height: int, width: int, data: PaneData, dots: bool) -> Canvas:
    """The chart and what there is room for below it; the two top rows are left free."""
    canvas = Canvas(height, width)
    wanted = [row for row in (RACED_ROWS if data.raced else OPTIONAL_ROWS) if row in data.rows]
    if height < EVIDENCE_HEIGHT:
        wanted = [row for row in wanted if row not in ("evidence", "evidence+", "advice+")]
    if height >= TALL_HEIGHT:
        said = {"advice", "advice+", "evidence", "evidence+"} | (set() if "alarm" in data.rows else {"finding"})
        wanted = [row for row in wanted if row not in said]
    least = LEAST_CHART if height < 14 else LEAST_CHART + 2
    shown = set(wanted[: max(0, height - 2 - least - 1)])
    chart_height = height - 2 - len(shown) - 1
    if chart_height - MOST_CHART >= LEAST_BELOW:
        chart_height = MOST_CHART
    if chart_height < 1 or chart_cells(width) < 4:
        return canvas
    _chart(canvas, 2, chart_height, data, dots)
    row = 2 + chart_height + 1
    for name in ORDER:
        if name in shown:
            _DRAW[name](canvas, row, data)
            if name in _CLICKS and (data.lane.findings or name not in _FINDING_ROWS):
                canvas.links[row] = _CLICKS[name]
            row += 1
    if height - row >= 4:
        below = Canvas(height - row - 1, width)
        sections.draw_below(below, 0, data.lane, data.window, GUTTER)
        canvas.paste(below, row + 1, 0)
    if data.divided:
        _divide(canvas, height)
    return canvas


def _divide(canvas: Canvas, rows: int) -> None:
    """A line down the left edge, where nothing stands."""
    for line in np.flatnonzero(canvas.codes[:rows, 0] == ord(" ")) if canvas.width else ():
        canvas.put(int(line), 0, "│", "faint")


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


def _title(canvas: Canvas, data: PaneData) -> None:
    lane = data.lane
    canvas.put(0, 0, "▌" if data.focused else " ", "line")
    right = "" if lane.rate is None else show(lane.rate, "it/s")
    if lane.throughput_samples_s and canvas.width >= 72:
        right += f" · {show(lane.throughput_samples_s, 'samples/s')}"
    if lane.ratio is not None and not data.raced and data.fair:
        right += f"  {show(lane.ratio, 'x')}"
    if data.page:
        right = f"{right}  {data.page}"
    start = canvas.right(0, canvas.width - 1, right, "good" if lane.ratio == 1.0 and data.fair else "strong")
    canvas.put(0, 1, clip(f"{lane.index + 1} {name_and_title(lane, start - 5)}", max(0, start - 2)), "strong")


def name_and_title(lane: LaneFrame, room: int) -> str:
    """The lane's name and what it runs on; the name alone where both do not fit."""
    if lane.title == lane.name or lane.title.startswith(lane.name + " "):
        return lane.title
    both = f"{lane.name}  {lane.title}"
    return both if len(both) <= room else lane.name


def _progress(canvas: Canvas, lane: LaneFrame) -> None:
    """The state in words, and how far the lane is."""
    mark = {"waiting": "◌", "training": "●", "finished": "✓", "stalled": "▲"}.get(lane.state, "■")
    words = lane.stage
    if lane.state in ("starting", "compiling", "pending", "stalled", "hung", "evaluating") and lane.stage_s is not None:
        words += f" {lane.stage_s:.1f} s"
    elif lane.epoch and lane.epochs and lane.state in ("training", "waiting") and canvas.width >= 56:
        words += f"  epoch {lane.epoch}/{lane.epochs}"
    words = clip(words, canvas.width - 4)
    end = canvas.put(1, 1, f"{mark} {words}", STATE_INK[lane.state])
    if lane.state in ENDED_STATES and lane.results:
        words = "  " + _results(lane)
        if end + len(words) + 14 < canvas.width:
            end = canvas.put(1, end, words, "text")
    left = "" if lane.time_left_s is None else f"  {show(lane.time_left_s, 's')} left"
    right = f"{lane.steps:,} steps" if lane.steps else ""
    if lane.steps_total:
        right = f"{lane.steps:,}/{lane.steps_total:,}{left}"
    if end + len(right) + 3 > canvas.width:
        return
    start = canvas.right(1, canvas.width - 1, right, "dim") - 1
    length = min(20, start - end - 2)
    if length >= 5 and lane.steps_total:
        done = round(length * min(1.0, lane.steps / lane.steps_total))
        canvas.put(1, start - length, "━" * done, "line")
        canvas.put(1, start - length + done, "━" * (length - done), "faint")


def _results(lane: LaneFrame) -> str:
    wanted = sorted(lane.results.items(), key=lambda item: "accuracy" not in item[0])[:1]
    return "  ".join(
        f"{name.replace('_', ' ')} {value:.2%}" if "accuracy" in name else f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in wanted
    )


def _chart(canvas: Canvas, row: int, height: int, data: PaneData, dots: bool) -> None:
    columns = data.window.columns
    chart.draw_stalls(canvas, row, GUTTER, columns)
    scale = data.scale
    ticks = scale.ticks(height) if scale is not None else {}
    for line in range(height):
        value = ticks.get(line)
        canvas.put(row + 1 + line, GUTTER - 1, "│" if value is None else "┤", "faint")
        if value is not None:
            canvas.right(row + 1 + line, GUTTER - 1, _label(value), "dim")
    if scale is not None:
        canvas.put(row, 0, "ms".rjust(GUTTER - 1), "dim")
    chart.draw_line(canvas, row + 1, GUTTER, height, columns, scale or chart.Scale(1.0), dots)
    stall = data.lane.current_stall
    if stall is not None:
        chart.draw_growing(canvas, row + 1, GUTTER + data.window.now, height, stall.lost_ms)
    elif data.lane.why_no_steps and height >= 3:
        sections.paragraph(canvas, row + 2, GUTTER + 2, data.lane.why_no_steps, height - 2, "warn")


def _label(ms: float) -> str:
    return f"{ms:.3g}" if ms < 1000 else f"{ms:,.0f}"


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
    total = sum(phases.values())
    canvas.put(row, 0, ("stall" if stalled else "step").rjust(GUTTER - 1), "stall" if stalled else "dim")
    column = canvas.put(row, GUTTER, show(total, "ms").ljust(8), "stall" if stalled else "strong") + 1
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


_DRAW = {
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


_FINDING_ROWS = ("finding", "evidence", "evidence+", "advice", "advice+")
_CLICKS = {**dict.fromkeys(_FINDING_ROWS, "findings"), "stalled": "stall(-1)"}
"""What a click on a row opens."""


class LanePane(CellGrid):
    """The widget of one lane."""

    def __init__(self, theme: Theme, index: int) -> None:
        super().__init__(theme, id=f"lane-{index}", classes="lane")
        self.index = index
        self._body = Canvas(0, 0)
        self._body_of: tuple[object, ...] | None = None

    def on_resize(self) -> None:
        """A pane that the layout made larger or smaller is drawn anew."""
        self.app.redraw_soon()  # type: ignore[attr-defined]

    def update(self, data: PaneData) -> None:
        """Draw a moment; only changed cells reach the terminal."""
        shows = self._shows(data)
        if shows is None or shows != self._body_of:
            self._body = draw_body(self.size.height, self.size.width, data, self.cell_theme.dots)
            self._body_of = shows
            canvas = self._body.copy()
            draw_head(canvas, data)
            self.show(canvas)
            return
        head = Canvas(min(HEAD_ROWS, self.size.height), self.size.width)
        draw_head(head, data)
        self.show_top(head)

    def _shows(self, data: PaneData) -> tuple[object, ...] | None:
        """What the body is drawn from while time goes on, down to a cell of the chart; None: it is drawn anew."""
        if not data.moving:
            return None
        lane, window = data.lane, data.window
        every = min(REDRAW_NS, int(window.cell_s * 1e9))
        late = lane.index % _TAKE_TURNS * every // _TAKE_TURNS  # panes take turns: on a slow link a key waits for one
        return (
            *(self.size, self.cell_theme.dots, data.scale, data.rows, window.cell_s, window.cells),
            *((window.since_start_ns - late) // every, lane.state, lane.error, lane.findings),
            *(lane.current_stall, lane.why_no_steps, data.raced, data.divided, data.fair),
        )
