"""Which samples each step takes, and how they are turned, shifted and shaded: the same in every lane. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fwtui.workloads import settings
from fwtui.workloads.data import Samples
from fwtui.workloads.settings import Job

IN_MEMORY_BYTES = 512 << 20
"""What a lane with `in_memory` may take for batches put in order beforehand."""

CHANGES = 4_096
_STRIDE = 2_503
"""Coprime to `CHANGES`: a sample meets another change in each epoch."""
MAX_ROTATION_DEGREES = 15.0
MAX_SHIFT_PIXELS = 2.0


class Order:
    """The samples of each step over the whole run."""

    def __init__(self, job: Job, samples: int) -> None:
        self.plan = job.plan
        self.rows = settings.sample_orders(samples, job.seed)
        """(ORDERS, samples)."""

    def step(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """(epoch, samples) of a step, counted from 0; the last step of an epoch may be short."""
        epoch, place = divmod(step, self.plan.steps_per_epoch)
        first = place * self.plan.batch_size
        return epoch, self.rows[epoch % settings.ORDERS][first : first + self.plan.batch_size]


def changes(seed: int) -> NDArray[np.float32]:
    """How images are changed, shape (CHANGES, 8).

    The columns: the 2x3 matrix from a pixel of the new image, counted from its middle, to one of the old image; then
    contrast and brightness.
    """
    random = np.random.default_rng([seed, CHANGES])
    angle = np.radians(random.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES, CHANGES))
    scale = random.uniform(0.9, 1.1, CHANGES)
    shift = random.uniform(-MAX_SHIFT_PIXELS, MAX_SHIFT_PIXELS, (2, CHANGES))
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    contrast, brightness = random.uniform(0.7, 1.3, CHANGES), random.uniform(-0.1, 0.1, CHANGES)
    table = np.stack([cosine, -sine, shift[0], sine, cosine, shift[1], contrast, brightness], axis=1)
    columns: NDArray[np.float32] = table.astype(np.float32)
    return columns


def change_of(sample: int, epoch: int) -> int:
    """The row of `changes` that a sample meets in an epoch."""
    return (sample + _STRIDE * epoch) % CHANGES


def change_image(image: NDArray[np.float32], change: NDArray[np.float32]) -> NDArray[np.float32]:
    """A grey image turned and shifted with bilinear weights, then shaded and clipped to 0…1.

    `torch_pipeline` and `tf_pipeline` do the same by their own operations.

    Args:
        image: (height, width).
        change: A row of `changes`.
    """
    height, width = image.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    source_y = change[0] * y + change[1] * x + change[2] + (height - 1) / 2
    source_x = change[3] * y + change[4] * x + change[5] + (width - 1) / 2
    top, left = np.floor(source_y), np.floor(source_x)
    down, right = source_y - top, source_x - left
    padded = np.pad(image, 1)
    rows = np.clip(top.astype(np.int64) + 1, 0, height)
    columns = np.clip(left.astype(np.int64) + 1, 0, width)
    upper = padded[rows, columns] * (1 - right) + padded[rows, columns + 1] * right
    lower = padded[rows + 1, columns] * (1 - right) + padded[rows + 1, columns + 1] * right
    changed = upper * (1 - down) + lower * down
    clipped: NDArray[np.float32] = np.clip(changed * change[6] + change[7], 0, 1).astype(np.float32)
    return clipped


def ordered(job: Job, samples: Samples) -> list[tuple[NDArray[np.float32], NDArray[np.generic]]]:
    """All samples in the order of each epoch, changed where the workload changes them, for slicing batches.

    As many epochs as are trained and fit into `IN_MEMORY_BYTES`, at least one; the run repeats them.
    """
    order = Order(job, len(samples.train_x))
    kept = max(1, min(settings.ORDERS, job.plan.epochs, IN_MEMORY_BYTES // samples.train_x.nbytes))
    return [_epoch(job, samples, order, epoch) for epoch in range(kept)]


def _epoch(job: Job, samples: Samples, order: Order, epoch: int) -> tuple[NDArray[np.float32], NDArray[np.generic]]:
    rows = order.rows[epoch]
    inputs, targets = samples.train_x[rows], samples.train_y[rows]
    if job.workload.augments:
        table = changes(job.seed)
        for place, row in enumerate(rows):
            image = inputs[place].reshape(28, 28)
            inputs[place] = change_image(image, table[change_of(row, epoch)]).reshape(inputs[place].shape)
    return inputs, targets


def batches_in_memory(
    job: Job, epochs: list[tuple[NDArray[np.float32], NDArray[np.generic]]], first: int, last: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.generic]]]:
    """Slices of what `ordered` gave, for steps `first` to `last - 1`."""
    for step in range(first, last):
        epoch, place = divmod(step, job.plan.steps_per_epoch)
        inputs, targets = epochs[epoch % len(epochs)]
        begin = place * job.plan.batch_size
        yield inputs[begin : begin + job.plan.batch_size], targets[begin : begin + job.plan.batch_size]
