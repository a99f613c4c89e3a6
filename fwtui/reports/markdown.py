"""A run in Markdown, to be pasted into a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fwtui.reports import explanation, facts
from fwtui.reports.facts import Row
from fwtui.view import waterfall
from fwtui.view.frame import Frame
from fwtui.view.units import show
from fwtui.view.waterfall import Waterfall


def report(frame: Frame) -> str:
    """What a reviewer reads first, first: verdict, reasons, gap, findings; all figures in folds below."""
    heads = [f"{lane.index + 1} {lane.name}" for lane in frame.lanes]
    sections = [
        f"### fwtui: {_safe(frame.headline or facts.title(frame))}",
        _safe(facts.title(frame)),
        _list("Unfair, because", facts.unfair_lines(frame)),
        _list("Not decided", facts.undecided_lines(frame)),
        *(_waterfall("The gap by phase", gap) for gap in waterfall.by_phase(frame)),
        _explanation(frame),
        _list("Note", facts.condition_lines(frame)),
        _findings(frame),
        _safe(frame.notice or ""),
        _fold("All figures", _table("", heads, facts.lane_rows(frame)), unfolded=frame.comparison is None),
        _fold("The mean step by phase", _table("mean step", heads, facts.phase_rows(frame))),
        _fold("Same work?", _table("same work?", heads, facts.parity_rows(frame))),
        f"Run `{frame.run_id}` on {_safe(frame.host.cpu)}, {frame.host.cores} cores, "
        f"{show(frame.host.memory_bytes, 'bytes')} memory.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _safe(text: str) -> str:
    """A program's own words must not become markup, nor break a table."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _table(corner: str, heads: Sequence[str], rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    rules = ["---"] * (len(heads) + 1)
    lines = [map(_safe, (corner, *heads)), rules, *(map(_safe, (row.label, *row.cells)) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _fold(heading: str, table: str, unfolded: bool = False) -> str:
    """A table that is opened when somebody wants it."""
    return f"<details{' open' * unfolded}><summary>{heading}</summary>\n\n{table}\n\n</details>" if table else ""


def _list(heading: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{heading}**", "", *(f"- {_safe(line)}" for line in lines)]) if lines else ""


def _waterfall(heading: str, gap: Waterfall) -> str:
    lines = ["| part | ms | of the gap | |", "| --- | --- | --- | --- |"]
    for *cells, picture in waterfall.rows(gap):
        lines.append(f"| {' | '.join(map(_safe, cells))} | `{picture.replace(' ', '·')}` |")
    return "\n".join([f"**{heading}: {_safe(gap.title)}**", "", *lines])


def _explanation(frame: Frame) -> str:
    """The experiments as a table, and the commands that make them again."""
    if frame.explanation is None:
        return ""
    heads, rows = explanation.table(frame.explanation)
    lines = [heads, ["---"] * len(heads), *([_safe(cell) for cell in row] for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    again = [f"- {_safe(item.cause)}: `{item.command}`" for item in frame.explanation.experiments if item.command]
    gap = waterfall.by_cause(frame.explanation)
    parts = (
        "**Why, by experiment**",
        _safe(frame.explanation.sentence),
        _waterfall("The gap by cause", gap) if gap else "",
        table,
        "\n".join(again),
    )
    return "\n\n".join(part for part in parts if part)


def _findings(frame: Frame) -> str:
    lines = []
    for lane in frame.lanes:
        for finding in lane.findings:
            where = f" at `{finding.place}`" if finding.location else ""
            share = "" if finding.share is None else f", {show(finding.share, 'share')} of its time"
            lines.append(
                f"- **{_safe(lane.name)}: {finding.code}** ({finding.severity}{share}){where}: "
                f"{_safe(finding.evidence)}. {_safe(finding.advice)}"
            )
    return "\n".join(["**Findings**", "", *lines]) if lines else ""
