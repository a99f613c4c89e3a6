"""What a rank does at a moment, and which ranks died or hang: one bad rank stops all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwtui.analysis.ranks import RankSteps
from fwtui.view.frame import ENDED_STATES
from fwtui.view.rank_logs import RankLog
from fwtui.view.units import show

RECENT = 512
"""Newest steps that tell a rank's habit."""
SILENT_NS, SILENT_TIMES = 5e9, 20.0
"""A rank that ends no step for so long, and for so many of its steps, while it does not wait for others, hangs."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A rank that died or hangs."""

    rank: int
    words: str
    """What is said of it, a whole sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known of the whole lane at a moment."""

    at_ns: int
    lane_state: str
    manifest: Mapping[str, Any]
    """The lane's entry."""
    live: bool
    """Whether the moment is now, of a run that goes on."""

    @property
    def until_ns(self) -> int:
        """The moment, or the lane's end before it."""
        ended = self.manifest.get("ended_ns")
        return min(self.at_ns, ended) if ended else self.at_ns


def state_of(log: RankLog, rank: RankSteps, moment: Moment) -> str:
    """One of LANE_STATES."""
    lane_state = moment.lane_state
    if lane_state in ENDED_STATES or log.ended:
        return "finished" if log.ended else lane_state if lane_state in ENDED_STATES - {"finished"} else "lost"
    if not moment.live:
        return lane_state
    if log.alive() is False:
        return "killed"
    if lane_state in ("waiting", "evaluating"):
        return lane_state
    if log.waiting:
        return "waiting"
    if _silent_ns(rank, min(moment.at_ns, log.read_ns)) > _limit_ns(rank):
        return "waiting" if log.communicating else "hung"
    return "training"


def troubles_of(logs: Sequence[RankLog], ranks: Sequence[RankSteps], moment: Moment) -> tuple[Trouble, ...]:
    """Ranks that died, or hang while others wait; when all hang alike, nobody is to blame."""
    if moment.lane_state not in ENDED_STATES:
        states = [state_of(log, rank, moment) for log, rank in zip(logs, ranks, strict=True)]
        dead = [log for log, state in zip(logs, states, strict=True) if state == "killed"]
        hung = [log for log, state in zip(logs, states, strict=True) if state == "hung"]
        if len(dead) == len(logs):
            return ()
        found = [Trouble(log.rank, f"{_who(log)} died without a word") for log in dead]
        if len(hung) < len(logs):
            words = "hangs: it ends no step, and does not wait for the others"
            found += [Trouble(log.rank, f"{_who(log)} {words}") for log in hung]
        return tuple(found)
    if moment.lane_state in ("failed", "killed"):
        first = _first_gone(logs, moment)
        if first is not None:
            steps = next(_steps_made(rank) for rank in ranks if rank.rank == first.rank)
            how = "ended" if first.ended else "died"
            words = f"{how} first, at step {steps:,} or soon after; its launcher ended the others"
            return (Trouble(first.rank, f"{_who(first)} {words}"),)
    return _hung_at_the_end(logs, ranks, moment)


def _first_gone(logs: Sequence[RankLog], moment: Moment) -> RankLog | None:
    """The rank that went first: as the recorder saw it, else the one whose log is cut off earliest."""
    gone = moment.manifest.get("ranks_gone") or ()
    if gone:
        return next((log for log in logs if log.rank == gone[0].get("rank")), None)
    cut = [log for log in logs if not log.ended]
    if not cut or any(log.host.get("identity") != logs[0].host.get("identity") for log in logs):
        return None  # clocks of several hosts are not near enough to tell who was first
    return min(cut, key=lambda log: log.folder.last_ns)


def _hung_at_the_end(logs: Sequence[RankLog], ranks: Sequence[RankSteps], moment: Moment) -> tuple[Trouble, ...]:
    """Ranks that stood still when the lane was ended, while others waited for them."""
    if moment.lane_state == "finished" or not any(log.communicating for log in logs):
        return ()
    found = []
    for log, rank in zip(logs, ranks, strict=True):
        silent = _silent_ns(rank, moment.until_ns)
        if not log.communicating and not log.ended and silent > _limit_ns(rank):
            words = f"hung: it made no step in the last {show(silent / 1e9, 's')}, and did not wait for the others"
            found.append(Trouble(log.rank, f"{_who(log)} {words}"))
    return tuple(found)


def _silent_ns(rank: RankSteps, until_ns: float) -> float:
    return until_ns - float(rank.end_ns[-1]) if len(rank.end_ns) else 0.0


def _limit_ns(rank: RankSteps) -> float:
    habit = float(np.median(rank.step_ns[-RECENT:])) if len(rank.step_ns) else 0.0
    return max(SILENT_NS, SILENT_TIMES * habit)


def _steps_made(rank: RankSteps) -> int:
    return rank.first + len(rank.step_ns)


def _who(log: RankLog) -> str:
    return f"rank {log.rank} (process {log.pid} on {log.host.get('host') or '?'})"
