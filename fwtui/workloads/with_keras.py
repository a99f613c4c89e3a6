"""The built-in workloads in Keras: compile, fit, evaluate; fed by the backend's own input pipeline."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import keras

from fwtui import mark
from fwtui.workloads import data, keras_layers, settings
from fwtui.workloads.fetch_mnist import fetch_mnist
from fwtui.workloads.fits import fits
from fwtui.workloads.settings import Job, WorkloadError

LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "mean squared error": keras.losses.MeanSquaredError,
    "sparse cross-entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
}
PIPELINES = {
    "tensorflow": "fwtui.workloads.tf_pipeline",
    "torch": "fwtui.workloads.keras_on_torch",
    "jax": "fwtui.workloads.jax_pipeline",
}
POLICIES = {"bf16": "bfloat16", "mixed_bf16": "mixed_bfloat16"}
EVALUATION_BATCH = 1_000


def train(job: Job) -> None:
    """Trains, then evaluates where the workload has test samples."""
    backend = importlib.import_module(PIPELINES[keras.config.backend()])
    device = backend.choose_device(job)
    keras.utils.set_random_seed(job.seed)  # for dropout
    channels_first = job.options.get("layout") == "nchw"
    if channels_first and keras.config.backend() == "tensorflow" and device == "cpu":
        raise WorkloadError("tensorflow convolves on the CPU with layout=nhwc only: leave nchw to --device cuda")
    keras.config.set_image_data_format("channels_first" if channels_first else "channels_last")
    keras.config.set_dtype_policy(POLICIES.get(job.precision, "float32"))
    mark.stage("loading data")
    samples = data.load(job.workload, job.data, fetch_mnist=fetch_mnist)
    batches = backend.Batches(job, samples, channels_first)
    print(f"data: {samples.source}, device: {device}, backend: {keras.config.backend()}")
    mark.stage("building the model")
    model = build_model(job)
    settings.tell(job)

    per_execution = int(job.options.get("steps_per_execution", 1))
    checked = job.checked_steps if job.checked_steps % per_execution == 0 else 0
    with mark.finishable():
        for fit in fits(job.plan, per_execution, checked):
            checking = fit.begin < checked
            model.fit(
                batches.dataset(fit.begin, fit.end),
                initial_epoch=fit.first_epoch,
                epochs=fit.last_epoch,
                steps_per_epoch=fit.steps_per_epoch,
                shuffle=False,  # the pipeline has its own order
                verbose=0 if checking else 2,
                callbacks=_callbacks(job, fit.begin, checked if checking else 0, per_execution),
            )

    if samples.test_x is not None and not job.print_losses:
        # Only now: the accuracy of every training batch would be work that other lanes do not do.
        model.compile(optimizer=model.optimizer, loss=model.loss, metrics=["accuracy"])
        inputs = samples.test_x.transpose(0, 3, 1, 2) if channels_first and samples.test_x.ndim == 4 else samples.test_x
        test_loss, accuracy = model.evaluate(inputs, samples.test_y, batch_size=EVALUATION_BATCH, verbose=0)
        settings.report_test(test_loss - float(sum(model.losses)), accuracy)  # without penalties, as in other lanes


def build_model(job: Job) -> keras.Model:
    """The compiled model."""
    model = keras_layers.build_model(job.workload, job.seed)
    jit: bool | str = bool(job.options.get("jit"))
    model.compile(
        optimizer=make_optimizer(job),
        loss=LOSSES[job.workload.loss](),
        steps_per_execution=int(job.options.get("steps_per_execution", 1)),
        jit_compile="auto" if keras.config.backend() == "jax" else jit,
        run_eagerly=bool(job.options.get("eager")),
    )
    return model


def make_optimizer(job: Job) -> keras.optimizers.Optimizer:
    """The workload's optimizer."""
    chosen = settings.optimizer_settings(job.workload)
    if chosen.name == "SGD":
        return keras.optimizers.SGD(chosen.learning_rate, chosen.momentum)
    adam = {"beta_1": chosen.beta_1, "beta_2": chosen.beta_2, "epsilon": chosen.epsilon}
    if chosen.name == "AdamW":
        return keras.optimizers.AdamW(chosen.learning_rate, weight_decay=chosen.weight_decay, **adam)
    return keras.optimizers.Adam(chosen.learning_rate, **adam)


def _callbacks(job: Job, begin: int, checked: int, per_execution: int) -> list[keras.callbacks.Callback] | None:
    """None where possible: any callback makes Keras fetch each step's loss before the next step begins."""
    made: list[keras.callbacks.Callback] = []
    if checked or job.print_losses:
        made.append(StepLosses(job, begin, checked, per_execution))
    if job.options.get("callback_ms"):
        made.append(Sleeping(float(job.options["callback_ms"])))
    return made or None


class Sleeping(keras.callbacks.Callback):  # type: ignore[misc]
    """Sleeps after each batch."""

    def __init__(self, milliseconds: float) -> None:
        super().__init__()
        self._seconds = milliseconds / 1000

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        time.sleep(self._seconds)


class StepLosses(keras.callbacks.Callback):  # type: ignore[misc]
    """Takes the loss of every step out of the running mean over the samples of a `fit`'s epoch that Keras keeps."""

    def __init__(self, job: Job, begin: int, checked: int, per_execution: int) -> None:
        super().__init__()
        self._plan, self._samples, self._print = job.plan, job.workload.samples, job.print_losses
        self._checked, self._per_execution = checked, per_execution
        self._skipped = [begin % job.plan.steps_per_epoch * job.plan.batch_size]
        self._offset, self._seen, self._sum = 0, 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._offset = self._skipped.pop() if self._skipped else 0  # only the first one begins in its middle
        self._seen, self._sum = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        seen = min(self._offset + (batch + 1) * self._plan.batch_size, self._samples) - self._offset
        total = float(logs["loss"]) * seen
        loss = (total - self._sum) / (seen - self._seen)
        self._seen, self._sum = seen, total
        if self._print:
            print(f"step loss {loss:.9g}")
        if self._checked:
            _checked_losses.append(loss)
            if len(_checked_losses) * self._per_execution == self._checked:
                settings.report_losses(_checked_losses, self._per_execution)


_checked_losses: list[float] = []
"""Over the calls of `fit` that the checked steps take."""
