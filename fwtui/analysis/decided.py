"""Whether a comparison needs no further measuring.

The rule looks at the width of the intervals only, never at where they lie: to stop as soon as a difference shows would
find one too often (Chow & Robbins, "On the asymptotic theory of fixed-width sequential confidence intervals", Annals
of Mathematical Statistics 36(2), 1965; for benchmarks Georges et al., "Statistically rigorous Java performance
evaluation", OOPSLA 2007).
"""

from __future__ import annotations

from fwtui.analysis.results import Comparison

HALF_WIDTH = 0.06
"""An interval that reaches no farther than this share of the ratio to either side is narrow."""


def decided(comparison: Comparison | None) -> bool:
    """Whether every pair has a verdict with a narrow interval. What is unfair can be decided by no measuring."""
    if comparison is None:
        return False
    return all(_narrow(pair.ratio, pair.ci95) and pair.verdict != "undecided" for pair in comparison.pairs)


def _narrow(ratio: float | None, interval: tuple[float, float] | None) -> bool:
    if ratio is None or interval is None:
        return False
    return interval[1] - interval[0] <= 2 * HALF_WIDTH * ratio
