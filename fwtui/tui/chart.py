"""A lane's history as cells: braille mean line in a dim min–max band, stalls, lost time, causes, axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fwtui.recording.vocabulary import PHASES
from fwtui.tui.cells import Canvas
from fwtui.tui.theme import PAPERS, cell
from fwtui.view.frame import (
    COLUMN_EVALUATION,
    COLUMN_STARTUP,
    COLUMN_STEADY,
    COLUMN_WAITING,
    COLUMN_WARMUP,
    Columns,
)
from fwtui.view.letters import BLOCKS

_BITS = np.array([0, 2, 4, 1, 3, 5, 6, 7])
"""A braille cell's dots in the order of their bits, numbered row by row."""
_BRAILLE = 0x2800
_SHADED = {COLUMN_STARTUP: "startup", COLUMN_WARMUP: "warmup", COLUMN_EVALUATION: "evaluation"}
_SHORT_NAMES = {"startup": "start", "warmup": "warm", "evaluation": "eval"}
_SHADE_NAMES = {"startup": "start-up", "warmup": "warm-up", "evaluation": "evaluation"}
_BLOCK_CODES = np.array([ord(letter) for letter in BLOCKS], dtype=np.uint32)
_MOSTLY_LOST = 0.3
"""A slot of which more was lost shows no step for that reason."""
_PHASE_OF = {phase.letter: phase for phase in PHASES}
STEPS_S = (
    0.1,
    0.2,
    0.3,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    3.0,
    5.0,
    7.5,
    10.0,
    15.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
)
"""Zoom levels: seconds a cell."""
_MARKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Distances of the time axis's marks."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The y axis: zero to `top_ms`; logarithmic from `bottom_ms` when that is set."""

    top_ms: float
    bottom_ms: float | None = None

    def height(self, value_ms: np.ndarray) -> np.ndarray:
        """Share of the chart's height, 0 to 1; NaN stays."""
        if self.bottom_ms is None:
            return np.clip(value_ms / self.top_ms, 0, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.clip(np.log(value_ms / self.bottom_ms) / math.log(self.top_ms / self.bottom_ms), 0, 1)

    def ticks(self, height: int) -> dict[int, float]:
        """Round values of the axis on a chart of so many rows: by row, 0 at the top."""
        if self.bottom_ms is None:
            parts = 1 if height < 5 else 4 if height >= 15 else 2
            values = [self.top_ms * part / parts for part in range(parts + 1)]
        else:
            first, last = math.ceil(math.log10(self.bottom_ms)), math.floor(math.log10(self.top_ms))
            values = [10.0**power for power in range(first, last + 1)][:: 1 if height >= 8 else 2]
        shares = self.height(np.array(values))
        return {
            int(round((1 - share) * (4 * height - 1)) // 4): value for share, value in zip(shares, values, strict=True)
        }

    def value(self, share: float) -> float:
        """The value at a share of the height."""
        if self.bottom_ms is None:
            return self.top_ms * share
        return float(self.bottom_ms * (self.top_ms / self.bottom_ms) ** share)


def top_of(medians_ms: list[float], before: float | None) -> float | None:
    """The axis's top: about 1.9 times the slowest median, kept while that lies between 45 and 80 % of it."""
    if not medians_ms:
        return before
    slowest = max(medians_ms)
    if before is not None and 0.45 <= slowest / before <= 0.8:
        return before
    return nice(1.9 * slowest)


def fitting(elapsed_s: float, cells: int) -> float:
    """Seconds a cell so that a time fits into some cells: two digits, rounded up."""
    exact = max(elapsed_s, 1.0) / max(1, cells)
    power = 10.0 ** (math.floor(math.log10(exact)) - 1)
    return math.ceil(exact / power - 1e-9) * power


def nice(value: float) -> float:
    """The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-6)))
    return next((step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if step * power >= value * 0.999), 10 * power)


def draw_line(canvas: Canvas, row: int, column: int, height: int, columns: Columns, scale: Scale, dots: bool) -> None:
    """The band and the line on `height` rows; two slots a cell."""
    cells = len(columns.mean_ms) // 2
    if height < 1 or cells < 1:
        return
    _shade(canvas, row, column, height, columns.state[::2], dots)
    mean, waiting = _carried(columns)
    _name_waiting(canvas, row + height - 1, column, columns)
    line = _line_dots(scale.height(mean), height * 4)
    band = _band_dots(scale.height(columns.low_ms), scale.height(columns.high_ms), height * 4)
    line_cells, band_cells = _braille(line), _braille(band)
    codes = canvas.codes[row : row + height, column : column + cells]
    styles = canvas.styles[row : row + height, column : column + cells]
    papers: np.ndarray = styles % PAPERS
    rest = np.asarray(waiting.reshape(-1, 2).all(axis=1))[None, :] & (line_cells > 0)
    for mask, source, ink in (
        ((band_cells > 0) & (line_cells == 0), band_cells, "band"),
        ((line_cells > 0) & ~rest, line_cells, "line"),
        (rest, line_cells, "rest"),
    ):
        codes[mask] = source[mask] + _BRAILLE
        styles[mask] = papers[mask] + cell(ink)


def _name_waiting(canvas: Canvas, row: int, column: int, columns: Columns) -> None:
    """Words where a lane that is ready waits for the first turn."""
    first = np.flatnonzero(~np.isnan(columns.mean_ms))
    before = columns.state[: first[0] if len(first) else len(columns.state) : 2]
    cells = np.flatnonzero(before == COLUMN_WAITING)
    for words in ("waits for its first turn", "waiting", "waits"):
        if len(cells) >= len(words) + 2:
            canvas.put(row, column + int(cells[0]) + (len(cells) - len(words)) // 2, words, "dim")
            return


def _carried(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Means, with the last one carried through waits; and where it was."""
    mean = columns.mean_ms.copy()
    known = ~np.isnan(mean)
    last = np.maximum.accumulate(np.where(known, np.arange(len(mean)), -1))
    later: np.ndarray = np.maximum.accumulate(known[::-1])[::-1]
    waits: np.ndarray = np.isin(columns.state, (COLUMN_WAITING, COLUMN_EVALUATION))
    fill = ~known & (last >= 0) & waits & (later | waits)
    mean[fill] = mean[last[fill]]
    return mean, fill


def _line_dots(share: np.ndarray, rows: int) -> np.ndarray:
    """Dots of the line, neighbours joined by upright strokes."""
    known = ~np.isnan(share)
    level = np.where(known, np.rint((1 - np.nan_to_num(share)) * (rows - 1)), 0).astype(int)
    before = np.concatenate((level[:1], level[:-1]))
    joined = known & np.concatenate(([False], known[:-1]))
    start = np.where(joined & (np.abs(before - level) > 1), before + np.sign(level - before), level)
    low, high = np.minimum(start, level), np.maximum(start, level)
    index = np.arange(rows)[:, None]
    dots: np.ndarray = (index >= low) & (index <= high) & known
    return dots


def _band_dots(low: np.ndarray, high: np.ndarray, rows: int) -> np.ndarray:
    known = ~np.isnan(low) & ~np.isnan(high)
    bottom = np.where(known, np.rint((1 - np.nan_to_num(low)) * (rows - 1)), -1)
    top = np.where(known, np.rint((1 - np.nan_to_num(high)) * (rows - 1)), 0)
    index = np.arange(rows)[:, None]
    dots: np.ndarray = (index >= top) & (index <= bottom) & known
    return dots


def _braille(dots: np.ndarray) -> np.ndarray:
    """Cells' bits of a dot matrix of 4h x 2w."""
    height, width = dots.shape[0] // 4, dots.shape[1] // 2
    cut = dots[: height * 4, : width * 2].reshape(height, 4, width, 2).transpose(0, 2, 1, 3)
    bits = np.packbits(cut.reshape(height, width, 8)[..., _BITS], axis=2, bitorder="little")
    return bits[..., 0].astype(np.uint32)


def _shade(canvas: Canvas, row: int, column: int, height: int, state: np.ndarray, dots: bool) -> None:
    """Backgrounds, and their names at the bottom, of start-up, warm-up and evaluation."""
    edges = [0, *(np.flatnonzero(np.diff(state)) + 1).tolist(), len(state)]
    for first, last in pairwise(edges):
        name = _SHADED.get(int(state[first]))
        if name is None:
            continue
        if name == "warmup" and last - first < 2 and COLUMN_STEADY in state[:first]:
            continue  # a step or two after a turn began
        left, right = column + first, column + last
        canvas.styles[row : row + height, left:right] = cell("faint", name)
        if dots:
            canvas.codes[row : row + height, left:right] = ord("·")
        for label in (_SHADE_NAMES[name], _SHORT_NAMES[name]):
            if last - first >= len(label) and height > 2:
                canvas.put(row + height - 1, left + (last - first - len(label)) // 2, label, "dim", name)
                break


def draw_stalls(canvas: Canvas, row: int, column: int, columns: Columns) -> None:
    """▲ where a stalled step ended."""
    for place in np.flatnonzero(_pairs(columns.stalls).sum(axis=1)):
        canvas.put(row, column + int(place), "▲", "stall")


def draw_lost(canvas: Canvas, row: int, column: int, columns: Columns) -> None:
    """The share of each cell's time lost, as a block's height; a trace of it is seen."""
    lost = _pairs(columns.lost).mean(axis=1)
    draw_blocks(canvas, row, column, np.where(lost > 0.004, lost, np.nan), 1.0, "stall")


def draw_why(canvas: Canvas, row: int, column: int, columns: Columns) -> None:
    """The letter of the phase that swelled, on its colour; its name where it swelled for long enough to write it."""
    letters = [late or early for early, late in _pairs(columns.why).tolist()]
    place = 0
    while place < len(letters):
        last = place
        while last < len(letters) and letters[last] == letters[place]:
            last += 1
        phase = _PHASE_OF.get(letters[place])
        if phase is not None:
            length = last - place
            word = phase.name if len(phase.name) < length else phase.short if len(phase.short) < length else ""
            text = word.center(length) if word else letters[place] * length
            canvas.put(row, column + place, text, "onphase", phase.name)
        place = last


def draw_caption(canvas: Canvas, row: int, column: int, columns: Columns) -> None:
    """What letters below the chart and gaps in it mean, at the right of its topmost row, if that is free."""
    cells = len(columns.mean_ms) // 2
    seen = set(columns.why.tolist())
    named = [phase for phase in PHASES if phase.letter in seen]
    long = "  ".join(f"{phase.letter} {phase.name}" for phase in named)
    brief = "  ".join(f"{phase.letter} {phase.short}" for phase in named)
    turns = _turns_words(columns)
    both = [" · ".join(filter(None, (letters, turns))) for letters in (long, brief)]
    for words in (*both, long, brief, turns):
        place = slice(column + cells - len(words), column + cells)
        if words and len(words) < cells and np.isin(canvas.codes[row, place], (ord(" "), ord("·"))).all():
            papers = canvas.styles[row, place] % PAPERS
            canvas.put(row, place.start, words, "dim")
            canvas.styles[row, place] = cell("dim") + papers
            return


def _turns_words(columns: Columns) -> str:
    """What the line's gaps, or its dim parts, are in a lane that waits for its turns; empty: there are none."""
    known = np.flatnonzero(~np.isnan(columns.mean_ms))
    if not len(known) or COLUMN_WAITING not in columns.state[known[0] : known[-1]]:
        return ""
    mean, carried = _carried(columns)
    open_slots = np.isnan(mean) & (columns.lost < _MOSTLY_LOST)
    if open_slots[known[0] : known[-1]].any():
        return "gaps: others' turns"
    return "dim: others' turns" if carried.reshape(-1, 2).all(axis=1).any() else ""


def draw_growing(canvas: Canvas, row: int, column: int, height: int, stall_ms: float) -> None:
    """A stall that lasts, as a column that grows by a cell every half second from the chart's foot."""
    tall = min(height, 1 + int(stall_ms / 500))
    for line in range(height - tall, height):
        canvas.put(row + line, column, "█", "stall")
    canvas.put(row + height - tall - 1, column, "▲", "stall")


def draw_blocks(canvas: Canvas, row: int, column: int, values: np.ndarray, top: float, ink: str) -> None:
    """A row of blocks, zero to `top`; NaN is blank, a known value at least the lowest block."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known) or not 0 <= row < canvas.height or top <= 0:
        return
    height = np.clip(np.rint(np.clip(values[known] / top, 0, 1) * 8).astype(int), 1, 8)
    places = known + column
    inside = (places >= 0) & (places < canvas.width)
    canvas.codes[row, places[inside]] = _BLOCK_CODES[height[inside]]
    canvas.styles[row, places[inside]] = cell(ink)


def draw_spark(canvas: Canvas, row: int, column: int, values: np.ndarray, ink: str) -> None:
    """One braille row scaled to its own least and most; two values a cell."""
    known = values[~np.isnan(values)]
    if not len(known):
        return
    low, high = float(known.min()), float(known.max())
    share = (values - low) / (high - low) if high > low else values * 0 + 0.5
    bits = _braille(_line_dots(share, 4))[0]
    places = np.flatnonzero(bits)
    places = places[places + column < canvas.width]
    if 0 <= row < canvas.height:
        canvas.codes[row, column + places] = bits[places] + _BRAILLE
        canvas.styles[row, column + places] = cell(ink)


def draw_curve(canvas: Canvas, row: int, column: int, height: int, share: np.ndarray, ink: str) -> None:
    """A curve of values from 0 to 1, two a cell, over what is drawn already; blanks under it stay."""
    bits = _braille(_line_dots(np.where(share > 0.004, share, np.nan), height * 4))
    for line, place in zip(*np.nonzero(bits), strict=True):
        y, x = row + int(line), column + int(place)
        if y < canvas.height and x < canvas.width:
            before = int(canvas.codes[y, x])
            kept = before - _BRAILLE if before > _BRAILLE and before <= _BRAILLE + 255 else 0
            canvas.put(y, x, chr(_BRAILLE + (int(bits[line, place]) | kept)), ink)


def draw_axis(canvas: Canvas, row: int, column: int, cells: int, first_cell: int, cell_s: float) -> None:
    """Times since the run's start, at round places."""
    every = next((mark for mark in _MARKS_S if mark / cell_s >= 10), _MARKS_S[-1])
    first = math.ceil(first_cell * cell_s / every - 1e-9)
    for number in range(first, first + cells):
        place = round(number * every / cell_s) - first_cell
        text = clock(number * every)
        if place + len(text) > cells:
            break
        canvas.put(row, column + place, text, "dim")


def clock(seconds: float) -> str:
    """`12s`, `2:05`, `1:02:05`."""
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _pairs(values: np.ndarray) -> np.ndarray:
    return values[: len(values) // 2 * 2].reshape(-1, 2)
