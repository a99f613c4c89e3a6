"""One lane on one grid of cells: title, progress, chart, and below it what there is room for."""

from __future__ import annotations

import numpy as np

from fwtui.tui import chart, sections
from fwtui.tui.cells import Canvas, CellGrid, Move, clip
from fwtui.tui.pane_rows import (
    AXIS_ROWS,
    CLICKS,
    DRAW,
    EVIDENCE_HEIGHT,
    FINDING_ROWS,
    GUTTER,
    OPTIONAL_ROWS,
    ORDER,
    RACED_ROWS,
    PaneData,
)
from fwtui.tui.theme import STATE_INK, Theme, cell
from fwtui.view.frame import ENDED_STATES, LaneFrame
from fwtui.view.units import show

_TURNS = (0.0, 0.5, 0.25, 0.75)
"""When panes are drawn anew, as shares of the time between: on a slow link a key waits for one, not for all."""
_BELOW_LATER = 0.25
"""What does not share the chart's axis is drawn so much later, for the same reason."""
HEAD_ROWS = 2
"""Title and progress."""
LEAST_CHART = 3
CAPTION_HEIGHT = 5
"""A chart of so many rows has a free one for its caption."""
MOST_CHART = 20
REDRAW_NS = 1_000_000_000
"""While time goes on, what lies below the two top rows is drawn anew once a cell of the chart, or this often."""

LEAST_BELOW = 6
"""Rows that are worth a section of their own; fewer make the chart higher."""
TALL_HEIGHT = 40
"""A pane of this height lists all findings below its rows, which then need none for the first one."""


def chart_cells(width: int) -> int:
    """Cells of the chart in a pane of this width."""
    return max(0, width - GUTTER - 1)


def draw(height: int, width: int, data: PaneData, dots: bool) -> Canvas:
    """The pane as cells."""
    canvas, _ = draw_body(height, width, data, dots)
    draw_head(canvas, data)
    return canvas


def draw_head(canvas: Canvas, data: PaneData) -> None:
    """Title, rate, state and progress: the two top rows, which change with every frame."""
    _title(canvas, data)
    _progress(canvas, data.lane)
    if data.divided:
        _divide(canvas, HEAD_ROWS)


def draw_body(height: int, width: int, data: PaneData, dots: bool) -> tuple[Canvas, int]:
    """(the chart and what there is room for below it, the row below its axis); the two top rows are left free."""
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
        return canvas, height
    _chart(canvas, 2, chart_height, data, dots)
    row = below = 2 + chart_height + 1
    for name in ORDER:
        if name in shown:
            DRAW[name](canvas, row, data)
            if name in CLICKS and (data.lane.findings or name not in FINDING_ROWS):
                canvas.links[row] = CLICKS[name]
            row += 1
            below = row if name in AXIS_ROWS else below
    if height - row >= 4:
        rest = Canvas(height - row - 1, width)
        sections.draw_below(rest, 0, data.lane, data.window, GUTTER)
        canvas.paste(rest, row + 1, 0)
    if data.divided:
        _divide(canvas, height)
    return canvas, below


def _divide(canvas: Canvas, rows: int) -> None:
    """A line down the left edge, where nothing stands."""
    free = np.flatnonzero(canvas.codes[:rows, :1] == ord(" "))
    canvas.codes[free, :1], canvas.styles[free, :1] = ord("│"), cell("faint")


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
    edge = slice(row + 1, row + 1 + height)
    canvas.codes[edge, GUTTER - 1], canvas.styles[edge, GUTTER - 1] = ord("│"), cell("faint")
    for line, value in ticks.items():
        canvas.put(row + 1 + line, GUTTER - 1, "┤", "faint")
        canvas.right(row + 1 + line, GUTTER - 1, _label(value), "dim")
    if scale is not None:
        canvas.put(row, 0, "ms".rjust(GUTTER - 1), "dim")
    chart.draw_line(canvas, row + 1, GUTTER, height, columns, scale or chart.Scale(1.0), dots)
    if height >= CAPTION_HEIGHT:
        chart.draw_caption(canvas, row + 1, GUTTER, columns)
    stall = data.lane.current_stall
    if stall is not None:
        chart.draw_growing(canvas, row + 1, GUTTER + data.window.now, height, stall.lost_ms)
    elif data.lane.why_no_steps and height >= 3:
        sections.paragraph(canvas, row + 2, GUTTER + 2, data.lane.why_no_steps, height - 2, "warn")


def _label(ms: float) -> str:
    return f"{ms:.3g}" if ms < 1000 else f"{ms:,.0f}"


class LanePane(CellGrid):
    """The widget of one lane."""

    def __init__(self, theme: Theme, index: int) -> None:
        super().__init__(theme, id=f"lane-{index}", classes="lane")
        self.index = index
        self._body_of: tuple[object, ...] | None = None
        self._drawn = self._below_drawn = 0
        """How often time has gone on when the body was drawn, and what lies below its axis was shown."""
        self._later: Canvas | None = None
        """The body, of which what lies below its axis is not shown yet."""
        self._cell_s = 0.0
        self._first_cell = self._first_below = 0
        """The first cell of time in the body, and in what is shown below its axis."""

    def on_resize(self) -> None:
        """A pane that the layout made larger or smaller is drawn anew."""
        self.app.redraw_soon()  # type: ignore[attr-defined]

    def show_title(self, data: PaneData) -> None:
        """Draw what is known before anything is read."""
        canvas = Canvas(self.size.height, self.size.width)
        draw_head(canvas, data)
        if data.divided:
            _divide(canvas, canvas.height)
        self.show(canvas)

    def update(self, data: PaneData) -> None:
        """Draw a moment; only changed cells reach the terminal."""
        shows, turn, later = self._shows(data), self._turn(data), self._turn(data, _BELOW_LATER)
        changed = shows is None or shows != self._body_of
        if changed or turn != self._drawn:
            whole = changed or later != self._below_drawn
            self._show_body(data, whole)
            self._body_of, self._drawn = shows, turn
            self._below_drawn = later if whole else self._below_drawn
            return
        if later != self._below_drawn:
            self._below_drawn = later
            if self._later is not None:
                canvas, self._later = self._later, None
                draw_head(canvas, data)
                move = self._move(data, self._first_cell - self._first_below)
                self._first_below = self._first_cell
                self.show(canvas, move)
                return
        head = Canvas(min(HEAD_ROWS, self.size.height), self.size.width)
        draw_head(head, data)
        self.show_top(head)

    def _show_body(self, data: PaneData, whole: bool) -> None:
        """Draw all of the pane; show it at once, or what lies below the chart's axis a little later."""
        canvas, below = draw_body(self.size.height, self.size.width, data, self.cell_theme.dots)
        self._later = None
        if not whole and self.canvas.codes.shape == canvas.codes.shape:
            self._later = canvas.copy()
            canvas.codes[below:], canvas.styles[below:] = self.canvas.codes[below:], self.canvas.styles[below:]
        draw_head(canvas, data)
        first = data.window.first_cell
        move = self._move(data, first - self._first_cell)
        self._cell_s, self._first_cell = data.window.cell_s, first
        self._first_below = first if whole else self._first_below
        self.show(canvas, move)

    def _move(self, data: PaneData, cells: int) -> Move | None:
        """How far the chart went to the left since it was drawn last; None where its cells mean another time now."""
        return Move(GUTTER, GUTTER + data.window.cells, cells) if data.window.cell_s == self._cell_s else None

    def _turn(self, data: PaneData, later: float = 0.0) -> int:
        """How often time has gone on for this pane: by a cell of the chart, or for as long as it is not drawn anew."""
        every = min(REDRAW_NS, int(data.window.cell_s * 1e9))
        late = int((_TURNS[self.index % len(_TURNS)] + later) * every)
        return (data.window.since_start_ns - late) // every

    def _shows(self, data: PaneData) -> tuple[object, ...] | None:
        """What the body is drawn from besides the time; None: it is drawn anew with every frame."""
        if not data.moving:
            return None
        lane, window = data.lane, data.window
        return (
            *(self.size, self.cell_theme.dots, data.scale, data.rows, window.cell_s, window.cells),
            *(lane.state, lane.error, lane.findings),
            *(lane.current_stall, lane.why_no_steps, data.raced, data.divided, data.fair),
        )
