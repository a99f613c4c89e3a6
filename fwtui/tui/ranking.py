"""The top line: who is fastest, by how much, what time is lost and why."""

from __future__ import annotations

from collections.abc import Sequence

from fwtui.analysis.statistics import verdict
from fwtui.tui.cells import Canvas, clip
from fwtui.view.frame import Frame, LaneFrame
from fwtui.view.units import show

Part = tuple[str, str]
"""(text, ink)"""
_SAY: tuple[frozenset[str], ...] = tuple(
    frozenset(words.split())
    for words in (
        "app name schedule moment rate words cause lost interval",
        "app name moment words cause lost interval",
        "app moment words cause lost interval",
        "app words cause lost interval",
        "words cause lost interval",
        "words lost interval",
        "lost interval",
        "interval",
        "lost",
        "",
    )
)
"""What the line says, fullest first; the first wording that fits is taken. The interval goes late: it is the truth."""


def draw(canvas: Canvas, frame: Frame, moment: str, marked: bool) -> None:
    """Draw the fullest wording that fits; `marked`: the moment is not the newest, and must be read."""
    for say in _SAY:
        parts = _parts(frame, moment, say | {"moment"} if marked else say)
        if sum(len(text) for text, _ in parts) <= canvas.width:
            break
    column = 0
    for text, ink in parts:
        column = canvas.put(0, column, clip(text, canvas.width - column), ink)


def draw_verdict(canvas: Canvas, frame: Frame, moment: str, marked: bool) -> None:
    """Draw the verdict in words, above the lanes' bars that say the rest; behind it the run and its moment."""
    words, ink = verdict_words(frame)
    about = [("strong" if marked else "dim", moment)]
    for word in (frame.schedule if len(frame.lanes) > 1 else "", frame.name, "fwtui"):
        if word and 1 + len(words) + 3 + sum(len(text) + 3 for _, text in about) + len(word) <= canvas.width:
            about.insert(0, ("dim", word))
    room = canvas.width - 1
    if marked or len(words) + len(moment) + 3 <= canvas.width:
        start = canvas.width - 1 - sum(len(text) for _, text in about) - 3 * (len(about) - 1)
        column = start
        for place, (colour, text) in enumerate(about):
            column = canvas.put(0, column, text, "warn" if marked and text == moment else colour)
            column = canvas.put(0, column, " · ", "dim") if place < len(about) - 1 else column
        room = start - 3
    canvas.put(0, 1, words if len(words) <= room else clip(words.partition(" [")[0], room), ink)


def verdict_words(frame: Frame) -> tuple[str, str]:
    """The verdict in one line, and its ink."""
    comparison = frame.comparison
    if comparison is not None and not comparison.fair:
        return frame.headline, "bad"
    ranked = [frame.lanes[index] for index in frame.ranking if frame.lanes[index].ratio is not None]
    if comparison is None or len(ranked) < 2:
        doing = "measuring" if any(lane.steps for lane in frame.lanes) else "the lanes get ready"
        return (f"no verdict yet: {doing}" if frame.status == "running" else "no verdict", "dim")
    if len(frame.lanes) == 2:
        word = comparison.pairs[0].verdict
        return frame.headline, {"undecided": "warn", "no difference": "good"}.get(word, "strong")
    first, second = ranked[:2]
    if leads(frame):
        return (
            f"{first.name} is the fastest of {len(ranked)}: {second.name} takes {second.ratio:.2f}x as long",
            "strong",
        )
    if verdict_of(second, frame) == "no difference":
        return f"{first.name} and {second.name} are the fastest of {len(ranked)}: no difference between them", "good"
    return f"undecided which of {len(ranked)} is the fastest: {first.name} or {second.name}", "warn"


def verdict_of(lane: LaneFrame, frame: Frame) -> str:
    """Whether a lane is known to be slower than the fastest one: `slower`, `no difference`, `undecided`."""
    comparison = frame.comparison
    if comparison is not None and len(comparison.pairs) == 1:
        word = comparison.pairs[0].verdict
        return "slower" if word == "faster" else word
    return verdict(lane.ratio_ci95) if lane.ratio_ci95 else "undecided"


def leads(frame: Frame) -> bool:
    """Whether the first of the ranking is known to be the fastest."""
    ranked = [frame.lanes[index] for index in frame.ranking if frame.lanes[index].ratio is not None]
    return len(ranked) > 1 and verdict_of(ranked[1], frame) == "slower"


def _parts(frame: Frame, moment: str, say: frozenset[str]) -> list[Part]:
    parts: list[Part] = [("fwtui  ", "strong")] if "app" in say else []
    if "name" in say:
        parts.append((f"{frame.name}{f' · {frame.schedule}' if 'schedule' in say else ''} · ", "dim"))
    if "moment" in say:
        parts.append((f"{moment}   ", "warn" if moment.startswith(("paused", "at ")) else "text"))
    comparison = frame.comparison
    if comparison is not None and not comparison.fair:
        details = "; ".join(f"{r.code.replace('-', ' ')} {r.detail}" for r in comparison.unfair_reasons)
        return [*parts, ("UNFAIR ", "bad"), (details if "cause" in say else clip(details, 60), "warn")]
    ranked = [frame.lanes[index] for index in frame.ranking if frame.lanes[index].ratio is not None]
    if not ranked:
        return parts + _unranked(frame.lanes)
    same = comparison is not None and all(pair.verdict == "no difference" for pair in comparison.pairs)
    if same and len(ranked) > 1:
        parts.append(("no difference   ", "good"))
    undecided = comparison is not None and any(pair.verdict == "undecided" for pair in comparison.pairs)
    if undecided and not same and len(ranked) == 2:
        parts.append(("undecided   ", "warn"))
    for place, lane in enumerate(ranked):
        parts += _lane(lane, say, len(ranked) > 1, same or (undecided and len(ranked) == 2))
        if place < len(ranked) - 1:
            parts.append(("   " if "words" in say else "  ", "text"))
    return parts


def _unranked(lanes: Sequence[LaneFrame]) -> list[Part]:
    words = [f"{lane.name}: {lane.stage}" for lane in lanes]
    return [("   ".join(words), "dim")]


def _lane(lane: LaneFrame, say: frozenset[str], compared: bool, level: bool) -> list[Part]:
    """`level`: no lane is known to be the fastest."""
    fastest = lane.ratio == 1.0 and not level
    parts: list[Part] = [(lane.name, "strong" if fastest or level else "text")]
    if "rate" in say:
        parts.append((f" {show(lane.rate, 'it/s')}", "dim"))
    if compared and fastest:
        parts.append((" ◀ fastest" if "words" in say else " ◀", "good"))
    elif compared and lane.ratio != 1.0:
        parts.append((" " + _ratio(lane, say), "strong"))
    if lane.lost_share and lane.lost_share >= 0.01 and "lost" in say:
        cause = f" ({lane.findings[0].code})" if lane.findings and "cause" in say else ""
        parts.append((f" {show(lane.lost_share, 'share')} lost{cause}", "stall"))
    elif lane.findings and "cause" in say:
        parts.append((f" {lane.findings[0].code}", "stall"))
    return parts


def _ratio(lane: LaneFrame, say: frozenset[str]) -> str:
    interval = ""
    if lane.ratio_ci95 and "interval" in say:
        interval = " [{:.2f}, {:.2f}]".format(*lane.ratio_ci95)
    return f"{show(lane.ratio, 'x')}{' as long' if 'words' in say else ''}{interval}"
