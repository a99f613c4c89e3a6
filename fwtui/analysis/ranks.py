"""Ranks of one lane against each other: who waits for whom, and why.

Ranks that train together end each step together, so that step times do not tell them apart. A rank's *own* time does:
its step without its wait for the others. Where hooks see that wait it is measured; elsewhere (a collective inside a
compiled function) it is estimated, step by step, as what the rank spends there beyond the quickest rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fwtui.analysis.causes import CAUSE
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES

WINDOW = 120
"""Steps that are compared: the newest that all ranks have."""
LEAST_STEPS = 10
LIMITS = CAUSE["straggler-rank"].limits
"""A straggler takes `ratio` times as long as the others, `share` of the step and `ms` longer; and it is late in
`late` of the steps since it began, half of those that are compared at least."""
_BLOCK = 10
_COMPARED_WITH = 9
"""Ranks, itself included, that tell since when a straggler is one."""
_WAITED_IN = [
    PHASE_INDEX[name] for name in ("backward", "compute", "sync", "unexplained", "forward", "optimizer", "callbacks")
]
"""Phases that a wait for other ranks lies in, the likeliest first; sharded models gather their weights in forward."""
_SHARED = [PHASE_INDEX["compute"], PHASE_INDEX["backward"]]
"""Phases that a wait which no hook sees lies in."""


@dataclass(frozen=True, slots=True)
class RankSteps:
    """What is compared of a rank."""

    rank: int
    first: int
    """Number of its first step in the columns: older ones were forgotten."""
    end_ns: np.ndarray
    """(steps,) on the recorder's clock."""
    step_ns: np.ndarray
    phases: np.ndarray
    """(steps, phases) ns."""
    communication_ns: np.ndarray


@dataclass(frozen=True, slots=True)
class RankTimes:
    """A rank's medians over the compared steps, ms."""

    communication_ms: float
    own_ms: float


@dataclass(frozen=True, slots=True)
class Straggler:
    """The rank that the others wait for."""

    rank: int
    own_ms: float
    others_ms: float
    """Median of the other ranks' own times."""
    share: float
    """Of the step, that the others lose."""
    phase: str
    """In which phase it is slower, and by how much."""
    phase_ms: float
    since_ns: int
    """End of the first step from which on it has been so."""
    since_step: int


@dataclass(frozen=True, slots=True)
class Compared:
    """All ranks of a lane, compared."""

    times: dict[int, RankTimes]
    estimated: bool
    """Whether the waits are estimated, since no hook sees them."""
    straggler: Straggler | None


def compare_ranks(ranks: Sequence[RankSteps]) -> Compared | None:
    """Compare the newest steps that all ranks have; None with fewer than two ranks, or too few steps in common."""
    if len(ranks) < 2:
        return None
    low = max(rank.first for rank in ranks)
    high = min(rank.first + len(rank.step_ns) for rank in ranks)
    low = max(low, high - WINDOW)
    if high - low < LEAST_STEPS:
        return None
    step = _matrix(ranks, "step_ns", low, high)
    waited = _matrix(ranks, "communication_ns", low, high)
    estimated = not waited.any()
    phases = _without_wait(_phases(ranks, low, high), waited)
    if estimated:
        extra = _beyond_the_least(phases)
        phases[:, :, _SHARED] -= extra
        waited = extra.sum(axis=2)
    own = np.median(step - waited, axis=1) / 1e6
    wait = np.median(waited, axis=1) / 1e6
    times = {rank.rank: RankTimes(float(w), float(o)) for rank, w, o in zip(ranks, wait, own, strict=True)}
    return Compared(times, estimated, _straggler(ranks, step, phases, own))


def _matrix(ranks: Sequence[RankSteps], name: str, low: int, high: int) -> np.ndarray:
    return np.stack([getattr(rank, name)[low - rank.first : high - rank.first] for rank in ranks]).astype(float)


def _phases(ranks: Sequence[RankSteps], low: int, high: int) -> np.ndarray:
    return np.stack([rank.phases[low - rank.first : high - rank.first] for rank in ranks])


def _beyond_the_least(phases: np.ndarray) -> np.ndarray:
    """What each rank's shared phases took longer than the quickest rank's in the same step: it waited for others."""
    return phases[:, :, _SHARED] - phases[:, :, _SHARED].min(axis=0)  # type: ignore[no-any-return]


def _without_wait(phases: np.ndarray, waited: np.ndarray) -> np.ndarray:
    """The phases of each rank and step without the wait that lies in them."""
    phases, left = phases.copy(), waited.copy()
    for phase in _WAITED_IN:
        part = np.minimum(phases[:, :, phase], left)
        phases[:, :, phase] -= part
        left -= part
    return phases


def _straggler(
    ranks: Sequence[RankSteps], step: np.ndarray, phases: np.ndarray, own_ms: np.ndarray
) -> Straggler | None:
    slowest = int(np.argmax(own_ms))
    others = np.delete(np.arange(len(ranks)), slowest)
    others_ms = float(np.median(own_ms[others]))
    excess_ms = float(own_ms[slowest]) - others_ms
    whole_ms = float(np.median(step[slowest])) / 1e6
    share = excess_ms / whole_ms if whole_ms else 0.0
    if own_ms[slowest] < LIMITS["ratio"] * others_ms or share < LIMITS["share"] or excess_ms < LIMITS["ms"]:
        return None
    more = np.median(phases[slowest], axis=0) - np.median(np.median(phases[others], axis=1), axis=0)
    phase = int(np.argmax(more))
    low, late, ends = _late(ranks, slowest, excess_ms * 1e6 / 2)
    begin = _since(late)
    if len(late) - begin < step.shape[1] / 2 or late[begin:].mean() < LIMITS["late"]:
        return None
    return Straggler(
        rank=ranks[slowest].rank,
        own_ms=float(own_ms[slowest]),
        others_ms=others_ms,
        share=min(1.0, share),
        phase=PHASE_NAMES[phase],
        phase_ms=float(more[phase]) / 1e6,
        since_ns=int(ends[begin]),
        since_step=low + begin + 1,
    )


def _late(ranks: Sequence[RankSteps], slowest: int, least_ns: float) -> tuple[int, np.ndarray, np.ndarray]:
    """(number of the first step, whether the slowest was late in each step, when each ended), over all steps that are
    kept, against a few of the others."""
    few = [slowest, *(index for index in range(len(ranks)) if index != slowest)][:_COMPARED_WITH]
    some = [ranks[index] for index in few]
    low = max(rank.first for rank in some)
    high = min(rank.first + len(rank.step_ns) for rank in some)
    waited = _matrix(some, "communication_ns", low, high)
    if not waited.any():
        waited = _beyond_the_least(_phases(some, low, high)).sum(axis=2)
    own_ns = _matrix(some, "step_ns", low, high) - waited
    ends = _matrix(some, "end_ns", low, high)
    return low, own_ns[0] - np.median(own_ns[1:], axis=0) > least_ns, ends[0]


def _since(late: np.ndarray) -> int:
    """Index of the step from which on it has been late, most of every few steps."""
    begin = len(late)
    while begin > 0 and late[max(0, begin - _BLOCK) : begin].mean() > 0.5:
        begin = max(0, begin - _BLOCK)
    first = np.flatnonzero(late[begin:])
    return min(begin + (int(first[0]) if len(first) else 0), len(late) - 1)
