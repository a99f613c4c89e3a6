"""Runs one experiment: lanes in turns in a run of their own, until what they show is decided or their time is over."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwtui.explain.effects import Disturbance, Turns, turns
from fwtui.recording.control import ControlError, send
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.vocabulary import SOURCE_HOST
from fwtui.view.comparing import SAMPLE_NS, lanes_cores, others_since
from fwtui.view.lane_log import LaneLog
from fwtui.view.lane_statistics import told_steps
from fwtui.view.session import Session

LOOK_S = 0.25
JUDGE_S = 1.0
STOP_LIMIT_S = 15.0
LONGEST_START_S = 150.0
DECIDED = "decided"
DISTURBED = 0.15
"""Share of the cores that other programs may use in a turn: two threads that wait for each other feel half a core."""

Launch = Callable[[Sequence[str]], RunFolder]
"""Starts `fwtui run` with these arguments, detached, and returns its run."""


class ExperimentError(Exception):
    """An experiment that could not be made; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A lane of an experiment, as far as it went."""

    turns: Turns
    """Times of one update."""
    facts: dict[str, Any]
    samples: float | None
    """Samples of an update."""
    startup_s: float | None
    problem: str | None
    """One sentence, when the lane ended with an error."""


Judge = Callable[[Sequence[Seen]], bool]


def conduct(
    folder: RunFolder,
    places: Sequence[int],
    limit_s: float,
    judge: Judge,
    tick: Callable[[], None],
    needs_all: bool = True,
) -> list[Seen]:
    """Stay with a run that was started until it is decided, and end it then.

    Args:
        folder: the run.
        places: each asked-for lane's place in it.
        limit_s: how long its lanes may train, seconds.
        judge: whether what is seen is enough.
        tick: called a few times a second.
        needs_all: whether a lane that fails ends the experiment.

    Returns:
        What is seen of the lanes, in the order of `places`.
    """
    session = Session(folder)
    began = judged = time.monotonic()
    trained_since: float | None = None
    try:
        while session.live:
            tick()
            time.sleep(LOOK_S)
            session.poll()
            now = time.monotonic()
            if now - judged < JUDGE_S:
                continue
            judged = now
            if trained_since is None and all(log.folder.first_step_ns for log in session.logs):
                trained_since = now
            if trained_since is not None and now - trained_since > limit_s:
                stop(folder, DECIDED)  # before its lanes evaluate, which nobody asked for here
            lanes = seen(session, places)
            if (needs_all and any(lane.problem for lane in lanes)) or now - began > limit_s + LONGEST_START_S:
                stop(folder, "an experiment's lane failed")
            elif judge(lanes):
                stop(folder, DECIDED)
        session.poll()
        return seen(session, places)
    except BaseException:
        stop(folder, "interrupted")
        raise
    finally:
        session.close()


def seen(session: Session, places: Sequence[int]) -> list[Seen]:
    """What a session shows of its lanes now."""
    disturbance = disturbance_of(session)
    return [_seen(session, place, disturbance) for place in places]


def _seen(session: Session, place: int, disturbance: Disturbance | None) -> Seen:
    log, entry = session.logs[place], session.manifest["lanes"][place]
    started, first = entry.get("started_ns"), log.folder.first_step_ns
    problem = None
    if entry["status"] in ("failed", "killed"):
        output = log.output_tail(1)
        said = entry.get("error")
        problem = (
            f"{entry['name']}: {said}"
            if said
            else f"{entry['name']} {entry['status']}" + (f": {output[-1].strip()}" if output else "")
        )
    return Seen(
        turns=lane_turns(log, disturbance),
        facts=dict(log.facts),
        samples=samples_of(log),
        startup_s=(first - started) / 1e9 if first and started else None,
        problem=problem,
    )


def busy_words(session: Session) -> str | None:
    """What other programs took of the machine while the lanes trained, in words; None of little."""
    since = _all_train_ns(session)
    return others_since(session, since, session.newest_ns) if since else None


def _all_train_ns(session: Session) -> int | None:
    first = [log.folder.first_step_ns for log in session.logs if log.folder.first_step_ns]
    return max(first, default=None)


def disturbance_of(session: Session) -> Disturbance | None:
    """Tells whether other programs used more than DISTURBED of the machine's cores; None without samples of it."""
    times, host = session.samples.of(SOURCE_HOST, "cpu_cores")
    cores = (session.manifest.get("host") or {}).get("cores")
    if not len(times) or not cores:
        return None
    others = host - lanes_cores(session, times)

    def disturbed(since_ns: float, until_ns: float) -> bool:
        # a sample tells what was used since the one before: the next one still speaks of the turn
        first, last = np.searchsorted(times, (since_ns, until_ns + SAMPLE_NS))
        part = others[first:last]
        part = part[~np.isnan(part)]
        return bool(len(part)) and float(part.mean()) > DISTURBED * cores

    return disturbed


def lane_turns(log: LaneLog, disturbance: Disturbance | None = None) -> Turns:
    """The turns of a lane's counted steps."""
    derived = log.derived()
    told = told_steps(derived, log.facts)
    return turns(told.ms, derived.block[told.rows], derived.steps.end_ns[told.rows], disturbance)


def samples_of(log: LaneLog) -> float | None:
    """Samples of one update."""
    facts, plan = log.facts, log.notes.plan
    for value in (facts.get("batch_size"), plan.get("samples_per_step")):
        if value:
            return float(value)
    if facts.get("samples_per_step"):
        return float(facts["samples_per_step"]) / float(facts.get("steps_per_execution") or 1)
    return None


def stop(folder: RunFolder, reason: str) -> None:
    """Ask a run to end and wait until it has."""
    with contextlib.suppress(ControlError):
        send(folder, {"do": "stop", "reason": reason})
    deadline = time.monotonic() + STOP_LIMIT_S
    while time.monotonic() < deadline and folder.read_manifest().get("ended_ns") is None:
        time.sleep(0.05)
