"""A gap as a waterfall: its parts under each other, each bar beginning where the one above it ends; pure text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fwtui.analysis.cause_split import split
from fwtui.analysis.explanation import Explanation
from fwtui.analysis.results import Cause, Pair
from fwtui.view.frame import Frame
from fwtui.view.units import show

WIDTH, BAR = 100, 28
"""Columns of text, and cells of its bars."""
_LEAST_PART = 0.02
"""Parts smaller than this share of the largest are told together."""
_LABEL = 30

Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One part."""

    label: str
    ms: float
    ci95: Interval
    share: float | None
    start_ms: float
    """Where it begins: at the sum of the parts above."""

    @property
    def size(self) -> str:
        """`+1.05 ms [+0.840, +1.25]`"""
        return signed(self.ms, self.ci95)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A gap and its parts, which sum to it."""

    title: str
    bars: tuple[Bar, ...]
    gap: Bar


def by_phase(frame: Frame) -> Iterator[Waterfall]:
    """The gap of every pair that has figures, by phase."""
    comparison = frame.comparison
    for pair in comparison.pairs if comparison else ():
        if comparison is None or pair.verdict == "unfair" or pair.gap_ms is None or not pair.causes:
            continue
        title = f"{pair.lane} against {comparison.baseline}, a step"
        yield _made(title, list(_parts(pair)), pair.gap_ms, pair.gap_ci95)


def by_cause(explanation: Explanation) -> Waterfall | None:
    """The gap by what experiments proved; None before anything is."""
    parts, gap = split(explanation), explanation.gap_ms
    if not parts or gap is None:
        return None
    rows = [(part.cause, part.ms.value, part.ms.ci95, part.share) for part in parts]
    return _made(f"{explanation.slower} against {explanation.faster}, a step", rows, gap.value, gap.ci95)


def lines(waterfall: Waterfall, width: int = WIDTH) -> list[str]:
    """The waterfall as text of so many columns, without its title."""
    text = []
    for bar, picture in zip(
        (*waterfall.bars, waterfall.gap), _pictures(waterfall, max(6, width - WIDTH + BAR)), strict=True
    ):
        share = "" if bar.share is None else show(bar.share, "share").replace("-", "−")
        first, *more = textwrap.wrap(bar.label, _LABEL)
        text.append(f"  {first:<{_LABEL}} {bar.size:<27} {share:>7}  {picture}".rstrip())
        text += [f"    {line}" for line in more]
    return text


def rows(waterfall: Waterfall) -> list[tuple[str, ...]]:
    """The waterfall as rows of (part, ms, share of the gap, picture)."""
    return [
        (bar.label, bar.size, "" if bar.share is None else show(bar.share, "share"), picture)
        for bar, picture in zip((*waterfall.bars, waterfall.gap), _pictures(waterfall), strict=True)
    ]


def signed(ms: float, interval: Interval) -> str:
    """`+2.10 ms [+1.95, +2.24]`"""
    text = ("+" if ms >= 0 else "−") + show(abs(ms), "ms")
    return text if interval is None else text + f" [{interval[0]:+.3g}, {interval[1]:+.3g}]".replace("-", "−")


def cause_name(cause: Cause) -> str:
    """`input-bound (data)`, `compute`: the finding that explains the part, and its phase."""
    return cause.code if cause.phase in (None, cause.code) else f"{cause.code} ({cause.phase})"


Row = tuple[str, float, Interval, float | None]


def _parts(pair: Pair) -> Iterator[Row]:
    least = _LEAST_PART * max(abs(cause.ms) for cause in pair.causes)
    for cause in pair.causes:
        if abs(cause.ms) >= least:
            yield cause_name(cause), cause.ms, cause.ci95, cause.share_of_gap
    rest = sum(cause.ms for cause in pair.causes if abs(cause.ms) < least)
    if rest:
        yield "the rest", rest, None, None


def _made(title: str, parts: Sequence[Row], gap_ms: float, gap_ci95: Interval) -> Waterfall:
    bars, at = [], 0.0
    for label, ms, ci95, share in parts:
        bars.append(Bar(label, ms, ci95, share, at))
        at += ms
    return Waterfall(title, tuple(bars), Bar("the gap", gap_ms, gap_ci95, None, 0.0))


def _pictures(waterfall: Waterfall, room: int = BAR) -> list[str]:
    """A line of cells for each bar, and for the gap."""
    bars = (*waterfall.bars, waterfall.gap)
    ends = [edge for bar in bars for edge in (bar.start_ms, bar.start_ms + bar.ms)]
    low, span = min(ends), max(ends) - min(ends) or 1.0

    def cell(ms: float) -> int:
        return round((ms - low) / span * room)

    pictures = []
    for bar in bars:
        first, last = sorted((cell(bar.start_ms), cell(bar.start_ms + bar.ms)))
        pictures.append(" " * min(first, room - 1) + ("█" * (last - first) or "▏"))
    return pictures
