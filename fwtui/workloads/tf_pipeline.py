"""What the lanes on TensorFlow share: the tf.data pipeline over the common order of samples, and the device."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from fwtui.workloads import data, settings
from fwtui.workloads.settings import Job, WorkloadError


class Batches:
    """Makes datasets of any stretch of the run's batches."""

    def __init__(self, job: Job, samples: data.Samples) -> None:
        self._plan = job.plan
        with tf.device("CPU:0"):
            self._inputs = tf.constant(samples.train_x)
            self._targets = tf.constant(samples.train_y)
            self._orders = tf.constant(settings.sample_orders(len(samples.train_x), job.seed))

    def dataset(self, first: int, last: int) -> tf.data.Dataset:
        """The batches of steps `first` to `last - 1`, counted from 0 over the whole run."""
        steps = tf.data.Dataset.range(first, last)
        return steps.map(self._gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def _gather(self, step: Any) -> tuple[Any, Any]:
        epoch, place = step // self._plan.steps_per_epoch, step % self._plan.steps_per_epoch
        order = self._orders[epoch % settings.ORDERS]
        rows = order[place * self._plan.batch_size : (place + 1) * self._plan.batch_size]  # short at an epoch's end
        return tf.gather(self._inputs, rows), tf.gather(self._targets, rows)


def choose_device(wanted: str) -> str:
    """Hides the GPUs for `cpu`; call it before anything touches a device. Returns `cpu` or `cuda`."""
    gpus = tf.config.list_physical_devices("GPU")
    if wanted == "cuda" and not gpus:
        raise WorkloadError("tensorflow sees no CUDA device here: take --device cpu or auto")
    if wanted == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return "cpu"
    return "cuda" if gpus else "cpu"
