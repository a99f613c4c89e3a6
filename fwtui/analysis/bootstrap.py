"""Resampling of paired blocks: how far a ratio of medians, or a part of a gap, could lie from what was seen.

Steps are autocorrelated, so whole blocks (turns) are drawn and not steps (Künsch, Annals of Statistics 17(3), 1989);
blocks of two lanes that follow each other in time are drawn together, so that what drifts on the machine cancels. The
percentile interval is widened for few blocks as in Hesterberg, "What Teachers Should Know About the Bootstrap", The
American Statistician 69(4), 2015, section 4.3 ("expanded percentile interval"): without that it is as much too narrow
as a normal quantile is against Student's t.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

RESAMPLES = 1000
MIN_BLOCKS = 5
"""Fewer pairs of blocks than this give no interval."""
MOST_BLOCKS = 64
"""More blocks than this are joined with their neighbours: it costs no information and carries slow noise."""
_GROUPS = 256
"""Sorted steps are gathered in at most so many groups of equal size; a median is interpolated between them."""
BAND = (0.35, 0.65)
"""The steps around the median that stand for the step of median length, as shares of all steps."""


class Blocks:
    """The blocks of two lanes, paired by time.

    Args:
        a_block, a_end_ns: (steps,) block number and end of each step of one lane, in time order.
        b_block, b_end_ns: the same of the other.
    """

    def __init__(self, a_block: np.ndarray, a_end_ns: np.ndarray, b_block: np.ndarray, b_end_ns: np.ndarray) -> None:
        a_number, a_middle = _numbered(a_block, a_end_ns)
        b_number, b_middle = _numbered(b_block, b_end_ns)
        a_pair, b_pair, count = _pair(a_middle, b_middle)
        self.paired = count >= min(len(a_middle), len(b_middle)) / 2
        """False when the lanes did not run side by side (`solo`): then each lane's blocks are drawn for itself."""
        if not self.paired:
            a_pair, b_pair = np.arange(len(a_middle)), np.arange(len(b_middle))
        self.counts = (int(a_pair.max(initial=-1)) + 1, int(b_pair.max(initial=-1)) + 1)
        """Blocks of each lane that can be drawn; equal when they are paired."""
        kept = tuple(min(count, MOST_BLOCKS) for count in self.counts)
        self.a = _joined(a_pair, *self.counts[:1], kept[0])[a_number] if len(a_number) else a_number
        self.b = _joined(b_pair, *self.counts[1:], kept[1])[b_number] if len(b_number) else b_number
        """(steps,) the block to be drawn that a step belongs to; -1 for none."""
        self._kept = kept

    @property
    def enough(self) -> bool:
        """Whether there are enough blocks for an interval."""
        return min(self.counts) >= MIN_BLOCKS

    def draws(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """How often each block is drawn in each resample: (RESAMPLES, blocks) of either lane."""
        generator = np.random.default_rng(seed)
        first = _drawn(generator, self._kept[0])
        return first, first if self.paired else _drawn(generator, self._kept[1])

    def interval(self, values: np.ndarray) -> tuple[float, float]:
        """The 95 % interval from resampled values."""
        tail = expanded_tail(min(self._kept))
        low, high = np.percentile(values, (100 * tail, 100 * (1 - tail)))
        return float(low), float(high)


def _numbered(block: np.ndarray, end_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(0-based number of each step's block, mean time of each block)"""
    if not len(block):
        return np.empty(0, dtype=np.int64), np.empty(0)
    _, number = np.unique(block, return_inverse=True)
    return number, np.bincount(number, weights=end_ns) / np.bincount(number)


def _pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Pair moments in order, each with the nearest of the other lane that is still free; -1 for those left over."""
    a_pair, b_pair = np.full(len(a), -1), np.full(len(b), -1)
    i = j = count = 0
    while i < len(a) and j < len(b):
        apart = abs(a[i] - b[j])
        if i + 1 < len(a) and abs(a[i + 1] - b[j]) < apart:
            i += 1
        elif j + 1 < len(b) and abs(a[i] - b[j + 1]) < apart:
            j += 1
        else:
            a_pair[i] = b_pair[j] = count
            i, j, count = i + 1, j + 1, count + 1
    return a_pair, b_pair, count


def _joined(pair: np.ndarray, count: int, kept: int) -> np.ndarray:
    return np.where(pair < 0, -1, pair * kept // max(1, count))


def _drawn(generator: np.random.Generator, blocks: int) -> np.ndarray:
    chosen = generator.integers(0, blocks, (RESAMPLES, blocks))
    flat = np.arange(RESAMPLES)[:, None] * blocks + chosen
    return np.bincount(flat.ravel(), minlength=RESAMPLES * blocks).reshape(RESAMPLES, blocks).astype(np.float64)


class Sorted:
    """A lane's steps sorted by length and gathered in groups, by block: what resampled medians are made from.

    Args:
        step_ms: (steps,) their length.
        block: (steps,) the block to be drawn; steps of block -1 are left out.
        blocks: how many blocks there are.
    """

    def __init__(self, step_ms: np.ndarray, block: np.ndarray, blocks: int) -> None:
        kept = np.flatnonzero(block >= 0)
        self._order = kept[np.argsort(step_ms[kept], kind="stable")]
        size = len(self._order)
        self._count = min(size, _GROUPS)
        self._group = np.arange(size) * self._count // max(1, size)
        self._block, self._blocks = block[self._order], blocks
        values = step_ms[self._order]
        self._value = np.bincount(self._group, weights=values) / np.bincount(self._group)
        self._steps = self._summed(np.ones(size))

    def _summed(self, weights: np.ndarray) -> np.ndarray:
        """(blocks, groups) sums of a weight per sorted step."""
        flat = self._block * self._count + self._group
        return np.bincount(flat, weights=weights, minlength=self._blocks * self._count).reshape(self._blocks, -1)

    def medians(self, draws: np.ndarray) -> np.ndarray:
        """(resamples,) the median step of each."""
        weight = draws @ self._steps
        middle = np.cumsum(weight, axis=1) - weight / 2
        half = weight.sum(axis=1) / 2
        above = np.clip((middle < half[:, None]).sum(axis=1), 1, self._count - 1)
        rows = np.arange(len(draws))
        low, high = middle[rows, above - 1], middle[rows, above]
        part = np.clip((half - low) / np.maximum(high - low, 1e-12), 0, 1)
        result: np.ndarray = self._value[above - 1] * (1 - part) + self._value[above] * part
        return result

    def at_median(self, draws: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """What the steps around the median are made of.

        Args:
            draws: (resamples, blocks).
            parts: (steps, parts) of every step of the lane, kept or not.

        Returns:
            (resamples, parts) the mean over the steps of `BAND`.
        """
        weight = draws @ self._steps
        end = np.cumsum(weight, axis=1)
        total = np.maximum(end[:, -1:], 1)
        inside = np.clip(np.minimum(end, BAND[1] * total) - np.maximum(end - weight, BAND[0] * total), 0, None)
        share = np.divide(inside, weight, out=np.zeros_like(inside), where=weight > 0)
        near = np.flatnonzero(share.any(axis=0))
        share, steps = share[:, near], np.maximum(inside.sum(axis=1), 1e-12)
        columns = [
            ((draws @ self._summed(parts[self._order, part])[:, near]) * share).sum(axis=1) / steps
            for part in range(parts.shape[1])
        ]
        return np.stack(columns, axis=1)


def expanded_tail(blocks: int, level: float = 0.95) -> float:
    """The tail probability at which a percentile bootstrap over so many blocks is read (Hesterberg 2015).

    Φ(−√(n / (n − 1)) · t(n − 1)), instead of the nominal (1 − level) / 2.
    """
    nominal = (1 - level) / 2
    return NormalDist().cdf(-math.sqrt(blocks / (blocks - 1)) * student_t(1 - nominal, blocks - 1))


def student_t(probability: float, degrees: int) -> float:
    """Quantile of Student's t, by the expansion 26.7.5 of Abramowitz & Stegun (1964); good to 1 % from 4 degrees on."""
    x = NormalDist().inv_cdf(probability)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return x + float(sum(term / degrees ** (power + 1) for power, term in enumerate(terms)))
