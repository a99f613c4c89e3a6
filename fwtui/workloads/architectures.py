"""The networks of the built-in workloads, as tables of layers. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwtui.workloads.layers import (
    Activation,
    Attention,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Frozen,
    GlobalAverage,
    Layer,
    LayerNorm,
    Lstm,
    Pool,
    Positions,
    Residual,
)

Layers = tuple[Layer, ...]
Options = Mapping[str, Any]


def _dropped(options: Options) -> Layers:
    return (Dropout(options["dropout"]),) if options["dropout"] else ()


def regression_mlp(options: Options) -> Layers:
    """100-10-1."""
    return (Dense(10, options["activation"]), *_dropped(options), Dense(1))


def mnist_mlp(options: Options) -> Layers:
    """784-128-10."""
    return (Dense(128, options["activation"]), *_dropped(options), Dense(10))


def mnist_cnn(options: Options) -> Layers:
    """Two convolutions, each pooled, and two dense layers."""
    return (
        *_convolution(32, options),
        Pool(options["pool"]),
        *_convolution(64, options),
        Pool(options["pool"]),
        Flatten(),
        Dense(128, options["activation"]),
        *_dropped(options),
        Dense(10),
    )


def _convolution(filters: int, options: Options, stride: int = 1, size: int = 3, active: bool = True) -> Layers:
    """A convolution, normalised where asked for, and its activation."""
    if not options.get("batch_norm"):
        return (Conv(filters, size, stride, options["activation"] if active else None),)
    activation = (Activation(options["activation"]),) if active else ()
    return (Conv(filters, size, stride, bias=False), BatchNorm(), *activation)


def lstm(options: Options) -> Layers:
    """One or two LSTM layers over an image's rows, and a dense one."""
    layers = options["layers"]
    stack = (Lstm(64, bool(options.get("bidirectional")), sequences=number < layers - 1) for number in range(layers))
    return (*stack, *_dropped(options), Dense(10))


def transformer(options: Options) -> Layers:
    """A pre-norm encoder over an image's rows."""
    width = 64
    block: Layers = (
        Residual((LayerNorm(), Attention(4), *_dropped(options))),
        Residual((LayerNorm(), Dense(4 * width, options["activation"]), Dense(width), *_dropped(options))),
    )
    return (Dense(width), Positions(), *block * options["layers"], LayerNorm(), GlobalAverage(), Dense(10))


def finetune(options: Options) -> Layers:
    """A frozen convolutional backbone under a new head."""
    normalised = {**options, "batch_norm": True}
    backbone = (*_convolution(32, normalised), Pool("max"), *_convolution(64, normalised), Pool("max"))
    return (Frozen(backbone), Flatten(), Dense(64, options["activation"]), *_dropped(options), Dense(10))


def resnet(options: Options) -> Layers:
    """A residual network (He et al., 2016): 8 layers for small images, or 50 with bottlenecks."""
    normalised = {**options, "batch_norm": True}
    if options["size"] == "50":
        stages: Layers = tuple(
            block
            for stage, blocks in enumerate((3, 4, 6, 3))
            for number in range(blocks)
            for block in _bottleneck(64 << stage, number, 2 if stage and not number else 1, normalised)
        )
        return (*_convolution(64, normalised, 2, 7), Pool("max"), *stages, GlobalAverage(), Dense(10))
    stages = tuple(
        block for stage in range(3) for block in _basic(16 << stage, 2 if stage else 1, bool(stage), normalised)
    )
    return (*_convolution(16, normalised), *stages, GlobalAverage(), *_dropped(options), Dense(10))


def _basic(filters: int, stride: int, reshaped: bool, options: Options) -> Layers:
    branch = (*_convolution(filters, options, stride), *_convolution(filters, options, active=False))
    shortcut = _convolution(filters, options, stride, 1, active=False) if reshaped else ()
    return (Residual(branch, shortcut), Activation(options["activation"]))


def _bottleneck(filters: int, number: int, stride: int, options: Options) -> Layers:
    branch = (
        *_convolution(filters, options, size=1),
        *_convolution(filters, options, stride),
        *_convolution(4 * filters, options, size=1, active=False),
    )
    shortcut = () if number else _convolution(4 * filters, options, stride, 1, active=False)
    return (Residual(branch, shortcut), Activation(options["activation"]))
