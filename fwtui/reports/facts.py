"""The rows that every report in words shows: one table, so that text, markdown and HTML cannot disagree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fwtui.analysis.comparison import alternative_words
from fwtui.analysis.results import Pair
from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.view.frame import Frame, Gpu, LaneFrame
from fwtui.view.units import NOT_KNOWN, lost_words, show


class Row(NamedTuple):
    """One line of a table: a label and a cell a lane."""

    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the lanes' table: what it is called and how a lane's cell is written."""

    label: str
    cell: Callable[[LaneFrame], str]
    optional: bool = False
    """Left out when no lane has any of it."""


def _status(lane: LaneFrame) -> str:
    if lane.signal:
        return f"{lane.state} by {lane.signal}"
    return f"{lane.state}, exit code {lane.exit_code}" if lane.exit_code else lane.state


def _steps(lane: LaneFrame) -> str:
    total = "" if lane.steps_total is None or lane.steps_total == lane.steps else f" of {lane.steps_total:,}"
    return f"{lane.steps:,}{total}, {lane.steps_counted:,} counted"


def _spread(lane: LaneFrame) -> str:
    times = lane.step_ms
    return f"{show(times.p5, 'ms')} – {show(times.p95, 'ms')}" if times else NOT_KNOWN


def _stalls(lane: LaneFrame) -> str:
    if lane.lost_share is None:
        return NOT_KNOWN
    return f"{show(lane.lost_share, 'share')} in {lane.stalls} stall{'' if lane.stalls == 1 else 's'}"


def _loss(lane: LaneFrame) -> str:
    if lane.loss_first is None and lane.loss_last is None:
        return NOT_KNOWN
    return f"{show(lane.loss_first, 'number')} -> {show(lane.loss_last, 'number')}"


def _attributed(lane: LaneFrame) -> str:
    if lane.wall_s is None or lane.attributed_s is None:
        return show(lane.wall_s, "s")
    share = lane.attributed_s / lane.wall_s if lane.wall_s else None
    return f"{show(lane.wall_s, 's')}, {show(share, 'share')} attributed"


def _deep(lane: LaneFrame) -> str:
    if lane.deep is None:
        return NOT_KNOWN
    if not lane.deep.phases:
        return lane.deep.note or NOT_KNOWN
    parts = [f"{name} {show(share, 'share')}" for name, share in lane.deep.phases.items() if share >= 0.005]
    return f"{', '.join(parts)} (sampled in {lane.deep.steps} steps, which cost {show(lane.deep.cost_ms, 'ms')})"


def _ranks(lane: LaneFrame) -> str:
    """How many, on how many hosts, what they take of their own and how long the longest waits for others."""
    if not lane.ranks:
        return NOT_KNOWN
    own = [rank.own_ms for rank in lane.ranks if rank.own_ms is not None]
    waits = [rank.communication_ms for rank in lane.ranks if rank.communication_ms is not None]
    hosts = len({rank.host for rank in lane.ranks})
    offsets = [abs(rank.clock_offset_ms) for rank in lane.ranks if rank.clock_offset_ms is not None]
    parts = [
        f"{len(lane.ranks)}" + (f" on {hosts} hosts" if hosts > 1 else ""),
        f"own step {show(min(own), 'ms')} – {show(max(own), 'ms')}" if own else NOT_KNOWN,
        f"waiting up to {show(max(waits), 'ms')}" if waits else NOT_KNOWN,
        f"clocks up to {show(max(offsets), 'ms')} apart" if offsets else NOT_KNOWN,
    ]
    return ", ".join(part for part in parts if part != NOT_KNOWN)


def _operations(lane: LaneFrame) -> str:
    shown = lane.deep.operations[:3] if lane.deep else ()
    return ", ".join(f"{name} {show(ms, 'ms')}" for name, ms, _ in shown) or NOT_KNOWN


def _gpu(lane: LaneFrame) -> str:
    return gpu_words(lane.gpu) if lane.gpu else NOT_KNOWN


def gpu_words(gpu: Gpu) -> str:
    """A GPU's use on one line; what the driver does not tell is left out."""
    parts = [
        show(gpu.util, "share"),
        f"{show(gpu.memory_peak_bytes, 'bytes')} peak",
        f"{show(gpu.power_w, 'W')} of {show(gpu.power_limit_w, 'W')}",
        f"throttled: {', '.join(gpu.throttle_reasons)}" if gpu.throttle_reasons else NOT_KNOWN,
    ]
    return ", ".join(part for part in parts if NOT_KNOWN not in part) or NOT_KNOWN


MEASURES = (
    Measure("runs", lambda lane: lane.title),
    Measure("status", _status),
    Measure("error", lambda lane: lane.error or NOT_KNOWN, optional=True),
    Measure("no steps", lambda lane: lane.why_no_steps or NOT_KNOWN, optional=True),
    Measure("steps", _steps),
    Measure("step, median", lambda lane: show(lane.step_ms.median if lane.step_ms else None, "ms")),
    Measure("step, p5 – p95", _spread),
    Measure("rate", lambda lane: show(lane.rate, "it/s")),
    Measure("throughput", lambda lane: show(lane.throughput_samples_s, "samples/s")),
    Measure("lost", _stalls),
    Measure("lost to", lambda lane: lost_words(lane.lost), optional=True),
    Measure("start-up", lambda lane: show(lane.startup_s, "s")),
    Measure("compile", lambda lane: show(lane.compile_s, "s")),
    Measure("evaluation", lambda lane: show(lane.evaluation_s, "s"), optional=True),
    Measure("waited for turns", lambda lane: show(lane.waiting_s, "s"), optional=True),
    Measure("wall time", _attributed),
    Measure("CPU", lambda lane: show(lane.cpu_cores_mean, "cores")),
    Measure("memory, peak", lambda lane: show(lane.rss_peak_bytes, "bytes")),
    Measure("GPU", _gpu),
    Measure("loss", _loss),
    Measure("ranks", _ranks, optional=True),
    Measure("inside the step", _deep, optional=True),
    Measure("top operations", _operations, optional=True),
)
"""The lanes' table, in the order it is shown."""


def lane_rows(frame: Frame) -> list[Row]:
    """The lanes' table: `MEASURES`, each lane's ratio to the baseline, and the results that the programs told."""
    rows = []
    for measure in MEASURES:
        cells = tuple(measure.cell(lane) for lane in frame.lanes)
        if measure.optional and all(cell in (NOT_KNOWN, show(0, "s")) for cell in cells):
            continue
        rows.append(Row(measure.label, cells))
        if measure.label == "step, p5 – p95" and frame.comparison:
            rows.append(Row("step time", tuple(_ratio(frame, lane) for lane in frame.lanes)))
    names = dict.fromkeys(name for lane in frame.lanes for name in lane.results)
    for name in names:
        rows.append(Row(name.replace("_", " "), tuple(show(lane.results.get(name), "number") for lane in frame.lanes)))
    return rows


def _ratio(frame: Frame, lane: LaneFrame) -> str:
    comparison = frame.comparison
    if comparison is None or lane.step_ms is None:
        return NOT_KNOWN
    if lane.name == comparison.baseline:
        return "1.00x, the baseline"
    pair = next((pair for pair in comparison.pairs if pair.lane == lane.name), None)
    return ratio_words(pair) if pair else NOT_KNOWN


def ratio_words(pair: Pair) -> str:
    """`1.99x [1.95, 2.03], slower`: a ratio never stands without its interval, nor at all when the work is unequal."""
    if pair.verdict == "unfair" or pair.ratio is None or pair.ci95 is None:
        return pair.verdict
    return f"{show(pair.ratio, 'x')} [{pair.ci95[0]:.2f}, {pair.ci95[1]:.2f}], {pair.verdict}"


def phase_rows(frame: Frame) -> list[Row]:
    """Where the mean counted step goes, a row a phase; phases that no lane measured are left out."""
    rows = []
    for name in PHASE_NAMES:
        phases = [lane.phases.get(name) for lane in frame.lanes]
        if all(phase is None for phase in phases):
            continue
        cells = (f"{show(phase.ms, 'ms'):>9} {show(phase.share, 'share'):>6}" if phase else "" for phase in phases)
        rows.append(Row(name, tuple(cell or NOT_KNOWN for cell in cells)))
    return rows


def unfair_lines(frame: Frame) -> list[str]:
    """Why the lanes cannot be compared, a line a reason."""
    comparison = frame.comparison
    if comparison is None:
        return []
    lines = [f"{reason.code}: {reason.detail}" for reason in comparison.unfair_reasons]
    for pair in comparison.pairs:
        lines += [f"fair instead: {words}" for words in alternative_words(pair, comparison.baseline)]
    return lines


_MARKS = {"equal": "✓", "unfair": "✗", "condition": "≠", "not known": "?"}


def parity_rows(frame: Frame) -> list[Row]:
    """What was checked before any verdict: ✓ equal, ✗ unequal work, ≠ differs and is named, ? not known of all."""
    comparison = frame.comparison
    if comparison is None:
        return []
    rows = []
    for item in comparison.conditions:
        values = dict(item.values)
        cells = tuple(values.get(lane.name, NOT_KNOWN) for lane in frame.lanes)
        rows.append(Row(f"{_MARKS.get(item.mark, '?')} {item.name}", cells))
    return rows


def condition_lines(frame: Frame) -> list[str]:
    """In what the lanes differ without being unequal work, and whether their losses agree."""
    comparison = frame.comparison
    if comparison is None:
        return []
    lines = [
        f"{item.name}: " + ", ".join(f"{lane} {value}" for lane, value in item.values)
        for item in comparison.conditions
        if item.equal is False and not item.fatal
    ]
    if frame.schedule == "together" and len(frame.lanes) > 1:
        lines.append("the lanes shared the machine (--schedule together)")
    lines += [
        f"{pair.lane}: {pair.left_out} pairs of turns are left out, in which other programs crowded the machine"
        for pair in comparison.pairs
        if pair.left_out
    ]
    if comparison.parity:
        parity = comparison.parity
        difference = show(parity.max_abs_loss_difference, "number")
        within = "" if parity.agrees is None else f", {'as' if parity.agrees else 'more than'} rounding explains"
        if parity.agrees is not None and parity.tolerance is not None:
            within += f" (up to {parity.tolerance:g} of a loss)"
        lines.append(f"losses differ by at most {difference} over {parity.checked_steps:,} checked steps{within}")
    return lines


def undecided_lines(frame: Frame) -> list[str]:
    """Why a pair is not decided."""
    pairs = frame.comparison.pairs if frame.comparison else ()
    return [f"{pair.lane}: {pair.verdict}, {pair.reason}" for pair in pairs if pair.reason]


def title(frame: Frame) -> str:
    """What was run and how: `mnist-mlp · turns · seed 0 · finished after 16 s`."""
    ended = "running for" if frame.live else f"{frame.status} after"
    parts = [
        frame.workload or frame.name,
        frame.schedule,
        None if frame.seed is None else f"seed {frame.seed}",
        f"{ended} {show(frame.elapsed_s, 's')}",
    ]
    return " · ".join(part for part in parts if part)
