"""What the Keras lane on JAX needs: the device, threads, and batches made by NumPy in the common order of samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from fwtui.workloads import data, orders
from fwtui.workloads.settings import Job, WorkloadError
from fwtui.workloads.transform import transform


def choose_device(job: Job) -> str:
    """Checks the device and sets the precision of products; threads are set before JAX is imported."""
    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    if job.device == "cuda" and device == "cpu":
        raise WorkloadError("jax sees no CUDA device here: take --device cpu or auto")
    if job.precision == "tf32" and device == "cpu":
        raise WorkloadError("precision=tf32 is for GPUs and this lane computes on the CPU: take float32 or mixed_bf16")
    if device != "cpu":
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if job.precision == "tf32" else "highest")
    return device


class Batches:
    """Makes generators of any stretch of the run's batches."""

    def __init__(self, job: Job, samples: data.Samples, channels_first: bool = False) -> None:
        self._job = job
        inputs = samples.train_x
        if channels_first and inputs.ndim == 4:
            inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
        self._samples = data.Samples(samples.source, inputs, samples.train_y)
        self._epochs = orders.ordered(job, self._samples) if job.options.get("in_memory") else None
        self._order = orders.Order(job, len(inputs))
        self._changes = orders.changes(job.seed) if job.workload.augments else None

    def dataset(self, first: int, last: int) -> Iterator[Any]:
        """The batches of steps `first` to `last - 1`, counted from 0 over the whole run."""
        if self._epochs is not None:
            yield from orders.batches_in_memory(self._job, self._epochs, first, last)
            return
        for step in range(first, last):
            epoch, rows = self._order.step(step)
            inputs = self._samples.train_x[rows]
            if self._changes is not None:
                for place, row in enumerate(rows):
                    change = self._changes[orders.change_of(int(row), epoch)]
                    inputs[place] = orders.change_image(inputs[place].reshape(28, 28), change).reshape(inputs[0].shape)
            if self._job.options.get("per_sample"):
                inputs = np.stack([transform(sample) for sample in inputs])
            yield inputs, self._samples.train_y[rows]
