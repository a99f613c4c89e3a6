"""Builds a workload's network in raw TensorFlow from its table of layers, with the weights that all lanes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from fwtui.workloads import layers as table
from fwtui.workloads import settings, weights
from fwtui.workloads.catalogue import Workload

Tensor = Any
Call = Callable[[Tensor, bool], Tensor]
"""From inputs, and whether it trains, to outputs."""
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": tf.nn.relu,
    "tanh": tf.math.tanh,
    "sigmoid": tf.math.sigmoid,
    "gelu": tf.nn.gelu,
}


class Network(tf.Module):  # type: ignore[misc]
    """The network; images come as `data_format` says."""

    def __init__(self, workload: Workload, seed: int, precision: str = "float32", data_format: str = "NHWC") -> None:
        super().__init__()
        self._arrays: Iterator[weights.Array] = iter(weights.initial_weights(workload, seed))
        self._format = data_format
        self._kept = tf.bfloat16 if precision == "bf16" else tf.float32
        self._computed = tf.bfloat16 if precision in ("bf16", "mixed_bf16") else tf.float32
        self.trained: list[Any] = []
        """The variables that are trained, in the order of `Workload.weights`."""
        self.kernels: list[Any] = []
        """Those of them that L1 and L2 penalties are for."""
        self._freezing = False
        self._call = self._chain(workload.layers, workload.input_shape)

    def __call__(self, inputs: Tensor, training: bool = False) -> Tensor:
        return tf.cast(self._call(tf.cast(inputs, self._computed), training), tf.float32)

    def _chain(self, layers: Sequence[table.Layer], shape: table.Shape) -> Call:
        calls: list[Call] = []
        flattened: table.Shape = ()
        for layer, inside in table.with_shapes(layers, shape):
            make = getattr(self, "_" + type(layer).__name__.lower())
            calls.append(make(layer, flattened or inside))
            channels_first = self._format == "NCHW" and isinstance(layer, table.Flatten) and len(inside) == 3
            flattened = inside if channels_first else ()

        def chain(inputs: Tensor, training: bool) -> Tensor:
            for call in calls:
                inputs = call(inputs, training)
            return inputs

        return chain

    def _variable(self, array: Any, kernel: bool = False) -> Any:
        variable = tf.Variable(tf.cast(array, self._kept), trainable=not self._freezing)
        if not self._freezing:
            self.trained.append(variable)
            if kernel:
                self.kernels.append(variable)
        return variable

    def _next(self, kernel: bool = False) -> Callable[[], Tensor]:
        """The next weight, read in the precision that is computed in."""
        variable = self._variable(next(self._arrays), kernel)
        return lambda: tf.cast(variable, self._computed)

    def _dense(self, layer: table.Dense, shape: table.Shape) -> Call:
        array = next(self._arrays)
        if len(shape) == 3:
            array = weights.channels_first_rows(array, shape)
        variable, bias = self._variable(array, kernel=True), self._next()
        activate = ACTIVATIONS[layer.activation] if layer.activation else tf.identity

        def dense(inputs: Tensor, training: bool) -> Tensor:
            return activate(tf.nn.bias_add(inputs @ tf.cast(variable, self._computed), bias()))

        if len(shape) != 2:
            return dense

        def over_times(inputs: Tensor, training: bool) -> Tensor:
            outputs = dense(tf.reshape(inputs, [-1, shape[1]]), training)
            return tf.reshape(outputs, [-1, shape[0], layer.units])

        return over_times

    def _conv(self, layer: table.Conv, shape: table.Shape) -> Call:
        kernel = self._next(kernel=True)
        bias = self._next() if layer.bias else None
        activate = ACTIVATIONS[layer.activation] if layer.activation else tf.identity
        half, none = [layer.size // 2] * 2, [0, 0]
        padding: Any = [none, half, half, none] if self._format == "NHWC" else [none, none, half, half]
        if layer.stride == 1:
            padding = "SAME"

        def conv(inputs: Tensor, training: bool) -> Tensor:
            outputs = tf.nn.conv2d(inputs, kernel(), layer.stride, padding, self._format)
            return activate(tf.nn.bias_add(outputs, bias(), self._format) if bias else outputs)

        return conv

    def _pool(self, layer: table.Pool, shape: table.Shape) -> Call:
        pool = tf.nn.max_pool2d if layer.kind == "max" else tf.nn.avg_pool2d
        return lambda inputs, training: pool(inputs, 2, 2, "VALID", self._format)

    def _batchnorm(self, layer: table.BatchNorm, shape: table.Shape) -> Call:
        scale = tf.Variable(next(self._arrays), trainable=not self._freezing)
        offset = tf.Variable(next(self._arrays), trainable=not self._freezing)
        mean = tf.Variable(tf.zeros(shape[-1]), trainable=False)
        variance = tf.Variable(tf.ones(shape[-1]), trainable=False)
        frozen = self._freezing
        if not frozen:
            self.trained += [scale, offset]

        def norm(inputs: Tensor, training: bool) -> Tensor:
            learns = training and not frozen
            outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=scale,
                offset=offset,
                mean=tf.constant([]) if learns else mean,
                variance=tf.constant([]) if learns else variance,
                epsilon=settings.BATCH_NORM_EPSILON,
                data_format=self._format,
                is_training=learns,
            )
            if learns:
                for kept, seen in ((mean, batch_mean), (variance, batch_variance)):
                    kept.assign_sub((1 - settings.BATCH_NORM_KEPT) * (kept - seen))
            return outputs

        return norm

    def _layernorm(self, layer: table.LayerNorm, shape: table.Shape) -> Call:
        scale, offset = self._variable(next(self._arrays)), self._variable(next(self._arrays))

        def norm(inputs: Tensor, training: bool) -> Tensor:
            wide = tf.cast(inputs, tf.float32)
            mean, variance = tf.nn.moments(wide, -1, keepdims=True)
            wide = (wide - mean) * tf.math.rsqrt(variance + settings.LAYER_NORM_EPSILON)
            return tf.cast(wide * tf.cast(scale, tf.float32) + tf.cast(offset, tf.float32), inputs.dtype)

        return norm

    def _activation(self, layer: table.Activation, shape: table.Shape) -> Call:
        return lambda inputs, training: ACTIVATIONS[layer.name](inputs)

    def _dropout(self, layer: table.Dropout, shape: table.Shape) -> Call:
        return lambda inputs, training: tf.nn.dropout(inputs, layer.rate) if training else inputs

    def _flatten(self, layer: table.Flatten, shape: table.Shape) -> Call:
        return lambda inputs, training: tf.reshape(inputs, [-1, layer.output(shape)[0]])

    def _globalaverage(self, layer: table.GlobalAverage, shape: table.Shape) -> Call:
        axes = [1] if len(shape) == 2 else [1, 2] if self._format == "NHWC" else [2, 3]
        return lambda inputs, training: tf.reduce_mean(inputs, axes)

    def _positions(self, layer: table.Positions, shape: table.Shape) -> Call:
        vectors = self._next()
        return lambda inputs, training: inputs + vectors()

    def _lstm(self, layer: table.Lstm, shape: table.Shape) -> Call:
        forward = self._one_way(layer.units)
        backward = self._one_way(layer.units) if layer.both_ways else None

        def lstm(inputs: Tensor, training: bool) -> Tensor:
            ways = [forward(tf.unstack(inputs, axis=1))]
            if backward:
                ways.append(backward(tf.unstack(inputs, axis=1)[::-1])[::-1])
            if layer.sequences:
                return tf.concat([tf.stack(way, axis=1) for way in ways], axis=2)
            return tf.concat([way[place] for way, place in zip(ways, (-1, 0))], axis=1)  # noqa: B905

        return lstm

    def _one_way(self, units: int) -> Callable[[list[Tensor]], list[Tensor]]:
        """An LSTM unrolled over a list of times."""
        kernel, recurrent, bias = self._next(kernel=True), self._next(), self._next()

        def run(times: list[Tensor]) -> list[Tensor]:
            inward, across, offset = kernel(), recurrent(), bias()
            cell = output = tf.zeros([tf.shape(times[0])[0], units], times[0].dtype)
            outputs = []
            for inputs in times:
                gates = tf.nn.bias_add(inputs @ inward + output @ across, offset)
                take, keep, new, give = tf.split(gates, 4, axis=1)
                cell = tf.math.sigmoid(keep) * cell + tf.math.sigmoid(take) * tf.math.tanh(new)
                output = tf.math.sigmoid(give) * tf.math.tanh(cell)
                outputs.append(output)
            return outputs

        return run

    def _attention(self, layer: table.Attention, shape: table.Shape) -> Call:
        times, width = shape
        head_width = width // layer.heads
        query, key, value, merge = (self._dense(table.Dense(width), shape) for _ in range(4))

        def heads(inputs: Tensor) -> Tensor:
            return tf.transpose(tf.reshape(inputs, [-1, times, layer.heads, head_width]), [0, 2, 1, 3])

        def attention(inputs: Tensor, training: bool) -> Tensor:
            asked, offered, given = (heads(part(inputs, training)) for part in (query, key, value))
            scores = tf.matmul(asked, offered, transpose_b=True) * head_width**-0.5
            mixed = tf.transpose(tf.nn.softmax(scores) @ given, [0, 2, 1, 3])
            return merge(tf.reshape(mixed, [-1, times, width]), training)

        return attention

    def _residual(self, layer: table.Residual, shape: table.Shape) -> Call:
        branch = self._chain(layer.branch, shape)
        shortcut = self._chain(layer.shortcut, shape)
        return lambda inputs, training: shortcut(inputs, training) + branch(inputs, training)

    def _frozen(self, layer: table.Frozen, shape: table.Shape) -> Call:
        self._freezing = True
        chain = self._chain(layer.layers, shape)
        self._freezing = False
        return chain
