"""The gap between two lanes, conserved: its parts by phase, each with an interval, sum to the whole.

What a phase contributes to the *median* step is its mean over the steps around the median: the median is homogeneous
of degree one, so these contributions sum to it (Euler's allocation; Tasche, "Risk contributions and performance
measurement", 1999, for quantiles). That is done in each block, the two lanes' neighbouring blocks are subtracted, and
over the pairs the same middle half is taken as for the ratio. What all this leaves over is counted as unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fwtui.analysis.bootstrap import Blocks
from fwtui.analysis.ratio import Ratio, ratio
from fwtui.analysis.results import Cause, Finding
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES

Interval = tuple[float, float] | None

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


@dataclass(frozen=True, slots=True)
class Gap:
    """How far two lanes' steps lie apart, and what that is made of."""

    ratio: Ratio
    ms: float
    ci95: tuple[float, float] | None
    causes: tuple[Cause, ...]


def split(a_ms: np.ndarray, a_phases: np.ndarray, b_ms: np.ndarray, b_phases: np.ndarray, blocks: Blocks) -> Gap | None:
    """Lane `a` against lane `b`; None when either has no steps.

    Args:
        a_ms, b_ms: (steps,) lengths of the counted steps.
        a_phases, b_phases: (steps, phases) what each is made of, in the same unit; rows sum to the lengths.
        blocks: their blocks.
    """
    if not len(a_ms) or not len(b_ms):
        return None
    parts = parts_of(a_phases.mean(axis=0), b_phases.mean(axis=0))
    measured = ratio(a_ms, b_ms, blocks, _columns(a_phases, parts), _columns(b_phases, parts))
    if measured is None:
        return None
    level = float(np.median(b_ms))
    gap, ci95 = (measured.value - 1) * level, None
    if measured.ci95 is not None:
        ci95 = ((measured.ci95[0] - 1) * level, (measured.ci95[1] - 1) * level)
    decided = ci95 is None or not ci95[0] <= 0 <= ci95[1]
    causes = [
        Cause(part.name, ms, ms / gap if gap and decided else None, interval, part.name, part.covers)
        for part, ms, interval in _in_ms(measured, parts, level)
        if abs(ms) > _NOTHING_MS
    ]
    causes.sort(key=lambda cause: -abs(cause.ms))
    return Gap(measured, gap, ci95, tuple(causes))


def _in_ms(measured: Ratio, parts: Sequence[Part], level: float) -> Iterator[tuple[Part, float, Interval]]:
    """Each part in ms with its interval; what is missing from the gap is put into `unexplained`."""
    seen, drawn = measured.parts.copy(), measured.parts_drawn
    rest = next(index for index, part in enumerate(parts) if part.name == UNEXPLAINED)
    seen[rest] += measured.value - 1 - seen.sum()
    half = None
    if drawn is not None and measured.drawn is not None:
        drawn[:, rest] += measured.drawn - drawn.sum(axis=1)
        half = measured.quantile * drawn.std(axis=0)
    for index, part in enumerate(parts):
        ms = float(seen[index]) * level
        if half is None:
            yield part, ms, None
        else:
            reach = float(half[index]) * level
            yield part, ms, (ms - reach, ms + reach)


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
