"""What a lane does at a moment, in one word and in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fwtui.analysis.stalls import threshold_ns
from fwtui.recording.vocabulary import EVENT, PHASE_NAMES
from fwtui.view.lane_log import LaneLog
from fwtui.view.past_state import past_state

if TYPE_CHECKING:
    from fwtui.view.session import Session

STALL_LEAST_NS = 300e6
"""A step still going on is called a stall after this, and after several times the lane's habit."""
STALL_TIMES = 5.0
HUNG_NS = 60e9
HUNG_TIMES = 50.0
_BUSY = ("wait", "compile", "evaluation")
"""What a lane may do for long without a step."""
STARTED_NS = 3e9
"""After so long Python has started, whether the guest tells of it or not."""


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane's state with what the frame needs of its edges."""

    state: str
    stage: str
    stage_s: float | None
    since_ns: int | None
    phase: str
    startup_s: float | None
    wall_s: float | None
    tail_ns: float
    """From the last whole step to the end, or to the moment."""
    tail_evaluation_ns: float
    tail_wait_ns: float


def lane_state(session: Session, index: int, at_ns: int) -> LaneState:
    """The state of a lane at a moment."""
    manifest, log = session.manifest["lanes"][index], session.logs[index]
    spawned, ended = manifest.get("started_ns"), manifest.get("ended_ns")
    first = log.folder.first_step_ns
    until = min(at_ns, ended) if ended else at_ns
    tail = log.folder.tail()
    steps = log.folder.steps
    count = int(np.searchsorted(steps.end_ns, at_ns, side="right"))
    last_step = int(steps.end_ns[count - 1]) if count else first
    newest = count == len(steps)
    word, stage, since, phase = _word(session, index, at_ns, count, newest)
    startup = (min(first or until, until) - spawned) / 1e9 if spawned and spawned <= at_ns else None
    return LaneState(
        state=word,
        stage=stage,
        stage_s=None if since is None else max(0.0, (until - since) / 1e9),
        since_ns=since,
        phase=phase,
        startup_s=startup,
        wall_s=(until - spawned) / 1e9 if spawned and spawned <= at_ns else None,
        tail_ns=float(max(0, until - last_step)) if last_step is not None and first and count else 0.0,
        tail_evaluation_ns=tail.evaluation_ns if tail and newest else 0.0,
        tail_wait_ns=tail.wait_ns if tail and newest else 0.0,
    )


def _word(session: Session, index: int, at_ns: int, count: int, newest: bool) -> tuple[str, str, int | None, str]:
    """(state, stage in words, since when, phase of a stall)"""
    manifest, log = session.manifest["lanes"][index], session.logs[index]
    spawned, ended = manifest.get("started_ns"), manifest.get("ended_ns")
    if not spawned or at_ns < spawned:
        return "pending", "waiting for its turn to start", None, ""
    if ended and at_ns >= ended:
        hung = _ended_hung(log, int(ended), count) if manifest.get("status") == "stopped" else None
        return hung or _ended(manifest)
    if not session.live and newest and at_ns >= session.newest_ns:
        return "lost", "lost: the recorder died", None, ""
    steps = log.folder.steps
    since = int(steps.end_ns[count - 1]) if count else int(spawned)
    tail = log.folder.tail()
    if not newest and log.folder.first_step_ns is not None and at_ns >= log.folder.first_step_ns:
        return past_state(log, count, at_ns, STALL_LEAST_NS, STALL_TIMES)
    if not newest:
        return _starting(log, int(spawned), at_ns)
    if log.at_gate or (tail is not None and tail.open_span == "wait"):
        return "waiting", "paused" if manifest.get("paused") else "waiting for its turn", since, ""
    if tail is not None and tail.last_code == EVENT["drain_begin"]:
        return "training", "its device finishes the turn", since, ""
    if tail is not None and tail.open_span == "compile":
        return "compiling", "tracing or compiling", tail.open_since_ns, "compile"
    if tail is not None and (tail.open_span == "evaluation" or tail.evaluation_ns > 0):
        return "evaluating", "evaluating", since, ""
    if not count:
        return _starting(log, int(spawned), at_ns)
    return _training(log, since, at_ns, tail.open_span if tail else None, tail.open_since_ns if tail else since)


def _starting(log: LaneLog, spawned: int, at_ns: int) -> tuple[str, str, int | None, str]:
    notes = [row for row in log.notes.stage if row[0] <= at_ns]
    if log.folder.first_step_ns and log.folder.first_step_ns <= at_ns:
        return "training", "first step", log.folder.first_step_ns, ""
    if notes:
        return "starting", notes[-1][1], notes[-1][0], ""
    word = "starting Python" if at_ns - spawned < STARTED_NS else "running the program"
    return "starting", word, spawned, ""


def _training(
    log: LaneLog, since: int, at_ns: int, span: str | None, span_since: int
) -> tuple[str, str, int | None, str]:
    limit, median = threshold_ns(log.folder.steps.step_ns[-256:])
    silent = at_ns - max(since, span_since if span == "wait" else since)
    phase = span if span in PHASE_NAMES else "unexplained"
    if silent > max(HUNG_NS, HUNG_TIMES * median):
        return "hung", f"no step for {silent / 1e9:.0f} s", since, phase
    if silent > max(STALL_LEAST_NS, STALL_TIMES * median, limit):
        return "stalled", f"stalled in {phase}", since, phase
    return "training", "training", since, ""


def _ended_hung(log: LaneLog, ended: int, count: int) -> tuple[str, str, int | None, str] | None:
    """What a lane that was ended from outside had come to: None but for one that stood still for very long."""
    tail = log.folder.tail()
    if not count or log.at_gate or (tail is not None and (tail.open_span in _BUSY or tail.evaluation_ns > 0)):
        return None
    steps = log.folder.steps
    silent = ended - int(steps.end_ns[count - 1])
    if silent <= max(HUNG_NS, HUNG_TIMES * threshold_ns(log.derived().steps.step_ns[-256:])[1]):
        return None
    return "hung", f"hung: no step for {silent / 1e9:.0f} s, then it was ended", None, ""


def _ended(manifest: dict[str, object]) -> tuple[str, str, int | None, str]:
    status = str(manifest.get("status"))
    words = {
        "finished": "finished",
        "failed": f"failed with exit code {manifest.get('exit_code')}",
        "killed": f"killed by {manifest.get('signal')}",
        "stopped": str(manifest.get("stop_reason") or "stopped"),
        "hung": "hung, and was ended",
    }
    state = status if status in ("finished", "failed", "killed", "stopped", "hung") else "lost"
    return state, words.get(status, "lost: the recorder died"), None, ""
