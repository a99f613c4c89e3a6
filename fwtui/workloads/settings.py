"""What all lanes share: the job they are given, the optimizers' settings and the order of samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwtui import mark
from fwtui.workloads.catalogue import Plan, Workload

ORDERS = 8
"""Epochs after which the order of samples repeats."""
CHECKED_STEPS = 16
"""First updates whose losses are noted, to be compared with other lanes'; later on rounding drives them apart."""
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_KEPT = 0.9
"""Share of the old statistics that an update keeps; torch's momentum is what it takes over, 0.1."""
LAYER_NORM_EPSILON = 1e-5


class WorkloadError(Exception):
    """A mistake or lack that one sentence explains to the user."""


@dataclass(frozen=True)
class Job:
    """What one lane is asked to do."""

    workload: Workload
    options: Mapping[str, bool | int | float | str]
    """The lane's options, as in `catalogue.LaneSpec`."""
    plan: Plan
    seed: int
    data: str
    """One of `catalogue.DATA_CHOICES`."""
    device: str
    """One of `catalogue.DEVICE_CHOICES`."""
    print_losses: bool = False
    """Print the loss of every step, and test nothing at the end; it costs time, so it is for tests only."""

    @property
    def precision(self) -> str:
        """The lane's own, else the workload's."""
        return str(self.options.get("precision", self.workload.values["precision"]))

    @property
    def checked_steps(self) -> int:
        """How many first updates have their losses noted."""
        if not self.workload.deterministic:
            return 0
        whole = self.workload.samples // self.plan.batch_size  # a short batch would weigh less in an execution's mean
        return min(CHECKED_STEPS, self.plan.steps, whole)


@dataclass(frozen=True)
class OptimizerSettings:
    """One optimizer, set in full, because the frameworks' defaults differ."""

    name: str
    learning_rate: float
    momentum: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-14
    """Adam's. torch adds it to the bias-corrected root of the second moment, Keras and TensorFlow to the uncorrected
    one (the "epsilon hat" of Kingma and Ba, 2015, arXiv:1412.6980, section 2), which at the first update weighs 32
    times as much. It shows where gradients are as small as epsilon, as at an image's border: with the usual 1e-8 the
    lanes' losses drift apart by some 1e-3 within 50 updates of `mnist-mlp`, with 1e-10 still those of `mnist-cnn`;
    1e-14 lies below every gradient that counts."""
    weight_decay: float = 0.0
    """AdamW's, decoupled from the gradient (Loshchilov and Hutter, 2019, arXiv:1711.05101)."""


OPTIMIZERS = {
    "sgd": OptimizerSettings("SGD", learning_rate=1e-2, momentum=0.9),
    "adam": OptimizerSettings("Adam", learning_rate=1e-3),
    "adamw": OptimizerSettings("AdamW", learning_rate=1e-3, weight_decay=1e-2),
}


def optimizer_settings(workload: Workload) -> OptimizerSettings:
    """The settings that all lanes train a workload with."""
    return OPTIMIZERS[str(workload.values["optimizer"])]


_DTYPES = {"bf16": "bfloat16", "mixed_bf16": "mixed_bfloat16"}


def optimizer_facts(workload: Workload) -> dict[str, Any]:
    """The settings as fwtui knows them, for lanes whose optimizer no hook can read."""
    return {key: value for key, value in vars(optimizer_settings(workload)).items() if value}


def penalties(workload: Workload) -> tuple[float, float]:
    """(L1, L2): what the kernels' absolute values and squares weigh in the loss."""
    return float(workload.values["l1"]), float(workload.values["l2"])


def sample_orders(samples: int, seed: int) -> NDArray[np.int64]:
    """The order of samples of each epoch, shape (ORDERS, samples); epoch `e` takes row `e % ORDERS`."""
    return np.stack([np.random.default_rng([seed, epoch]).permutation(samples) for epoch in range(ORDERS)])


def tell(job: Job) -> None:
    """Tells fwtui what a hook cannot learn, or not in every framework."""
    workload, values = job.workload, job.workload.values
    facts: dict[str, Any] = {
        "precision": job.precision,
        "dtype": _DTYPES.get(job.precision, "float32"),
        "batch_size": job.plan.batch_size,
        "samples_per_epoch": workload.samples,
        "updates_per_epoch": job.plan.steps_per_epoch,
    }
    if workload.network is not None:
        facts.update(
            parameters=workload.parameters,
            trainable_parameters=workload.trainable_parameters,
            loss=workload.loss,
            shuffle="shared order",
            activation=values["activation"],
            dropout=values["dropout"],
            penalties=penalties(workload),
        )
    mark.facts(**facts)


def callback(job: Job) -> Callable[[], None] | None:
    """What runs after each update: a sleep, where the lane asks for one."""
    milliseconds = job.options.get("callback_ms")
    return (lambda: time.sleep(float(milliseconds) / 1000)) if milliseconds else None


def report_losses(losses: Sequence[float], updates_per_loss: int = 1) -> None:
    """Hands the losses of the first updates to fwtui, for the comparison with the other lanes."""
    mark.losses(losses, updates_per_loss)


def epoch_line(epoch: int, plan: Plan, loss: float) -> str:
    """What the loops print at the end of an epoch; `epoch` counts from 0."""
    return f"epoch {epoch + 1}/{plan.epochs}: loss {loss:.4f}"


def report_test(loss: float, accuracy: float) -> None:
    """Prints the evaluation at the end and hands it to fwtui."""
    print(f"test: loss {loss:.4f}, accuracy {accuracy:.2%}")
    mark.result(test_loss=loss, test_accuracy=accuracy)
