"""The ranks of a lane: one line that names the slowest, and a row each with a bar of own time and waiting."""

from __future__ import annotations

from collections.abc import Sequence

from fwtui.tui.cells import Canvas, clip
from fwtui.tui.theme import STATE_INK
from fwtui.view.frame import LaneFrame, RankFrame
from fwtui.view.units import show

TROUBLES = ("killed", "lost", "hung", "failed")
HEAD = f"{'rank':>4} {'state':<9}{'steps':>8}{'median':>9}{'spread':>9}{'own':>9}{'waits':>9}"


def summary(lane: LaneFrame) -> str:
    """How many ranks there are, what they take of their own, who is slowest, or who is in trouble."""
    known = [rank for rank in lane.ranks if rank.own_ms is not None]
    parts = [f"{len(lane.ranks):,}"]
    if known:
        own = [rank.own_ms or 0.0 for rank in known]
        parts.append(f"own step {show(min(own), 'ms')} – {show(max(own), 'ms')}")
        parts.append(f"slowest: rank {slowest(known).rank}")
    waits = [rank.communication_ms for rank in lane.ranks if rank.communication_ms is not None]
    if waits:
        parts.append(f"communication up to {show(max(waits), 'ms')}")
    troubled = [f"rank {rank.rank} {rank.state}" for rank in lane.ranks if rank.state in TROUBLES]
    return " · ".join([*troubled[:2], *parts])


def slowest(ranks: Sequence[RankFrame]) -> RankFrame:
    """The rank with the longest step of its own."""
    return max(ranks, key=lambda rank: rank.own_ms or 0.0)


def draw(canvas: Canvas, row: int, lane: LaneFrame, most: int) -> int:
    """The ranks' rows, at most so many with the heading; returns the row below."""
    column = canvas.put(row, 1, "ranks", "strong")
    column = canvas.put(row, column + 2, "█", "line")
    column = canvas.put(row, column, " own time  ", "dim")
    column = canvas.put(row, column, "░", "warn")
    canvas.put(row, column, " communication: waits for the others", "dim")
    canvas.put(row + 1, 1, clip(_head(lane), canvas.width - 2), "dim")
    row += 2
    shown = _chosen(lane.ranks, most - 2)
    longest = max((_whole(rank) for rank in lane.ranks), default=0.0)
    known = [rank for rank in lane.ranks if rank.own_ms is not None]
    last = slowest(known) if known else None
    for rank in shown:
        _row(canvas, row, lane, rank, longest)
        if rank is last and len(known) > 1:
            canvas.put(row, 0, "▸", "stall")
        row += 1
    if len(shown) < len(lane.ranks):
        canvas.put(row, 1, f"… {len(lane.ranks) - len(shown):,} more between them", "dim")
        row += 1
    return row


def _several_hosts(lane: LaneFrame) -> bool:
    return len({rank.host for rank in lane.ranks}) > 1


def _head(lane: LaneFrame) -> str:
    return HEAD + ("  host" if _several_hosts(lane) else "")


def _row(canvas: Canvas, row: int, lane: LaneFrame, rank: RankFrame, longest: float) -> None:
    times = rank.step_ms
    median, spread = show(times.median if times else None, "ms"), show(times.iqr if times else None, "ms")
    text = (
        f"{rank.rank:>4} {rank.state:<9}{rank.steps:>8,}{median:>9}{spread:>9}"
        f"{show(rank.own_ms, 'ms'):>9}{show(rank.communication_ms, 'ms'):>9}"
    )
    if _several_hosts(lane):
        text += f"  {clip(rank.host, 14):<14}"
    column = canvas.put(row, 1, clip(text, canvas.width - 2), STATE_INK.get(rank.state, "text")) + 2
    room = canvas.width - column - 2
    if room < 8 or not longest:
        return
    own = round(room * (rank.own_ms or 0.0) / longest)
    canvas.put(row, column, "█" * own, "line")
    waits = round(room * (rank.communication_ms or 0.0) / longest)
    canvas.put(row, column + own, "░" * min(waits, room - own), "warn")


def _whole(rank: RankFrame) -> float:
    return (rank.own_ms or 0.0) + (rank.communication_ms or 0.0)


def _chosen(ranks: Sequence[RankFrame], room: int) -> list[RankFrame]:
    """All where there is room; else those in trouble, then the slowest, in the order of ranks."""
    if len(ranks) <= room:
        return list(ranks)
    ordered = sorted(ranks, key=lambda rank: (rank.state not in TROUBLES, -(rank.own_ms or 0.0)))
    return sorted(ordered[: max(1, room - 1)], key=lambda rank: rank.rank)
