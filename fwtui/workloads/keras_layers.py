"""Builds a workload's network in Keras from its table of layers, holding the weights that all lanes start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from fwtui.workloads import layers as table
from fwtui.workloads import settings, weights
from fwtui.workloads.catalogue import Workload

Tensor = Any
Arrays = Iterator[weights.Array]


def build_model(workload: Workload, seed: int) -> keras.Model:
    """The functional model; images come in Keras's own data format."""
    builder = _Builder(iter(weights.initial_weights(workload, seed)), settings.penalties(workload))
    shape = workload.input_shape
    if len(shape) == 3 and keras.config.image_data_format() == "channels_first":
        inputs = keras.Input((shape[2], *shape[:2]))
    else:
        inputs = keras.Input(shape)
    outputs = builder.apply(workload.layers, shape, inputs)
    return keras.Model(inputs, outputs)


class _Builder:
    """Applies layer after layer and fills each with its weights."""

    def __init__(self, arrays: Arrays, penalties: tuple[float, float]) -> None:
        self._arrays, self._penalties = arrays, penalties

    def apply(self, layers: Sequence[table.Layer], shape: table.Shape, inputs: Tensor) -> Tensor:
        """The output of the layers."""
        for layer, inside in table.with_shapes(layers, shape):
            inputs = getattr(self, "_" + type(layer).__name__.lower())(layer, inside, inputs)
        return inputs

    def _regularizer(self) -> Any:
        l1, l2 = self._penalties
        return keras.regularizers.L1L2(l1, l2) if l1 or l2 else None

    def _filled(self, made: keras.layers.Layer, inputs: Tensor, count: int) -> Tensor:
        """Builds a layer on its inputs and puts the next `count` weights into it."""
        outputs = made(inputs)
        made.set_weights([next(self._arrays) for _ in range(count)])
        return outputs

    def _dense(self, layer: table.Dense, shape: table.Shape, inputs: Tensor) -> Tensor:
        made = keras.layers.Dense(layer.units, activation=layer.activation, kernel_regularizer=self._regularizer())
        return self._filled(made, inputs, 2)

    def _conv(self, layer: table.Conv, shape: table.Shape, inputs: Tensor) -> Tensor:
        if layer.stride > 1 and layer.size > 1:  # "same" would pad one side more than the other
            inputs = keras.layers.ZeroPadding2D(layer.size // 2)(inputs)
        made = keras.layers.Conv2D(
            layer.filters,
            layer.size,
            layer.stride,
            padding="same" if layer.stride == 1 else "valid",
            activation=layer.activation,
            use_bias=layer.bias,
            kernel_regularizer=self._regularizer(),
        )
        return self._filled(made, inputs, 2 if layer.bias else 1)

    def _pool(self, layer: table.Pool, shape: table.Shape, inputs: Tensor) -> Tensor:
        kind = keras.layers.MaxPooling2D if layer.kind == "max" else keras.layers.AveragePooling2D
        return kind(2)(inputs)

    def _batchnorm(self, layer: table.BatchNorm, shape: table.Shape, inputs: Tensor) -> Tensor:
        axis = 1 if keras.config.image_data_format() == "channels_first" else -1
        made = keras.layers.BatchNormalization(axis, settings.BATCH_NORM_KEPT, settings.BATCH_NORM_EPSILON)
        outputs = made(inputs)
        statistics = made.get_weights()[2:]
        made.set_weights([next(self._arrays), next(self._arrays), *statistics])
        return outputs

    def _layernorm(self, layer: table.LayerNorm, shape: table.Shape, inputs: Tensor) -> Tensor:
        return self._filled(keras.layers.LayerNormalization(epsilon=settings.LAYER_NORM_EPSILON), inputs, 2)

    def _activation(self, layer: table.Activation, shape: table.Shape, inputs: Tensor) -> Tensor:
        return keras.layers.Activation(layer.name)(inputs)

    def _dropout(self, layer: table.Dropout, shape: table.Shape, inputs: Tensor) -> Tensor:
        return keras.layers.Dropout(layer.rate)(inputs)

    def _flatten(self, layer: table.Flatten, shape: table.Shape, inputs: Tensor) -> Tensor:
        return keras.layers.Flatten()(inputs)

    def _globalaverage(self, layer: table.GlobalAverage, shape: table.Shape, inputs: Tensor) -> Tensor:
        kind = keras.layers.GlobalAveragePooling2D if len(shape) == 3 else keras.layers.GlobalAveragePooling1D
        return kind()(inputs) if len(shape) == 3 else kind(data_format="channels_last")(inputs)

    def _positions(self, layer: table.Positions, shape: table.Shape, inputs: Tensor) -> Tensor:
        return self._filled(Positions(), inputs, 1)

    def _lstm(self, layer: table.Lstm, shape: table.Shape, inputs: Tensor) -> Tensor:
        made = keras.layers.LSTM(layer.units, return_sequences=layer.sequences, kernel_regularizer=self._regularizer())
        if not layer.both_ways:
            return self._filled(made, inputs, 3)
        return self._filled(keras.layers.Bidirectional(made), inputs, 6)

    def _attention(self, layer: table.Attention, shape: table.Shape, inputs: Tensor) -> Tensor:
        width, heads = shape[1], layer.heads
        made = keras.layers.MultiHeadAttention(heads, width // heads)
        outputs = made(inputs, inputs)
        inward = [(next(self._arrays).reshape(width, heads, -1), next(self._arrays)) for _ in range(3)]
        split = [part for kernel, bias in inward for part in (kernel, bias.reshape(heads, -1))]
        made.set_weights([*split, next(self._arrays).reshape(heads, -1, width), next(self._arrays)])
        return outputs

    def _residual(self, layer: table.Residual, shape: table.Shape, inputs: Tensor) -> Tensor:
        branch = self.apply(layer.branch, shape, inputs)
        return keras.layers.Add()([self.apply(layer.shortcut, shape, inputs), branch])

    def _frozen(self, layer: table.Frozen, shape: table.Shape, inputs: Tensor) -> Tensor:
        outputs = self.apply(layer.layers, shape, inputs)
        keras.Model(inputs, outputs).trainable = False
        return outputs


class Positions(keras.layers.Layer):  # type: ignore[misc]
    """Adds a learnt vector to each time."""

    def build(self, shape: Any) -> None:
        """Makes the vectors for inputs of shape (batch, time, features)."""
        self.vectors = self.add_weight(shape=shape[1:], initializer="zeros", name="vectors")

    def call(self, inputs: Tensor) -> Tensor:
        """The inputs moved by the vectors."""
        return inputs + keras.ops.cast(self.vectors, inputs.dtype)
