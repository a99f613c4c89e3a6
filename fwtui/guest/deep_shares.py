"""From intervals of operations to wall time: at each moment the time is shared equally by what runs then."""

from __future__ import annotations

from typing import Any, Dict, Hashable, List, NamedTuple, Tuple

MOST_ROWS = 400
"""Rows of the table; the rest is told in one."""


class Interval(NamedTuple):
    """An operation that ran."""

    start: int
    end: int
    key: Hashable
    """What it was: (name, kind, group)."""


def share_wall_time(intervals: List[Interval]) -> Tuple[Dict[Hashable, float], Dict[Hashable, int], float]:
    """Wall time of each operation, how often each ran, and the time in which anything ran.

    A clock that runs at 1/n while n operations are active gives each one its share: the clock's advance between its
    start and its end. The shares sum to the busy time, whatever runs in parallel.
    """
    edges: List[Tuple[int, int, int]] = []
    for index, (start, end, _) in enumerate(intervals):
        if end > start:
            edges += [(start, 1, index), (end, 0, index)]
    edges.sort()
    wall: Dict[Hashable, float] = {}
    calls: Dict[Hashable, int] = {}
    begun: Dict[int, float] = {}
    clock, busy, last = 0.0, 0.0, 0
    for moment, starts, index in edges:
        if begun:
            clock += (moment - last) / len(begun)
            busy += moment - last
        last = moment
        if starts:
            begun[index] = clock
        else:
            key = intervals[index].key
            wall[key] = wall.get(key, 0.0) + clock - begun.pop(index)
            calls[key] = calls.get(key, 0) + 1
    return wall, calls, busy


def innermost(spans: List[Interval]) -> List[Interval]:
    """Nested intervals of one thread cut so that only the innermost one is left at each moment."""
    cut: List[Interval] = []
    stack: List[List[Any]] = []  # [end, key, since]

    def leave(until: int) -> None:
        while stack and stack[-1][0] <= until:
            end, key, since = stack.pop()
            if end > since:
                cut.append(Interval(since, end, key))
            if stack:
                stack[-1][2] = max(stack[-1][2], end)

    for start, end, key in sorted(spans, key=lambda span: (span.start, -span.end)):
        leave(start)
        if stack and start > stack[-1][2]:
            cut.append(Interval(stack[-1][2], start, stack[-1][1]))
        if stack:
            stack[-1][2] = end
        stack.append([end, key, start])
    leave(1 << 63)
    return cut


def table(intervals: List[Interval], unit_ns: float) -> Dict[str, Any]:
    """The rows for `deep.json`: `[name, kind, group, wall ns, calls]`, the longest first, and the busy time."""
    wall, calls, busy = share_wall_time(intervals)
    keys = sorted(wall, key=lambda key: -wall[key])
    rows = [[*key, round(wall[key] * unit_ns), calls[key]] for key in keys[:MOST_ROWS]]  # type: ignore[misc]
    rest = sum(wall[key] for key in keys[MOST_ROWS:])
    return {"operations": rows, "rest_ns": round(rest * unit_ns), "busy_ns": round(busy * unit_ns)}
