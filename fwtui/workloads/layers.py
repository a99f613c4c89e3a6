"""What networks are made of, without any framework: shapes, weights and work of each layer.

One description serves all: the command line counts parameters and work from it, `weights.py` draws the first weights,
and each framework has an interpreter that builds its own idiomatic model from it. A shape is that of one sample:
(height, width, channels), (time, features) or (features,). Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Weight:
    """One array that is learnt, or frozen."""

    shape: Shape
    start: str = "glorot"
    """`glorot`, `recurrent`, `gates`, `table`, `zeros` or `ones`: see `weights.initial_weights`."""
    frozen: bool = False

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Layer:
    """What all layers have; a plain one keeps the shape and has neither weights nor work worth counting."""

    def output(self, shape: Shape) -> Shape:
        """The shape of its output."""
        return shape

    def weights(self, shape: Shape) -> list[Weight]:
        """Its weights, kernels before biases."""
        return []

    def operations(self, shape: Shape) -> int:
        """Floating-point operations of one sample's forward pass, counting products and sums of its kernels only."""
        return 0


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer over the last axis."""

    units: int
    activation: str | None = None

    def output(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> list[Weight]:
        return [Weight((shape[-1], self.units)), Weight((self.units,), "zeros")]

    def operations(self, shape: Shape) -> int:
        return 2 * math.prod(shape) * self.units


@dataclass(frozen=True)
class Conv(Layer):
    """A 2-D convolution, padded alike on all sides by half its odd size."""

    filters: int
    size: int = 3
    stride: int = 1
    activation: str | None = None
    bias: bool = True

    def output(self, shape: Shape) -> Shape:
        return (math.ceil(shape[0] / self.stride), math.ceil(shape[1] / self.stride), self.filters)

    def weights(self, shape: Shape) -> list[Weight]:
        kernel = Weight((self.size, self.size, shape[2], self.filters))
        return [kernel, Weight((self.filters,), "zeros")] if self.bias else [kernel]

    def operations(self, shape: Shape) -> int:
        return 2 * math.prod(self.output(shape)) * self.size * self.size * shape[2]


@dataclass(frozen=True)
class Pool(Layer):
    """The maximum or average of windows of 2x2."""

    kind: str

    def output(self, shape: Shape) -> Shape:
        return (shape[0] // 2, shape[1] // 2, shape[2])


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation over the channels; frozen, it uses the statistics it has."""

    def weights(self, shape: Shape) -> list[Weight]:
        return [Weight((shape[-1],), "ones"), Weight((shape[-1],), "zeros")]


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Layer normalisation over the features."""

    def weights(self, shape: Shape) -> list[Weight]:
        return [Weight((shape[-1],), "ones"), Weight((shape[-1],), "zeros")]


@dataclass(frozen=True)
class Activation(Layer):
    """An activation that stands apart, behind a normalisation."""

    name: str


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets a share of its inputs to zero, at random."""

    rate: float


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes into one; channels change fastest."""

    def output(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class GlobalAverage(Layer):
    """The mean over all places or times."""

    def output(self, shape: Shape) -> Shape:
        return shape[-1:]


@dataclass(frozen=True)
class Positions(Layer):
    """Adds a learnt vector to each time."""

    def weights(self, shape: Shape) -> list[Weight]:
        return [Weight(shape, "table")]


@dataclass(frozen=True)
class Lstm(Layer):
    """An LSTM (Hochreiter and Schmidhuber, 1997); gates in the order input, forget, cell, output."""

    units: int
    both_ways: bool = False
    sequences: bool = False
    """Whether it gives the outputs of all times, else of the last one (of the first one backwards)."""

    def output(self, shape: Shape) -> Shape:
        width = self.units * (2 if self.both_ways else 1)
        return (shape[0], width) if self.sequences else (width,)

    def weights(self, shape: Shape) -> list[Weight]:
        gates = 4 * self.units
        one = [Weight((shape[1], gates)), Weight((self.units, gates), "recurrent"), Weight((gates,), "gates")]
        return one * (2 if self.both_ways else 1)

    def operations(self, shape: Shape) -> int:
        one = 2 * shape[0] * 4 * self.units * (shape[1] + self.units)
        return one * (2 if self.both_ways else 1)


@dataclass(frozen=True)
class Attention(Layer):
    """Multi-head self-attention (Vaswani et al., 2017); query, key, value and output each with kernel and bias."""

    heads: int

    def weights(self, shape: Shape) -> list[Weight]:
        width = shape[1]
        return [Weight((width, width)), Weight((width,), "zeros")] * 4

    def operations(self, shape: Shape) -> int:
        times, width = shape
        return 8 * times * width * width + 4 * times * times * width


@dataclass(frozen=True)
class Residual(Layer):
    """The sum of a branch and a shortcut; an empty shortcut passes its input on."""

    branch: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()

    def output(self, shape: Shape) -> Shape:
        return output_shape(self.branch, shape)

    def weights(self, shape: Shape) -> list[Weight]:
        return weights_of(self.branch, shape) + weights_of(self.shortcut, shape)

    def operations(self, shape: Shape) -> int:
        return operations(self.branch, shape) + operations(self.shortcut, shape)


@dataclass(frozen=True)
class Frozen(Layer):
    """Layers that are not trained."""

    layers: tuple[Layer, ...]

    def output(self, shape: Shape) -> Shape:
        return output_shape(self.layers, shape)

    def weights(self, shape: Shape) -> list[Weight]:
        return [Weight(weight.shape, weight.start, frozen=True) for weight in weights_of(self.layers, shape)]

    def operations(self, shape: Shape) -> int:
        return operations(self.layers, shape)


def with_shapes(layers: Sequence[Layer], shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Each layer with the shape of its input."""
    for layer in layers:
        yield layer, shape
        shape = layer.output(shape)


def output_shape(layers: Sequence[Layer], shape: Shape) -> Shape:
    """The shape behind the last layer."""
    for layer in layers:
        shape = layer.output(shape)
    return shape


def weights_of(layers: Sequence[Layer], shape: Shape) -> list[Weight]:
    """All weights, in the order in which every framework's interpreter takes them."""
    return [weight for layer, inside in with_shapes(layers, shape) for weight in layer.weights(inside)]


def operations(layers: Sequence[Layer], shape: Shape) -> int:
    """Floating-point operations of one sample's forward pass."""
    return sum(layer.operations(inside) for layer, inside in with_shapes(layers, shape))


def training_operations(layers: Sequence[Layer], shape: Shape) -> int:
    """Floating-point operations of training on one sample.

    The backward pass takes about twice the forward pass (Kaplan et al., 2020, arXiv:2001.08361, section 2.1); frozen
    layers have none.
    """
    return sum(
        layer.operations(inside) * (1 if isinstance(layer, Frozen) else 3)
        for layer, inside in with_shapes(layers, shape)
    )
