"""The lanes' typical steps as bars under each other, on one scale: who is faster, by how much, and where it goes."""

from __future__ import annotations

from fwtui.tui import phase_bar, ranking
from fwtui.tui.cells import Canvas, clip
from fwtui.tui.theme import STATE_INK
from fwtui.view.frame import Frame, LaneFrame
from fwtui.view.units import show

LEAST_BAR = 16
MOST_NAME = 30


def draw(canvas: Canvas, frame: Frame, focused: int) -> None:
    """A row a lane, fastest first: name, typical step, its phases, and how long it takes of the fastest one's."""
    lanes = [frame.lanes[index] for index in frame.ranking]
    ends = [[*_ends(lane, frame), *_trouble(lane, canvas.width)] for lane in lanes]
    end_widths = [sum(len(text) + 2 for text, _ in end) for end in ends]
    shares = _shares(lanes, frame)
    names = _name_width(canvas.width, lanes, max(end_widths, default=0))
    bar = 2 + names + 10
    rooms = [(canvas.width - bar - end) / share for end, share in zip(end_widths, shares, strict=True) if share]
    room = max(0.0, min(rooms, default=0.0))
    for row, (lane, share, end) in enumerate(zip(lanes, shares, ends, strict=True)):
        canvas.put(row, 0, "▌" if lane.index == focused and len(lanes) > 1 else " ", "line")
        canvas.links[row] = f"focus_lane({lane.index})"
        fastest = lane.ratio == 1.0 and len(lanes) > 1
        canvas.put(row, 1, clip(lane.name, names), "strong" if fastest or lane.ratio is None else "text")
        if not lane.typical_ms:
            canvas.put(row, 2 + names, clip(_doing(lane), canvas.width - names - 3), STATE_INK[lane.state])
            continue
        total = sum(lane.typical_ms.values())
        canvas.right(row, bar - 1, show(total, "ms"), "strong")
        length = max(1, int(room * share))
        phase_bar.draw(canvas, row, bar, length, lane.typical_ms, total)
        column = bar + length + 1
        for text, ink in end:
            column = canvas.put(row, column, clip(text, canvas.width - column), ink) + 2


def _shares(lanes: list[LaneFrame], frame: Frame) -> list[float]:
    """Each typical step as a share of the longest; 1 for all where the work is unequal, 0 where none is known."""
    spans = [sum((lane.typical_ms or {}).values()) * _scale(lane, frame) for lane in lanes]
    if frame.comparison is not None and not frame.comparison.fair:
        return [float(span > 0) for span in spans]
    longest = max(spans, default=0.0) or 1.0
    return [span / longest for span in spans]


def _name_width(width: int, lanes: list[LaneFrame], longest_end: int) -> int:
    """Cells of the names; on a narrow screen they are cut before what stands behind the bars."""
    longest = max((len(lane.name) for lane in lanes), default=0)
    return max(8, min(longest, MOST_NAME, width - 14 - longest_end - LEAST_BAR))


def _scale(lane: LaneFrame, frame: Frame) -> float:
    """What makes steps of unequal batches comparable: samples of the fastest lane's step over this one's."""
    if not all(one.samples_per_step for one in frame.lanes):
        return 1.0
    first = frame.lanes[frame.ranking[0]]
    return (first.samples_per_step or 1.0) / (lane.samples_per_step or 1.0)


def _trouble(lane: LaneFrame, width: int) -> list[tuple[str, str]]:
    """What must be known besides: a bad end, a stall that lasts, and what stalls cost, being no part of the bar."""
    if lane.state in ("failed", "killed", "hung", "lost") or lane.current_stall is not None:
        return [(f"▲ {lane.stage}", STATE_INK[lane.state])]
    if not lane.typical_ms or not lane.lost_share or lane.lost_share < 0.01:
        return []
    return [(f"{show(lane.lost_share, 'share')} lost{' in stalls' if width >= 100 else ''}", "stall")]


def _ends(lane: LaneFrame, frame: Frame) -> list[tuple[str, str]]:
    """What stands behind a lane's bar, each with its ink."""
    if not lane.typical_ms or lane.ratio is None:
        return []
    if frame.comparison is None:
        return [(show(lane.rate, "it/s"), "dim")]
    if not frame.comparison.fair:
        return []
    if lane.ratio == 1.0:
        return [("◀ fastest", "good")] if ranking.leads(frame) else []
    interval = " [{:.2f}, {:.2f}]".format(*lane.ratio_ci95) if lane.ratio_ci95 else ""
    word = ranking.verdict_of(lane, frame)
    if word in ("no difference", "undecided"):
        return [(f"{show(lane.ratio, 'x')}{interval} {word}", "good" if word == "no difference" else "warn")]
    return [(f"{show(lane.ratio, 'x')} as long{interval}", "strong")]


def _doing(lane: LaneFrame) -> str:
    seconds = f" {lane.stage_s:.1f} s" if lane.stage_s is not None and lane.state != "training" else ""
    return lane.stage + seconds
