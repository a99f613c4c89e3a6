"""The built-in workloads in raw TensorFlow: a tf.Module and a GradientTape under tf.function, without Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from fwtui import mark
from fwtui.workloads import data, settings, tf_pipeline
from fwtui.workloads.catalogue import Workload
from fwtui.workloads.settings import ADAM, Job

EVALUATION_BATCH = 1_000


def train(job: Job) -> None:
    """Trains, then evaluates where the workload has test samples."""
    device = tf_pipeline.choose_device(job.device)
    mark.stage("loading data")
    samples = data.load(job.workload, job.data, fetch_mnist=_fetch_mnist)
    batches = tf_pipeline.Batches(job, samples).dataset(0, job.plan.steps)
    print(f"data: {samples.source}, device: {device}")
    mark.stage("building the model")
    model = Network(job.workload, job.seed)
    optimizer = Adam(model.trainable_variables)
    loss_function = LOSSES[job.workload.loss]

    def train_step(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_function(targets, model(inputs))
        optimizer.apply(tape.gradient(loss, optimizer.variables_trained))
        return loss

    if not job.options.get("eager"):
        train_step = tf.function(train_step, jit_compile=bool(job.options.get("jit")), reduce_retracing=True)

    with mark.finishable():
        for step, (inputs, targets) in enumerate(batches, start=1):
            loss = train_step(inputs, targets)
            if job.print_losses:
                print(f"step loss {float(loss):.9g}")
            if step % job.plan.steps_per_epoch == 0 or step == job.plan.steps:
                print(settings.epoch_line((step - 1) // job.plan.steps_per_epoch, job.plan, float(loss)))

    if samples.test_x is not None:
        with mark.evaluation():
            test_loss, accuracy = evaluate(model, loss_function, samples)
        settings.report_test(test_loss, accuracy)


class Network(tf.Module):  # type: ignore[misc]
    """Fully connected layers with ReLU between them, holding the weights that all lanes start from."""

    def __init__(self, workload: Workload, seed: int) -> None:
        super().__init__()
        self.layers = [
            (tf.Variable(kernel, name="kernel"), tf.Variable(bias, name="bias"))
            for kernel, bias in settings.initial_weights(workload, seed)
        ]

    def __call__(self, inputs: Any) -> Any:
        *hidden, last = self.layers
        for kernel, bias in hidden:
            inputs = tf.nn.relu(inputs @ kernel + bias)
        return inputs @ last[0] + last[1]


class Adam(tf.Module):  # type: ignore[misc]
    """Adam by TensorFlow's own fused kernel, one call a variable."""

    def __init__(self, variables: Any) -> None:
        super().__init__()
        self.variables_trained = list(variables)
        self._means = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables_trained]
        self._squares = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables_trained]
        self._beta_1_power = tf.Variable(ADAM.beta_1)
        self._beta_2_power = tf.Variable(ADAM.beta_2)

    def apply(self, gradients: Any) -> None:
        """One update of every variable."""
        for variable, mean, square, gradient in zip(  # noqa: B905
            self.variables_trained, self._means, self._squares, gradients
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=self._beta_1_power,
                beta2_power=self._beta_2_power,
                lr=ADAM.learning_rate,
                beta1=ADAM.beta_1,
                beta2=ADAM.beta_2,
                epsilon=ADAM.epsilon,
                grad=gradient,
            )
        self._beta_1_power.assign(self._beta_1_power * ADAM.beta_1)
        self._beta_2_power.assign(self._beta_2_power * ADAM.beta_2)


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


def evaluate(model: Network, loss_function: Callable[[Any, Any], Any], samples: data.Samples) -> tuple[float, float]:
    """Mean loss and accuracy over the test samples."""
    loss_sum, right, seen = 0.0, 0, 0
    tests = tf.data.Dataset.from_tensor_slices((samples.test_x, samples.test_y)).batch(EVALUATION_BATCH)
    for inputs, labels in tests:
        logits = model(inputs)
        loss_sum += float(loss_function(labels, logits)) * len(labels)
        right += int(tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels))
        seen += len(labels)
    return loss_sum / seen, right / seen


def _fetch_mnist() -> None:
    from fwtui.workloads.fetch_mnist import fetch_mnist

    fetch_mnist()
