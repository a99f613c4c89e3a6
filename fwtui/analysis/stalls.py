"""Stalls: steps far above their own lane's habit.

The habit is taken from the lane's neighbouring steps: their median and their 90th percentile, so that a lane with two
honest modes (long and short sequences) is not one long alarm, and so that what happens more often than once in ten
steps counts as habit, not as a stall.
"""

from __future__ import annotations

import numpy as np

CHUNK = 256
HISTORY = 1024
TIMES_MEDIAN = 2.0
TIMES_P90 = 1.4
LEAST_LOST_NS = 5e6
"""Less than this is invisible to a person and common on a busy machine."""


def threshold_ns(habit: np.ndarray) -> tuple[float, float]:
    """(step time above which a step is a stall, median of the habit), both in ns."""
    median, p90 = np.percentile(habit, (50, 90))
    return max(TIMES_MEDIAN * median, TIMES_P90 * p90, median + LEAST_LOST_NS), float(median)


def find_stalls(step_ns: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which steps are stalls, and what each step lost against the habit around it.

    Returns:
        (bool per step, ns lost per step: 0 for a step that is no stall).
    """
    stalled = np.zeros(len(step_ns), dtype=bool)
    lost = np.zeros(len(step_ns))
    eligible = np.flatnonzero(counted)
    values = step_ns[eligible]
    for begin in range(0, len(values), CHUNK):
        chunk = values[begin : begin + CHUNK]
        habit = values[max(0, begin + len(chunk) - HISTORY) : begin + len(chunk)]
        if len(habit) < 10:
            break
        limit, median = threshold_ns(habit)
        over = chunk > limit
        where = eligible[begin : begin + len(chunk)][over]
        stalled[where] = True
        lost[where] = chunk[over] - median
    return stalled, lost
