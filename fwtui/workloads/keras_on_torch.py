"""What the Keras lane on torch needs of torch's pipeline, under the names that all of Keras's pipelines have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from fwtui.workloads import data, torch_pipeline
from fwtui.workloads.settings import Job


def choose_device(job: Job) -> str:
    """`cpu` or `cuda`."""
    return str(torch_pipeline.choose_device(job).type)


class Batches:
    """Makes loaders of any stretch of the run's batches."""

    def __init__(self, job: Job, samples: data.Samples, channels_first: bool = False) -> None:
        self._batches = torch_pipeline.Batches(job, samples, torch.device("cpu"), channels_first)

    def dataset(self, first: int, last: int) -> Iterable[Any]:
        """The batches of steps `first` to `last - 1`, counted from 0 over the whole run."""
        return self._batches.stretch(first, last)
