"""A run in plain text: one line of progress while it goes on, and the summary."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from fwtui.analysis.results import Finding
from fwtui.reports import explanation, facts
from fwtui.reports.facts import Row
from fwtui.view import waterfall
from fwtui.view.frame import ENDED_STATES, Frame, LaneFrame
from fwtui.view.units import show

WIDTH = 100
"""No line of the summary is longer, but for a word (a path) that cannot be broken."""
_GAP = 2
_NARROWEST = 20
"""Lanes that would get less than this go into a table of their own below."""


def progress_line(frame: Frame) -> str:
    """One line: the time, and for each lane its step, rate and time left, or what it is doing."""
    return " | ".join([f"{show(frame.elapsed_s, 's'):>7}", *(_lane_progress(lane) for lane in frame.lanes)])


def _lane_progress(lane: LaneFrame) -> str:
    steps = f"{lane.steps}/{lane.steps_total}" if lane.steps_total else f"{lane.steps}"
    if lane.state in ENDED_STATES:
        return f"{lane.name} {lane.state} at step {steps}"
    if not lane.steps and lane.why_no_steps:
        return f"{lane.name} no step: {lane.why_no_steps}"
    if not lane.steps:
        since = "" if lane.stage_s is None else f" {show(lane.stage_s, 's')}"
        return f"{lane.name} {lane.stage or lane.state}{since}"
    parts = [f"{lane.name} step {steps}", show(lane.rate, "it/s")]
    if lane.time_left_s is not None:
        parts.append(f"eta {show(lane.time_left_s, 's')}")
    if lane.state not in ("training", "waiting"):
        parts.append(lane.state)
    return ", ".join(parts)


def summary(frame: Frame) -> str:
    """The whole result, at most `WIDTH` columns wide."""
    sections = [[facts.title(frame), *_filled(frame.headline)], *_tables(frame)]
    for heading, lines in (
        ("unfair, because", facts.unfair_lines(frame)),
        ("not decided", facts.undecided_lines(frame)),
        ("note", facts.condition_lines(frame)),
    ):
        if lines:
            sections.append([heading, *(line for text in lines for line in _filled(text, "  ", "    "))])
    for gap in waterfall.by_phase(frame):
        sections.append(["the gap by phase: " + gap.title, *waterfall.lines(gap)])
    if frame.explanation:
        sections.append(["why, by experiment", *explanation.lines(frame.explanation)])
    findings = list(_findings(frame.lanes))
    if findings:
        sections.append(["findings", *findings])
    if frame.notice:
        sections.append(_filled(frame.notice))
    sections.append([f"run folder  {frame.path}"])
    return "\n\n".join("\n".join(line.rstrip() for line in section) for section in sections if section) + "\n"


def _tables(frame: Frame) -> Iterator[list[str]]:
    """The lanes' table, the phases' and the parity list, in as many parts as the width needs."""
    lanes, phases, parity = facts.lane_rows(frame), facts.phase_rows(frame), facts.parity_rows(frame)
    label = max((len(row.label) for row in (*lanes, *phases, *parity)), default=0)
    room = (WIDTH - label) // (_NARROWEST + _GAP)
    parts = -(-len(frame.lanes) // room)
    size = -(-len(frame.lanes) // parts) if parts else 0
    for first in range(0, len(frame.lanes), size or 1):
        part = slice(first, first + size)
        heads = [f"{lane.index + 1} {lane.name}" for lane in frame.lanes[part]]
        yield _table("", heads, [Row(row.label, row.cells[part]) for row in lanes], label)
        if phases:
            rows = [Row(row.label, row.cells[part]) for row in phases]
            yield _table("mean step", heads, rows, label)
        if parity:
            yield _table("same work?", heads, [Row(row.label, row.cells[part]) for row in parity], label)


def _table(corner: str, heads: Sequence[str], rows: Sequence[Row], label: int) -> list[str]:
    """Columns as wide as their cells need, no wider than an equal part of the width; longer cells go on below."""
    most = (WIDTH - label) // len(heads) - _GAP
    widths = [
        min(most, max(len(cell) for cell in column)) for column in zip(heads, *(row.cells for row in rows), strict=True)
    ]
    lines = []
    for text, cells in [(corner, heads), *((row.label, row.cells) for row in rows)]:
        wrapped = [_filled_to(cell, width) for cell, width in zip(cells, widths, strict=True)]
        for depth in range(max(len(cell) for cell in wrapped)):
            line = (text if depth == 0 else "").ljust(label)
            for cell, width in zip(wrapped, widths, strict=True):
                line += " " * _GAP + (cell[depth] if depth < len(cell) else "").ljust(width)
            lines.append(line)
    lines.insert(1, "-" * (label + sum(width + _GAP for width in widths)))
    return lines


def _filled_to(cell: str, width: int) -> list[str]:
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width) or [""]


def _filled(text: str, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False)


def _findings(lanes: Sequence[LaneFrame]) -> Iterator[str]:
    for lane in lanes:
        for finding in lane.findings:
            yield from _finding(lane.name, finding)


def _finding(lane: str, finding: Finding) -> Iterator[str]:
    share = "" if finding.share is None else f", {show(finding.share, 'share')} of its time"
    yield f"  {lane}: {finding.code} ({finding.severity}{share})"
    yield from _filled(finding.evidence, "      ", "      ")
    if finding.location:
        yield from _filled(finding.place, "      at ", "         ")
    yield from _filled(finding.advice, "      -> ", "         ")
