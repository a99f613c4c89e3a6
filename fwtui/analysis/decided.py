"""Whether a comparison needs no further measuring.

The rule looks at the width of the intervals only, never at where they lie: to stop as soon as a difference shows would
find one too often (Chow & Robbins, "On the asymptotic theory of fixed-width sequential confidence intervals", Annals
of Mathematical Statistics 36(2), 1965; for benchmarks Georges et al., "Statistically rigorous Java performance
evaluation", OOPSLA 2007).
"""

from __future__ import annotations

from fwtui.analysis.results import Comparison, Pair

HALF_WIDTH = 0.05
"""An interval that reaches no farther than this share of the ratio to either side is narrow."""
LEAST_TURNS = 24
"""From fewer pairs of turns a narrow interval may be luck: of many looks one finds it (Chow & Robbins)."""


def decided(comparison: Comparison | None) -> bool:
    """Whether every pair has a verdict with a narrow interval. What is unfair can be decided by no measuring."""
    if comparison is None:
        return False
    return all(_narrow(pair) and pair.verdict != "undecided" for pair in comparison.pairs)


def _narrow(pair: Pair) -> bool:
    if pair.ratio is None or pair.ci95 is None or pair.turns < LEAST_TURNS:
        return False
    return pair.ci95[1] - pair.ci95[0] <= 2 * HALF_WIDTH * pair.ratio
