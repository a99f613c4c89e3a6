"""Two compared runs as text, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fwtui.reports.json_report import plain
from fwtui.view.two_runs import Change, LaneChange, TwoRuns
from fwtui.view.units import show

NOT_PAIRED = (
    "two sessions are not paired: the intervals hold the noise within each and from start to start, not another day's"
)


def text(compared: TwoRuns) -> str:
    """The comparison in lines."""
    lines = [f"A  {compared.before}", f"B  {compared.after}", ""]
    for lane in compared.lanes:
        lines += [verdict_line(lane), *(f"    {line}" for line in details(lane))]
    lines += [f"only in A: {name}" for name in compared.only_before]
    lines += [f"only in B: {name}" for name in compared.only_after]
    if compared.changes:
        lines += ["", "the machine and the run", *(f"    {line}" for line in _change_lines(compared.changes))]
    return "\n".join([*lines, "", *compared.disturbed, NOT_PAIRED]) + "\n"


def markdown(compared: TwoRuns, judgement: str = "") -> str:
    """The comparison for a pull request; a judgement is put above it."""
    lines = [
        f"### fwtui: `{compared.after}` against `{compared.before}`",
        "",
        *([f"**{judgement}**", ""] if judgement else []),
        "| lane | A | B | B / A | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for lane in compared.lanes:
        cells = (lane.lane, show(lane.before_ms, "ms"), show(lane.after_ms, "ms"), ratio_words(lane), word(lane))
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    lines.append("")
    for lane in compared.lanes:
        lines += [f"- **{lane.lane}**: {line}" for line in details(lane)]
    lines += [f"- only in A: {name}" for name in compared.only_before]
    lines += [f"- only in B: {name}" for name in compared.only_after]
    lines += [f"- {line}" for line in (*_change_lines(compared.changes), *compared.disturbed)]
    return "\n".join([*lines, "", f"_{NOT_PAIRED}_"]) + "\n"


def as_json(compared: TwoRuns) -> Any:
    """The comparison as plain values."""
    return {"schema": 1, **plain(compared)}


def verdict_line(lane: LaneChange) -> str:
    """`torch: 5.01 ms -> 5.60 ms, 1.12x [1.10, 1.14], slower`."""
    told = f"{show(lane.before_ms, 'ms')} -> {show(lane.after_ms, 'ms')}"
    return f"{lane.lane}: {told}, {', '.join(part for part in (ratio_words(lane), word(lane)) if part)}"


def ratio_words(lane: LaneChange) -> str:
    """`1.12x [1.10, 1.14]`; nothing where it must not be told."""
    pair = lane.pair
    if pair.ratio is None or pair.ci95 is None or pair.verdict == "unfair":
        return ""
    return f"{show(pair.ratio, 'x')} [{pair.ci95[0]:.2f}, {pair.ci95[1]:.2f}]"


def word(lane: LaneChange) -> str:
    """The verdict, with why it is none."""
    if lane.pair.verdict == "unfair":
        return "not the same work: " + "; ".join(f"{reason.code} {reason.detail}" for reason in lane.unequal)
    if lane.pair.verdict == "undecided":
        return f"undecided: {lane.pair.reason}"
    return lane.pair.verdict


def details(lane: LaneChange) -> Iterator[str]:
    """Where the difference lies, what came and went, and what changed."""
    if lane.ended_badly:
        yield f"it {'was ' * (lane.ended_badly != 'failed')}{lane.ended_badly} in B"
    if lane.pair.verdict in ("slower", "faster"):
        parts = [cause for cause in lane.pair.causes if abs(cause.share_of_gap or 0) >= 0.05]
        if parts:
            yield "of that " + ", ".join(f"{part.code} {part.ms:+.3g} ms" for part in parts)
    for finding in lane.appeared:
        where = f" at {finding.location}" if finding.location else ""
        yield f"new: {finding.code}{where}: {finding.evidence}"
    for finding in lane.vanished:
        yield f"gone: {finding.code}"
    yield from _change_lines(lane.changes)


def _change_lines(changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes:
        yield f"{change.name}: {change.before} -> {change.after}"
