"""What a tall pane shows below its rows: phases and hardware over time, findings, and the lane's own output."""

from __future__ import annotations

import textwrap

import numpy as np

from fwtui.recording.vocabulary import PHASES
from fwtui.tui import chart, rank_rows
from fwtui.tui.cells import Canvas, clip
from fwtui.tui.theme import SEVERITY_INK, cell
from fwtui.tui.window import Window
from fwtui.view.frame import LaneFrame
from fwtui.view.letters import BLOCKS
from fwtui.view.units import show


def draw_below(canvas: Canvas, row: int, lane: LaneFrame, window: Window, gutter: int) -> None:
    """Fill the rest of a pane from `row`: each section as high as what is left allows."""
    if lane.ranks and canvas.height - row >= 5:
        row = rank_rows.draw(canvas, row, lane, min(len(lane.ranks) + 2, max(4, (canvas.height - row) // 2))) + 1
    if lane.typical_ms and canvas.height - row >= 4:
        height = 8 if canvas.height - row >= 24 else 5 if canvas.height - row >= 12 else 3
        row = phases_over_time(canvas, row, gutter, height, window) + 1
    for title, metric, unit in (("mem", "rss_bytes", "bytes"), ("cpu", "cpu_cores", "cores")):
        if canvas.height - row >= 12:
            row = metric_over_time(canvas, row, gutter, 3, window, (title, metric, unit)) + 1
    if lane.findings and canvas.height - row >= 4:
        row = findings(canvas, row, lane, canvas.height - row - 2) + 1
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
    seen = [index for index in range(len(PHASES)) if known.any() and np.nanmax(shares[known, index]) > 0.005]
    place = canvas.put(row, 1, "phases over time ", "strong")
    for index in seen:
        phase = PHASES[index]
        if place + len(phase.short) + 4 >= canvas.width:
            break
        canvas.put(row, place, "■ ", phase.name)
        place = canvas.put(row, place + 2, phase.short, "dim") + 2
    row += 1
    places = np.flatnonzero(known[: max(0, canvas.width - column - 1)])
    stack(canvas, row, column, height, places, shares[places])
    canvas.right(row, column - 1, "100 %", "dim")
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
    values = window.series(name)
    known = values[~np.isnan(values)]
    top = float(known.max()) if len(known) else 0.0
    canvas.right(row, column - 1, title, "dim")
    if not top:
        canvas.put(row, column, "n/a", "dim")
        return row + height
    tall_blocks(canvas, row, column, height, values[: canvas.width - column - 1], top, "system")
    canvas.right(row, canvas.width - 1, f" at most {show(top, unit)}", "dim")
    return row + height


def tall_blocks(canvas: Canvas, row: int, column: int, height: int, values: np.ndarray, top: float, ink: str) -> None:
    """Bars of `height` rows."""
    eighths = np.clip(np.nan_to_num(values) / top, 0, 1) * height * 8
    for line in range(height):
        part = eighths - (height - 1 - line) * 8
        chart.draw_blocks(canvas, row + line, column, np.where(part > 0.5, np.minimum(part, 8), np.nan), 8.0, ink)


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
    """The findings with their advice; returns the row below."""
    row = heading(canvas, row, "findings")
    last = row + most
    for finding in lane.findings:
        if row + 1 >= last:
            break
        where = f" at {finding.location}" if finding.location else ""
        share = f"  {show(finding.share, 'share')}" if finding.share is not None else ""
        column = canvas.put(
            row, 1, f"{finding.letter} {finding.code}{share}", SEVERITY_INK.get(finding.severity, "warn")
        )
        canvas.put(row, column + 2, clip(f"{finding.evidence}{where}", canvas.width - column - 3), "text")
        canvas.put(row + 1, 3, clip(f"→ {finding.advice}", canvas.width - 4), "dim")
        row += 2
    return row


def output(canvas: Canvas, row: int, lane: LaneFrame, most: int) -> int:
    """The end of what the lane printed; returns the row below."""
    row = heading(canvas, row, "output", "all of it: o")
    for line in lane.output_tail[-(most - 1) :] if most > 1 else ():
        canvas.put(row, 1, clip(plain(line), canvas.width - 2), "dim")
        row += 1
    return row


def plain(line: str) -> str:
    """A printed line without control sequences."""
    from rich.text import Text

    return Text.from_ansi(line).plain.expandtabs(4)


def paragraph(canvas: Canvas, row: int, column: int, text: str, most: int, ink: str) -> int:
    """Wrapped text; returns the row below."""
    for line in textwrap.wrap(text, max(8, canvas.width - column - 1))[:most]:
        canvas.put(row, column, line, ink)
        row += 1
    return row
