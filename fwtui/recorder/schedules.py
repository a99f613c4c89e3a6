"""Who may use the machine: by turns, together, or one lane after the other.

A schedule is looked at again and again by the recorder: `tick` starts lanes and moves gates, and says how long it may
be left alone. None of them waits.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from fwtui.recorder.lane_process import Lane
from fwtui.recording.vocabulary import GATE_GO, GATE_HOLD

IDLE_S = 0.02
"""How often a schedule is looked at when nothing is about to happen."""
HANDING_S = 0.001
STARTUP_LIMIT_S = 20.0
"""A lane that has not come to its training by then no longer holds up the next one's start."""
LEAST_STEPS = 8
"""A turn holds at least so many ends of steps: its first step meets cold caches and is not counted."""
LONGEST_TURN_S = 10.0
"""A lane that comes to fewer steps in this time gives the machine back all the same."""
HANDOVER_LIMIT_S = 10.0
"""A lane that comes to no step boundary (evaluation, a checkpoint) is not waited for longer."""

StartLane = Callable[[Lane, int, "frozenset[int] | None"], None]


class Schedule(Protocol):
    """What the recorder asks of a schedule."""

    def tick(self) -> float:
        """Do what is due; the seconds until it should be asked again."""


class Turns:
    """One lane at a time, in blocks; the order is shuffled anew each round."""

    def __init__(self, lanes: Sequence[Lane], start: StartLane, turn_s: float, chance: random.Random) -> None:
        self._lanes = lanes
        self._start = start
        self._turn_s = turn_s
        self._chance = chance
        self._order: list[Lane] = []
        self._core: int | None = None
        """Where this round's turns begin: on the same core for all lanes, on another one the next round."""
        self._current: Lane | None = None
        self._until_s = 0.0
        self._begun_s = 0.0
        self._leaving = [lane for lane in lanes if lane.alive and lane.ranks.known]
        self._left_s = time.monotonic()
        for lane in self._leaving:
            lane.set_gate(GATE_HOLD)

    def tick(self) -> float:
        if self._starting_up():
            return IDLE_S
        now = time.monotonic()
        if self._still_leaving(now):
            return HANDING_S
        ready = [lane for lane in self._lanes if lane.joined]
        if self._current is not None and self._current not in ready:
            self._hand_over(now)
            return HANDING_S
        if self._current is not None and (now < self._until_s or len(ready) == 1):
            return min(IDLE_S, max(HANDING_S, self._until_s - now)) if len(ready) > 1 else IDLE_S
        if self._current is not None and self._too_few_steps(now):
            return IDLE_S
        if self._current is not None:
            self._hand_over(now)
            return HANDING_S
        self._begin_turn(ready, now)
        return IDLE_S

    def _starting_up(self) -> bool:
        """Start the next lane once the one before stands; whether one is still on its way."""
        started = [lane for lane in self._lanes if not lane.pending]
        if started and started[-1].alive and not started[-1].paused:
            last = started[-1]
            if not last.ranks.stepped and last.age_s < STARTUP_LIMIT_S:
                return True
            if last.ranks.stepped and not last.ranks.waiting and any(lane.pending for lane in self._lanes):
                return last.age_s < STARTUP_LIMIT_S
        following = next((lane for lane in self._lanes if lane.pending), None)
        if following is None:
            return False
        self._start(following, GATE_HOLD, None)
        return True

    def _begin_turn(self, ready: Sequence[Lane], now: float) -> None:
        self._order = [lane for lane in self._order if lane in ready]
        if not self._order:
            self._order = list(ready)
            self._chance.shuffle(self._order)
            self._core = self._next_core()
        if self._order:
            self._current = self._order.pop(0)
            self._current.ranks.begin_on(self._core)
            self._current.set_gate(GATE_GO)
            self._begun_s, self._until_s = now, now + self._turn_s
            self._current.ranks.begin_turn()

    def _next_core(self) -> int | None:
        cores = all_cores()
        others = [core for core in cores if core != self._core]
        return self._chance.choice(others) if others else None

    def _too_few_steps(self, now: float) -> bool:
        """Whether the lane's steps are so long that its turn must go on; looked at now and then."""
        assert self._current is not None
        if now - self._begun_s > LONGEST_TURN_S or self._current.ranks.turn_steps() >= LEAST_STEPS:
            return False
        self._until_s = now + self._turn_s / 5
        return True

    def _hand_over(self, now: float) -> None:
        assert self._current is not None
        self._current.set_gate(GATE_HOLD)
        self._leaving, self._left_s, self._current = [self._current], now, None

    def _still_leaving(self, now: float) -> bool:
        self._leaving = [lane for lane in self._leaving if lane.alive and not lane.finishing and not lane.ranks.waiting]
        if now - self._left_s > HANDOVER_LIMIT_S:
            self._leaving = []
        return bool(self._leaving)


class Together:
    """All at once; each lane gets cores of its own when there are enough.

    Lanes that run already keep all cores: their thread pools have the size of what they found when they started, and
    two threads that wait for each other on one core cost a hundred times what they save.
    """

    def __init__(self, lanes: Sequence[Lane], start: StartLane, turn_s: float, chance: random.Random) -> None:
        self._lanes = lanes
        self._start = start
        running = any(lane.alive for lane in lanes)
        self._cores = {} if running else split_cores([lane.name for lane in lanes if lane.pending])

    def tick(self) -> float:
        for lane in self._lanes:
            gate = GATE_HOLD if lane.paused else GATE_GO
            if lane.pending:
                self._start(lane, gate, self._cores.get(lane.name))
            elif lane.alive:
                lane.set_gate(gate)
        return IDLE_S


class Solo:
    """One whole lane after the other."""

    def __init__(self, lanes: Sequence[Lane], start: StartLane, turn_s: float, chance: random.Random) -> None:
        self._lanes = lanes
        self._start = start

    def tick(self) -> float:
        alive = [lane for lane in self._lanes if lane.alive]
        following = next((lane for lane in self._lanes if lane.pending), None)
        if not alive and following is not None:
            self._start(following, GATE_HOLD if following.paused else GATE_GO, None)
        for lane in alive:
            lane.set_gate(GATE_GO if lane is alive[0] and not lane.paused else GATE_HOLD)
        return IDLE_S


SCHEDULES: Mapping[str, Callable[[Sequence[Lane], StartLane, float, random.Random], Schedule]] = {
    "turns": Turns,
    "together": Together,
    "solo": Solo,
}


def all_cores() -> list[int]:
    """The cores that this process may use; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def split_cores(names: Sequence[str]) -> dict[str, frozenset[int]]:
    """Cores for each name in equal, adjoining parts; none when there are fewer cores than names."""
    cores = all_cores()
    if len(names) < 2 or len(cores) < len(names):
        return {}
    size = len(cores) // len(names)
    return {name: frozenset(cores[i * size : (i + 1) * size]) for i, name in enumerate(names)}
