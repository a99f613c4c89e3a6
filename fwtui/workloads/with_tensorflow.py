"""The built-in workloads in raw TensorFlow: a tf.Module and a GradientTape under tf.function, without Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from fwtui import mark
from fwtui.workloads import data, settings, tf_pipeline
from fwtui.workloads.settings import Job, WorkloadError
from fwtui.workloads.tensorflow_layers import Network
from fwtui.workloads.tensorflow_optimizers import make_optimizer

EVALUATION_BATCH = 1_000


def train(job: Job) -> None:
    """Trains, then evaluates where the workload has test samples."""
    device = tf_pipeline.choose_device(job)
    tf.random.set_seed(job.seed)  # for dropout
    data_format = "NCHW" if job.options.get("layout") == "nchw" else "NHWC"
    if data_format == "NCHW" and device == "cpu":
        raise WorkloadError("tensorflow convolves on the CPU with layout=nhwc only: leave nchw to --device cuda")
    mark.stage("loading data")
    samples = data.load(job.workload, job.data, fetch_mnist=_fetch_mnist)
    batches = tf_pipeline.Batches(job, samples, data_format == "NCHW").tensors(0, job.plan.steps)
    print(f"data: {samples.source}, device: {device}")
    mark.stage("building the model")
    model = Network(job.workload, job.seed, job.precision, data_format)
    train_step = make_step(job, model)
    callback = settings.callback(job)
    settings.tell(job)
    mark.facts(optimizer=settings.optimizer_facts(job.workload))

    first_losses: list[Any] = []
    checked = job.checked_steps
    with mark.finishable():
        for step, (inputs, targets) in enumerate(batches, start=1):
            loss = train_step(inputs, targets)
            if callback:
                callback()
            if step <= checked:
                first_losses.append(loss)
                if step == checked:
                    settings.report_losses(tf.stack(first_losses).numpy().tolist())
            if job.print_losses:
                print(f"step loss {float(loss):.9g}")
            if step % job.plan.steps_per_epoch == 0 or step == job.plan.steps:
                print(settings.epoch_line((step - 1) // job.plan.steps_per_epoch, job.plan, float(loss)))

    if samples.test_x is not None and not job.print_losses:
        with mark.evaluation():
            test_loss, accuracy = evaluate(model, LOSSES[job.workload.loss], samples, data_format)
        settings.report_test(test_loss, accuracy)


def make_step(job: Job, model: Network) -> Callable[[Any, Any], Any]:
    """The training step: from a batch to its loss, penalties included."""
    optimizer = make_optimizer(settings.optimizer_settings(job.workload), model.trained)
    loss_function = LOSSES[job.workload.loss]
    l1, l2 = settings.penalties(job.workload)

    def train_step(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_function(targets, model(inputs, training=True))
            if l1:
                loss += l1 * tf.add_n([tf.reduce_sum(tf.abs(kernel)) for kernel in model.kernels])
            if l2:
                loss += l2 * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in model.kernels])
        optimizer.apply(tape.gradient(loss, model.trained))
        return loss

    if job.options.get("eager"):
        return train_step
    compiled: Callable[[Any, Any], Any] = tf.function(
        train_step, jit_compile=bool(job.options.get("jit")), reduce_retracing=True
    )
    return compiled


def mean_squared_error(targets: Any, outputs: Any) -> Any:
    """The mean over all elements."""
    return tf.reduce_mean(tf.math.squared_difference(outputs, targets))


def sparse_cross_entropy(labels: Any, logits: Any) -> Any:
    """The mean over the batch."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mean squared error": mean_squared_error,
    "sparse cross-entropy": sparse_cross_entropy,
}


def evaluate(
    model: Network, loss_function: Callable[[Any, Any], Any], samples: data.Samples, data_format: str
) -> tuple[float, float]:
    """Mean loss and accuracy over the test samples."""
    loss_sum, right, seen = 0.0, 0, 0
    inputs = samples.test_x
    if data_format == "NCHW" and inputs is not None and inputs.ndim == 4:
        inputs = inputs.transpose(0, 3, 1, 2)
    for batch, labels in tf.data.Dataset.from_tensor_slices((inputs, samples.test_y)).batch(EVALUATION_BATCH):
        logits = model(batch)
        loss_sum += float(loss_function(labels, logits)) * len(labels)
        right += int(tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels))
        seen += len(labels)
    return loss_sum / seen, right / seen


def _fetch_mnist() -> None:
    from fwtui.workloads.fetch_mnist import fetch_mnist

    fetch_mnist()
