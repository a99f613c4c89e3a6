"""The built-in workloads in Keras: compile, fit, evaluate; fed by the backend's own input pipeline."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras

from fwtui import mark
from fwtui.workloads import data, settings
from fwtui.workloads.catalogue import Plan, Workload
from fwtui.workloads.fetch_mnist import fetch_mnist
from fwtui.workloads.settings import ADAM, Job

LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "mean squared error": keras.losses.MeanSquaredError,
    "sparse cross-entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
}
PIPELINES = {"tensorflow": "fwtui.workloads.tf_pipeline", "torch": "fwtui.workloads.torch_pipeline"}
EVALUATION_BATCH = 1_000


def train(job: Job) -> None:
    """Trains, then evaluates where the workload has test samples."""
    backend = importlib.import_module(PIPELINES[keras.config.backend()])
    device = backend.choose_device(job.device)
    mark.stage("loading data")
    samples = data.load(job.workload, job.data, fetch_mnist=fetch_mnist)
    batches = backend.Batches(job, samples)
    print(f"data: {samples.source}, device: {device}, backend: {keras.config.backend()}")
    mark.stage("building the model")
    model = build_model(job.workload, job.seed)
    per_execution = int(job.options.get("steps_per_execution", 1))
    model.compile(
        optimizer=keras.optimizers.Adam(ADAM.learning_rate, ADAM.beta_1, ADAM.beta_2, epsilon=ADAM.epsilon),
        loss=LOSSES[job.workload.loss](),
        steps_per_execution=per_execution,
        jit_compile=bool(job.options.get("jit")),
        run_eagerly=bool(job.options.get("eager")),
    )

    callbacks = [StepLosses(job.plan, len(samples.train_x))] if job.print_losses else None
    with mark.finishable():
        for first_epoch, last_epoch, steps in stretches(job.plan, per_execution):
            first = first_epoch * job.plan.steps_per_epoch
            model.fit(
                batches.dataset(first, first + (last_epoch - first_epoch) * steps),
                initial_epoch=first_epoch,
                epochs=last_epoch,
                steps_per_epoch=steps,
                shuffle=False,  # the pipeline has its own order
                verbose=2,
                callbacks=callbacks,
            )

    if samples.test_x is not None:
        # Only now: the accuracy of every training batch would be work that other lanes do not do.
        model.compile(optimizer=model.optimizer, loss=model.loss, metrics=["accuracy"])
        test_loss, accuracy = model.evaluate(samples.test_x, samples.test_y, batch_size=EVALUATION_BATCH, verbose=0)
        settings.report_test(test_loss, accuracy)


def build_model(workload: Workload, seed: int) -> keras.Sequential:
    """Dense layers with ReLU between them, holding the weights that all lanes start from."""
    *hidden, last = workload.layers[1:]
    model = keras.Sequential(
        [
            keras.Input((workload.layers[0],)),
            *(keras.layers.Dense(units, activation="relu") for units in hidden),
            keras.layers.Dense(last),
        ]
    )
    model.set_weights([array for layer in settings.initial_weights(workload, seed) for array in layer])
    return model


def stretches(plan: Plan, per_execution: int) -> list[tuple[int, int, int]]:
    """(first epoch, epoch after the last, steps an epoch) of each call of `fit`.

    One call runs all full epochs and one the rest. Where `steps_per_execution` does not divide an epoch, each epoch is
    a call: `fit` would otherwise fill up an epoch's last execution with batches of the next one.
    """
    epochs = [(epoch, epoch + 1, plan.steps_per_epoch) for epoch in range(plan.full_epochs)]
    if epochs and plan.steps_per_epoch % per_execution == 0:
        epochs = [(0, plan.full_epochs, plan.steps_per_epoch)]
    return epochs + ([(plan.full_epochs, plan.epochs, plan.rest)] if plan.rest else [])


class StepLosses(keras.callbacks.Callback):  # type: ignore[misc]
    """Prints the loss of every step, taken out of the running mean over the epoch's samples that Keras keeps."""

    def __init__(self, plan: Plan, samples: int) -> None:
        super().__init__()
        self._plan, self._samples = plan, samples
        self._seen, self._sum = 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._seen, self._sum = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        seen = min((batch + 1) * self._plan.batch_size, self._samples)
        total = float(logs["loss"]) * seen
        print(f"step loss {(total - self._sum) / (seen - self._seen):.9g}")
        self._seen, self._sum = seen, total
