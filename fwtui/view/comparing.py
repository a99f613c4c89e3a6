"""The comparison of a run's lanes, and their ranking: made anew when enough was added, and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fwtui.analysis.bootstrap import Blocks, Rivals
from fwtui.analysis.comparison import LaneSteps, compare
from fwtui.analysis.ratio import ratio
from fwtui.analysis.results import Comparison, Parity
from fwtui.recording.vocabulary import SOURCE_HOST, source_of_lane
from fwtui.view.counting import schedule_at
from fwtui.view.lane_statistics import LaneStatistics

if TYPE_CHECKING:
    from fwtui.view.session import Session

LEAST_NS, SHARE_OF_RUN, MOST_NS = 1e9, 0.1, 15e9
"""While a run goes on, lanes are compared anew after this much time, or this share of the run; intervals are costly."""
READING_SHARE = 0.5
OTHERS_CORES = 0.2
"""Other programs that use more of the machine than this are named where nothing can be decided."""

MOST_COMPILING = 0.1
"""A lane whose training time holds more tracing and compiling than this: a clock around its training counts that."""

Ranked = dict[int, tuple[float, tuple[float, float] | None]]


def samples_per_step(session: Session, index: int) -> float | None:
    """Samples of one step of a lane, by its facts, its notes or its plan."""
    log = session.logs[index]
    for value in (log.facts.get("samples_per_step"), log.notes.samples, log.notes.plan.get("samples_per_step")):
        if value:
            a_batch = value == log.facts.get("batch_size")  # of which a step may take several: gradient accumulation
            return float(value) * (log.batches_per_step() if a_batch else 1) * _ranks_that_add_up(log.facts)
    return None


def _ranks_that_add_up(facts: Mapping[str, Any]) -> int:
    """How many ranks take a batch of their own in each step; Keras tells the batch of all of them."""
    size = facts.get("world_size")
    return size if isinstance(size, int) and facts.get("framework") == "torch" else 1


def compared(
    session: Session, statistics: list[LaneStatistics], parity: Parity | None, at_ns: int
) -> Comparison | None:
    """All lanes against the first one, as of a moment."""

    def make() -> Comparison | None:
        lanes = [
            replace(lane, facts={**lane.facts, "updates_in_all": _updates_in_all(session, index, statistics[index])})
            for index, lane in enumerate(lane_steps(session, *each) for each in enumerate(statistics))
        ]
        return compare(lanes, parity, disturbance=_others(session, statistics, at_ns), rivals=rivals(session, at_ns))

    lanes = zip(statistics, session.logs, session.manifest["lanes"], strict=False)
    shape: list[Any] = [
        (len(log.facts), lane.step_ms is not None, len(lane.lane_ms) > 1000, entry.get("status"))
        for lane, log, entry in lanes
    ]
    shape.append(schedule_at(session.manifest, at_ns))
    result: Comparison | None = _cached(session, "comparison", shape, (shape, statistics, parity), at_ns, make)
    return result


def _cached(session: Session, name: str, shape: Any, key: Any, at_ns: int, make: Callable[[], Any]) -> Any:
    """A value that is kept while its key stays, and for a while as long as at least its shape does."""
    known = session.cache.get(name)
    if known is not None:
        old_shape, old_key, made_ns, value = known
        age = min(MOST_NS, max(LEAST_NS, SHARE_OF_RUN * (at_ns - session.start_ns)))
        if session.reading is not None:  # the moment shown runs through all of a long recording
            age = max(LEAST_NS, READING_SHARE * (at_ns - session.start_ns))
        over = not session.live and session.reading is None and at_ns >= session.newest_ns
        if old_key == key or (old_shape == shape and 0 <= at_ns - made_ns < age and not over):
            return value
    value = make()
    session.cache[name] = (shape, key, at_ns, value)
    return value


def lane_steps(session: Session, index: int, statistics: LaneStatistics) -> LaneSteps:
    """What a comparison needs of a lane."""
    log, lane = session.logs[index], session.manifest["lanes"][index]
    facts, plan = dict(log.facts), log.notes.plan
    if plan.get("steps_per_epoch"):
        facts.setdefault("updates_per_epoch", plan["steps_per_epoch"])
    for name in ("batch_size", "samples_per_epoch"):
        if facts.get(name):
            facts[name] = int(facts[name]) * _ranks_that_add_up(facts)
    if facts.get("batches_per_epoch"):
        facts.setdefault("updates_per_epoch", -(-int(facts["batches_per_epoch"]) // max(1, log.batches_per_step())))
    if statistics.count:
        facts.setdefault("validates", statistics.evaluation_ns > 0)
        whole_ns = log.folder.compile_ns + statistics.training_ns
        facts["compiling"] = log.folder.compile_ns > MOST_COMPILING * whole_ns
    return LaneSteps(
        name=str(lane["name"]),
        step_ms=statistics.lane_ms,
        block=statistics.block,
        end_ns=statistics.end_ns,
        phases_ms=statistics.phases_ms,
        samples_per_step=samples_per_step(session, index),
        facts=facts,
        compiling_share=statistics.compiling_share,
    )


def _updates_in_all(session: Session, index: int, statistics: LaneStatistics) -> int | None:
    """What the lane's program means to do, or has done; None where the time ends it."""
    planned = session.logs[index].notes.plan.get("steps")
    if session.manifest.get("seconds") is not None:
        return None
    if planned:
        return int(planned)
    ended = session.manifest["lanes"][index].get("status") == "finished"
    return statistics.updates or None if ended else None


def _others(session: Session, statistics: list[LaneStatistics], at_ns: int) -> str | None:
    """What other programs took of the machine while the lanes trained, in words; None of little, or when unknown."""
    moments = [int(lane.end_ns[0]) for lane in statistics if len(lane.end_ns)]
    return others_since(session, min(moments), at_ns) if moments else None


def others_since(session: Session, since: int, at_ns: int) -> str | None:
    """What other programs took of the machine between two moments, in words; None of little, or when unknown."""
    others = others_cores(session, since, at_ns)
    cores = int((session.manifest.get("host") or {}).get("cores") or 0)
    if others is None or others <= OTHERS_CORES or not cores:
        return None
    return f"other programs used {others:.1f} of {cores} cores meanwhile"


def others_cores(session: Session, since: int, at_ns: int) -> float | None:
    """Cores that other programs used between two moments; None when unknown."""
    known = _others_by_sample(session, at_ns)
    if known is None:
        return None
    times, _, others = known
    others = others[np.searchsorted(times, since) :]
    return float(others.mean()) if len(others) else None


def _others_by_sample(session: Session, at_ns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(times, cores that the host used, cores that were not the lanes'), sample by sample; None of fewer than two."""
    times, used = session.samples.of(SOURCE_HOST, "cpu_cores", at_ns)
    known = ~np.isnan(used)
    times, used = times[known], used[known]
    if len(times) < 2:
        return None
    for index, log in enumerate(session.logs):
        _, values = session.samples.of(source_of_lane(index), "cpu_cores", at_ns)
        if len(log.folder.steps) and np.isnan(values).all():
            return None  # it trained, and what it used is not known
    return times, used, used - lanes_cores(session, times, at_ns)


def lanes_cores(session: Session, times: np.ndarray, at_ns: float | None = None) -> np.ndarray:
    """(times,) cores that all lanes used at some moments, by the samples up to another one.

    A lane that starts or ends uses none a sample's length before or after; rows that tell of its memory only say
    nothing of its cores.
    """
    used = np.zeros(len(times))
    for index in range(len(session.logs)):
        moments, values = session.samples.of(source_of_lane(index), "cpu_cores", at_ns)
        seen = ~np.isnan(values)
        moments, values = moments[seen], values[seen]
        if len(moments):
            there = (times > moments[0] - SAMPLE_NS) & (times < moments[-1] + SAMPLE_NS)
            used += np.where(there, np.interp(times, moments, values), 0.0)
    return used


SAMPLE_NS = 2e8
"""From one sample of the machine to the next, about."""
SPARE_CORES = 0.5
"""While the machine has more than this to spare, what other programs use takes nothing from the lanes."""


def rivals(session: Session, at_ns: int) -> Rivals | None:
    """What other programs took from the lanes up to a moment, sample by sample; None when that is not known."""
    known, cores = _others_by_sample(session, at_ns), (session.manifest.get("host") or {}).get("cores")
    if known is None or not cores:
        return None
    times, used, others = known
    return Rivals(times, np.where(cores - used < SPARE_CORES, np.maximum(0.0, others), 0.0))


def ranked_lanes(session: Session, statistics: list[LaneStatistics], at_ns: int) -> tuple[tuple[int, ...], Ranked]:
    """(lanes by time per sample, ratio of each to the fastest with its interval)."""
    speed: dict[int, float] = {}
    samples = {index: samples_per_step(session, index) for index in range(len(statistics))}
    per_sample = all(samples.values())
    for index, lane in enumerate(statistics):
        if lane.step_ms is not None:
            speed[index] = lane.step_ms.median / ((samples[index] or 1.0) if per_sample else 1.0)
    order = tuple(sorted(range(len(statistics)), key=lambda index: speed.get(index, float("inf"))))

    def make() -> Ranked:
        ratios: Ranked = {order[0]: (1.0, None)} if speed else {}
        for index in speed.keys() - ratios.keys():
            first, lane = statistics[order[0]], statistics[index]
            scale = (samples[order[0]] or 1.0) / (samples[index] or 1.0) if per_sample else 1.0
            blocks = Blocks(lane.block, lane.end_ns, first.block, first.end_ns, rivals(session, at_ns))
            measured = ratio(lane.lane_ms * scale, first.lane_ms, blocks)
            if measured is not None:
                ratios[index] = (measured.value, measured.ci95)
        return ratios

    shape = (order, sorted(speed))
    result: Ranked = _cached(session, "ranking", shape, (shape, statistics), at_ns, make)
    return order, result
