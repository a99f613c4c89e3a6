"""What a tall pane shows below its rows: phases and hardware over time, findings, and the lane's own output."""

from __future__ import annotations

import textwrap

import numpy as np

from fwtui.recording.vocabulary import PHASES
from fwtui.tui import chart, rank_rows
from fwtui.tui.cells import Canvas, clip
from fwtui.tui.printed import plain
from fwtui.tui.theme import SEVERITY_INK, cell
from fwtui.tui.window import Window
from fwtui.view.frame import LaneFrame
from fwtui.view.letters import BLOCKS
from fwtui.view.units import show


def draw_below(canvas: Canvas, row: int, lane: LaneFrame, window: Window, gutter: int) -> None:
    """Fill the rest of a pane from `row`: each section as high as what is left allows."""
    left = canvas.height - row
    if lane.findings and left >= 4:
        row = findings(canvas, row, lane, min(left - 2, max(4, left // 2))) + 1
    if lane.ranks and canvas.height - row >= 5:
        row = rank_rows.draw(canvas, row, lane, min(len(lane.ranks) + 2, max(4, (canvas.height - row) // 2))) + 1
    if lane.typical_ms and canvas.height - row >= 4:
        height = 6 if canvas.height - row >= 24 else 4 if canvas.height - row >= 12 else 3
        row = phases_over_time(canvas, row, gutter, height, window) + 1
    tall = 3 if canvas.height - row >= 20 else 2
    if lane.throughput_samples_s and canvas.height - row >= tall + 4:
        row = throughput_over_time(canvas, row, gutter, tall, window, lane) + 1
    for title, metric, unit in (("memory", "rss_bytes", "bytes"), ("cpu", "cpu_cores", "cores")):
        if canvas.height - row >= tall + 6:
            row = metric_over_time(canvas, row, gutter, tall, window, (title, metric, unit)) + 1
    if lane.output_tail and canvas.height - row >= 2:
        output(canvas, row, lane, canvas.height - row)


def heading(canvas: Canvas, row: int, text: str, note: str = "") -> int:
    """A section's title; returns the row below it."""
    column = canvas.put(row, 1, text, "strong")
    canvas.put(row, column + 2, clip(note, canvas.width - column - 3), "dim")
    return row + 1


def phases_over_time(canvas: Canvas, row: int, column: int, height: int, window: Window) -> int:
    """Shares of the step's time by phase as stacked columns; returns the row below."""
    shares = window.phases
    known = ~np.isnan(shares).any(axis=1)
    seen = np.flatnonzero(shares[known].max(axis=0, initial=0.0) > 0.005).tolist()
    place = canvas.put(row, 1, "phases over time ", "strong")
    for index in seen:
        phase = PHASES[index]
        name = phase.name if sum(len(PHASES[each].name) + 4 for each in seen) + 18 < canvas.width else phase.short
        if place + len(name) + 4 >= canvas.width:
            break
        canvas.put(row, place, "■ ", phase.name)
        place = canvas.put(row, place + 2, name, "dim") + 2
    row += 1
    places = np.flatnonzero(known[: max(0, canvas.width - column - 1)])
    stack(canvas, row, column, height, places, shares[places])
    canvas.right(row, column - 1, "100 %", "dim")
    canvas.right(row + height - 1, column - 1, "0", "dim")
    return row + height


_INKS = np.array([cell(phase.name) for phase in PHASES], dtype=np.uint16)
_ON_PAPER = np.array([cell("onphase", phase.name) - cell("onphase") for phase in PHASES], dtype=np.uint16)
_BLOCK_CODES = np.array([ord(letter) for letter in BLOCKS], dtype=np.uint32)


def stack(canvas: Canvas, row: int, column: int, height: int, places: np.ndarray, shares: np.ndarray) -> None:
    """Stacked columns of `height` rows at some places: a cell shows its two largest parts, one on the other's colour.

    Args:
        canvas: what is drawn on.
        row: the topmost row.
        column: where place 0 is.
        height: rows.
        places: (n,) columns.
        shares: (n, phases) of each column, from the bottom.
    """
    if not len(places):
        return
    edges = np.rint(np.cumsum(shares, axis=1) * height * 8)
    number = np.arange(len(places))
    for line in range(height):
        low, high = (height - 1 - line) * 8, (height - line) * 8
        parts = np.diff(np.clip(edges, low, high), prepend=low, axis=1)
        order = np.argsort(parts, axis=1)
        first, second = order[:, -1], order[:, -2]
        alone = parts[number, second] == 0
        below, above = np.minimum(first, second), np.maximum(first, second)
        eighths = np.clip(np.cumsum(parts, axis=1)[number, below], 1, 8).astype(int)
        filled = parts[number, first] > 0
        at = places[filled] + column
        canvas.codes[row + line, at] = np.where(alone, ord(" "), _BLOCK_CODES[eighths])[filled]
        inks = np.where(alone, cell("onphase"), _INKS[below])
        canvas.styles[row + line, at] = (inks + _ON_PAPER[np.where(alone, first, above)])[filled]


def metric_over_time(
    canvas: Canvas, row: int, column: int, height: int, window: Window, metric: tuple[str, str, str]
) -> int:
    """A hardware metric as high blocks, zero to its most; returns the row below."""
    title, name, unit = metric
    return area(canvas, row, column, height, title, unit, window.series(name))


def throughput_over_time(canvas: Canvas, row: int, column: int, height: int, window: Window, lane: LaneFrame) -> int:
    """Samples a second of the lane's own time, stalls left out; returns the row below."""
    mean_ms = window.columns.mean_ms
    pairs = mean_ms[: len(mean_ms) // 2 * 2].reshape(-1, 2)
    known = ~np.isnan(pairs)
    number = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(number > 0, 1000 * (lane.samples_per_step or 1) * number / np.nansum(pairs, axis=1), np.nan)
    return area(canvas, row, column, height, "throughput", "samples/s", values)


def area(canvas: Canvas, row: int, column: int, height: int, title: str, unit: str, values: np.ndarray) -> int:
    """A titled area over time, zero to its most; returns the row below."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return heading(canvas, row, title, "n/a") + height
    top = float(values[known].max())
    row = heading(canvas, row, title, f"at most {show(top, unit)}")
    canvas.right(row + height - 1, column - 1, "0", "dim")
    if top:
        tall_blocks(canvas, row, column, height, values[: canvas.width - column - 1], top, "system", "area")
    return row + height


def tall_blocks(
    canvas: Canvas, row: int, column: int, height: int, values: np.ndarray, top: float, ink: str, below: str = ""
) -> None:
    """Bars of `height` rows; the full cells under each bar's end in another ink, where one is given."""
    eighths = np.clip(np.nan_to_num(values) / top, 0, 1) * height * 8
    for line in range(height):
        part = eighths - (height - 1 - line) * 8
        seen = part > 0.5
        under = seen & (part > 8.5) if below else seen & False
        chart.draw_blocks(canvas, row + line, column, np.where(seen & ~under, np.minimum(part, 8), np.nan), 8.0, ink)
        if under.any():
            chart.draw_blocks(canvas, row + line, column, np.where(under, 8.0, np.nan), 8.0, below)


def blocks_until(
    canvas: Canvas, row: int, column: int, values: np.ndarray, now: int, room: int, top: float | None
) -> None:
    """The last `room` cells of a metric up to the moment shown, in whole groups of cells, so that they stand still."""
    past = values[: now + 1]
    known = past[~np.isnan(past)]
    if not len(known):
        return
    chart.draw_blocks(canvas, row, column, past[-room:], top or float(known.max()) or 1.0, "system")


def findings(canvas: Canvas, row: int, lane: LaneFrame, most: int) -> int:
    """The findings with their advice, whole sentences; returns the row below."""
    row = heading(canvas, row, "why" if len(lane.findings) == 1 else f"why: {len(lane.findings)} findings")
    first, last = row - 1, row + most
    for finding in lane.findings:
        if row + 2 > last:
            break
        where = f" at {finding.location}" if finding.location else ""
        share = f"  {show(finding.share, 'share')} of its time" if finding.share is not None else ""
        canvas.put(
            row,
            1,
            clip(f"{finding.letter} {finding.code}{share}{where}", canvas.width - 2),
            SEVERITY_INK.get(finding.severity, "warn"),
        )
        row = paragraph(canvas, row + 1, 3, finding.evidence, min(2, last - row - 1), "text")
        row = paragraph(canvas, row, 3, f"→ {finding.advice}", min(2, last - row), "dim")
    canvas.links |= dict.fromkeys(range(first, row), "findings")
    return row


def output(canvas: Canvas, row: int, lane: LaneFrame, most: int) -> int:
    """The end of what the lane printed; returns the row below."""
    canvas.links |= dict.fromkeys(range(row, row + most), "output")
    row = heading(canvas, row, "output", "all of it: o")
    for line in lane.output_tail[-(most - 1) :] if most > 1 else ():
        canvas.put(row, 1, clip(plain(line), canvas.width - 2), "dim")
        row += 1
    return row


def paragraph(canvas: Canvas, row: int, column: int, text: str, most: int, ink: str) -> int:
    """Wrapped text; returns the row below."""
    for line in textwrap.wrap(text, max(8, canvas.width - column - 1))[:most]:
        canvas.put(row, column, line, ink)
        row += 1
    return row
