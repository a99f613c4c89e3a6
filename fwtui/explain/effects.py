"""The statistics of an experiment: two lanes that took turns, compared turn by turn.

Turns pair by time, so what the machine did to one it did to the other. The effect is the Hodges-Lehmann estimate of the
paired differences with the exact interval of Wilcoxon's signed-rank test (Hollander, Wolfe and Chicken, "Nonparametric
Statistical Methods", 3rd ed., 2014, sections 3.2 and 3.3): it needs no normal distribution, and one disturbed turn in
ten does not move it. What stays for the life of a process turns cannot average away: it is added to each interval
(`fwtui.analysis.ratio.BETWEEN_RUNS`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from fwtui.analysis.explanation import Measured, half_width
from fwtui.analysis.ratio import BETWEEN_RUNS

LEAST_PAIRS = 6
"""With fewer pairs no interval of 95 % exists: 2 of the 2^5 signs are more than 5 %."""
NARROW = 0.08
"""A baseline's ratio is known well enough when its interval reaches no farther to either side."""
_EXACT_UP_TO = 60


@dataclass(frozen=True, slots=True)
class Turns:
    """A lane's turns: columns of the same length."""

    time_ns: np.ndarray
    """The middle of each turn's counted steps."""
    ms: np.ndarray
    """Median time of an update in the turn."""
    disturbed: np.ndarray | None = None
    """Whether other programs used a good part of the machine in the turn; None where that is not known."""

    def __len__(self) -> int:
        return len(self.ms)

    def scaled(self, factor: float) -> Turns:
        """The same turns with their times multiplied."""
        return replace(self, ms=self.ms * factor)

    def undisturbed(self) -> int:
        """How many turns no other program disturbed."""
        return len(self) - (int(self.disturbed.sum()) if self.disturbed is not None else 0)


Disturbance = Callable[[float, float], bool]
"""Whether other programs used a good part of the machine between two moments, ns."""


def turns(step_ms: np.ndarray, block: np.ndarray, end_ns: np.ndarray, disturbance: Disturbance | None = None) -> Turns:
    """The turns of counted steps, given as columns of the same length."""
    if not len(step_ms):
        return Turns(np.empty(0), np.empty(0))
    edges = np.flatnonzero(np.diff(block)) + 1
    ends = np.split(end_ns, edges)
    times = [float(np.median(part)) for part in ends]
    disturbed = np.array([disturbance(part[0], part[-1]) for part in ends]) if disturbance else None
    return Turns(np.array(times), np.array([float(np.median(part)) for part in np.split(step_ms, edges)]), disturbed)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Neighbouring turns of two lanes, as columns of ms."""

    one: np.ndarray
    other: np.ndarray
    left_out: int = 0
    """How many more there were that other programs disturbed."""
    disturbed: bool = False
    """Whether too few were undisturbed, so that the disturbed ones are among these."""

    def __len__(self) -> int:
        return len(self.one)


def pairs(one: Turns, other: Turns, ended: bool = True) -> Pairs:
    """The pairs that no other program disturbed; all of them where those are too few and no more will come.

    Which pairs are left out hangs on what others used of the machine, never on the lanes' times.
    """
    first, second, places = _neighbours(one, other)
    bad = np.zeros(len(first), bool)
    for turns_of, where in ((one, places[0]), (other, places[1])):
        if turns_of.disturbed is not None:
            bad |= turns_of.disturbed[where]
    good = ~bad
    if ended and good.sum() < LEAST_PAIRS and bad.any():
        return Pairs(first, second, 0, True)
    return Pairs(first[good], second[good], int(bad.sum()))


def pair(one: Turns, other: Turns) -> tuple[np.ndarray, np.ndarray]:
    """The times in ms of neighbouring turns of two lanes that are to be compared."""
    found = pairs(one, other)
    return found.one, found.other


def _neighbours(one: Turns, other: Turns) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """(ms, ms, places in either) of turns that lie beside each other; a turn without a neighbour is left out."""
    gaps = np.concatenate([np.diff(one.time_ns), np.diff(other.time_ns)])
    limit = 1.5 * float(np.median(gaps)) if len(gaps) else math.inf
    places: tuple[list[int], list[int]] = ([], [])
    i = j = 0
    while i < len(one) and j < len(other):
        apart = one.time_ns[i] - other.time_ns[j]
        if abs(apart) <= limit:
            places[0].append(i)
            places[1].append(j)
            i, j = i + 1, j + 1
        elif apart < 0:
            i += 1
        else:
            j += 1
    first, second = (np.array(each, dtype=int) for each in places)
    return one.ms[first], other.ms[second], (first, second)


def difference(one: np.ndarray, other: np.ndarray) -> Measured | None:
    """`one - other` of paired values of two processes; None of none."""
    if not len(one):
        return None
    return _widened(hodges_lehmann(one - other), math.hypot(float(np.median(one)), float(np.median(other))))


def ratio(one: np.ndarray, other: np.ndarray) -> Measured | None:
    """`one / other` of paired positive values of two processes; None of none."""
    fine = (one > 0) & (other > 0)
    logs = _widened(hodges_lehmann(np.log(one[fine] / other[fine])), math.sqrt(2))
    if logs is None:
        return None
    return Measured(math.exp(logs.value), logs.ci95 and (math.exp(logs.ci95[0]), math.exp(logs.ci95[1])))


def narrow(found: Pairs) -> bool:
    """Whether the ratio of two lanes is known to NARROW of itself; it looks at the width only, not at the ratio."""
    known = ratio(found.one, found.other)
    return known is not None and known.ci95 is not None and half_width(known) <= NARROW * known.value


def _widened(measured: Measured | None, level: float) -> Measured | None:
    """The interval with what differs from one start of a process to the next, which is a share of `level`."""
    if measured is None or measured.ci95 is None:
        return measured
    more = 1.96 * BETWEEN_RUNS * level
    low, high = (measured.value - math.hypot(measured.value - bound, more) for bound in measured.ci95)
    return Measured(measured.value, (low, 2 * measured.value - high))


def inverse(value: Measured) -> Measured:
    """One over it."""
    return Measured(1 / value.value, value.ci95 and (1 / value.ci95[1], 1 / value.ci95[0]))


def hodges_lehmann(values: np.ndarray) -> Measured | None:
    """The median of the means of all pairs of values, with its 95 % interval when there are LEAST_PAIRS of them."""
    count = len(values)
    if not count:
        return None
    rows, columns = np.triu_indices(count)
    means = np.sort((values[rows] + values[columns]) / 2)
    if count < LEAST_PAIRS:
        return Measured(float(np.median(means)))
    outside = _critical(count)
    return Measured(float(np.median(means)), (float(means[outside]), float(means[-1 - outside])))


@cache
def _critical(count: int) -> int:
    """How many of the least means lie outside the interval: the greatest k with P(W < k + 1) <= 0.025."""
    if count > _EXACT_UP_TO:
        mean = count * (count + 1) / 4
        deviation = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
        return max(0, math.floor(mean - 1.96 * deviation - 0.5))
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):
        shifted = np.zeros_like(ways)
        shifted[rank:] = ways[:-rank]
        ways = ways + shifted
    below = np.cumsum(ways) / 2.0**count
    return max(0, int(np.searchsorted(below, 0.025, side="right")) - 1)


def quotient(above: Measured, below: Measured) -> Measured | None:
    """One over the other, their errors taken as independent (first-order propagation)."""
    if not below.value:
        return None
    value = above.value / below.value
    half = math.hypot(half_width(above) / below.value, value * half_width(below) / below.value)
    return Measured(value, (value - half, value + half) if math.isfinite(half) else None)


def line(sizes: Sequence[float], rounds: np.ndarray) -> tuple[Measured, Measured] | None:
    """A straight line through step times at several batch sizes.

    Least squares with weights of 1 / size, so that the relative error counts; each round of turns is fitted on its own,
    and the intervals are those of the rounds' fits.

    Args:
        sizes: (sizes,) samples a step.
        rounds: (rounds, sizes) ms; a row is one round of turns.

    Returns:
        (ms at size 0, ms a sample); None without a round or with fewer than two sizes.
    """
    if len(rounds) == 0 or len(set(sizes)) < 2:
        return None
    weight = 1 / np.asarray(sizes, dtype=float)
    of_size = np.array([np.polyfit(sizes, unit, 1, w=weight) for unit in np.eye(len(sizes))])
    fits = rounds @ of_size  # a fit is linear in what it is put through
    levels = np.median(rounds, axis=0)[:, None] * of_size
    fixed = _widened(hodges_lehmann(fits[:, 1]), float(np.linalg.norm(levels[:, 1])))
    slope = _widened(hodges_lehmann(fits[:, 0]), float(np.linalg.norm(levels[:, 0])))
    return (fixed, slope) if fixed and slope else None
