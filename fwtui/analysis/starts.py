"""One ratio from several starts of the same lanes.

Turns tell what happens between two processes. What stays for the life of a process (where its memory lies, how its
threads found each other) only other processes tell: so the starts are the sample, and their scatter makes the interval
(Kalibera & Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fwtui.analysis.bootstrap import student_t
from fwtui.analysis.results import Pair
from fwtui.analysis.statistics import verdict

LEAST_STARTS = 3
"""Fewer give no interval."""


@dataclass(frozen=True, slots=True)
class OverStarts:
    """A lane against the baseline, over several starts of both."""

    lane: str
    ratios: tuple[float, ...]
    """Of each start that has one, in order."""
    ratio: float | None
    """Their geometric mean; None of none, and where the lanes do unequal work."""
    ci95: tuple[float, float] | None
    verdict: str


def over_starts(pairs: Sequence[Pair]) -> OverStarts:
    """The pairs of the same lane from each start, as one.

    Args:
        pairs: at least one; the same lane in all.
    """
    lane = pairs[0].lane
    if any(pair.verdict == "unfair" for pair in pairs):
        return OverStarts(lane, (), None, None, "unfair")
    measured = [pair for pair in pairs if pair.ratio is not None and pair.ci95 is not None and _counts(pair)]
    ratios = tuple(pair.ratio for pair in measured if pair.ratio is not None)
    if not ratios:
        return OverStarts(lane, (), None, None, "undecided")
    logs, count = np.log(ratios), len(ratios)
    centre = float(logs.mean())
    if count < LEAST_STARTS:
        return OverStarts(lane, ratios, math.exp(centre), None, "undecided")
    # starts that agree by luck must not claim more than each start's own interval allows
    within = float(
        np.mean([(math.log(high / low) / 2 / 1.96) ** 2 for low, high in (p.ci95 for p in measured if p.ci95)])
    )
    half = student_t(0.975, count - 1) * math.sqrt(max(float(logs.var(ddof=1)), within) / count)
    interval = math.exp(centre - half), math.exp(centre + half)
    return OverStarts(lane, ratios, math.exp(centre), interval, verdict(interval))


def _counts(pair: Pair) -> bool:
    """Whether a start tells something: a wide interval is no fault here, a disturbed or unsteady run is."""
    return pair.verdict != "undecided" or verdict(pair.ci95) == "undecided"
