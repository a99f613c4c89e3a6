"""What all lanes share: the job they are given, the optimizer, the first weights and the order of samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fwtui import mark
from fwtui.workloads.catalogue import Plan, Workload

ORDERS = 8
"""Epochs after which the order of samples repeats."""


class WorkloadError(Exception):
    """A mistake or lack that one sentence explains to the user."""


@dataclass(frozen=True)
class Job:
    """What one lane is asked to do."""

    workload: Workload
    options: Mapping[str, bool | int | str]
    """The lane's options, as in `catalogue.LaneSpec`."""
    plan: Plan
    seed: int
    data: str
    """One of `catalogue.DATA_CHOICES`."""
    device: str
    """One of `catalogue.DEVICE_CHOICES`."""
    print_losses: bool = False
    """Print the loss of every step; costs time, so it is for tests only."""


@dataclass(frozen=True)
class AdamSettings:
    """Adam as in Kingma and Ba, 2015 (arXiv:1412.6980); set in full, because the frameworks' defaults differ.

    The frameworks place epsilon differently: torch adds it to the bias-corrected root of the second moment, Keras and
    TensorFlow to the uncorrected one (the paper's "epsilon hat"). It shows where gradients are as small as epsilon, as
    at an image's border: losses of `mnist-mlp` are equal to 1e-5 between Keras and TensorFlow over 100 steps, and to
    some 1e-3 between those and torch.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8


ADAM = AdamSettings()


def initial_weights(workload: Workload, seed: int) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """A kernel of shape (inputs, outputs), Glorot-uniform, and a bias of zeros, for each layer.

    Source: Glorot and Bengio, AISTATS 2010.
    """
    random = np.random.default_rng(seed)
    weights = []
    for inputs, outputs in workload.layer_shapes:
        limit = np.sqrt(6 / (inputs + outputs))
        kernel = random.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        weights.append((kernel, np.zeros(outputs, np.float32)))
    return weights


def sample_orders(samples: int, seed: int) -> NDArray[np.int64]:
    """The order of samples of each epoch, shape (ORDERS, samples); epoch `e` takes row `e % ORDERS`."""
    return np.stack([np.random.default_rng([seed, epoch]).permutation(samples) for epoch in range(ORDERS)])


def epoch_line(epoch: int, plan: Plan, loss: float) -> str:
    """What the loops print at the end of an epoch; `epoch` counts from 0."""
    return f"epoch {epoch + 1}/{plan.epochs}: loss {loss:.4f}"


def report_test(loss: float, accuracy: float) -> None:
    """Prints the evaluation at the end and hands it to fwtui."""
    print(f"test: loss {loss:.4f}, accuracy {accuracy:.2%}")
    mark.result(test_loss=loss, test_accuracy=accuracy)
