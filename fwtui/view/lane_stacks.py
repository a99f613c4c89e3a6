"""A lane's stacks, each with the phase that was open when it was taken."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import Any

import numpy as np

from fwtui.analysis.lines import EVALUATION, Lines, Stack, stack_of
from fwtui.analysis.steps import IN_EVALUATION, StepFolder
from fwtui.recording.vocabulary import PHASE_NAMES

LATENCY_NS = 60_000
"""From the signal to the handler, about."""
_TELLING = 200
"""Newest stacks of a rank that tell where it is slow."""


class LaneStacks:
    """Rows of stacks.jsonl as they arrive, in the order of time."""

    def __init__(self) -> None:
        self.stacks: list[Stack] = []
        self.kinds: list[str] = []
        self._times: list[int] = []
        self._waiting: list[dict[str, Any]] = []
        self._before_ns: int | None = None
        self._known: dict[int, int] = {}
        self._lines: dict[int, list[tuple[int, str]]] = {}

    def phases(self) -> np.ndarray:
        """(stacks, 2) the time and the phase's number of what is settled; to be kept with a saved fold."""
        rows = [
            (time_ns, _NUMBERS.get(stack.phase or "", -1))
            for time_ns, stack in zip(self._times, self.stacks, strict=True)
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    def remember(self, phases: np.ndarray) -> None:
        """Take over the phases of a saved fold, whose events are not read again."""
        self._known = {int(time_ns): int(phase) for time_ns, phase in phases}

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Take new rows; their phases are settled when their steps are folded."""
        for row in rows:
            if isinstance(row.get("t"), int):
                self._waiting.append(row)
                if row.get("location"):
                    lines = self._lines.setdefault(int(row.get("rank") or 0), [])
                    lines.append((row["t"], str(row["location"])))

    def newest_line(self, rank: int, until_ns: float) -> str | None:
        """Where a rank's user code stood last, up to a moment."""
        return next((line for time_ns, line in reversed(self._lines.get(rank, ())) if time_ns <= until_ns), None)

    def telling_line(self, rank: int, since_ns: float, until_ns: float) -> str | None:
        """The line where a rank stands more often than the others do: they wait for it elsewhere.

        Of the newest stacks since a moment, the line with the largest difference of shares.
        """
        own, others = Counter[str](), Counter[str]()
        for number, lines in self._lines.items():
            seen = [line for time_ns, line in lines if since_ns <= time_ns <= until_ns][-_TELLING:]
            (own if number == rank else others).update(seen)
        if not own:
            return None
        return max(own, key=lambda line: own[line] / own.total() - others[line] / max(1, others.total()))

    def settle(self, folder: StepFolder, rank: int) -> None:
        """Find the phase of what was taken before the last whole step's end."""
        while self._waiting and (self._waiting[0]["t"] < folder.folded_ns or self._waiting[0]["t"] in self._known):
            row = self._waiting.pop(0)
            if int(row.get("rank") or 0) != rank:
                continue
            time_ns = int(row["t"])
            known = self._known.get(time_ns)
            self._append(row, _NAMES.get(known) if known is not None else _phase_at(folder, time_ns + LATENCY_NS))

    def _append(self, row: dict[str, Any], phase: str | None) -> None:
        stack = stack_of(row, self._before_ns, phase)
        self._before_ns = stack.time_ns
        self.stacks.append(stack)
        self.kinds.append(str(row.get("kind") or "stall"))
        self._times.append(stack.time_ns)

    def between(self, start_ns: float, end_ns: float) -> list[Stack]:
        """The stacks taken in an interval, settled or not."""
        first, last = bisect_left(self._times, start_ns), bisect_right(self._times, end_ns)
        late = [stack_of(row, None, None) for row in self._waiting if start_ns <= row["t"] <= end_ns]
        return [*self.stacks[first:last], *late]

    def lines(self, since_ns: float, until_ns: float) -> Lines:
        """All stacks of steps and of evaluation in an interval."""
        first, last = bisect_left(self._times, since_ns), bisect_right(self._times, until_ns)
        return Lines([stack for stack in self.stacks[first:last] if stack.phase is not None])

    def newest(self, until_ns: float) -> Stack | None:
        """The last one up to a moment."""
        found = self.between(0, until_ns)
        return found[-1] if found else None


_NAMES: dict[int, str] = {**dict(enumerate(PHASE_NAMES)), IN_EVALUATION: EVALUATION}
_NUMBERS = {name: number for number, name in _NAMES.items()}


def _phase_at(folder: StepFolder, moment_ns: int) -> str | None:
    for times, phases in reversed(folder.moments):
        if times[0] <= moment_ns < times[-1]:
            phase = int(phases[np.searchsorted(times, moment_ns, side="right") - 1])
            return _NAMES.get(phase)
    return None
