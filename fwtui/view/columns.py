"""A lane's history cut into slots of absolute time, for charts."""

from __future__ import annotations

import numpy as np

from fwtui.analysis.steps import Steps
from fwtui.recording.vocabulary import PHASE_INDEX, PHASES
from fwtui.view.derived import Derived
from fwtui.view.frame import (
    COLUMN_EVALUATION,
    COLUMN_NOTHING,
    COLUMN_STARTUP,
    COLUMN_STEADY,
    COLUMN_WAITING,
    COLUMN_WARMUP,
    Columns,
)

_LETTERS = np.array([phase.letter for phase in PHASES])


def _overlap(starts: np.ndarray, ends: np.ndarray, weights: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Weighted time of the intervals that falls between successive edges; intervals are in order and do not overlap."""
    if not weights.any():
        return np.zeros(len(edges) - 1)
    knots = np.column_stack((starts, np.maximum(ends, starts))).ravel()
    lengths = (ends - starts) * weights
    total = np.column_stack((np.concatenate(([0.0], np.cumsum(lengths)[:-1])), np.cumsum(lengths))).ravel()
    return np.diff(np.interp(edges, knots, total))


def _bands(slot: np.ndarray, value: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The 5th and 95th percentile in each slot, least and most where it has fewer than 20 values; NaN: none."""
    ordered = value[np.lexsort((value, slot))]
    number = np.bincount(slot, minlength=count)
    first = np.cumsum(number) - number
    some = number > 0
    cut_off = number[some] // 20
    low, high = np.full(count, np.nan), np.full(count, np.nan)
    low[some] = ordered[first[some] + cut_off]
    high[some] = ordered[first[some] + number[some] - 1 - cut_off]
    return low, high


def phase_sums(steps: Steps, start_ns: int, slot_ns: float, first: int, count: int, until_ns: int) -> np.ndarray:
    """(count, phases) ns of the steps' own time in each phase, by the slot that a step ended in."""
    edge = start_ns + first * slot_ns
    ends = steps.end_ns
    begin, end = np.searchsorted(ends, (edge, min(edge + count * slot_ns, until_ns)))
    slot = np.clip(((ends[begin:end] - edge) // slot_ns).astype(np.int64), 0, count - 1)
    phases = steps.phases[begin:end]
    width = phases.shape[1]
    return np.bincount(
        (slot[:, None] * width + np.arange(width)).ravel(), weights=phases.ravel(), minlength=count * width
    ).reshape(count, width)


def swelled_phase(derived: Derived, stalled: np.ndarray) -> np.ndarray:
    """Index of the phase that swelled most against the typical step, for each stalled step."""
    calm = np.flatnonzero(derived.counted & ~derived.stalled)
    calm = calm[:: max(1, len(calm) // 1024)]
    typical = derived.steps.phases[calm].mean(axis=0) if len(calm) else 0.0
    result: np.ndarray = np.argmax(derived.steps.phases[stalled] - typical, axis=1)
    return result


def joined(before: Columns, after: Columns) -> Columns:
    """The slots of one, then those of the other."""
    return Columns(
        *(np.concatenate((getattr(before, name), getattr(after, name))) for name in Columns.__dataclass_fields__)
    )


def part(columns: Columns, first: int, last: int) -> Columns:
    """Some of the slots, in memory of their own."""
    return Columns(*(getattr(columns, name)[first:last].copy() for name in Columns.__dataclass_fields__))


def cut(
    derived: Derived,
    start_ns: int,
    slot_ns: float,
    first: int,
    count: int,
    spawn_ns: float | None,
    first_step_ns: float,
) -> Columns:
    """Columns of `count` slots from slot `first`. `spawn_ns` and `first_step_ns` bound the start-up."""
    edges = start_ns + (first + np.arange(count + 1)) * float(slot_ns)
    steps = derived.steps
    begin, end = np.searchsorted(steps.end_ns, (edges[0], edges[-1]))
    more = min(len(steps), end + 1)  # a step may reach over the right edge
    view = slice(int(begin), int(more))
    ends, stalled, counted = steps.end_ns[view], derived.stalled[view], derived.counted[view]
    own_ms = steps.step_ns[view] / 1e6
    slot = np.clip(((ends - edges[0]) // slot_ns).astype(np.int64), 0, count)
    drawn = counted if derived.counted.any() else steps.phases[view, PHASE_INDEX["compile"]] == 0
    plain = drawn & ~stalled & (slot < count)
    groups = np.bincount(slot[plain], minlength=count).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(groups > 0, np.bincount(slot[plain], weights=own_ms[plain], minlength=count) / groups, np.nan)
    low, high = _bands(slot[plain], own_ms[plain], count)

    over = stalled & (slot < count)
    why = np.full(count, "", dtype="<U1")
    if over.any():
        why[slot[over]] = _LETTERS[swelled_phase(derived, np.flatnonzero(stalled) + int(begin))][: over.sum()]
    duration = np.maximum(ends - steps.start_ns[view], 1)
    lost = _overlap(steps.start_ns[view], ends, derived.lost_ns[view] / duration, edges) / slot_ns

    own = ends - np.minimum(steps.step_ns[view], duration)  # a wait for the turn comes before the step itself
    before = np.maximum(own - steps.start_ns[view], 1)
    shares = {
        COLUMN_STEADY: _overlap(own, ends, counted * 1.0, edges),
        COLUMN_WARMUP: _overlap(own, ends, ~counted * 1.0, edges),
        COLUMN_WAITING: _overlap(steps.start_ns[view], own, np.minimum(steps.wait_ns[view] / before, 1), edges),
        COLUMN_EVALUATION: _overlap(steps.start_ns[view], ends, steps.evaluation_ns[view] / duration, edges),
    }
    if spawn_ns is not None:
        one = np.ones(1)
        shares[COLUMN_STARTUP] = _overlap(np.array([spawn_ns]), np.array([max(first_step_ns, spawn_ns)]), one, edges)
    state = np.full(count, COLUMN_NOTHING, dtype=np.uint8)
    best = np.zeros(count)
    for code in (COLUMN_STARTUP, COLUMN_WAITING, COLUMN_EVALUATION, COLUMN_WARMUP, COLUMN_STEADY):
        share = shares.get(code)
        if share is not None:
            # a slot with steps shows them, even when most of it was another lane's turn
            wins = (share > best) | ((share > 0.02 * slot_ns) & (code in (COLUMN_WARMUP, COLUMN_STEADY)))
            state[wins & (share > 0)] = code
            best = np.maximum(best, share)
    return Columns(mean, low, high, np.bincount(slot[over], minlength=count), np.clip(lost, 0, 1), why, state)
