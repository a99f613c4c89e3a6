"""Builds a frame: what is recorded, at one moment, as the frozen value that every surface shows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fwtui.analysis.comparison import headline, with_findings
from fwtui.analysis.findings import find_all
from fwtui.analysis.lane_facts import LaneFacts
from fwtui.analysis.results import Comparison, Finding
from fwtui.recording.vocabulary import SOURCE_HOST, source_of_lane
from fwtui.view.comparing import compared, ranked_lanes, samples_per_step
from fwtui.view.counting import schedule_at
from fwtui.view.frame import ENDED_STATES, Frame, Host, LaneFrame
from fwtui.view.gpu import gpu_of
from fwtui.view.lane_facts import lane_facts
from fwtui.view.lane_log import LaneLog
from fwtui.view.lane_stalls import current_stall
from fwtui.view.lane_state import LaneState, lane_state
from fwtui.view.lane_statistics import LaneStatistics, lane_statistics, updates_until
from fwtui.view.liveness import OPEN_STATUSES, why_lost
from fwtui.view.loss_parity import loss_parity
from fwtui.view.rank_frames import findings_of, ranks_of
from fwtui.view.samples import Samples
from fwtui.view.why_no_steps import why_no_steps

if TYPE_CHECKING:
    from fwtui.view.session import Session

_SAMPLED_NS = 500_000_000
"""How often a live run's use of the machine is looked up."""


def build(session: Session, at_ns: int) -> Frame:
    """The frame of a run at a moment."""
    manifest = session.manifest
    states = [lane_state(session, index, at_ns) for index in range(len(session.logs))]
    statistics = [
        lane_statistics(session, index, at_ns, states[index].state in ENDED_STATES)
        for index in range(len(session.logs))
    ]
    comparison = compared(session, statistics, loss_parity(session, at_ns), at_ns)
    ranking, ratios = ranked_lanes(session, statistics, at_ns)
    facts = [lane_facts(session, index, at_ns, states[index], statistics[index]) for index in range(len(states))]
    findings = _kept(session, "findings", (facts, comparison), lambda: find_all(facts, comparison))
    lanes = tuple(
        _lane(
            session,
            index,
            at_ns,
            states[index],
            statistics[index],
            ratios.get(index),
            findings[index],
            facts[index],
        )
        for index in range(len(session.logs))
    )
    by_lane = {lane.name: lane.findings for lane in lanes}
    comparison = _kept(session, "verdict", (comparison, by_lane), lambda: with_findings(comparison, by_lane))
    live = session.live
    status = manifest["status"] if live or manifest["status"] not in OPEN_STATUSES else "lost"
    if at_ns < session.newest_ns and not live:
        status = "running"  # it was, at that moment
    return Frame(
        run_id=session.folder.id,
        name=str(manifest.get("name", session.folder.id)),
        status=status,
        live=live,
        time_ns=at_ns,
        start_ns=session.start_ns,
        started=str(manifest.get("started", "")),
        elapsed_s=max(0.0, (at_ns - session.start_ns) / 1e9),
        schedule=schedule_at(manifest, at_ns),
        seed=manifest.get("seed"),
        workload=(manifest.get("workload") or {}).get("name"),
        path=str(session.folder.path),
        host=_host(manifest, session.samples, at_ns),
        lanes=lanes,
        ranking=ranking,
        comparison=comparison,
        headline=_headline(comparison, schedule_at(manifest, at_ns)),
        notice=_notice(session, status),
        explanation=session.explanation.value,
    )


def _kept(session: Session, name: str, made_of: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """A value that is kept until what it is made of is another."""
    known = session.cache.get(name)
    if known is None or known[0] != made_of:
        known = session.cache[name] = (made_of, make())
    return known[1]


def _headline(comparison: Comparison | None, schedule: str) -> str:
    """The verdict, and whether the lanes disturbed each other while it was measured."""
    words = headline(comparison)
    return f"{words} · while sharing the machine" if words and schedule == "together" else words


def _notice(session: Session, status: str) -> str | None:
    if session.notice:
        return session.notice
    if session.manifest.get("error") and status != "running":
        return str(session.manifest["error"])
    if status == "lost":
        return why_lost(session.manifest, session.folder)
    for log, lane in zip(session.logs, session.manifest["lanes"], strict=False):
        if log.gave_up:
            return f"the disk is full: {lane['name']} is no longer recorded (it trains on)"
        if log.problem:
            return log.problem
    return None


def _host(manifest: Mapping[str, Any], samples: Samples, at_ns: int) -> Host:
    host = manifest.get("host") or {}
    return Host(
        cpu=str(host.get("cpu", "unknown CPU")),
        cores=int(host.get("cores") or 0),
        memory_bytes=int(host.get("memory_bytes") or 0),
        cpu_cores=samples.last(SOURCE_HOST, "cpu_cores", at_ns),
        memory_available_bytes=samples.last(SOURCE_HOST, "memory_available_bytes", at_ns),
        gpus=tuple(host.get("gpus") or ()),
    )


def _title(name: str, facts: Mapping[str, Any], runs_ahead: bool) -> str:
    if not facts.get("framework"):
        return name
    parts = [f"{facts['framework']} {facts.get('version') or ''}".strip()]
    if facts.get("backend"):
        parts.append(f"on {facts['backend']} {facts.get('backend_version') or ''}".strip())
    title = " ".join(parts)
    if facts.get("step_is"):  # best effort: what was taken for a step
        title += f" · a step is {facts['step_is']}"
    if facts.get("training_threads"):
        title += " · several threads train: the steps of one"
    if runs_ahead:
        title += " · runs ahead of the computing: each step is the mean of its turn"
    return f"{title} · {facts['device']!s}" if facts.get("device") else title


def _until(rows: list[tuple[int, Any]], at_ns: int) -> Any:
    """The newest value noted up to a moment; None of none."""
    value = None
    for time_ns, noted in rows:
        if time_ns > at_ns:
            break
        value = noted
    return value


def _lane(
    session: Session,
    index: int,
    at_ns: int,
    state: LaneState,
    statistics: LaneStatistics,
    ranked: tuple[float, tuple[float, float] | None] | None,
    findings: tuple[Finding, ...],
    known: LaneFacts,
) -> LaneFrame:
    manifest, log = session.manifest["lanes"][index], session.logs[index]
    facts, plan = log.facts, log.notes.plan
    timed = session.manifest.get("seconds") is not None  # the time ends it: what the program plans is not meant
    steps_total = int(plan["steps"]) if plan.get("steps") and not timed else None
    epochs = int(plan["epochs"]) if plan.get("epochs") and not timed else None
    losses = log.notes.loss[: bisect_right(log.notes.loss, at_ns, key=lambda row: row[0])]
    results: dict[str, float] = {}
    for time_ns, values in log.notes.results:
        if time_ns <= at_ns:
            results.update(values)
    per_step = samples_per_step(session, index)
    median = statistics.step_ms.median if statistics.step_ms else None
    updates = updates_until(session, index, at_ns, statistics)
    ranks = ranks_of(session, index, at_ns, state.state)
    findings = (*findings_of(session, index, ranks, at_ns), *findings)
    return LaneFrame(
        index=index,
        name=str(manifest["name"]),
        title=_title(str(manifest["name"]), facts, statistics.runs_ahead),
        framework=str(facts.get("framework") or manifest.get("framework") or "unknown"),
        version=facts.get("version"),
        backend=facts.get("backend"),
        device=facts.get("device"),
        python=str(manifest.get("python") or ""),
        state=state.state,
        stage=state.stage,
        stage_s=state.stage_s,
        exit_code=manifest.get("exit_code"),
        signal=manifest.get("signal"),
        error=manifest.get("error"),
        steps=updates if state.state not in ("pending",) else 0,
        steps_total=steps_total,
        steps_counted=statistics.counted,
        epoch=_epoch(log, updates, at_ns),
        epochs=epochs,
        time_left_s=_time_left(state, statistics, updates, steps_total, session.manifest),
        samples_per_step=per_step,
        rate=1000.0 / median if median else None,
        throughput_samples_s=per_step * 1000.0 / median if per_step and median else None,
        step_ms=statistics.step_ms,
        phases=statistics.phases,
        typical_ms=statistics.typical,
        stalled_ms=statistics.stalled,
        stalls=statistics.stalls,
        lost_share=statistics.lost_share,
        lost=known.lost,
        current_stall=current_stall(state, log, at_ns),
        loss_first=losses[0][1] if losses else None,
        loss_last=losses[-1][1] if losses else None,
        results=results,
        startup_s=state.startup_s,
        compile_s=log.folder.compile_ns / 1e9 if statistics.count else None,
        wall_s=state.wall_s,
        attributed_s=_attributed(state, statistics),
        evaluation_s=(statistics.evaluation_ns + state.tail_evaluation_ns) / 1e9 if statistics.count else None,
        waiting_s=(statistics.wait_ns + state.tail_wait_ns) / 1e9 if statistics.count else None,
        **_hardware(session, index, at_ns),
        findings=findings,
        facts=facts,
        ratio=ranked[0] if ranked else None,
        ratio_ci95=ranked[1] if ranked else None,
        output_tail=log.output_tail(40),
        why_no_steps=None if statistics.count else why_no_steps(log, manifest, at_ns),
        deep=log.deep(at_ns),
        ranks=ranks.frames,
    )


def _hardware(session: Session, index: int, at_ns: int) -> dict[str, Any]:
    """A lane's use of the machine; while a run goes on, looked up anew a few times a second."""
    log, samples, source = session.logs[index], session.samples, source_of_lane(index)
    since = float(log.folder.first_step_ns or at_ns)
    sampled_ns = _sampled_ns(log, at_ns, session.manifest["lanes"][index].get("ended_ns"))
    moment = (at_ns // _SAMPLED_NS, 0, 0) if session.live else (at_ns, sampled_ns, samples.rows)
    made: dict[str, Any] = _kept(
        session,
        f"hardware {index}",
        (moment, log.folder.first_step_ns),
        lambda: {
            "cpu_cores": samples.last(source, "cpu_cores", sampled_ns),
            "cpu_cores_mean": samples.reduce(source, "cpu_cores", at_ns, "mean", since),
            "rss_bytes": samples.last(source, "rss_bytes", sampled_ns),
            "rss_peak_bytes": samples.reduce(source, "rss_bytes", at_ns, "max"),
            "read_bytes_s": samples.last(source, "read_bytes_s", sampled_ns),
            "write_bytes_s": samples.last(source, "write_bytes_s", sampled_ns),
            "gpu": gpu_of(samples, source, sampled_ns),
        },
    )
    return made


def _sampled_ns(log: LaneLog, at_ns: int, ended_ns: int | None) -> int:
    """When a lane's use of the machine is told: once it ended, at its last step, before its process fell apart."""
    if not ended_ns or at_ns < ended_ns:
        return at_ns
    ends = log.folder.steps.end_ns
    return int(ends[-1]) if len(ends) else ended_ns


def _epoch(log: LaneLog, updates: int, at_ns: int) -> int | None:
    noted = _until(log.notes.epoch, at_ns)
    if noted is not None:
        return int(noted)
    plan = log.notes.plan
    if plan.get("steps_per_epoch"):
        epoch = updates // int(plan["steps_per_epoch"]) + 1
        return min(epoch, int(plan["epochs"])) if plan.get("epochs") else epoch
    return None


def _time_left(
    state: LaneState, statistics: LaneStatistics, updates: int, total: int | None, manifest: Mapping[str, Any]
) -> float | None:
    """Seconds to the last step at the typical rate; under turns the lane has its share of the time only."""
    if total is None or statistics.step_ms is None or state.state in ENDED_STATES or not statistics.counted:
        return None
    running = sum(lane.get("status") in ("pending", "running") for lane in manifest["lanes"])
    share = max(1, running) if manifest.get("schedule") == "turns" else 1
    mean_s = statistics.own_s / statistics.counted
    return max(0, total - updates) * mean_s * share


def _attributed(state: LaneState, statistics: LaneStatistics) -> float | None:
    """Start-up, steps, waits, evaluation and teardown: what of the lane's wall time is accounted for."""
    if state.startup_s is None or not statistics.count:
        return state.startup_s
    inside = statistics.training_ns + statistics.wait_ns + statistics.evaluation_ns + state.tail_ns
    inside += statistics.profiler_ns
    return state.startup_s + inside / 1e9
