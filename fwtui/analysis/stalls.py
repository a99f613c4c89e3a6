"""Stalls: steps far above their own lane's habit.

The habit is taken from the lane's neighbouring steps: their median and their 90th percentile, so that a lane with two
honest modes (long and short sequences) is not one long alarm, and so that what happens more often than once in ten
steps counts as habit, not as a stall. Rarer long batches are told from stalls by what swells in them: the model's own
work, its backward pass included, and by the same length time and again.
"""

from __future__ import annotations

import numpy as np

CHUNK = 256
HISTORY = 1024
TIMES_MEDIAN = 2.0
TIMES_P90 = 1.4
LEAST_LOST_NS = 5e6
"""Less than this is invisible to a person and common on a busy machine."""
MODE_WORK, MODE_BACKWARD = 0.8, 0.25
"""Of what a longer batch costs more: the share in the model's work, and the share in its backward (or fused) part."""
MODE_STEPS, MODE_SPREAD = 4, 0.15
"""So many long steps within so much of their median length are a mode of their own."""


def threshold_ns(habit: np.ndarray) -> tuple[float, float]:
    """(step time above which a step is a stall, median of the habit), both in ns."""
    median, p90 = _percentiles(habit, (0.5, 0.9))
    return max(TIMES_MEDIAN * median, TIMES_P90 * p90, median + LEAST_LOST_NS), float(median)


def _percentiles(values: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    """`np.percentile` without its overhead, which is most of what a small array costs."""
    ordered = np.sort(values)
    made = []
    for share in shares:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        made.append(float(ordered[low] + (ordered[high] - ordered[low]) * (place - low)))
    return made


def find_stalls(
    step_ns: np.ndarray, counted: np.ndarray, first: int = 0, work_ns: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which steps are stalls, and what each step lost against the habit around it.

    Args:
        step_ns: (steps,) their own time.
        counted: (steps,) whether they count.
        first: steps before this one are only habit: nothing is told of those in whole chunks before it.
        work_ns: (steps, 2) their time in the model's work, and in its backward or fused part; None: not known.

    Returns:
        (bool per step, ns lost per step: 0 for a step that is no stall).
    """
    stalled = np.zeros(len(step_ns), dtype=bool)
    lost = np.zeros(len(step_ns))
    eligible = np.flatnonzero(counted)
    values = step_ns[eligible]
    known = int(np.searchsorted(eligible, first)) // CHUNK * CHUNK
    for begin in range(known, len(values), CHUNK):
        chunk = values[begin : begin + CHUNK]
        habit = values[max(0, begin + len(chunk) - HISTORY) : begin + len(chunk)]
        if len(habit) < 10:
            break
        limit, median = threshold_ns(habit)
        over = chunk > limit
        if work_ns is not None and over.any():
            rows = eligible[max(0, begin + len(chunk) - HISTORY) : begin + len(chunk)]
            over &= ~_long_batches(habit, work_ns[rows], limit)[-len(chunk) :]
        where = eligible[begin : begin + len(chunk)][over]
        stalled[where] = True
        lost[where] = chunk[over] - median
    return stalled, lost


def _long_batches(habit: np.ndarray, work_ns: np.ndarray, limit: float) -> np.ndarray:
    """Which steps are of a second, longer mode: the model itself works longer, and about equally long each time."""
    over = habit > limit
    extra = np.where(over, habit - np.median(habit), np.inf)
    more = work_ns - np.median(work_ns, axis=0)
    over &= (more[:, 0] >= MODE_WORK * extra) & (more[:, 1] >= MODE_BACKWARD * extra)
    if over.sum() < MODE_STEPS:
        return np.zeros(len(habit), dtype=bool)
    usual = np.median(habit[over])
    alike: np.ndarray = over & (np.abs(habit - usual) <= MODE_SPREAD * usual)
    return alike if alike.sum() >= max(MODE_STEPS, over.sum() / 2) else np.zeros(len(habit), dtype=bool)
