"""Whether lanes that start from the same weights and see the same batches compute the same losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fwtui.analysis.results import Parity, UnfairReason

TOLERANCE: Mapping[str, float] = {"float32": 1e-3, "tf32": 1e-2, "bf16": 1e-1, "mixed_bf16": 1e-1}
"""Largest difference of a step's losses by precision, as a share of the loss where that is above 1.

Rounding alone grows with the steps: over 32 steps the built-in workloads differ by at most 1e-4 in float32. A lane that
starts from other weights, sees other batches or computes another loss differs by 1e-2 and more at once. bfloat16 keeps
8 bits of a number, TF32 11.
"""


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
    return Parity(
        checked_steps=min(steps for steps, _, _ in known),
        max_abs_loss_difference=max(absolute for _, absolute, _ in known),
        tolerance=tolerance,
        agrees=max(scaled for _, _, scaled in known) <= tolerance,
    )


def unequal_losses(parity: Parity | None) -> tuple[UnfairReason, ...]:
    """The reason that a comparison is unfair for, when the lanes compute different losses."""
    if parity is None or parity.agrees is not False:
        return ()
    detail = (
        f"the first {parity.checked_steps} updates' losses differ by up to {parity.max_abs_loss_difference:.2g}, "
        f"more than the {parity.tolerance:g} that rounding explains"
    )
    return (UnfairReason("losses", detail),)


def _difference(lane: FirstLosses, baseline: FirstLosses) -> tuple[int, float, float] | None:
    """(updates compared, largest difference, largest difference as a share of losses above 1)."""
    updates = math.lcm(lane.updates_per_loss, baseline.updates_per_loss)
    mine, others = _means(lane, updates), _means(baseline, updates)
    count = min(len(mine), len(others))
    if not count:
        return None
    difference = np.abs(mine[:count] - others[:count])
    return count * updates, float(difference.max()), float((difference / np.maximum(1, np.abs(others[:count]))).max())


def _means(lane: FirstLosses, updates: int) -> np.ndarray:
    """Means over `updates` updates each, from the first one on; what is left over is dropped."""
    each = updates // lane.updates_per_loss
    whole = len(lane.values) // each * each
    means: np.ndarray = np.array(lane.values[:whole], dtype=float).reshape(-1, each).mean(axis=1)
    return means
