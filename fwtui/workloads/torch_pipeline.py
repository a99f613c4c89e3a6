"""What the lanes on torch share: the device, and for Keras the DataLoader over the common order of samples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset

from fwtui.workloads import data, settings
from fwtui.workloads.catalogue import Plan
from fwtui.workloads.settings import Job, WorkloadError


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise WorkloadError("torch sees no CUDA device here: take --device cpu or auto")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


class Batches:
    """Makes loaders of any stretch of the run's batches, as `tf_pipeline.Batches` does."""

    def __init__(self, job: Job, samples: data.Samples) -> None:
        self._plan = job.plan
        self._dataset = TensorDataset(torch.from_numpy(samples.train_x), torch.from_numpy(samples.train_y))
        self._orders = settings.sample_orders(len(samples.train_x), job.seed).tolist()

    def dataset(self, first: int, last: int) -> DataLoader[tuple[torch.Tensor, ...]]:
        """The batches of steps `first` to `last - 1`, counted from 0 over the whole run."""
        return DataLoader(self._dataset, batch_sampler=_Steps(self._orders, self._plan, first, last))


class _Steps(Sampler[list[int]]):  # type: ignore[misc]
    """The samples of each step."""

    def __init__(self, orders: list[list[int]], plan: Plan, first: int, last: int) -> None:
        self._orders, self._plan, self._steps = orders, plan, range(first, last)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            epoch, place = divmod(step, self._plan.steps_per_epoch)
            first = place * self._plan.batch_size
            yield self._orders[epoch % settings.ORDERS][first : first + self._plan.batch_size]

    def __len__(self) -> int:
        return len(self._steps)
