"""Step-time distributions as cells: one lane's histogram with its percentiles, or several over each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fwtui.tui import chart
from fwtui.tui.cells import Canvas
from fwtui.tui.sections import tall_blocks
from fwtui.view.frame import LaneFrame
from fwtui.view.units import show

LANE_INKS = ("line", "stall", "good", "loss", "optimizer", "compile")
"""Inks of lanes drawn over each other; their marks differ as well."""
LANE_MARKS = "●▲■◆+x"


def bounds(steps_ms: Sequence[np.ndarray]) -> tuple[float, float]:
    """From a little below the fastest steps to a little above the 99th percentiles, at most three times a median."""
    known = [values for values in steps_ms if len(values)]
    if not known:
        return 0.0, 1.0
    low = min(float(np.percentile(values, 0.5)) for values in known)
    high = max(min(float(np.percentile(values, 99)), 3 * float(np.median(values))) for values in known)
    room = max((high - low) * 0.08, high * 0.01, 1e-6)
    return max(0.0, low - room), high + room


def histogram(canvas: Canvas, row: int, column: int, height: int, steps_ms: np.ndarray, lane: LaneFrame) -> int:
    """One lane's step times, with lines at the percentiles that are told below; returns the row below."""
    width = canvas.width - column - 1
    if width < 10 or not len(steps_ms) or lane.step_ms is None:
        canvas.put(row, column, "n/a", "dim")
        return row + 1
    low, high = bounds([steps_ms])
    counts = np.histogram(steps_ms, bins=width, range=(low, high))[0].astype(float)
    tall_blocks(canvas, row, column, height, counts, float(counts.max()), "line")
    times = lane.step_ms
    row += height
    _axis(canvas, row, column, width, low, high)
    for name, value in (("p5", times.p5), ("median", times.median), ("p95", times.p95), ("p99", times.p99)):
        place = _place(value, low, high, width)
        if 0 <= place < width:
            canvas.put(row - height, column + place, "│", "stall" if name == "median" else "dim")
            for line in range(1, height):
                if canvas.codes[row - height + line, column + place] == ord(" "):
                    canvas.put(row - height + line, column + place, "│", "stall" if name == "median" else "dim")
    words = "   ".join(
        f"{name} {show(value, 'ms')}"
        for name, value in (("p5", times.p5), ("median", times.median), ("p95", times.p95), ("p99", times.p99))
    )
    canvas.put(row + 1, column, words, "text")
    spread = f"quartiles {show(times.iqr, 'ms')} apart · {len(steps_ms):,} steps"
    beyond = float(np.mean(steps_ms > high))
    if beyond:
        spread += f" · {show(beyond, 'share')} beyond"
    canvas.put(row + 2, column, spread, "dim")
    return row + 3


def overlaid(canvas: Canvas, row: int, column: int, height: int, lanes: Sequence[tuple[str, np.ndarray]]) -> int:
    """The lanes' distributions over each other on one axis, each a line of its own; returns the row below."""
    width = canvas.width - column - 1
    if width < 10 or not any(len(values) for _, values in lanes):
        canvas.put(row, column, "no steady steps yet", "dim")
        return row + 1
    low, high = bounds([values for _, values in lanes])
    for index, (_name, values) in enumerate(lanes):
        if not len(values):
            continue
        density = _density(values, width * 2, low, high)
        chart.draw_curve(canvas, row, column, height, density, LANE_INKS[index % len(LANE_INKS)])
        place = _place(float(np.median(values)), low, high, width)
        canvas.put(row + height, column + place, LANE_MARKS[index % 6], LANE_INKS[index % len(LANE_INKS)])
    row += height + 1
    _axis(canvas, row, column, width, low, high)
    return row + 1


def _density(values: np.ndarray, bins: int, low: float, high: float) -> np.ndarray:
    """A smoothed histogram, its peak 1."""
    counts = np.histogram(values, bins=bins, range=(low, high))[0].astype(float)
    reach = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (reach / 2.0) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    peak = float(smooth.max())
    result: np.ndarray = smooth / peak if peak else smooth
    return result


def _place(value: float, low: float, high: float, width: int) -> int:
    return int((value - low) / (high - low) * (width - 1) + 0.5)


def _axis(canvas: Canvas, row: int, column: int, width: int, low: float, high: float) -> None:
    """Round values along the axis, in ms."""
    step = chart.nice((high - low) / max(2, width // 14))
    value = step * np.ceil(low / step)
    while value <= high:
        place = _place(float(value), low, high, width)
        text = f"{value:.4g}"
        if place + len(text) <= width - 3:
            canvas.put(row, column + place, text, "dim")
        value += step
    canvas.right(row, column + width, "ms", "dim")
