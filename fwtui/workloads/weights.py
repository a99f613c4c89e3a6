"""The weights that all lanes start from, drawn by NumPy from the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwtui.workloads.catalogue import Workload

Array = NDArray[np.float32]


def initial_weights(workload: Workload, seed: int) -> list[Array]:
    """One array for each of `Workload.weights`, in the same order."""
    random = np.random.default_rng(seed)
    return [_STARTS[weight.start](random, weight.shape).astype(np.float32) for weight in workload.weights]


def channels_first_rows(kernel: Array, flattened: tuple[int, ...]) -> Array:
    """A kernel behind a `Flatten` of (height, width, channels), its rows now ordered as (channels, height, width)."""
    height, width, channels = flattened
    rows = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(rows.reshape(kernel.shape))


def _glorot(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Uniform, its width from inputs and outputs. Source: Glorot and Bengio, AISTATS 2010."""
    field = int(np.prod(shape[:-2]))
    limit = np.sqrt(6 / (field * (shape[-2] + shape[-1])))
    return random.uniform(-limit, limit, shape)


def _recurrent(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Uniform within 1/√units, as is usual in PyTorch."""
    return random.uniform(-1 / np.sqrt(shape[0]), 1 / np.sqrt(shape[0]), shape)


def _gates(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Zeros, but ones for the forget gate. Source: Jozefowicz et al., ICML 2015."""
    bias = np.zeros(shape)
    bias[shape[0] // 4 : shape[0] // 2] = 1
    return bias


_STARTS: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], NDArray[Any]]] = {
    "glorot": _glorot,
    "recurrent": _recurrent,
    "gates": _gates,
    "table": lambda random, shape: 0.02 * random.standard_normal(shape),
    "zeros": lambda random, shape: np.zeros(shape),
    "ones": lambda random, shape: np.ones(shape),
}
