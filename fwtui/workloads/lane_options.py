"""On what built-in lanes run and in which configurations: `framework[:option[=value]]…`. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fwtui.workloads.options import Option, Value, named, read_options

PRECISIONS = ("float32", "tf32", "bf16", "mixed_bf16")
BACKENDS = ("tensorflow", "torch", "jax")
DEFAULT_LANES = ("torch", "keras")

_COMMON = (
    Option("precision", "of the arithmetic; tf32 needs a GPU", choices=PRECISIONS),
    Option("layout", "of images: channels before or after height and width", choices=("nchw", "nhwc")),
    Option("threads", "threads of one operation on the CPU", least=1),
    Option("batch_size", "samples an update, in this lane only", least=1),
    Option("per_sample", "each sample goes through a transform in Python"),
    Option("in_memory", "batches are sliced from memory: no input pipeline"),
    Option("callback_ms", "a callback that sleeps so long after each update, to be found", least=0),
)


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
        found: Option = named(name, self.options, f"option of {self.name}")
        return found


_FRAMEWORKS = (
    Framework(
        name="torch",
        meaning="PyTorch: a DataLoader and a plain training loop",
        packages=("torch",),
        options=(
            Option("compile", "the model goes through torch.compile"),
            Option("workers", "DataLoader worker processes", least=0),
            Option("optimizer_impl", "how the optimizer walks its parameters", choices=("loop", "foreach", "fused")),
            *_COMMON,
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
            *_COMMON,
        ),
    ),
    Framework(
        name="tensorflow",
        meaning="TensorFlow: a GradientTape under tf.function, over a tf.data pipeline",
        packages=("tensorflow",),
        options=(
            Option("jit", "tf.function(jit_compile=True), which is XLA"),
            Option("eager", "the same step without tf.function"),
            *_COMMON,
        ),
    ),
)
LANES: Mapping[str, Framework] = MappingProxyType({framework.name: framework for framework in _FRAMEWORKS})

_CLASHES = {
    "torch": (("in_memory", "workers"), ("in_memory", "per_sample")),
    "keras": (("jit", "eager"), ("steps_per_execution", "eager"), ("in_memory", "per_sample")),
    "tensorflow": (("jit", "eager"), ("in_memory", "per_sample")),
}
_NOT_ON_BACKEND = {
    ("torch", "jit"): "keras:jit needs the tensorflow backend, not torch",
    ("torch", "steps_per_execution"): "keras:steps_per_execution needs the tensorflow or jax backend, not torch",
    ("jax", "jit"): "keras on jax is always compiled by XLA: leave jit out",
}


@dataclass(frozen=True)
class LaneSpec:
    """A lane as it was asked for: `keras:steps_per_execution=16`."""

    name: str
    """As written, in small letters: the lane's name on screen and on disk."""
    framework: str
    options: Mapping[str, Value] = field(default_factory=dict)
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
    framework: Framework = named(framework_name, _FRAMEWORKS, "lane")
    options = read_options(framework.name, "lane", framework.options, parts)
    for one, other in _CLASHES[framework.name]:
        if options.get(one) and options.get(other):
            raise ValueError(f"{framework.name} cannot combine {one} with {other}; make two lanes of them")
    for option in options:
        reason = _NOT_ON_BACKEND.get((str(options.get("backend")), option))
        if reason:
            raise ValueError(reason)
    return LaneSpec(name, framework.name, options)
