"""What built-in lanes can train: the tables behind `--workload`, `--lanes` and the help.

Standard library only: the command line reads it before it knows whether any framework is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from fwtui.workloads import architectures
from fwtui.workloads import layers as table
from fwtui.workloads.lane_options import BACKENDS, DEFAULT_LANES, LANES, PRECISIONS, Framework, LaneSpec, parse_lane
from fwtui.workloads.options import Option, Value, named, read_options, spelled

__all__ = [
    "BACKENDS",
    "DATA_CHOICES",
    "DEFAULT_LANES",
    "DEFAULT_WORKLOAD",
    "DEVICE_CHOICES",
    "LANES",
    "WORKLOADS",
    "Framework",
    "LaneSpec",
    "Option",
    "Plan",
    "Workload",
    "batch_size",
    "check",
    "parse_lane",
    "plan",
    "workload",
]

DATA_CHOICES = ("auto", "digits", "mnist", "synthetic")
DEVICE_CHOICES = ("auto", "cpu", "cuda")
DEFAULT_WORKLOAD = "mnist-mlp"

_PRECISION = Option("precision", "of the arithmetic in all lanes that name none", choices=PRECISIONS)
_COMMON = (
    Option("activation", "between the layers", choices=("relu", "tanh", "sigmoid", "gelu")),
    Option("optimizer", "with the same settings in all lanes", choices=("sgd", "adam", "adamw")),
    Option("dropout", "share of a layer's outputs set to zero", decimal=(0, 1)),
    Option("l1", "weight of the kernels' absolute values in the loss", decimal=(0, math.inf)),
    Option("l2", "weight of the kernels' squares in the loss", decimal=(0, math.inf)),
    _PRECISION,
)
_DEFAULTS: Mapping[str, Value] = MappingProxyType(
    {"activation": "relu", "optimizer": "adam", "dropout": 0.0, "l1": 0.0, "l2": 0.0, "precision": "float32"}
)


@dataclass(frozen=True)
class Workload:
    """One job that every built-in lane knows how to run."""

    name: str
    """As asked for, options included: `mnist-cnn:pool=average`."""
    description: str
    """One line for people."""
    batch_size: int
    epochs: int
    samples: int
    """Training samples an epoch."""
    test_samples: int
    """Samples of the evaluation at the end; 0 without one."""
    input_shape: tuple[int, ...]
    """Of one sample, channels last."""
    loss: str
    """`mean squared error`, `sparse cross-entropy`, or `none` for a plain product."""
    data: tuple[str, ...]
    """What `--data` may name for it."""
    network: Callable[[Mapping[str, Value]], architectures.Layers] | None = None
    options: tuple[Option, ...] = _COMMON
    values: Mapping[str, Value] = field(default_factory=lambda: dict(_DEFAULTS))
    """The value of each option that is not an unset flag."""

    @property
    def kind(self) -> str:
        """The name without options."""
        return self.name.split(":")[0]

    @property
    def layers(self) -> architectures.Layers:
        """The network; empty for a plain product."""
        return self.network(self.values) if self.network else ()

    @property
    def weights(self) -> list[table.Weight]:
        """All weights, trained and frozen."""
        return table.weights_of(self.layers, self.input_shape)

    @property
    def parameters(self) -> int:
        """Numbers in all weights."""
        return sum(weight.size for weight in self.weights)

    @property
    def trainable_parameters(self) -> int:
        """Numbers in the weights that are trained."""
        return sum(weight.size for weight in self.weights if not weight.frozen)

    @property
    def operations(self) -> int:
        """Floating-point operations of training on one sample, or of one product."""
        if self.network is None:
            return 2 * int(self.values["size"]) ** 3
        return table.training_operations(self.layers, self.input_shape)

    @property
    def augments(self) -> bool:
        """Whether each sample is turned, shifted and shaded on its way in."""
        return bool(self.values.get("augment"))

    @property
    def deterministic(self) -> bool:
        """Whether the lanes' losses can be compared: dropout draws at random, differently in each framework."""
        return not self.values.get("dropout")


def _digits(
    name: str,
    description: str,
    network: Callable[[Mapping[str, Value]], architectures.Layers],
    input_shape: tuple[int, ...] = (28, 28, 1),
    own: tuple[Option, ...] = (),
    epochs: int = 2,
    **defaults: Value,
) -> Workload:
    """A workload that learns to read the digits."""
    return Workload(
        name=name,
        description=description,
        batch_size=64,
        epochs=epochs,
        samples=60_000,
        test_samples=10_000,
        input_shape=input_shape,
        loss="sparse cross-entropy",
        data=DATA_CHOICES,
        network=network,
        options=(*own, *_COMMON),
        values={**_DEFAULTS, **defaults},
    )


_LAYERS = Option("layers", "how many of them", least=1)
_WORKLOADS = (
    Workload(
        name="regression-mlp",
        description="a 100-10-1 ReLU network fitted to 1,000 samples of a fixed teacher plus noise",
        batch_size=32,
        epochs=100,
        samples=1_000,
        test_samples=0,
        input_shape=(100,),
        loss="mean squared error",
        data=("auto", "synthetic"),
        network=architectures.regression_mlp,
    ),
    _digits(
        "mnist-mlp",
        "a 784-128-10 ReLU network that learns to read handwritten digits",
        architectures.mnist_mlp,
        (784,),
        epochs=5,
    ),
    _digits(
        "mnist-cnn",
        "two 3x3 convolutions, pooled, and two dense layers read the digits",
        architectures.mnist_cnn,
        own=(
            Option("pool", "what a pooled window keeps", choices=("max", "average")),
            Option("batch_norm", "batch normalisation behind each convolution"),
            Option("augment", "each image is turned, shifted and shaded on its way in"),
        ),
        pool="max",
    ),
    _digits(
        "lstm",
        "an LSTM of 64 units reads the digits row by row",
        architectures.lstm,
        (28, 28),
        own=(_LAYERS, Option("bidirectional", "also from the last row to the first")),
        layers=1,
    ),
    _digits(
        "transformer",
        "a pre-norm encoder, 64 wide with 4 heads, reads the digits row by row",
        architectures.transformer,
        (28, 28),
        own=(_LAYERS,),
        layers=2,
    ),
    _digits(
        "finetune",
        "a new head learns on a frozen convolutional backbone",
        architectures.finetune,
    ),
    Workload(
        name="matmul",
        description="a pure product of two square matrices: a step is one product, nothing is learnt",
        batch_size=1,
        epochs=2,
        samples=500,
        test_samples=0,
        input_shape=(),
        loss="none",
        data=("auto", "synthetic"),
        options=(Option("size", "rows and columns of the matrices", least=1), _PRECISION),
        values={"size": 512, "precision": "float32"},
    ),
    replace(
        _digits(
            "input-heavy",
            "mnist-mlp on images that are turned, shifted and shaded one by one on their way in",
            architectures.mnist_mlp,
            (784,),
            augment=True,
        ),
        samples=6_000,
        test_samples=1_000,
    ),
    _digits(
        "resnet",
        "a residual network with batch normalisation: 8 layers read the digits, or 50 on 224x224 images",
        architectures.resnet,
        own=(Option("size", "small, or ResNet-50 on synthetic images, for a GPU", choices=("small", "50")),),
        size="small",
    ),
)
WORKLOADS: Mapping[str, Workload] = MappingProxyType({workload.name: workload for workload in _WORKLOADS})
_VARIANTS: Mapping[tuple[str, str, Value], Mapping[str, object]] = MappingProxyType(
    {
        ("resnet", "size", "50"): {
            "samples": 512,
            "test_samples": 0,
            "input_shape": (224, 224, 3),
            "data": ("auto", "synthetic"),
            "epochs": 20,
        }
    }
)
"""What else changes with an option's value."""


def workload(text: str) -> Workload:
    """The workload that `name[:option[=value]]…` asks for.

    Raises:
        ValueError: One sentence that names the nearest right name or option.
    """
    name, *parts = text.strip().lower().split(":")
    found: Workload = named(name, _WORKLOADS, "workload")
    asked = read_options(found.name, "workload", found.options, parts)
    found = replace(found, name=spelled(found.name, asked), values={**found.values, **asked})
    for option, value in asked.items():
        found = replace(found, **_VARIANTS.get((name, option, value), {}))  # type: ignore[arg-type]
    return found


_PRODUCT_OPTIONS = ("compile", "backend", "jit", "eager", "threads", "precision")
_BFLOAT_ADAM = (
    "Adam in Keras and TensorFlow rounds its beta_2 to 1 in bfloat16 and learns nothing: "
    "take precision=mixed_bf16, or optimizer=sgd"
)


def check(lane: LaneSpec, workload: Workload) -> None:
    """Raises ValueError, one sentence, when a lane's options make no sense for the workload."""
    if workload.network is None:
        strange = next((option for option in lane.options if option not in _PRODUCT_OPTIONS), None)
        if strange:
            raise ValueError(f"{workload.kind} only multiplies, so {strange} means nothing there: leave it out")
    if "layout" in lane.options and not _has_images(workload):
        raise ValueError(f"{workload.kind} has no convolution, so layout means nothing there: leave it out")
    precision = lane.options.get("precision", workload.values["precision"])
    if precision == "bf16" and lane.framework != "torch" and workload.values.get("optimizer") in ("adam", "adamw"):
        raise ValueError(_BFLOAT_ADAM)


def batch_size(lane: LaneSpec, otherwise: int | None) -> int | None:
    """The lane's own batch size, else the other one."""
    return int(lane.options["batch_size"]) if "batch_size" in lane.options else otherwise


def _has_images(workload: Workload) -> bool:
    return any(len(weight.shape) == 4 for weight in workload.weights)


@dataclass(frozen=True)
class Plan:
    """How much a lane trains."""

    steps: int
    """Optimizer updates in all."""
    epochs: int
    """Epochs begun; the last one may be cut short."""
    steps_per_epoch: int
    batch_size: int

    @property
    def full_epochs(self) -> int:
        """Epochs that run to their end."""
        return self.steps // self.steps_per_epoch

    @property
    def rest(self) -> int:
        """Steps of the epoch that is cut short; 0 when none is."""
        return self.steps % self.steps_per_epoch


def plan(
    workload: Workload, batch_size: int | None = None, epochs: int | None = None, steps: int | None = None
) -> Plan:
    """How many steps and epochs follow from the arguments; None takes the workload's own.

    The last, short batch of an epoch counts as a step. `steps` wins over `epochs` and may exceed them.

    Raises:
        ValueError: One sentence, when a value makes no sense.
    """
    for value, label in ((batch_size, "batch size"), (epochs, "number of epochs"), (steps, "number of steps")):
        if value is not None and value < 1:
            raise ValueError(f"the {label} must be at least 1, not {value}")
    batch_size = workload.batch_size if batch_size is None else batch_size
    if workload.network is None and batch_size > 1:
        raise ValueError(f"a step of {workload.kind} is one product: leave the batch size out")
    if batch_size > workload.samples:
        raise ValueError(
            f"the batch size {batch_size:,} is more than the {workload.samples:,} samples of {workload.name}"
        )
    steps_per_epoch = math.ceil(workload.samples / batch_size)
    if steps is None:
        steps = steps_per_epoch * (workload.epochs if epochs is None else epochs)
    return Plan(steps, math.ceil(steps / steps_per_epoch), steps_per_epoch, batch_size)
