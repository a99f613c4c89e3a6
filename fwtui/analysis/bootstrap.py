"""Blocks of two lanes, paired in time and drawn anew: how far a mean over them could lie from the truth.

Steps are autocorrelated, so whole blocks (turns) are drawn and not steps, and neighbouring ones together (Künsch, "The
jackknife and the bootstrap for general stationary observations", Annals of Statistics 17(3), 1989). Blocks of two
lanes that follow each other in time stay together, so that what drifts on the machine cancels.

Over the blocks the mean of the middle half is taken, which a quarter of disturbed blocks on either side cannot move
(Tukey & McLaughlin, "Less vulnerable confidence and significance procedures", Sankhya A 25, 1963). What is drawn anew
is its linear form, in which each block beyond the middle half stands at its edge, since a plain bootstrap would now
and then draw mostly disturbed blocks (Salibian-Barrera & Zamar, "Bootstrapping robust estimates of regression", Annals
of Statistics 30(2), 2002). The interval is the bootstrap's standard error times Student's t, with as many degrees of
freedom as blocks are kept, less one (Tukey & McLaughlin; Efron & Tibshirani, "An Introduction to the Bootstrap", 1993,
ch. 12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

RESAMPLES = 1000
MIN_BLOCKS = 6
"""Fewer pairs of blocks than this give no interval."""
MOST_BLOCKS = 60
"""More blocks than this are joined with their neighbours: it costs no information and carries slow noise."""
NEARER = 0.125
"""A block is paired with a later one of the other lane that is nearer by more than this share of their distance."""
BAND = (0.35, 0.65)
"""The steps around a block's median that stand for the step of median length, as shares of the block's steps."""
CROWDED_CORES = 0.35
"""A block in which other programs took more cores than this from the lanes is disturbed."""
LEAST_CALM = 12
"""With fewer calm pairs of blocks than this the disturbed ones count too."""


class Rivals(NamedTuple):
    """What other programs took from the lanes, sample by sample."""

    at_ns: np.ndarray
    """(samples,) the end of each sample."""
    cores: np.ndarray
    """(samples,) cores that they used; 0 while the machine had some to spare."""


class Blocks:
    """The blocks of two lanes, paired by time.

    Where enough pairs are calm, those in which other programs crowded the machine are left out: the choice rests on
    what was measured of the others, never on how long the steps were.

    Args:
        a_block, a_end_ns: (steps,) block number and end of each step of one lane, in time order.
        b_block, b_end_ns: the same of the other.
        rivals: what other programs took meanwhile; None: not known.
    """

    def __init__(
        self,
        a_block: np.ndarray,
        a_end_ns: np.ndarray,
        b_block: np.ndarray,
        b_end_ns: np.ndarray,
        rivals: Rivals | None = None,
    ) -> None:
        a_number, a_middle = _numbered(a_block, a_end_ns)
        b_number, b_middle = _numbered(b_block, b_end_ns)
        a_pair, b_pair, count = _pair(a_middle, b_middle)
        counts = (count, count)
        self.paired = count >= min(len(a_middle), len(b_middle)) / 2
        """False when the lanes did not run side by side (`solo`): then each lane's blocks are drawn for themselves."""
        if not self.paired:
            counts = (len(a_middle), len(b_middle))
            a_pair, b_pair = np.arange(counts[0]), np.arange(counts[1])
        self.left_out = 0
        """Pairs of blocks that do not count because other programs crowded the machine."""
        self.crowded = 0
        """Pairs of blocks that count although they did: too few others were there."""
        if rivals is not None and len(rivals.at_ns) > 1:
            calm = (
                _calm(a_pair, counts[0], a_number, a_end_ns, rivals),
                _calm(b_pair, counts[1], b_number, b_end_ns, rivals),
            )
            if self.paired:
                calm = (calm[0] & calm[1],) * 2
            left = int(calm[0].sum()), int(calm[1].sum())
            if min(left) >= LEAST_CALM:
                self.left_out = sum(counts) // 2 - sum(left) // 2
                a_pair, b_pair, counts = _only(a_pair, calm[0]), _only(b_pair, calm[1]), left
            else:
                self.crowded = min(counts) - min(left)
        self.count = min(counts)
        """Pairs of blocks; of lanes that are not paired, the fewer blocks."""
        self.enough = self.count >= MIN_BLOCKS
        """Whether they give an interval; if not, all steps are taken for one block."""
        if not self.enough:
            counts, self.paired = (1, 1), True
            a_pair, b_pair = np.zeros_like(a_pair), np.zeros_like(b_pair)
        self.kept = (min(counts[0], MOST_BLOCKS), min(counts[1], MOST_BLOCKS))
        """Blocks of each lane after joining."""
        self.a = _joined(a_pair, counts[0], self.kept[0])[a_number]
        self.b = _joined(b_pair, counts[1], self.kept[1])[b_number]
        """(steps,) the block that a step belongs to; -1 for none."""

    def draws(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """(RESAMPLES, blocks) block numbers drawn for either lane; the same ones where the blocks are paired."""
        generator = np.random.default_rng(seed)
        first = _drawn(generator, self.kept[0])
        return first, first if self.paired else _drawn(generator, self.kept[1])

    @property
    def quantile(self) -> float:
        """How many standard errors the 95 % interval reaches to either side."""
        fewest = min(self.kept)
        return student_t(0.975, fewest - 2 * _cut(fewest) - 1)


def _numbered(block: np.ndarray, end_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(0-based number of each step's block, mean time of each block)"""
    if not len(block):
        return np.empty(0, dtype=np.int64), np.empty(0)
    _, number = np.unique(block, return_inverse=True)
    return number, np.bincount(number, weights=end_ns) / np.bincount(number)


def _pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Pair moments in order, each with the nearest of the other lane that is still free; -1 for those left over.

    Turns that follow each other lie equally far apart, but for chance: a later one must be nearer by far.
    """
    a_pair, b_pair = np.full(len(a), -1), np.full(len(b), -1)
    i = j = count = 0
    while i < len(a) and j < len(b):
        apart = abs(a[i] - b[j])
        if i + 1 < len(a) and abs(a[i + 1] - b[j]) < apart - NEARER * (a[i + 1] - a[i]):
            i += 1
        elif j + 1 < len(b) and abs(a[i] - b[j + 1]) < apart - NEARER * (b[j + 1] - b[j]):
            j += 1
        else:
            a_pair[i] = b_pair[j] = count
            i, j, count = i + 1, j + 1, count + 1
    return a_pair, b_pair, count


def _calm(pair: np.ndarray, count: int, number: np.ndarray, end_ns: np.ndarray, rivals: Rivals) -> np.ndarray:
    """(pairs,) whether other programs left the machine alone during a lane's block of each pair."""
    size = np.bincount(number, minlength=len(pair))
    last = np.cumsum(size) - 1
    begin, end = end_ns[last - size + 1], end_ns[last]
    taken = np.concatenate(([0.0], np.cumsum(rivals.cores[1:] * np.diff(rivals.at_ns))))
    inside = np.interp(end, rivals.at_ns, taken) - np.interp(begin, rivals.at_ns, taken)
    calm = np.ones(count, dtype=bool)
    calm[pair[pair >= 0]] = (inside <= CROWDED_CORES * (end - begin))[pair >= 0]
    return calm


def _only(pair: np.ndarray, calm: np.ndarray) -> np.ndarray:
    """Pairs numbered anew, without those that are not calm; -1 for what has none."""
    number = np.append(np.where(calm, np.cumsum(calm) - 1, -1), -1)
    kept: np.ndarray = number[pair]
    return kept


def _joined(pair: np.ndarray, count: int, kept: int) -> np.ndarray:
    return np.where(pair < 0, -1, pair * kept // max(1, count))


def _drawn(generator: np.random.Generator, blocks: int) -> np.ndarray:
    """Runs of neighbouring blocks, about the cube root of their number long, until there are as many as before."""
    run = _run(blocks)
    starts = generator.integers(0, blocks, (RESAMPLES, -(-blocks // run)))
    chosen: np.ndarray = (starts[:, :, None] + np.arange(run)).reshape(RESAMPLES, -1)[:, :blocks] % blocks
    return chosen


def _run(blocks: int) -> int:
    return int(max(1, round(blocks ** (1 / 3))))


@dataclass(frozen=True, slots=True)
class BlockMedians:
    """A lane's blocks, each by its median step and by what the steps around that are made of."""

    median: np.ndarray
    """(blocks,)"""
    parts: np.ndarray
    """(blocks, parts)"""


def block_medians(step_ms: np.ndarray, block: np.ndarray, blocks: int, columns: np.ndarray) -> BlockMedians:
    """Median and mean parts around it, of each block.

    Args:
        step_ms: (steps,) lengths.
        block: (steps,) block of each, 0 to `blocks` - 1, none empty; -1 for steps that are left out.
        blocks: how many there are.
        columns: (steps, parts) what each step is made of; no columns will do.
    """
    kept = np.flatnonzero(block >= 0)
    order = kept[np.lexsort((step_ms[kept], block[kept]))]
    number = block[order]
    size = np.bincount(number, minlength=blocks)
    first = np.cumsum(size) - size
    values = step_ms[order]
    median = (values[first + (size - 1) // 2] + values[first + size // 2]) / 2
    place = np.arange(len(order)) - first[number]
    low, high = BAND[0] * size[number], BAND[1] * size[number]
    inside = np.clip(np.minimum(place + 1, high) - np.maximum(place, low), 0, None)
    near = np.flatnonzero(inside)
    parts = [
        np.bincount(number[near], weights=inside[near] * columns[order[near], part], minlength=blocks)
        for part in range(columns.shape[1])
    ]
    weight = np.bincount(number[near], weights=inside[near], minlength=blocks)
    return BlockMedians(median, np.stack(parts, axis=1) / weight[:, None] if parts else np.empty((blocks, 0)))


@dataclass(frozen=True, slots=True)
class Middle:
    """Means over the middle half of the blocks, each column for itself, in a form that can be drawn anew."""

    mean: np.ndarray
    """(columns,)"""
    linear: np.ndarray
    """(blocks, columns) whose plain mean is `mean`: a block's value, held at the middle half's edges and stretched."""

    def drawn(self, draws: np.ndarray) -> np.ndarray:
        """(resamples, columns) means over the blocks drawn, about `mean`."""
        count = len(self.linear)
        few = math.sqrt(count / max(1, count - _run(count)))  # runs of blocks vary too little by that much
        result: np.ndarray = self.mean + few * (self.linear[draws].mean(axis=1) - self.mean)
        return result


def middle(values: np.ndarray) -> Middle:
    """The mean of the middle half of each column of (blocks, columns)."""
    count = len(values)
    cut = _cut(count)
    ordered = np.sort(values, axis=0)
    mean = ordered[cut : count - cut].mean(axis=0)
    held = np.clip(values, ordered[cut], ordered[count - cut - 1])
    return Middle(mean, mean + (held - held.mean(axis=0)) * count / (count - 2 * cut))


def _cut(count: int) -> int:
    return count // 4


def student_t(probability: float, degrees: int) -> float:
    """Quantile of Student's t, by the expansion 26.7.5 of Abramowitz & Stegun (1964); good to 0.1 % from 4 degrees."""
    x = NormalDist().inv_cdf(probability)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return float(x + sum(term / degrees ** (power + 1) for power, term in enumerate(terms)))
