"""Stacks as a sample of where time goes: each stands for the time since the one before it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_WEIGHT_NS = 2.5e9
EVALUATION = "evaluation"
COVERS = 2 / 3
"""Of some stacks' time: what most of them stand at or below."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of a main thread."""

    time_ns: int
    weight_ns: float
    """The time that it stands for."""
    phase: str | None
    """The phase that was open then, `evaluation`; None: not known, or in no step."""
    location: str | None
    """The innermost line of the user's code."""
    function: str | None
    frames: tuple[tuple[str, int, str], ...]
    """(file, line, function), innermost first."""
    runs: bool | None
    """Whether the thread was running; False: it slept, or waited for a disk."""
    users: tuple[tuple[str, int, str], ...]
    """The frames of the user's code, outermost first."""

    def stands_in(self, *parts: str) -> bool:
        """Whether a frame's file holds one of these words."""
        return any(part in file for file, _, _ in self.frames for part in parts)

    @property
    def below(self) -> tuple[tuple[str, int, str], ...]:
        """The library frames that the user's innermost line called."""
        count = next((i for i, frame in enumerate(self.frames) if f"{frame[0]}:{frame[1]}" == self.location), 0)
        return self.frames[:count]


def stack_of(row: Mapping[str, Any], before_ns: int | None, phase: str | None) -> Stack:
    """A row of stacks.jsonl, with the time of the row before it and the phase that was open."""
    frames = tuple((str(file), int(line), str(name)) for file, line, name in row.get("frames") or ())
    time_ns = int(row.get("t") or 0)
    gap = LONGEST_WEIGHT_NS if before_ns is None else float(time_ns - before_ns)
    state = row.get("state")
    return Stack(
        time_ns=time_ns,
        weight_ns=min(gap, LONGEST_WEIGHT_NS) if before_ns is not None else 25e6,
        phase=phase,
        location=row.get("location"),
        function=row.get("function"),
        frames=frames,
        runs=None if state is None else state == "R",
        users=tuple(frames[i] for i in reversed(row.get("users") or ()) if i < len(frames)),
    )


def short(file: str) -> str:
    """A library's file as it is shown: from its package on, or, of Python's own, from its library's folder on."""
    for folder in ("site-packages/", "dist-packages/"):
        if folder in file:
            return file.rpartition(folder)[2]
    return re.sub(r"^.*/lib(?:64)?/python3[^/]*/", "", file)


class Lines:
    """The stacks of a lane's steps."""

    def __init__(self, stacks: Sequence[Stack]) -> None:
        self.stacks = stacks

    def of(self, *phases: str) -> Lines:
        """Those in some phases."""
        return Lines([stack for stack in self.stacks if stack.phase in phases])

    def where(self, test: Callable[[Stack], bool]) -> Lines:
        """Those that pass a test."""
        return Lines([stack for stack in self.stacks if test(stack)])

    def __len__(self) -> int:
        return len(self.stacks)

    @property
    def weight_ns(self) -> float:
        return sum(stack.weight_ns for stack in self.stacks)

    def share_of(self, other: Lines) -> float:
        """Which part of another set's time these stand for; 0 of an empty one."""
        whole = other.weight_ns
        return self.weight_ns / whole if whole else 0.0

    def surely_of(self, other: Lines) -> float:
        """The part by time, but no more than by number: one stack of a long step must not decide."""
        return min(self.share_of(other), len(self) / len(other)) if len(other) else 0.0

    def top(self) -> tuple[str, str, float] | None:
        """(location, function, its share) of the line that most of the time stands at."""
        by_line: dict[tuple[str, str], float] = defaultdict(float)
        for stack in self.stacks:
            if stack.location:
                by_line[stack.location, stack.function or ""] += stack.weight_ns
        if not by_line:
            return None
        (location, function), weight = max(by_line.items(), key=lambda item: item[1])
        return location, function, weight / (self.weight_ns or 1.0)

    @property
    def location(self) -> str | None:
        """The line of the user's code where most of the time stands."""
        top = self.top()
        return top[0] if top else None

    def statement(self, others: Lines) -> str | None:
        """The innermost line that most of these stand at or below, and none of the others: one statement and its calls.

        Work that is spread over many lines of a function is named where that function is called; the lines around it
        which other work shares (the call of `main`) are not.

        Args:
            others: stacks of other work of the same program.
        """
        shared = {frame for stack in others.stacks for frame in stack.users}
        covered: dict[tuple[str, int, str], float] = defaultdict(float)
        depth: dict[tuple[str, int, str], int] = {}
        for stack in self.stacks:
            for level, frame in enumerate(dict.fromkeys(stack.users)):
                covered[frame] += stack.weight_ns
                depth[frame] = max(level, depth.get(frame, 0))
        most = [frame for frame in covered if covered[frame] >= COVERS * self.weight_ns and frame not in shared]
        if not most:
            return self.location
        file, line, _ = max(most, key=lambda frame: depth[frame])
        return f"{file}:{line}"


def after_update(lines: Lines, update_chain: Sequence[Sequence[Any]] | None = None) -> Lines:
    """The stacks in unhooked phases that stand in the source after the update's own line, in the same loop.

    In a loop without a loader the time between an update and the next forward pass is in no span; but the line tells:
    in the innermost function that both stacks share, what stands below the optimizer's line runs after it.

    Args:
        lines: the stacks.
        update_chain: the user's frames (file, line, function) that made the first update, outermost first; where the
            guest did not note them, stacks that met the update tell.
    """
    if update_chain:
        chains = {tuple((str(file), int(line), str(name)) for file, line, name in update_chain)}
    else:
        updates = lines.of("optimizer").stacks or lines.of("compute").stacks
        chains = {stack.users for stack in updates if stack.users}
    return lines.of("forward", "unexplained").where(lambda stack: any(_follows(stack.users, one) for one in chains))


def _follows(chain: Sequence[tuple[str, int, str]], update: Sequence[tuple[str, int, str]]) -> bool:
    for (file, line, function), (other_file, other_line, other_function) in zip(chain, update, strict=False):
        if (file, function) != (other_file, other_function):
            return False
        if line != other_line:
            return line > other_line
    return False
