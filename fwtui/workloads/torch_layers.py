"""Builds a workload's network in PyTorch from its table of layers, holding the weights that all lanes start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fwtui.workloads import layers as table
from fwtui.workloads import settings, weights
from fwtui.workloads.catalogue import Workload

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}
Arrays = Iterator[weights.Array]


def build_model(workload: Workload, seed: int) -> nn.Sequential:
    """The network; images come as (batch, channels, height, width)."""
    arrays = iter(weights.initial_weights(workload, seed))
    return nn.Sequential(*_modules(workload.layers, workload.input_shape, arrays))


def kernels(model: nn.Module) -> list[nn.Parameter]:
    """The trained weights that L1 and L2 penalties are for: those of dense, convolutional and LSTM layers."""
    names = ("weight", "in_proj_weight", "weight_ih_l0", "weight_ih_l0_reverse")
    kinds = (nn.Linear, nn.Conv2d, nn.LSTM)
    return [
        parameter
        for module in model.modules()
        if isinstance(module, kinds)
        for name, parameter in module.named_parameters(recurse=False)
        if name in names and parameter.requires_grad
    ]


def _modules(layers: Sequence[table.Layer], shape: table.Shape, arrays: Arrays) -> list[nn.Module]:
    modules: list[nn.Module] = []
    flattened: table.Shape = ()
    for layer, inside in table.with_shapes(layers, shape):
        modules += _BUILDERS[type(layer)](layer, flattened or inside, arrays)
        flattened = inside if isinstance(layer, table.Flatten) and len(inside) == 3 else ()
    return modules


def _fill(parameter: torch.Tensor, array: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(array))


def _dense(layer: table.Dense, shape: table.Shape, arrays: Arrays) -> list[nn.Module]:
    """`shape` has three axes behind a Flatten of images, whose places torch orders by channel first."""
    kernel, bias = next(arrays), next(arrays)
    if len(shape) == 3:
        kernel = weights.channels_first_rows(kernel, shape)
    linear = nn.Linear(*kernel.shape)
    _fill(linear.weight, kernel.T)
    _fill(linear.bias, bias)
    return [linear, *_activation(layer.activation)]


def _conv(layer: table.Conv, shape: table.Shape, arrays: Arrays) -> list[nn.Module]:
    conv = nn.Conv2d(shape[2], layer.filters, layer.size, layer.stride, layer.size // 2, bias=layer.bias)
    _fill(conv.weight, next(arrays).transpose(3, 2, 0, 1))
    if conv.bias is not None:
        _fill(conv.bias, next(arrays))
    return [conv, *_activation(layer.activation)]


def _batch_norm(layer: table.BatchNorm, shape: table.Shape, arrays: Arrays) -> list[nn.Module]:
    norm = nn.BatchNorm2d(shape[-1], settings.BATCH_NORM_EPSILON, 1 - settings.BATCH_NORM_KEPT)
    _fill(norm.weight, next(arrays))
    _fill(norm.bias, next(arrays))
    return [norm]


def _layer_norm(layer: table.LayerNorm, shape: table.Shape, arrays: Arrays) -> list[nn.Module]:
    norm = nn.LayerNorm(shape[-1], settings.LAYER_NORM_EPSILON)
    _fill(norm.weight, next(arrays))
    _fill(norm.bias, next(arrays))
    return [norm]


def _activation(name: str | None) -> list[nn.Module]:
    return [ACTIVATIONS[name]()] if name else []


class _GlobalAverage(nn.Module):  # type: ignore[misc]
    """The mean over places (batch, channels, height, width) or times (batch, time, features)."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.mean((2, 3)) if inputs.ndim == 4 else inputs.mean(1)


class _Positions(nn.Module):  # type: ignore[misc]
    """Adds a learnt vector to each time."""

    def __init__(self, vectors: Any) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.from_numpy(vectors))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + self.vectors


class _Lstm(nn.Module):  # type: ignore[misc]
    """`nn.LSTM` with its second bias, which adds nothing to the first one, held at zero: others have one."""

    def __init__(self, layer: table.Lstm, features: int, arrays: Arrays) -> None:
        super().__init__()
        self.sequences = layer.sequences
        self.lstm = nn.LSTM(features, layer.units, batch_first=True, bidirectional=layer.both_ways)
        for way in ("", "_reverse")[: 2 if layer.both_ways else 1]:
            _fill(getattr(self.lstm, f"weight_ih_l0{way}"), next(arrays).T)
            _fill(getattr(self.lstm, f"weight_hh_l0{way}"), next(arrays).T)
            _fill(getattr(self.lstm, f"bias_ih_l0{way}"), next(arrays))
            second = getattr(self.lstm, f"bias_hh_l0{way}")
            nn.init.zeros_(second)
            second.requires_grad_(False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs, (last, _) = self.lstm(inputs)
        if self.sequences:
            return outputs
        return last[0] if len(last) == 1 else torch.cat((last[0], last[1]), dim=1)


class _Attention(nn.Module):  # type: ignore[misc]
    """`nn.MultiheadAttention` of a sequence on itself."""

    def __init__(self, layer: table.Attention, width: int, arrays: Arrays) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, layer.heads, batch_first=True)
        inward = [(next(arrays).T, next(arrays)) for _ in range(3)]
        for place, (kernel, bias) in enumerate(inward):
            rows = slice(place * width, (place + 1) * width)
            _fill(self.attention.in_proj_weight[rows], kernel)
            _fill(self.attention.in_proj_bias[rows], bias)
        _fill(self.attention.out_proj.weight, next(arrays).T)
        _fill(self.attention.out_proj.bias, next(arrays))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.attention(inputs, inputs, inputs, need_weights=False)
        return outputs


class _Residual(nn.Module):  # type: ignore[misc]
    """The sum of a branch and a shortcut."""

    def __init__(self, branch: Sequence[nn.Module], shortcut: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branch, self.shortcut = nn.Sequential(*branch), nn.Sequential(*shortcut)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.shortcut(inputs) + self.branch(inputs)


class _Frozen(nn.Sequential):  # type: ignore[misc]
    """Layers that are not trained and stay in evaluation mode."""

    def train(self, mode: bool = True) -> _Frozen:
        super().train(False)
        return self


def _residual(layer: table.Residual, shape: table.Shape, arrays: Arrays) -> list[nn.Module]:
    return [_Residual(_modules(layer.branch, shape, arrays), _modules(layer.shortcut, shape, arrays))]


def _frozen(layer: table.Frozen, shape: table.Shape, arrays: Arrays) -> list[nn.Module]:
    return [_Frozen(*_modules(layer.layers, shape, arrays)).requires_grad_(False)]


_BUILDERS: Mapping[type, Callable[[Any, table.Shape, Arrays], list[nn.Module]]] = {
    table.Dense: _dense,
    table.Conv: _conv,
    table.BatchNorm: _batch_norm,
    table.LayerNorm: _layer_norm,
    table.Activation: lambda layer, shape, arrays: _activation(layer.name),
    table.Pool: lambda layer, shape, arrays: [nn.MaxPool2d(2) if layer.kind == "max" else nn.AvgPool2d(2)],
    table.Dropout: lambda layer, shape, arrays: [nn.Dropout(layer.rate)],
    table.Flatten: lambda layer, shape, arrays: [nn.Flatten()],
    table.GlobalAverage: lambda layer, shape, arrays: [_GlobalAverage()],
    table.Positions: lambda layer, shape, arrays: [_Positions(next(arrays))],
    table.Lstm: lambda layer, shape, arrays: [_Lstm(layer, shape[1], arrays)],
    table.Attention: lambda layer, shape, arrays: [_Attention(layer, shape[1], arrays)],
    table.Residual: _residual,
    table.Frozen: _frozen,
}
