"""Statistics of step times: steady state, percentiles, and intervals that respect autocorrelation.

Source of the end of warm-up: the marginal standard error rule MSER-5, White, "An effective truncation
heuristic for bias reduction", Simulation 69(6), 1997.
"""

from __future__ import annotations

import numpy as np

from fwtui.analysis.results import StepTimes

UNDECIDED_HALF_WIDTH = 0.10
"""An interval wider than this on either side decides nothing."""
TURN_IN_NS = 20e6
"""Steps that begin within this time after a turn begins meet cold caches and are not counted."""
_WARMUP_LOOK = 1000
"""The end of warm-up is looked for within this many first steps."""
_LONG_TURN = 2.0
"""A turn this many times as long as the lane's usual one is cut: nobody else took turns then."""


def step_times(step_ms: np.ndarray) -> StepTimes | None:
    """Summary of counted steps in ms; None of none."""
    if not len(step_ms):
        return None
    p5, q1, median, q3, p95, p99 = np.percentile(step_ms, (5, 25, 50, 75, 95, 99))
    return StepTimes(float(median), float(p5), float(p95), float(p99), float(q3 - q1))


def warmup_steps(step_ns: np.ndarray) -> int:
    """How many first steps are warm-up, by MSER-5 over the first thousand steps; at least one."""
    values = step_ns[:_WARMUP_LOOK]
    if len(values) < 20:
        return min(len(values), max(1, len(values) // 4))
    values = np.minimum(values, 10 * np.median(values))  # one stall is no warm-up
    size = len(values) // 5 * 5
    means = values[:size].reshape(-1, 5).mean(axis=1)[::-1]
    count = np.arange(1, len(means) + 1)
    variance = np.cumsum(means**2) / count - (np.cumsum(means) / count) ** 2
    score = np.maximum(variance, 1e-6 * float(np.mean(means)) ** 2) / count
    least = len(means) // 2  # never cut away more than half
    keep = least + int(np.argmin(score[least:])) + 1
    return max(1, (len(means) - keep) * 5)


def counted_mask(
    step_ns: np.ndarray,
    start_ns: np.ndarray,
    wait_ns: np.ndarray,
    compile_ns: np.ndarray,
    deep_ns: np.ndarray | float = 0.0,
    judged: int = 0,
    ahead: np.ndarray | bool = False,
) -> np.ndarray:
    """Which steps count: past warm-up, not compiling, not at a turn's beginning, not in or after a profiler window.

    Where the host is `ahead` a turn's beginning counts: the rest of the turn makes up for it.
    Of the first `judged` steps that is known: where a warm-up would end among them, its end is not looked for.
    """
    counted = compile_ns <= 0
    if not len(step_ns):
        return counted
    first = int(np.argmax(counted)) if counted.any() else len(counted)
    if first + _WARMUP_LOOK > judged:
        counted[: first + warmup_steps(step_ns[first:])] = False
    disturbed: np.ndarray = ((wait_ns > 0) & ~np.asarray(ahead)) | (deep_ns > 0)
    since = np.where(disturbed, start_ns + wait_ns + deep_ns, -np.inf)
    result: np.ndarray = counted & ~(disturbed | (start_ns - np.maximum.accumulate(since) < TURN_IN_NS))
    return result


def blocks(end_ns: np.ndarray, wait_ns: np.ndarray, block_ns: float = 500e6) -> np.ndarray:
    """Block number of each step: its turn, or, without turns, its slice of `block_ns` of time.

    A step belongs to where it begins, so that a long stall is no block of its own.
    """
    turn = np.cumsum(wait_ns > 0)
    if not len(turn):
        return turn
    begun = np.concatenate((end_ns[:1], end_ns[:-1]))
    if turn[-1] < 2:
        return (begun // block_ns).astype(np.int64)
    _, first, number = np.unique(turn, return_index=True, return_inverse=True)
    begun[first] = end_ns[first]
    begin = end_ns[first]
    usual = np.median(end_ns[np.append(first[1:], len(turn)) - 1] - begin)
    piece = ((begun - begin[number]) // max(_LONG_TURN * float(usual), 1.0)).astype(np.int64)
    numbers: np.ndarray = turn + np.cumsum(np.diff(piece, prepend=0) > 0)
    return numbers


def verdict(interval: tuple[float, float] | None) -> str:
    """`faster`, `slower`, `no difference` or `undecided`, from the interval of a ratio of step times."""
    if interval is None:
        return "undecided"
    low, high = interval
    middle = (low + high) / 2
    if (high - low) / 2 > UNDECIDED_HALF_WIDTH * middle:
        return "undecided"
    if low <= 1 <= high:
        return "no difference"
    return "slower" if low > 1 else "faster"
