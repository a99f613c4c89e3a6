"""Gathers what the rules look at, from a lane's log, its statistics and the hardware samples."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fwtui.analysis.lane_facts import LaneFacts
from fwtui.analysis.lines import Lines, stack_of
from fwtui.analysis.steps import Steps
from fwtui.recording.code_lines import is_users
from fwtui.recording.vocabulary import PHASE_INDEX, SOURCE_GPU, SOURCE_HOST, source_of_lane
from fwtui.view.derived import Derived
from fwtui.view.frame import Stall
from fwtui.view.gpu import throttle_names
from fwtui.view.lane_log import LaneLog
from fwtui.view.lane_stalls import lost_by_cause, lost_split, stalls_over
from fwtui.view.lane_state import LaneState
from fwtui.view.lane_statistics import LaneStatistics
from fwtui.view.samples import Samples

if TYPE_CHECKING:
    from fwtui.view.session import Session

_LEAST_ROWS = 8
_WARMUP = 0.1
"""Memory is looked at after this share of the steady steps: buffers are made at first."""
_GPUS = 16
_FIRST_STEPS = 4
"""They trace and compile in any program."""
SPARED = 2
"""So many steps of a phase may be long because of another program's burst: by them alone nothing is blamed."""
_FIRM_STEPS = 2000
"""Of more steps than these, two weigh nothing."""
_TRACEBACK = re.compile(r'^  File "(.+)", line (\d+)')


def lane_facts(session: Session, index: int, at_ns: int, state: LaneState, statistics: LaneStatistics) -> LaneFacts:
    """One lane's facts at a moment; made anew when its statistics were, or its state changed."""
    log = session.logs[index]
    key = (id(statistics), state.state, len(log.facts), session.manifest["lanes"][index].get("error"))
    known = session.cache.get(("facts", index))
    if known is not None and known[0] == key:
        facts: LaneFacts = known[1]
        return facts
    facts = _gather(session, index, at_ns, state, statistics)
    session.cache["facts", index] = (key, facts, statistics)
    return facts


def _gather(session: Session, index: int, at_ns: int, state: LaneState, statistics: LaneStatistics) -> LaneFacts:
    manifest, log, samples = session.manifest["lanes"][index], session.logs[index], session.samples
    source, guest = source_of_lane(index), log.facts
    derived = log.derived()
    counted = np.flatnonzero(derived.counted)
    before = int(np.searchsorted(derived.steps.end_ns[counted], at_ns, side="right"))
    phases_ns = derived.steps.phases[counted[:before]]
    mean_ms = {name: phase.ms for name, phase in statistics.phases.items() if phase is not None}
    first = min(_FIRST_STEPS, int(counted[0])) if len(counted) else 0
    since = float(derived.steps.start_ns[first]) if len(derived.steps) else float(at_ns)
    trained_since = float(log.folder.first_step_ns or at_ns)
    until = min(at_ns, int(derived.steps.end_ns[-1])) if len(derived.steps) else at_ns
    stalls = [stall for stall in stalls_over(log, derived, samples, source) if stall.end_ns <= at_ns]
    lost_by, stall_lines = lost_by_cause(stalls, statistics.training_ns)
    late_share, late_compiles = _late_compiling(derived.steps.until(int(np.searchsorted(derived.steps.end_ns, at_ns))))
    starts, start_ns = log.loader_starts.later_ns(until)
    evaluation = statistics.evaluation_ns + state.tail_evaluation_ns - _first_evaluation_ns(derived)
    threads, thread_share = _threads(log, at_ns)
    compiled_in_steps = float(derived.steps.phases[:, PHASE_INDEX["compile"]].sum())
    trained_ns = statistics.training_ns - compiled_in_steps
    calls = _python_calls(log, statistics, at_ns)
    newest = log.stacks.newest(at_ns) if state.state == "hung" else None
    deep = log.deep(at_ns)
    return LaneFacts(
        framework=str(guest.get("framework") or manifest.get("framework") or ""),
        backend=guest.get("backend"),
        state=state.state,
        error=manifest.get("error"),
        counted=statistics.counted,
        mean_ms=mean_ms,
        firm_ms={} if derived.every > 1 else firm_mean(phases_ns, mean_ms),
        usual_wait_ms=float(np.median(phases_ns[:, PHASE_INDEX["data"]])) / 1e6
        if "data" in mean_ms and before
        else None,
        typical_ms=statistics.typical or {},
        median_ms=statistics.step_ms.median if statistics.step_ms else None,
        lost_by=lost_by,
        lost_firmly=_lost_firmly(stalls, statistics.training_ns),
        stall_lines=stall_lines,
        stalls=len(stalls),
        lost=lost_split(stalls, statistics.lost_share, (statistics.lost_share or 0.0) * statistics.own_s * 1e3),
        guest=guest,
        eager=_is_eager(log),
        lines=log.stacks.lines(since, at_ns),
        thread_lines=threads,
        thread_share=thread_share,
        python_calls_a_step=calls[0] if calls else None,
        python_call_share=calls[1] if calls else None,
        python_call_at=calls[2] if calls else None,
        python_rest_share=calls[3] if calls else None,
        training_s=trained_ns / 1e9,
        compile_s=log.folder.compile_ns / 1e9,
        late_compile_share=late_share,
        late_compiles=late_compiles,
        evaluation_share=evaluation / (trained_ns + evaluation) if trained_ns + evaluation else None,
        loader_start_share=start_ns / statistics.training_ns if starts > 1 and statistics.training_ns else None,
        loader_starts=starts,
        run_delay_share=_own_delay(samples, source, (trained_since, until), statistics.wait_ns),
        host_others_cores=_others(samples, len(session.logs), until, trained_since),
        threads=samples.reduce(source, "threads", until, "max", trained_since),
        rss=_quarters(samples, source, float(derived.steps.start_ns[counted[0]]), until) if len(counted) else (),
        swap_growth_bytes=_growth(samples, "swap_used_bytes", trained_since, until),
        major_faults_s=samples.reduce(source, "major_faults_s", until, "mean", trained_since),
        gpu_util=samples.reduce(source, "gpu_util", until, "mean", trained_since),
        gpu_power_share=_power_share(samples, until, trained_since),
        throttled=_throttled(samples, until, trained_since),
        compute_data_share=deep.phases.get("data") if deep is not None and deep.phases else None,
        crash_line=_crash_line(log) if state.state in ("failed", "killed") else None,
        hung_line=newest.location if newest else None,
    )


def _lost_firmly(stalls: Sequence[Stall], training_ns: float) -> dict[str, float]:
    """Share of the training lost in stalls by cause, the longest of each left out."""
    lost_ms: dict[str, list[float]] = defaultdict(list)
    for stall in stalls:
        lost_ms[stall.code or stall.phase].append(stall.lost_ms)
    return {cause: sum(sorted(ms)[:-SPARED]) * 1e6 / training_ns for cause, ms in lost_ms.items() if training_ns}


def firm_mean(phases_ns: np.ndarray, mean_ms: Mapping[str, float]) -> dict[str, float]:
    """The mean step by phase, ms, each phase without its longest times; empty where those cannot weigh much.

    Args:
        phases_ns: (steps, phases) of the counted steps.
        mean_ms: their mean by phase, of those that are known.
    """
    if not 2 * SPARED < len(phases_ns) <= _FIRM_STEPS:
        return {}
    rest, whole = np.sort(phases_ns, axis=0)[:-SPARED].mean(axis=0), phases_ns.mean(axis=0)
    kept = np.divide(rest, whole, out=np.ones_like(rest), where=whole > 0)
    return {name: ms * float(kept[PHASE_INDEX[name]]) for name, ms in mean_ms.items()}


def _first_evaluation_ns(derived: Derived) -> float:
    """What the first evaluation took beyond the others: it traces and compiles. 0 with fewer than three."""
    if derived.every > 1:
        return 0.0
    took = derived.steps.evaluation_ns[derived.steps.evaluation_ns > 0]
    return max(0.0, float(took[0] - np.median(took[1:]))) if len(took) >= 3 else 0.0


def _late_compiling(steps: Steps) -> tuple[float | None, int]:
    """(share of compiling in all steps but the first few, steps in which there was some)"""
    compiling, whole = steps.phases[_FIRST_STEPS:, PHASE_INDEX["compile"]], float(steps.step_ns[_FIRST_STEPS:].sum())
    return (float(compiling.sum()) / whole if whole else None), int((compiling > 0).sum())


def _is_eager(log: LaneLog) -> bool:
    """TensorFlow whose training step is no compiled function."""
    if log.facts.get("run_eagerly") and log.facts.get("backend") != "torch":
        return True
    return log.facts.get("framework") == "tensorflow" and log.saw("backward_begin") and not log.saw("train_call_begin")


def _threads(log: LaneLog, at_ns: int) -> tuple[Lines, float | None]:
    """(the user's code in other threads, the share of looks at which it ran)"""
    since = log.folder.first_step_ns or 0
    rows = [row for row in log.notes.thread_stacks if since <= row["t"] <= at_ns]
    if len(rows) < 3:
        return Lines(()), None
    looks = int(rows[-1].get("looks") or 0) - int(rows[0].get("looks") or 0) + 1
    moments = len({row["t"] for row in rows})
    return Lines([stack_of(row, None, "data") for row in rows]), min(1.0, moments / looks) if looks > 0 else None


def _python_calls(
    log: LaneLog, statistics: LaneStatistics, at_ns: int
) -> tuple[float, float, str | None, float | None] | None:
    """(calls a step, share of the time, the function, share without any) of TensorFlow's calls back into Python."""
    rows = [row for row in log.notes.python_calls if (log.folder.first_step_ns or 0) <= row[0] <= at_ns]
    if len(rows) < 2 or not statistics.count:
        return None
    (first_ns, first_calls, first_in, _, before), (last_ns, last_calls, last_in, place, rest) = rows[0], rows[-1]
    ends = log.folder.steps.end_ns
    steps = int(np.searchsorted(ends, last_ns) - np.searchsorted(ends, first_ns))
    share = (last_in - first_in) / max(1, last_ns - first_ns)
    resting = None if rest is None or before is None else (rest - before) / max(1, last_ns - first_ns)
    return (last_calls - first_calls) / max(1, steps), min(1.0, share), place, resting


def _own_delay(samples: Samples, source: int, between_ns: tuple[float, float], wait_ns: float) -> float | None:
    """Share of the lane's own time in which its main thread was ready and had no core: at the gate it sleeps."""
    since, until = between_ns
    share = samples.reduce(source, "run_delay_share", until, "mean", since)
    own = 1 - wait_ns / (until - since) if until > since else 1.0
    return None if share is None else min(1.0, share / max(own, 0.05))


def _others(samples: Samples, lanes: int, until: float, since: float) -> float | None:
    """Cores that neither lane used, on average."""
    host = samples.reduce(SOURCE_HOST, "cpu_cores", until, "mean", since)
    own = [samples.reduce(source_of_lane(i), "cpu_cores", until, "mean", since) for i in range(lanes)]
    return None if host is None else max(0.0, host - sum(value or 0.0 for value in own))


def _quarters(samples: Samples, source: int, since: float, until: float) -> tuple[float, ...]:
    """Median memory in four equal parts of the steady steps; empty when there are too few rows."""
    times, values = samples.of(source, "rss_bytes", until)
    begin = since + _WARMUP * (until - since)
    fits = (times >= begin) & ~np.isnan(values)
    if fits.sum() < _LEAST_ROWS:
        return ()
    return tuple(float(np.median(part)) for part in np.array_split(values[fits], 4))


def _growth(samples: Samples, metric: str, since: float, until: float) -> float | None:
    times, values = samples.of(SOURCE_HOST, metric, until)
    values = values[(times >= since) & ~np.isnan(values)]
    return float(values[-1] - values[0]) if len(values) > 1 else None


def _power_share(samples: Samples, until: float, since: float) -> float | None:
    """Power drawn over the limit, of the first GPU that tells both."""
    for gpu in range(_GPUS):
        power = samples.reduce(SOURCE_GPU + gpu, "gpu_power_w", until, "mean", since)
        limit = samples.reduce(SOURCE_GPU + gpu, "gpu_power_limit_w", until, "mean", since)
        if power is not None and limit:
            return power / limit
    return None


def _throttled(samples: Samples, until: float, since: float) -> dict[str, float]:
    """Share of the samples by reason, over all GPUs."""
    found: dict[str, float] = {}
    for gpu in range(_GPUS):
        times, values = samples.of(SOURCE_GPU + gpu, "gpu_throttle_reasons", until)
        values = values[(times >= since) & ~np.isnan(values)]
        for bits, count in zip(*np.unique(values, return_counts=True), strict=True):
            for name in throttle_names(int(bits)):
                found[name] = found.get(name, 0.0) + float(count) / len(values)
    return found


def _crash_line(log: LaneLog) -> str | None:
    """The user's innermost line in the traceback that the program printed last."""
    lines = [found for line in log.output_tail(80) if (found := _TRACEBACK.match(line)) is not None]
    users = [found for found in lines if is_users(found[1])]
    return f"{users[-1][1]}:{users[-1][2]}" if users else None
