"""Two lanes against each other: the ratio of their steps and the parts of it, over blocks paired in time.

Of each pair of blocks the logarithm of the ratio of medians is taken, and over the pairs the mean of the middle half.
What something else on the machine does to both neighbours cancels; what it does to one is cut away with the extremes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fwtui.analysis.bootstrap import BlockMedians, Blocks, Middle, block_medians, middle

BETWEEN_RUNS = 0.015
"""Standard deviation of a lane's level from one start of its process to the next, as a share.

Where memory lies, and on which core a thread, stays for the life of a process: turns cannot average it away (Mytkowicz
et al., "Producing wrong data without doing anything obviously wrong!", ASPLOS 2009; Kalibera & Jones, "Rigorous
benchmarking in reasonable time", ISMM 2013). The figure is what identical lanes showed in
`tests/benchmarks/verdicts.py`.
"""

TREND_BLOCKS, TREND_SIGMAS, TREND_LEAST = 10, 3.0, 0.15
"""A ratio is called drifting from so many pairs of blocks on, beyond chance by so much, by so much on the log scale."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A lane's step over another's."""

    value: float
    """Of the medians over all counted steps; where this lies outside the interval, the centre of the paired blocks."""
    ci95: tuple[float, float] | None
    """None with too few blocks."""
    parts: np.ndarray
    """(parts,) what each contributes to `value - 1`."""
    parts_drawn: np.ndarray | None
    """(resamples, parts) the same, drawn anew; None with too few blocks."""
    drawn: np.ndarray | None
    """(resamples,) `value - 1`, drawn anew."""
    quantile: float
    """Standard errors that an interval reaches to either side."""
    drift: float | None = None
    """Change of the logarithm of the ratio from the first pair of blocks to the last, where it surely drifts."""


def ratio(
    a_ms: np.ndarray,
    b_ms: np.ndarray,
    blocks: Blocks,
    a_columns: np.ndarray | None = None,
    b_columns: np.ndarray | None = None,
) -> Ratio | None:
    """Lane `a` over lane `b`; None when either has no steps or no length.

    Args:
        a_ms, b_ms: (steps,) lengths of the counted steps.
        blocks: theirs.
        a_columns, b_columns: (steps, parts) what each step is made of, in ms.
    """
    if not len(a_ms) or not len(b_ms) or not np.median(b_ms) or not np.median(a_ms):
        return None
    nothing = np.empty((len(a_ms), 0)), np.empty((len(b_ms), 0))
    a = block_medians(a_ms, blocks.a, blocks.kept[0], nothing[0] if a_columns is None else a_columns)
    b = block_medians(b_ms, blocks.b, blocks.kept[1], nothing[1] if b_columns is None else b_columns)
    plain = float(np.median(a_ms) / np.median(b_ms))
    terms = _terms(a, b, blocks.paired)
    log_ratio, parts = _combined([term.mean[None, :] for term in terms])
    if not blocks.enough:
        return Ratio(plain, None, parts[0], None, None, math.nan)
    draws = blocks.draws()
    drawn, drawn_parts = _combined([term.drawn(drawn) for term, drawn in zip(terms, draws, strict=False)])
    half = math.hypot(blocks.quantile * float(drawn.std()), 1.96 * math.sqrt(2) * BETWEEN_RUNS)
    centre = float(log_ratio[0])
    low, high = math.exp(centre - half), math.exp(centre + half)
    value = plain if low <= plain <= high else math.exp(centre)
    drift = trend(np.log(a.median / b.median)) if blocks.paired else None
    return Ratio(value, (low, high), parts[0], drawn_parts, np.exp(drawn) - 1, blocks.quantile, drift)


def trend(values: np.ndarray) -> float | None:
    """By how much values change over their course, if they surely do and by enough to matter.

    Tested by Mann and Kendall's S (Mann, Econometrica 13, 1945), sized by the median of all slopes (Sen, Journal of
    the American Statistical Association 63, 1968).
    """
    count = len(values)
    if count < TREND_BLOCKS:
        return None
    first, second = np.triu_indices(count, 1)
    rises = values[second] - values[first]
    s = float(np.sign(rises).sum())
    sigma = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    change = float(np.median(rises / (second - first))) * (count - 1)
    return change if abs(s) > TREND_SIGMAS * sigma and abs(change) > TREND_LEAST else None


def _terms(a: BlockMedians, b: BlockMedians, paired: bool) -> list[Middle]:
    """Middles over the blocks of (log of the median, parts in shares of the baseline's median); one where paired."""
    if paired:
        parts = (a.parts - b.parts) / b.median[:, None]
        return [middle(np.column_stack((np.log(a.median / b.median), parts)))]
    level = float(np.exp(middle(np.log(b.median)[:, None]).mean[0]))
    return [
        middle(np.column_stack((np.log(a.median), a.parts / level))),
        middle(np.column_stack((-np.log(b.median), -b.parts / level))),
    ]


def _combined(terms: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(draws, 1 + parts) summed over the terms: (draws,) log ratio and (draws, parts)."""
    total = np.sum(terms, axis=0)
    return total[:, 0], total[:, 1:]
