"""Whether lanes that start from the same weights and see the same batches compute the same losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fwtui.analysis.results import Parity, UnfairReason

TOLERANCE: Mapping[str, float] = {"float32": 1e-2, "tf32": 5e-2, "bf16": 1e-1, "mixed_bf16": 1e-1}
"""Largest difference of a step's losses by precision, as a share of the loss where that is above 1.

Rounding grows from step to step: over the 16 checked steps in float32 it reaches 1e-5 in the built-in networks
without batch normalisation and some 1e-3 in the residual one. bfloat16 keeps 8 bits of a number, TF32 11.
"""
FIRST_SHARE = 0.01
"""Of the tolerance, for the first update in float32: nothing but weights, batch and loss are in it."""


@dataclass(frozen=True, slots=True)
class FirstLosses:
    """The losses of a lane's first updates."""

    values: tuple[float, ...]
    updates_per_loss: int = 1
    """Each value is the mean over so many updates."""
    precision: str = "float32"
    batch_size: float | None = None


def numeric_parity(lanes: Sequence[FirstLosses | None]) -> Parity | None:
    """The largest difference to the first lane that told its losses; None where there are not two to compare.

    Lanes of another batch size do other work, which the parity list says; they are left out.
    """
    told = [lane for lane in lanes if lane is not None and lane.values and all(map(math.isfinite, lane.values))]
    told = [lane for lane in told if lane.batch_size == told[0].batch_size]
    compared = [_difference(lane, told[0]) for lane in told[1:]]
    known = [found for found in compared if found is not None]
    if not known:
        return None
    tolerance = max(TOLERANCE.get(lane.precision, TOLERANCE["float32"]) for lane in told)
    exact = all(lane.precision == "float32" for lane in told)
    first = max((found.first for found in known if found.first is not None), default=0.0)
    return Parity(
        checked_steps=min(found.steps for found in known),
        max_abs_loss_difference=max(found.largest for found in known),
        tolerance=tolerance,
        agrees=max(found.share for found in known) <= tolerance and (not exact or first <= FIRST_SHARE * tolerance),
    )


def unequal_losses(parity: Parity | None) -> tuple[UnfairReason, ...]:
    """The reason that a comparison is unfair for, when the lanes compute different losses."""
    if parity is None or parity.agrees is not False:
        return ()
    detail = (
        f"the losses of the first {parity.checked_steps} updates differ by up to {parity.max_abs_loss_difference:.2g}, "
        f"more than rounding explains ({parity.tolerance:g}, and at the first update a hundredth of that)"
    )
    return (UnfairReason("losses", detail),)


@dataclass(frozen=True, slots=True)
class _Difference:
    """Two lanes' losses against each other."""

    steps: int
    largest: float
    share: float
    """The largest one as a share of the loss where that is above 1."""
    first: float | None
    """That of the first update; None where means over several were told."""


def _difference(lane: FirstLosses, baseline: FirstLosses) -> _Difference | None:
    updates = math.lcm(lane.updates_per_loss, baseline.updates_per_loss)
    mine, others = _means(lane, updates), _means(baseline, updates)
    count = min(len(mine), len(others))
    if not count:
        return None
    difference = np.abs(mine[:count] - others[:count])
    share = difference / np.maximum(1, np.abs(others[:count]))
    first = float(share[0]) if updates == 1 else None
    return _Difference(count * updates, float(difference.max()), float(share.max()), first)


def _means(lane: FirstLosses, updates: int) -> np.ndarray:
    """Means over `updates` updates each, from the first one on; what is left over is dropped."""
    each = updates // lane.updates_per_loss
    whole = len(lane.values) // each * each
    means: np.ndarray = np.array(lane.values[:whole], dtype=float).reshape(-1, each).mean(axis=1)
    return means
