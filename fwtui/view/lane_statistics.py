"""What a lane's counted steps say, as of a moment: made once per piece of history, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fwtui.analysis.results import PhaseTime, StepTimes
from fwtui.analysis.run_ahead import block_means, drained, may_run_ahead, ran_ahead, whole_blocks
from fwtui.analysis.statistics import step_times
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES
from fwtui.view.counting import counts, schedule_at
from fwtui.view.derived import Derived
from fwtui.view.history import TOTALS
from fwtui.view.lane_log import LaneLog

if TYPE_CHECKING:
    from fwtui.view.session import Session

_RECOMPUTE_NS = 1_000_000_000
_RECOMPUTE_SHARE, _MOST_NS = 0.05, 15e9
"""While a lane runs, its statistics are made anew once per this much recorded time, or this share of the run."""
_READING_SHARE = 0.5
"""The same while a long recording is read: the moment shown runs through all of it."""

_LEAST_LATER = 10
"""Of fewer steps in its later half, a lane cannot be said to go on compiling."""

_MEASURED_BY: Mapping[str, tuple[str, ...]] = {
    "data": ("data_begin", "loader_start_begin"),
    "transfer": ("transfer_begin",),
    "forward": ("backward_begin", "forward_begin"),
    "backward": ("backward_begin",),
    "optimizer": ("optimizer_begin",),
    "compute": ("train_call_begin", "call_begin"),
    "sync": ("sync_begin",),
    "compile": ("compile_begin", "data_begin", "backward_begin", "batch_end_exit", "train_call_begin"),
    "callbacks": ("batch_end_enter", "callback_begin"),
    "gc": ("gc_begin", "data_begin", "backward_begin", "batch_end_exit", "train_call_begin"),
    "unexplained": ("data_begin", "backward_begin", "batch_end_exit", "train_call_begin", "step_end"),
}
"""A phase is `None` unless one of these events was ever seen: what no hook watches was not measured."""


class LaneStatistics:
    """What a lane's counted steps say, as of a number of whole steps."""

    def __init__(self, log: LaneLog, derived: Derived) -> None:
        steps, counted, stalled = derived.steps, derived.counted, derived.stalled
        self.count = len(steps)
        self.until_ns = 0
        """The end of the last step that it knows of."""
        self.updates = int(steps.updates.sum())
        self.counted = int(counted.sum())
        own_ns, phases_ns = steps.step_ns[counted], steps.phases[counted]
        told = told_steps(derived, log.facts)
        self.lane_ms, self.phases_ms, rows = told.ms, told.phases_ms, told.rows
        self.runs_ahead = told.runs_ahead
        self.block = derived.block[rows]
        self.end_ns = steps.end_ns[rows]
        self.step_ms: StepTimes | None = step_times(self.lane_ms)
        calm, over = counted & ~stalled, counted & stalled
        self.typical = self._mean(self._middle(self.phases_ms[~stalled[rows]] * 1e6))
        self.stalled = self._mean(steps.phases[over])
        self.stalls = int(over.sum())
        self.phases: dict[str, PhaseTime | None] = dict.fromkeys(PHASE_NAMES)
        self.lost_share: float | None = None
        if self.counted:
            mean = phases_ns.mean(axis=0) / 1e6
            total = float(mean.sum())
            self.lost_share = float(derived.lost_ns[counted].sum() / own_ns.sum()) if total else None
            for name, ms in zip(PHASE_NAMES, mean, strict=True):
                if ms > 0 or log.saw(*_MEASURED_BY[name]):
                    self.phases[name] = PhaseTime(float(ms), float(ms / total) if total else 0.0)
        self.own_s = float(own_ns.sum()) / 1e9
        self.training_ns = float(steps.step_ns.sum())
        self.wait_ns = float(steps.wait_ns.sum())
        self.evaluation_ns = float(steps.evaluation_ns.sum())
        self.profiler_ns = float(steps.profiler_ns.sum())
        late = steps.phases[:, PHASE_INDEX["compile"]]
        first = int(np.argmax(counted)) if counted.any() else len(counted)
        after = float(steps.step_ns[first:].sum())
        later = late[len(late) // 2 :]
        self.compiling_share = float((later > 0).mean()) if len(later) >= _LEAST_LATER else None
        """Share of the steps of the later half in which something was traced or compiled."""
        self.late_compile_share = float(late[first:].sum()) / after if after else None
        self.recent_ms = float(np.median(steps.step_ns[calm][-200:])) / 1e6 if calm.any() else None

    def correct(self, totals: np.ndarray, phases_ns: np.ndarray, stalled_ns: np.ndarray) -> None:
        """Put the exact sums in the place of what a sample of the steps says."""
        total = dict(zip(TOTALS, totals.tolist(), strict=True))
        self.count, self.updates = int(total["steps"]), int(total["updates"])
        self.counted, self.stalls = int(total["counted"]), int(total["stalls"])
        self.own_s = total["counted_ns"] / 1e9
        self.training_ns, self.wait_ns = total["step_ns"], total["wait_ns"]
        self.evaluation_ns, self.profiler_ns = total["evaluation_ns"], total["profiler_ns"]
        self.late_compile_share = total["late_compile_ns"] / total["late_ns"] if total["late_ns"] else None
        if self.counted:
            self.lost_share = total["lost_ns"] / total["counted_ns"]
            mean, whole = phases_ns / self.counted / 1e6, float(phases_ns.sum()) / self.counted / 1e6
            for name, ms in zip(PHASE_NAMES, mean.tolist(), strict=True):
                if ms > 0 or self.phases[name] is not None:
                    self.phases[name] = PhaseTime(ms, ms / whole if whole else 0.0)
        if self.stalls:
            self.stalled = self._mean(stalled_ns[None, :] / self.stalls)

    @staticmethod
    def _middle(phases_ns: np.ndarray) -> np.ndarray:
        """The steps between the quartiles: their mean adds up by phase, as a median would not, and lies near it."""
        if len(phases_ns) < 8:
            return phases_ns
        own = phases_ns.sum(axis=1)
        low, high = np.percentile(own, (25, 75))
        middle: np.ndarray = phases_ns[(own >= low) & (own <= high)]
        return middle

    @staticmethod
    def _mean(phases_ns: np.ndarray) -> dict[str, float] | None:
        if not len(phases_ns):
            return None
        mean = phases_ns.mean(axis=0) / 1e6
        return {name: float(ms) for name, ms in zip(PHASE_NAMES, mean, strict=True) if ms > 0}


def _each(phases_ns: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """(steps, phases) by update: what it is already where every step makes one."""
    return phases_ns if (updates == 1).all() else phases_ns / updates[:, None]


@dataclass(frozen=True, slots=True)
class ToldSteps:
    """The counted steps that a lane is told by, per update."""

    ms: np.ndarray
    """(steps,)"""
    phases_ms: np.ndarray
    """(steps, phases)"""
    rows: np.ndarray
    """(steps,) which of the lane's steps they are."""
    runs_ahead: bool
    """Whether each is the mean of its turn, because the host ran ahead of the computing."""


def told_steps(derived: Derived, facts: Mapping[str, Any]) -> ToldSteps:
    """The steps to tell of a lane whose guest knows these facts."""
    steps, counted, lost_ns = derived.steps, derived.counted, derived.lost_ns
    rows = np.flatnonzero(counted)
    own, phases = drained(steps) if may_run_ahead(facts) else (steps.step_ns, steps.phases)
    ahead = may_run_ahead(facts) and ran_ahead(own[rows], phases[rows], lost_ns[rows])
    if ahead:
        rows = np.flatnonzero(whole_blocks(counted, steps.wait_ns, derived.block))
        told = block_means(own[rows], phases[rows], lost_ns[rows], derived.block[rows])
    else:
        told = own[rows], phases[rows]
    updates = steps.updates[rows]
    return ToldSteps(told[0] / 1e6 / updates, _each(told[1] / 1e6, updates), rows, ahead)


def lane_statistics(session: Session, index: int, at_ns: int, ended: bool) -> LaneStatistics:
    """The lane's statistics up to a moment, made anew only when enough was added."""
    log = session.logs[index]
    ends = log.folder.steps.end_ns
    rows = int(np.searchsorted(ends, at_ns, side="right"))
    moment = int(ends[rows - 1]) if rows else 0
    key = ("statistics", index, schedule_at(session.manifest, at_ns))
    known = session.cache.get(key)
    if known is not None:
        known_moment, known_count, known_rows, value = known
        share, most = (_RECOMPUTE_SHARE, _MOST_NS) if session.reading is None else (_READING_SHARE, np.inf)
        age = min(most, max(_RECOMPUTE_NS, share * (moment - session.start_ns)))
        # every step since then is there to be counted; while a long recording is read they are summed up all the time
        whole_since = session.reading is not None or log.history.until_ns <= known_moment
        fresh = 0 <= moment - known_moment < age and known_count > 50 and not ended and whole_since
        if fresh or (known_moment, known_rows) == (moment, rows):
            statistics: LaneStatistics = value
            return statistics
    whole = log.derived()
    count = int(whole.number[rows - 1]) + 1 if rows else 0
    part = whole if rows == len(whole) else whole.rows(slice(0, rows))
    if log.history.thinned:  # its sums hold every steady step, under whatever schedule
        made = LaneStatistics(log, part.rows(part.sampled))
        made.correct(*log.history.totals_until(at_ns, whole, rows))
    else:
        made = LaneStatistics(log, part.counting(counts(session, part.steps.start_ns, part.steps.end_ns, at_ns)))
    made.until_ns = moment
    session.cache[key] = (moment, count, rows, made)
    return made


def updates_until(session: Session, index: int, at_ns: int, statistics: LaneStatistics) -> int:
    """The lane's updates up to a moment: those of its statistics, and what came after they were made."""
    steps = session.logs[index].folder.steps
    first, last = np.searchsorted(steps.end_ns, (statistics.until_ns, at_ns), side="right")
    return statistics.updates + int(steps.updates[first:last].sum())
