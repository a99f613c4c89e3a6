"""What built-in lanes can train and in which configurations: the tables behind `--workload`, `--lanes` and the help.

Standard library only: the command line reads it before it knows whether any framework is installed.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

DATA_CHOICES = ("auto", "digits", "mnist", "synthetic")
DEVICE_CHOICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Workload:
    """One training job that every built-in lane knows how to run."""

    name: str
    description: str
    """One line for people."""
    batch_size: int
    epochs: int
    samples: int
    """Training samples an epoch."""
    test_samples: int
    """Samples of the evaluation at the end; 0 without one."""
    layers: tuple[int, ...]
    """Widths of the fully connected layers, input first; ReLU between them."""
    loss: str
    """`mean squared error` or `sparse cross-entropy`."""
    data: tuple[str, ...]
    """What `--data` may name for it."""

    @property
    def parameters(self) -> int:
        """Weights and biases of all layers."""
        return sum((inputs + 1) * outputs for inputs, outputs in self.layer_shapes)

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each layer."""
        return tuple((self.layers[i], self.layers[i + 1]) for i in range(len(self.layers) - 1))


_WORKLOADS = (
    Workload(
        name="regression-mlp",
        description="a 100-10-1 ReLU network fitted to 1,000 samples of a fixed teacher plus noise, by Adam",
        batch_size=32,
        epochs=100,
        samples=1_000,
        test_samples=0,
        layers=(100, 10, 1),
        loss="mean squared error",
        data=("auto", "synthetic"),
    ),
    Workload(
        name="mnist-mlp",
        description="a 784-128-10 ReLU network that learns to read handwritten digits, by Adam",
        batch_size=64,
        epochs=5,
        samples=60_000,
        test_samples=10_000,
        layers=(784, 128, 10),
        loss="sparse cross-entropy",
        data=DATA_CHOICES,
    ),
)
WORKLOADS: Mapping[str, Workload] = MappingProxyType({workload.name: workload for workload in _WORKLOADS})
DEFAULT_WORKLOAD = "mnist-mlp"
DEFAULT_LANES = ("torch", "keras")


@dataclass(frozen=True)
class Option:
    """One option of a lane, as in `torch:workers=2`."""

    name: str
    meaning: str
    least: int | None = None
    """The least value of an option that takes a whole number."""
    choices: tuple[str, ...] = ()
    """The values of an option that takes a word. Without a least value and choices, the option is a flag."""

    @property
    def usage(self) -> str:
        """`workers=N`, `backend=torch`, `compile`."""
        if self.least is not None:
            return f"{self.name}=N"
        return f"{self.name}={'|'.join(self.choices)}" if self.choices else self.name


@dataclass(frozen=True)
class Framework:
    """A framework that a built-in lane can run on."""

    name: str
    meaning: str
    packages: tuple[str, ...]
    """What its interpreter must be able to import; for Keras, the package of the backend comes on top."""
    options: tuple[Option, ...]

    def option(self, name: str) -> Option:
        """The option of that name; ValueError with the nearest right one."""
        return _named(name, self.options, f"option of {self.name}")


BACKENDS = ("tensorflow", "torch")
_FRAMEWORKS = (
    Framework(
        name="torch",
        meaning="PyTorch: a DataLoader and a plain training loop",
        packages=("torch",),
        options=(
            Option("compile", "the model goes through torch.compile"),
            Option("workers", "DataLoader worker processes", least=0),
        ),
    ),
    Framework(
        name="keras",
        meaning="Keras: compile, fit and evaluate, on TensorFlow",
        packages=("keras",),
        options=(
            Option("backend", "what Keras computes with", choices=BACKENDS),
            Option("jit", "compile(jit_compile=True), which is XLA on TensorFlow"),
            Option("eager", "compile(run_eagerly=True): no graph"),
            Option("steps_per_execution", "updates that run in one call of the graph", least=1),
        ),
    ),
    Framework(
        name="tensorflow",
        meaning="TensorFlow: a GradientTape under tf.function, over a tf.data pipeline",
        packages=("tensorflow",),
        options=(
            Option("jit", "tf.function(jit_compile=True), which is XLA"),
            Option("eager", "the same step without tf.function"),
        ),
    ),
)
LANES: Mapping[str, Framework] = MappingProxyType({framework.name: framework for framework in _FRAMEWORKS})

_CLASHES = {
    "keras": (("jit", "eager"), ("steps_per_execution", "eager")),
    "tensorflow": (("jit", "eager"),),
}


@dataclass(frozen=True)
class LaneSpec:
    """A lane as it was asked for: `keras:steps_per_execution=16`."""

    name: str
    """As written, in small letters: the lane's name on screen and on disk."""
    framework: str
    options: Mapping[str, bool | int | str] = field(default_factory=dict)
    """Option name to value; a flag that is set is True."""

    @property
    def packages(self) -> tuple[str, ...]:
        """What the lane's interpreter must be able to import."""
        packages = LANES[self.framework].packages
        return (*packages, str(self.options.get("backend", BACKENDS[0]))) if self.framework == "keras" else packages


def parse_lane(text: str) -> LaneSpec:
    """Reads `framework[:option[=value]]…`.

    Raises:
        ValueError: One sentence that names the nearest right framework or option.
    """
    name = text.strip().lower()
    framework_name, *parts = name.split(":")
    framework = _named(framework_name, _FRAMEWORKS, "lane")
    options: dict[str, bool | int | str] = {}
    for part in parts:
        option_name, equals, value = part.partition("=")
        option = framework.option(option_name)
        if option.name in options:
            raise ValueError(f"the lane {name} gives {option.name} twice; give it once")
        options[option.name] = _option_value(framework, option, value if equals else None)
    for one, other in _CLASHES.get(framework.name, ()):
        if one in options and other in options:
            raise ValueError(f"{framework.name} cannot combine {one} with {other}; make two lanes of them")
    if options.get("backend") == "torch":
        for only in ("jit", "steps_per_execution"):
            if only in options:
                raise ValueError(f"keras:{only} needs the tensorflow backend, not torch")
    return LaneSpec(name, framework.name, options)


def workload(name: str) -> Workload:
    """The workload of that name; ValueError with the nearest right one."""
    return _named(name, _WORKLOADS, "workload")


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
    if batch_size > workload.samples:
        raise ValueError(
            f"the batch size {batch_size:,} is more than the {workload.samples:,} samples of {workload.name}"
        )
    steps_per_epoch = math.ceil(workload.samples / batch_size)
    if steps is None:
        steps = steps_per_epoch * (workload.epochs if epochs is None else epochs)
    return Plan(steps, math.ceil(steps / steps_per_epoch), steps_per_epoch, batch_size)


_Named = TypeVar("_Named", Workload, Framework, Option)


def _option_value(framework: Framework, option: Option, value: str | None) -> bool | int | str:
    usage = f"{framework.name}:{option.usage}"
    if option.least is not None:
        if value is None or not value.isdecimal() or int(value) < option.least:
            raise ValueError(f"{framework.name}:{option.name} needs a whole number from {option.least} up: {usage}")
        return int(value)
    if option.choices:
        if value not in option.choices:
            raise ValueError(f"{framework.name}:{option.name} needs one of {', '.join(option.choices)}: {usage}")
        return value
    if value is not None:
        raise ValueError(f"{framework.name}:{option.name} takes no value: {usage}")
    return True


def _named(name: str, things: Iterable[_Named], kind: str) -> _Named:
    """The thing of that name, or a ValueError that names the nearest one and all there are."""
    known = {thing.name: thing for thing in things}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    shown = f"'{name}'" if name else "an empty name"
    raise ValueError(f"{shown} is no {kind}: {hint}there {'are' if len(known) > 1 else 'is'} {', '.join(known)}")
