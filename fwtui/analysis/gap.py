"""The gap between two lanes, conserved: its parts by phase, each with an interval, sum to the whole.

What a phase contributes to the *median* step is its mean over the steps around the median: the median is homogeneous
of degree one, so these contributions sum to it (Euler's allocation; Tasche, "Risk contributions and performance
measurement", 1999, theorem 4.4, for quantiles). What the band of steps leaves over is counted as unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fwtui.analysis.bootstrap import BAND, Blocks, Sorted
from fwtui.analysis.results import Cause, Finding
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES

WORK = ("forward", "backward", "optimizer", "compute")
"""What a compiled step fuses into `compute`."""
UNEXPLAINED = "unexplained"

_NOTHING_MS = 1e-9
"""What rounding leaves."""

FINDING_PHASES: Mapping[str, str] = {
    "input-bound": "data",
    "per-sample-transform": "data",
    "no-prefetch": "data",
    "worker-startup": "data",
    "slow-transfer": "transfer",
    "slow-callback": "callbacks",
    "checkpoint-stall": "callbacks",
    "sync-every-step": "sync",
    "retracing": "compile",
    "gc-pause": "gc",
    "slow-optimizer": "optimizer",
    "dispatch-bound": "compute",
    "unfused-kernel": "compute",
    "layout-mismatch": "compute",
}
"""The phase whose part of a gap a finding names."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the gap: the phases that it covers."""

    name: str
    covers: tuple[str, ...]


def parts_of(a_phases: np.ndarray, b_phases: np.ndarray) -> tuple[Part, ...]:
    """How the phases of two lanes can be set against each other.

    Where one lane's step is fused and the other's is not, forward, backward and optimizer stand together against
    `compute`; else each phase stands for itself.

    Args:
        a_phases, b_phases: (phases,) mean of the lanes' steps.
    """
    if _fused(a_phases) != _fused(b_phases):
        parts = [Part(name, (name,)) for name in PHASE_NAMES if name not in WORK]
        parts.insert(2, Part("compute", WORK))
        return tuple(parts)
    return tuple(Part(name, (name,)) for name in PHASE_NAMES)


def _fused(phases: np.ndarray) -> bool:
    work = [float(phases[PHASE_INDEX[name]]) for name in WORK]
    return work[-1] > sum(work[:-1])


def _columns(phases: np.ndarray, parts: Sequence[Part]) -> np.ndarray:
    """(steps, phases) into (steps, parts)"""
    return np.stack([phases[:, [PHASE_INDEX[name] for name in part.covers]].sum(axis=1) for part in parts], axis=1)


def _at_median(step_ms: np.ndarray, columns: np.ndarray) -> np.ndarray:
    order = np.argsort(step_ms, kind="stable")
    low, high = int(BAND[0] * len(order)), int(np.ceil(BAND[1] * len(order)))
    mean: np.ndarray = columns[order[low : max(high, low + 1)]].mean(axis=0)
    return mean


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference of two lanes' median steps, and what it is made of."""

    ms: float
    ci95: tuple[float, float] | None
    causes: tuple[Cause, ...]


def split(a_ms: np.ndarray, a_phases: np.ndarray, b_ms: np.ndarray, b_phases: np.ndarray, blocks: Blocks) -> Gap:
    """Lane `a` against lane `b`.

    Args:
        a_ms, b_ms: (steps,) lengths of the counted steps; neither is empty.
        a_phases, b_phases: (steps, phases) what each is made of, in the same unit; rows sum to the lengths.
        blocks: their blocks.
    """
    parts = parts_of(a_phases.mean(axis=0), b_phases.mean(axis=0))
    a_columns, b_columns = _columns(a_phases, parts), _columns(b_phases, parts)
    gap = float(np.median(a_ms) - np.median(b_ms))
    seen = _with_rest(_at_median(a_ms, a_columns) - _at_median(b_ms, b_columns), np.array(gap), parts)
    gap_ci95: tuple[float, float] | None = None
    intervals: list[tuple[float, float] | None] = [None] * len(parts)
    if blocks.enough:
        gap_ci95, intervals = _intervals(a_ms, a_columns, b_ms, b_columns, blocks, parts, gap, seen)
    decided = gap_ci95 is None or not gap_ci95[0] <= 0 <= gap_ci95[1]
    causes = [
        Cause(part.name, float(ms), float(ms) / gap if gap and decided else None, interval, part.name, part.covers)
        for part, ms, interval in zip(parts, seen, intervals, strict=True)
        if abs(ms) > _NOTHING_MS
    ]
    causes.sort(key=lambda cause: -abs(cause.ms))
    return Gap(gap, gap_ci95, tuple(causes))


def _with_rest(values: np.ndarray, gap: np.ndarray, parts: Sequence[Part]) -> np.ndarray:
    """The parts with what is missing from the gap put into `unexplained`."""
    rest = next(index for index, part in enumerate(parts) if part.name == UNEXPLAINED)
    whole = values.copy()
    whole[..., rest] += gap - values.sum(axis=-1)
    return whole


def _intervals(
    a_ms: np.ndarray,
    a_columns: np.ndarray,
    b_ms: np.ndarray,
    b_columns: np.ndarray,
    blocks: Blocks,
    parts: Sequence[Part],
    gap: float,
    seen: np.ndarray,
) -> tuple[tuple[float, float], list[tuple[float, float] | None]]:
    """(interval of the gap, interval of each part)"""
    a_draws, b_draws = blocks.draws()
    a, b = Sorted(a_ms, blocks.a, a_draws.shape[1]), Sorted(b_ms, blocks.b, b_draws.shape[1])
    gaps = a.medians(a_draws) - b.medians(b_draws)
    drawn = _with_rest(a.at_median(a_draws, a_columns) - b.at_median(b_draws, b_columns), gaps, parts)
    intervals: list[tuple[float, float] | None] = [
        _holding(blocks.interval(drawn[:, index]), float(seen[index])) for index in range(len(parts))
    ]
    return _holding(blocks.interval(gaps), gap), intervals


def _holding(interval: tuple[float, float], value: float) -> tuple[float, float]:
    return min(interval[0], value), max(interval[1], value)


def named(
    causes: Sequence[Cause], lane_findings: Sequence[Finding], baseline_findings: Sequence[Finding]
) -> tuple[Cause, ...]:
    """The parts of a gap by the code of the finding that explains them, where one does.

    A part that costs the lane more is explained by the lane's findings, one that costs the baseline more by the
    baseline's. The weightiest finding of a phase gives the name; `phase` keeps telling the phase.
    """
    result = []
    for cause in causes:
        findings = lane_findings if cause.ms > 0 else baseline_findings
        code = next((found.code for found in findings if FINDING_PHASES.get(found.code) == cause.phase), cause.code)
        result.append(replace(cause, code=code))
    return tuple(result)
