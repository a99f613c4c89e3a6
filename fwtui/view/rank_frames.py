"""A lane's ranks at a moment: a row each, the straggler among them, and clocks of other hosts brought in line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fwtui.analysis.ranks import Compared, RankSteps, compare_ranks
from fwtui.analysis.results import Finding, StepTimes
from fwtui.analysis.rules_ranks import rank_findings
from fwtui.recording.vocabulary import source_of_lane
from fwtui.view.frame import RankFrame
from fwtui.view.rank_logs import RankLog
from fwtui.view.rank_troubles import RECENT, Moment, Trouble, state_of, troubles_of
from fwtui.view.units import show

if TYPE_CHECKING:
    from fwtui.view.session import Session

FRESH_NS, RANK_NS = 500_000_000, 2_000_000
"""The rows are made anew after this long, and after this long for each rank."""
_COUNTED_FROM = 5


@dataclass(frozen=True, slots=True)
class Ranks:
    """The ranks of a lane and what is to be said of them."""

    frames: tuple[RankFrame, ...] = ()
    compared: Compared | None = None
    troubles: tuple[Trouble, ...] = ()


def ranks_of(session: Session, index: int, at_ns: int, lane_state: str) -> Ranks:
    """The lane's ranks, made anew when enough time has passed; empty for a lane with one."""
    logs = sorted(session.logs[index].ranks.logs.values(), key=lambda log: log.rank)
    logs = [log for log in logs if len(log.folder.steps)]
    if len(logs) < 2:
        return Ranks()
    key = ("ranks", index)
    known = session.cache.get(key)
    if known is not None and 0 <= at_ns - known[0] < max(FRESH_NS, RANK_NS * len(logs)) and known[1] == lane_state:
        made: Ranks = known[2]
        return made
    live = session.live and at_ns >= session.newest_ns - FRESH_NS
    moment = Moment(at_ns, lane_state, session.manifest["lanes"][index], live)
    made = _make(session, logs, moment)
    session.cache[key] = (at_ns, lane_state, made)
    return made


def findings_of(session: Session, index: int, ranks: Ranks, at_ns: int) -> tuple[Finding, ...]:
    """What is to be said of the lane's ranks."""
    stacks = session.logs[index].stacks
    if ranks.troubles:
        first = ranks.troubles[0]
        return rank_findings(ranks.compared, first.words, location=stacks.newest_line(first.rank, at_ns))
    straggler = ranks.compared.straggler if ranks.compared else None
    if straggler is None:
        return ()
    line = stacks.telling_line(straggler.rank, straggler.since_ns, at_ns)
    since = f"{show(max(0.0, (at_ns - straggler.since_ns) / 1e9), 's')} ago"
    log, samples = session.logs[index], session.samples
    delay = samples.reduce(
        source_of_lane(index), "run_delay_share", at_ns, "mean", float(log.folder.first_step_ns or 0)
    )
    return rank_findings(ranks.compared, None, since, line, delay)


def _make(session: Session, logs: Sequence[RankLog], moment: Moment) -> Ranks:
    at_ns = moment.at_ns
    offsets = [wall_offset_ns(log.host, session.manifest) for log in logs]
    steps = [log.steps(offset or 0.0, at_ns) for log, offset in zip(logs, offsets, strict=True)]
    drifts = [
        None if offset is None else _drift_ns(rank, steps[0]) for rank, offset in zip(steps, offsets, strict=True)
    ]
    steps = [
        log.steps((offset or 0.0) - (drift or 0.0), at_ns + (drift or 0.0))
        for log, offset, drift in zip(logs, offsets, drifts, strict=True)
    ]
    compared = compare_ranks(steps)
    frames = tuple(
        RankFrame(
            rank=log.rank,
            host=str(log.host.get("host") or "?"),
            pid=log.pid,
            state=state_of(log, rank, moment),
            steps=rank.first + len(rank.step_ns),
            step_ms=_times(rank.step_ns[-RECENT:][_COUNTED_FROM:]),
            communication_ms=compared.times[log.rank].communication_ms if compared else None,
            own_ms=compared.times[log.rank].own_ms if compared else None,
            clock_offset_ms=None if drift is None else drift / 1e6,
        )
        for log, rank, drift in zip(logs, steps, drifts, strict=True)
    )
    return Ranks(frames, compared, troubles_of(logs, steps, moment))


def wall_offset_ns(host: Mapping[str, Any], manifest: Mapping[str, Any]) -> float | None:
    """What to add to a rank's times to have them on the recorder's clock, by both hosts' wall clocks; None: no need."""
    recorder, clock = manifest.get("recorder") or {}, manifest.get("clock") or {}
    if not host or host.get("identity") == recorder.get("host"):
        return None
    try:
        own = float(host["unix_ns"]) - float(host["monotonic_ns"])
        return own - (float(clock["unix_ns"]) - float(clock["monotonic_ns"]))
    except (KeyError, TypeError, ValueError):
        return None


def _drift_ns(rank: RankSteps, first: RankSteps) -> float:
    """How far a host's wall clock is ahead of the first one's: by the ends of the steps that both made together."""
    low = max(rank.first, first.first)
    high = min(rank.first + len(rank.end_ns), first.first + len(first.end_ns))
    if high - low < _COUNTED_FROM:
        return 0.0
    ends = rank.end_ns[low - rank.first : high - rank.first] - first.end_ns[low - first.first : high - first.first]
    return float(np.median(ends))


def _times(step_ns: np.ndarray) -> StepTimes | None:
    """As `statistics.step_times`, by the nearest of the sorted steps: a thousand rows are made at a time."""
    if not len(step_ns):
        return None
    ordered = np.sort(step_ns) / 1e6
    last = len(ordered) - 1
    median, p5, p95, p99, q1, q3 = (
        float(ordered[round(share * last)]) for share in (0.5, 0.05, 0.95, 0.99, 0.25, 0.75)
    )
    return StepTimes(median, p5, p95, p99, q3 - q1)
