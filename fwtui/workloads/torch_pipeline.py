"""What the lanes on torch share: device, threads, precision, and the DataLoader over the common order of samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from fwtui.workloads import data, orders
from fwtui.workloads.settings import Job, WorkloadError
from fwtui.workloads.transform import transform

Batch = Any  # (inputs, targets)


def choose_device(job: Job) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; sets threads and reduced precision as the lane asks."""
    wanted = job.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise WorkloadError("torch sees no CUDA device here: take --device cpu or auto")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if job.precision == "tf32" and wanted == "cpu":
        raise WorkloadError("precision=tf32 is for GPUs and this lane computes on the CPU: take float32 or mixed_bf16")
    if "threads" in job.options:
        torch.set_num_threads(int(job.options["threads"]))
    torch.set_float32_matmul_precision("high" if job.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = job.precision == "tf32"
    return torch.device(wanted)


class Batches:
    """The run's batches, any stretch of them, through one loader."""

    def __init__(self, job: Job, samples: data.Samples, device: torch.device, channels_first: bool = False) -> None:
        self._job = job
        inputs = samples.train_x
        if channels_first and inputs.ndim == 4:
            inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
        samples = data.Samples(samples.source, inputs, samples.train_y)
        self._epochs: list[list[Batch]] | None = None
        if job.options.get("in_memory"):
            self._epochs = [
                list(zip(*(torch.from_numpy(array).to(device).split(job.plan.batch_size) for array in epoch)))  # noqa: B905
                for epoch in orders.ordered(job, samples)
            ]
            return
        self._steps = _Steps(orders.Order(job, len(inputs)))
        workers = int(job.options.get("workers", 0))
        self._loader = DataLoader(
            _dataset(job, samples),
            batch_sampler=self._steps,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )

    def stretch(self, first: int, last: int) -> Iterable[Batch]:
        """The batches of steps `first` to `last - 1`, counted from 0 over the whole run.

        Asking for another stretch ends the one before.
        """
        if self._epochs is not None:
            return self._from_memory(first, last)
        self._steps.stretch = range(first, last)
        loader: Iterable[Batch] = self._loader
        return loader

    def _from_memory(self, first: int, last: int) -> Iterator[Batch]:
        assert self._epochs is not None
        for step in range(first, last):
            epoch, place = divmod(step, self._job.plan.steps_per_epoch)
            yield self._epochs[epoch % len(self._epochs)][place]


class _Steps(Sampler[list[int]]):  # type: ignore[misc]
    """The samples of each step; a key holds the epoch as well, for the change that a sample meets in it."""

    def __init__(self, order: orders.Order) -> None:
        self._order = order
        self.stretch = range(0)

    def __iter__(self) -> Iterator[list[int]]:
        samples = self._order.rows.shape[1]
        for step in self.stretch:
            epoch, rows = self._order.step(step)
            yield (rows + epoch * samples).tolist()

    def __len__(self) -> int:
        return len(self.stretch)


def _dataset(job: Job, samples: data.Samples) -> Dataset[Any]:
    tensors = torch.from_numpy(samples.train_x), torch.from_numpy(samples.train_y)
    if job.workload.augments:
        return _Changed(*tensors, orders.changes(job.seed))
    return _Transformed(samples) if job.options.get("per_sample") else _Plain(*tensors)


class _Plain(TensorDataset):  # type: ignore[misc]
    """One sample by its key, without any work on it."""

    def __getitem__(self, key: int) -> Batch:
        return super().__getitem__(key % len(self))


class _Transformed(Dataset[Any]):  # type: ignore[misc]
    """Each sample is cast and scaled by NumPy as image pipelines do, here from 0…1 to 0…1, and made a tensor."""

    def __init__(self, samples: data.Samples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples.train_x)

    def __getitem__(self, key: int) -> Batch:
        row = key % len(self)
        return torch.from_numpy(transform(self._samples.train_x[row])), self._samples.train_y[row]


class _Changed(Dataset[Any]):  # type: ignore[misc]
    """Each image is turned, shifted and shaded by torch's operations, as `orders.change_image` does."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, table: np.ndarray[Any, Any]) -> None:
        self._inputs, self._targets = inputs, targets
        self._table = torch.from_numpy(table)
        self._y, self._x = torch.meshgrid(*(torch.arange(28, dtype=torch.float32) - 13.5,) * 2, indexing="ij")

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, key: int) -> Batch:
        epoch, row = divmod(key, len(self._inputs))
        image = self._inputs[row]
        changed = self._change(image.reshape(28, 28), self._table[orders.change_of(row, epoch)])
        return changed.reshape(image.shape), self._targets[row]

    def _change(self, image: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        y = change[0] * self._y + change[1] * self._x + (change[2] + 13.5)
        x = change[3] * self._y + change[4] * self._x + (change[5] + 13.5)
        top, left = y.floor(), x.floor()
        down, right = y - top, x - left
        padded = torch.nn.functional.pad(image, (1, 1, 1, 1)).flatten()
        corner = (top.long() + 1).clamp(0, 28) * 30 + (left.long() + 1).clamp(0, 28)
        upper = padded[corner] * (1 - right) + padded[corner + 1] * right
        lower = padded[corner + 30] * (1 - right) + padded[corner + 31] * right
        return ((upper * (1 - down) + lower * down) * change[6] + change[7]).clamp(0, 1)
