"""What the lanes on TensorFlow share: device, threads, precision, and tf.data over the common order of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from fwtui.workloads import data, orders, settings
from fwtui.workloads.settings import Job, WorkloadError
from fwtui.workloads.transform import transform


def choose_device(job: Job) -> str:
    """Hides the GPUs for `cpu`, sets threads and TF32, before anything touches a device. Returns `cpu` or `cuda`."""
    gpus = tf.config.list_physical_devices("GPU")
    if job.device == "cuda" and not gpus:
        raise WorkloadError("tensorflow sees no CUDA device here: take --device cpu or auto")
    device = "cuda" if gpus and job.device != "cpu" else "cpu"
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
        if job.precision == "tf32":
            raise WorkloadError(
                "precision=tf32 is for GPUs and this lane computes on the CPU: take float32 or mixed_bf16"
            )
    if "threads" in job.options:
        tf.config.threading.set_intra_op_parallelism_threads(int(job.options["threads"]))
        tf.config.threading.set_inter_op_parallelism_threads(int(job.options["threads"]))
    tf.config.experimental.enable_tensor_float_32_execution(job.precision == "tf32")
    return device


class Batches:
    """Makes datasets of any stretch of the run's batches."""

    def __init__(self, job: Job, samples: data.Samples, channels_first: bool = False) -> None:
        self._job, self._plan = job, job.plan
        inputs = samples.train_x
        if channels_first and inputs.ndim == 4:
            inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
        samples = data.Samples(samples.source, inputs, samples.train_y)
        self._dataset: tf.data.Dataset | None = None
        with tf.device("CPU:0"):
            self._first, self._last = (tf.Variable(0, dtype=tf.int64, trainable=False) for _ in range(2))
            if job.options.get("in_memory"):
                self._epochs = [tuple(map(tf.constant, epoch)) for epoch in orders.ordered(job, samples)]
                return
            self._inputs, self._targets = tf.constant(inputs), tf.constant(samples.train_y)
            self._rows = tf.constant(orders.Order(job, len(inputs)).rows)
            self._changes = tf.constant(orders.changes(job.seed)) if job.workload.augments else None

    def dataset(self, first: int, last: int) -> tf.data.Dataset:
        """The batches of steps `first` to `last - 1`, counted from 0 over the whole run.

        It is one dataset, traced once: asking for another stretch ends the one before.
        """
        self._first.assign(first)
        self._last.assign(last)
        if self._dataset is None:
            self._dataset = self._make()
        return self._dataset

    def _make(self) -> tf.data.Dataset:
        steps = tf.data.Dataset.range(1).flat_map(lambda _: tf.data.Dataset.range(self._first, self._last))
        if self._job.options.get("in_memory"):
            return steps.map(self._slice_of_memory()).prefetch(1)
        if self._changes is not None or self._job.options.get("per_sample"):
            return self._by_sample()
        return steps.map(self._gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def tensors(self, first: int, last: int) -> Iterable[Any]:
        """The batches for a loop in Python: of a dataset, or slices of memory."""
        return self._slices(first, last) if self._job.options.get("in_memory") else self.dataset(first, last)

    def _gather(self, step: Any) -> tuple[Any, Any]:
        epoch, place = step // self._plan.steps_per_epoch, step % self._plan.steps_per_epoch
        order = self._rows[epoch % settings.ORDERS]
        rows = order[place * self._plan.batch_size : (place + 1) * self._plan.batch_size]  # short at an epoch's end
        return tf.gather(self._inputs, rows), tf.gather(self._targets, rows)

    def _by_sample(self) -> tf.data.Dataset:
        """Samples one by one through their transform, in parallel, then into batches; epoch by epoch."""
        per_epoch, size = self._plan.steps_per_epoch, self._plan.batch_size

        def of_epoch(epoch: Any) -> tf.data.Dataset:
            begin = tf.maximum(self._first - epoch * per_epoch, 0) * size
            end = tf.minimum((self._last - epoch * per_epoch) * size, len(self._inputs))
            places = tf.data.Dataset.range(begin, end)
            samples = places.map(lambda place: self._sample(epoch, place), num_parallel_calls=tf.data.AUTOTUNE)
            return samples.batch(size)

        epochs = tf.data.Dataset.range(1).flat_map(
            lambda _: tf.data.Dataset.range(self._first // per_epoch, (self._last - 1) // per_epoch + 1)
        )
        return epochs.flat_map(of_epoch).prefetch(tf.data.AUTOTUNE)

    def _sample(self, epoch: Any, place: Any) -> tuple[Any, Any]:
        row = self._rows[epoch % settings.ORDERS, place]
        inputs, targets = self._inputs[row], self._targets[row]
        shape = self._inputs.shape[1:]
        if self._changes is not None:
            change = self._changes[orders.change_of(row, epoch)]
            inputs = tf.reshape(change_image(tf.reshape(inputs, (28, 28)), change), shape)
        if self._job.options.get("per_sample"):
            inputs = tf.ensure_shape(tf.numpy_function(transform, [inputs], tf.float32), shape)
        return inputs, targets

    def _slice_of_memory(self) -> Callable[[Any], tuple[Any, Any]]:
        per_epoch, size, epochs = self._plan.steps_per_epoch, self._plan.batch_size, self._epochs
        inputs, targets = (tf.stack([epoch[column] for epoch in epochs]) for column in (0, 1))

        def batch(step: Any) -> tuple[Any, Any]:
            epoch, begin = step // per_epoch % len(epochs), step % per_epoch * size
            return inputs[epoch, begin : begin + size], targets[epoch, begin : begin + size]

        return batch

    def _slices(self, first: int, last: int) -> Iterator[Any]:
        sizes = [self._plan.batch_size] * (self._plan.steps_per_epoch - 1)
        sizes.append(len(self._epochs[0][0]) - sum(sizes))
        split = [list(zip(*(tf.split(array, sizes) for array in epoch))) for epoch in self._epochs]  # noqa: B905
        for step in range(first, last):
            epoch, place = divmod(step, self._plan.steps_per_epoch)
            yield split[epoch % len(split)][place]


def change_image(image: Any, change: Any) -> Any:
    """A grey image (28, 28) turned, shifted and shaded by TensorFlow's operations, as `orders.change_image` does."""
    y, x = tf.meshgrid(*(tf.range(28.0) - 13.5,) * 2, indexing="ij")
    source_y = change[0] * y + change[1] * x + (change[2] + 13.5)
    source_x = change[3] * y + change[4] * x + (change[5] + 13.5)
    top, left = tf.floor(source_y), tf.floor(source_x)
    down, right = source_y - top, source_x - left
    padded = tf.reshape(tf.pad(image, [[1, 1], [1, 1]]), [-1])
    corner = tf.clip_by_value(tf.cast(top, tf.int32) + 1, 0, 28) * 30
    corner += tf.clip_by_value(tf.cast(left, tf.int32) + 1, 0, 28)
    upper = tf.gather(padded, corner) * (1 - right) + tf.gather(padded, corner + 1) * right
    lower = tf.gather(padded, corner + 30) * (1 - right) + tf.gather(padded, corner + 31) * right
    changed = upper * (1 - down) + lower * down
    return tf.clip_by_value(changed * change[6] + change[7], 0, 1)
