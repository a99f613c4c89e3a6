"""The samples that built-in lanes train on, the same for every framework. NumPy only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwtui.workloads.catalogue import Workload
from fwtui.workloads.settings import WorkloadError
from fwtui.workloads.warps import random_warps

EXPANSION_SEED = 1998
"""The expanded digits are one fixed data set: `--seed` chooses weights and orders, never the data."""
SPLIT_SEED = 64
REGRESSION_SEED = 100


@dataclass(frozen=True)
class Samples:
    """Training and test samples as the networks take them."""

    source: str
    """`digits`, `mnist` or `synthetic`."""
    train_x: NDArray[np.float32]
    """Shape (samples, *the workload's input shape); images are scaled to 0…1."""
    train_y: NDArray[Any]
    """Regression: float32 of shape (samples, 1). Classification: int64 of shape (samples,)."""
    test_x: NDArray[np.float32] | None = None
    test_y: NDArray[Any] | None = None


@dataclass(frozen=True)
class Images:
    """Labelled grey images: uint8 of shape (samples, height, width), and their digits."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def first(self, count: int) -> Images:
        """The first `count` of them."""
        return Images(self.pixels[:count], self.labels[:count])


def load(workload: Workload, data: str, fetch_mnist: Callable[[], object] | None = None) -> Samples:
    """The samples of a workload.

    Args:
        workload: Which one.
        data: One of the workload's `data`.
        fetch_mnist: Puts `mnist.npz` into Keras's cache, for frameworks that can.

    Raises:
        WorkloadError: The data is not there, or is broken.
    """
    if workload.loss == "mean squared error":
        return regression_samples(workload)
    if "digits" not in workload.data:
        return noise_samples(workload)
    source = resolve(data)
    train, test = _mnist(fetch_mnist) if source == "mnist" else _SOURCES[source](workload)
    train, test = train.first(workload.samples), test.first(workload.test_samples)
    return Samples(
        source,
        _scaled(train.pixels).reshape(-1, *workload.input_shape),
        train.labels.astype(np.int64),
        _scaled(test.pixels).reshape(-1, *workload.input_shape),
        test.labels.astype(np.int64),
    )


def resolve(data: str) -> str:
    """What `auto` means here: MNIST when it lies in Keras's cache, else the embedded digits."""
    if data != "auto":
        return data
    return "mnist" if mnist_path().is_file() else "digits"


def mnist_path() -> Path:
    """Where `keras.datasets.mnist` keeps its file."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets" / "mnist.npz"


def regression_samples(workload: Workload) -> Samples:
    """Inputs from a normal distribution; the answers of a fixed linear teacher, plus noise."""
    random = np.random.default_rng(REGRESSION_SEED)
    width = workload.input_shape[0]
    inputs = random.standard_normal((workload.samples, width), dtype=np.float32)
    teacher = random.standard_normal((width, 1), dtype=np.float32) / np.sqrt(width)
    noise = 0.1 * random.standard_normal((workload.samples, 1), dtype=np.float32)
    return Samples("synthetic", inputs, (inputs @ teacher + noise).astype(np.float32))


def noise_samples(workload: Workload) -> Samples:
    """Images of uniform noise, made brighter the higher their label: no more than a network needs to have work."""
    random = np.random.default_rng(REGRESSION_SEED)
    labels = random.integers(0, 10, workload.samples)
    inputs = random.random((workload.samples, *workload.input_shape), dtype=np.float32)
    inputs *= ((1 + labels) / 10).astype(np.float32).reshape(-1, *(1 for _ in workload.input_shape))
    return Samples("synthetic", inputs, labels.astype(np.int64))


def embedded_digits() -> Images:
    """The 1,797 real handwritten digits of the UCI set, 8x8, values 0 to 16 (CC BY 4.0, see digits.txt)."""
    with resources.files("fwtui.workloads").joinpath("digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return Images(arrays["pixels"], arrays["labels"])


def split_digits(digits: Images, test_share: float) -> tuple[Images, Images]:
    """Training and test digits, split before anything is made of them, so that no test digit has a twin in training."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(digits.labels))
    tests = round(len(order) * test_share)
    test, train = order[:tests], order[tests:]
    return Images(digits.pixels[train], digits.labels[train]), Images(digits.pixels[test], digits.labels[test])


def expand(digits: Images, samples: int, seed: int) -> Images:
    """Makes `samples` images of 28x28 from 8x8 ones by small random rotations and shifts, taking each digit in turn."""
    random = np.random.default_rng(seed)
    warps = random_warps(random)
    chosen = np.arange(samples) % len(digits.labels)
    warp_of = random.integers(0, len(warps), samples)
    flat = digits.pixels.reshape(len(digits.labels), -1).astype(np.float32) * (255 / 16)
    pixels = np.empty((samples, warps.shape[1]), np.uint8)
    for number, warp in enumerate(warps):
        rows = np.flatnonzero(warp_of == number)
        pixels[rows] = np.clip(np.rint(flat[chosen[rows]] @ warp.T), 0, 255)
    return Images(pixels.reshape(samples, 28, 28), digits.labels[chosen])


def _digits(workload: Workload) -> tuple[Images, Images]:
    """The embedded digits, expanded to the workload's counts; kept in the user's cache."""
    counts = (workload.samples, workload.test_samples)
    names = [f"digits-v1-{part}-{count}.npy" for part, count in zip(("train", "test"), counts)]  # noqa: B905
    share = workload.test_samples / (workload.samples + workload.test_samples)
    parts = split_digits(embedded_digits(), share)
    expanded = []
    for place, (part, count, name) in enumerate(zip(parts, counts, names)):  # noqa: B905
        labels = part.labels[np.arange(count) % len(part.labels)]
        pixels = _read_cache(name, (count, 28, 28))
        if pixels is None:
            pixels = expand(part, count, EXPANSION_SEED + place).pixels
            _write_cache(name, pixels)
        expanded.append(Images(pixels, labels))
    return expanded[0], expanded[1]


def _synthetic(workload: Workload) -> tuple[Images, Images]:
    """Ten fixed random patterns under noise: nothing to download, nothing to unpack, easy to learn."""
    random = np.random.default_rng(REGRESSION_SEED)
    patterns = random.integers(0, 128, (10, 28, 28), dtype=np.uint8)

    def part(samples: int) -> Images:
        labels = random.integers(0, 10, samples, dtype=np.uint8)
        return Images(patterns[labels] + random.integers(0, 128, (samples, 28, 28), dtype=np.uint8), labels)

    return part(workload.samples), part(workload.test_samples)


_SOURCES = {"digits": _digits, "synthetic": _synthetic}


def _mnist(fetch: Callable[[], object] | None) -> tuple[Images, Images]:
    path = mnist_path()
    if not path.is_file() and fetch is not None:
        fetch()
    try:
        with np.load(path, allow_pickle=False) as arrays:
            train = Images(arrays["x_train"], arrays["y_train"])
            test = Images(arrays["x_test"], arrays["y_test"])
    except FileNotFoundError:
        raise WorkloadError(
            f"MNIST is not in {path}: let a keras lane with --data mnist load it once, or take --data digits"
        ) from None
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise WorkloadError(f"{path} is not Keras's MNIST file ({error}): delete it, or take --data digits") from None
    if train.pixels.shape != (60_000, 28, 28) or test.pixels.shape != (10_000, 28, 28):
        raise WorkloadError(f"{path} does not hold MNIST's 60,000 + 10,000 images: delete it, or take --data digits")
    return train, test


def _scaled(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = np.divide(pixels.reshape(len(pixels), -1), 255, dtype=np.float32)
    return scaled


def _cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "fwtui"


def _read_cache(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The cached pixels, or None when they are missing, cut short or not ours."""
    try:
        pixels: NDArray[np.uint8] = np.load(_cache_folder() / name, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _write_cache(name: str, pixels: NDArray[np.uint8]) -> None:
    """Writes under another name first, because lanes start together; a cache that can't be written is no error."""
    folder = _cache_folder()
    temporary = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.save(file, pixels, allow_pickle=False)
        os.replace(temporary, folder / name)
    except OSError:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
