"""The top line: who is fastest, by how much, what time is lost and why."""

from __future__ import annotations

from collections.abc import Sequence

from fwtui.tui.cells import Canvas, clip
from fwtui.view.frame import Frame, LaneFrame
from fwtui.view.units import show

Part = tuple[str, str]
"""(text, ink)"""


def draw(canvas: Canvas, frame: Frame, moment: str) -> None:
    """Draw the fullest wording that fits."""
    for level in range(5):
        parts = _parts(frame, moment, level)
        if sum(len(text) for text, _ in parts) <= canvas.width:
            break
    column = 0
    for text, ink in parts:
        column = canvas.put(0, column, clip(text, canvas.width - column), ink)


def _parts(frame: Frame, moment: str, level: int) -> list[Part]:
    """The line's parts; a higher level says less."""
    parts: list[Part] = [("fwtui ", "strong")] if level < 3 else []
    if level < 2:
        parts.append((f" {frame.name} · {frame.schedule}  ", "dim"))
    parts.append((f"{moment}  ", "warn" if moment.startswith(("paused", "at ")) else "text"))
    comparison = frame.comparison
    if comparison is not None and not comparison.fair:
        details = "; ".join(reason.detail for reason in comparison.unfair_reasons)
        return [*parts, ("UNFAIR ", "bad"), (details, "warn")]
    if comparison is not None and any(pair.verdict == "no difference" for pair in comparison.pairs) and level < 4:
        parts.append(("no difference  " if len(frame.lanes) == 2 else "", "good"))
    ranked = [frame.lanes[index] for index in frame.ranking if frame.lanes[index].ratio is not None]
    if not ranked:
        return parts + _unranked(frame.lanes)
    for lane in ranked:
        parts += _lane(lane, level, len(ranked) > 1)
    return parts


def _unranked(lanes: Sequence[LaneFrame]) -> list[Part]:
    words = [f"{lane.name}: {lane.stage}" for lane in lanes]
    return [("   ".join(words), "dim")]


def _lane(lane: LaneFrame, level: int, compared: bool) -> list[Part]:
    fastest = lane.ratio == 1.0
    parts: list[Part] = [(f" {lane.name} ", "strong" if fastest else "text")]
    if level < 1:
        parts.append((f"{show(lane.rate, 'it/s')} ", "dim"))
    if compared:
        parts.append((_ratio(lane, level), "good" if fastest else "text"))
    if lane.lost_share and lane.lost_share >= 0.01 and level < 4:
        cause = f": {lane.findings[0].code}" if lane.findings and level < 2 else ""
        parts.append((f"{show(lane.lost_share, 'share')} lost{cause} ", "stall"))
    elif lane.findings and level < 1:
        parts.append((f"{lane.findings[0].code} ", "stall"))
    return [*parts, (" ", "text")]


def _ratio(lane: LaneFrame, level: int) -> str:
    if lane.ratio == 1.0:
        return "1.00x ◀ fastest " if level < 3 else "1.00x ◀ "
    interval = ""
    if lane.ratio_ci95 and level < 3:
        interval = " [{:.2f}, {:.2f}]".format(*lane.ratio_ci95)
    return f"{show(lane.ratio, 'x')}{' as long' if level < 3 else ''}{interval} "
