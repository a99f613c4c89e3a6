"""`--seconds` and `--until-decided`: how long lanes train, counted from the moment when all of them do.

Whether a comparison is decided is no question for the recorder: whoever watches the run asks it to finish.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fwtui.recorder.lane_process import Lane

if TYPE_CHECKING:
    from fwtui.recorder.run import Run

REACHED = "--seconds reached"
DECIDED = "the comparison is decided"
GOOD_ENDS = (REACHED, DECIDED)
"""Reasons for which a lane that was ended did all that was asked of it."""
FINISH_LIMIT_S = 60.0
"""What a built-in lane gets for its evaluation and a clean end."""
SILENT_LIMIT_S = 20.0
"""A command that has opened no event log by then is taken to train in a way that no hook sees."""
LONGEST_START_S = 120.0


class TimeLimit:
    """Ends lanes when their time is over. Under `solo` each lane has its own time, else all share one."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._seconds: float | None = run.manifest.get("seconds")
        self._since_s: dict[str, float] = {}
        self._asked_s: dict[str, float] = {}
        self._over_s: float | None = None

    def finish(self) -> None:
        """All lanes have trained long enough: from now on their time is over."""
        self._over_s = self._over_s or time.monotonic()

    def tick(self) -> None:
        """Look at the clock."""
        lanes = self._run.lanes
        if self._over_s is not None:
            for lane in lanes:
                self._end_when_over(lane, time.monotonic(), self._over_s, DECIDED)
            return
        if self._seconds is None:
            return
        groups = [[lane] for lane in lanes] if self._run.manifest["schedule"] == "solo" else [lanes]
        now = time.monotonic()
        for group in groups:
            if all(_trains(lane) for lane in group):
                since_s = self._since_s.setdefault(group[0].name, now)
                for lane in group:
                    self._end_when_over(lane, now, since_s + self._seconds, REACHED)

    def _end_when_over(self, lane: Lane, now: float, deadline_s: float, reason: str) -> None:
        if lane.pending and reason == DECIDED:
            lane.end(reason)
        if now < deadline_s or not lane.alive:
            return
        asked_s = self._asked_s.setdefault(lane.name, now)
        if lane.entry["kind"] == "workload" and lane.ranks.known and now - asked_s < FINISH_LIMIT_S:
            lane.finish()
        else:
            lane.end(reason)


def _trains(lane: Lane) -> bool:
    """Whether the lane has made its first step, has ended, or will never show one."""
    if lane.pending:
        return False
    if not lane.alive or lane.ranks.stepped or lane.age_s > LONGEST_START_S:
        return True
    return lane.entry["kind"] == "command" and not lane.ranks.known and lane.age_s > SILENT_LIMIT_S
