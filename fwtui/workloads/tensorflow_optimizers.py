"""The optimizers of the raw TensorFlow lane: its own fused kernels, one call a variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from fwtui.workloads.settings import OptimizerSettings


class Sgd(tf.Module):  # type: ignore[misc]
    """Gradient descent with momentum."""

    def __init__(self, chosen: OptimizerSettings, variables: Sequence[Any]) -> None:
        super().__init__()
        self._chosen, self._variables = chosen, list(variables)
        self._moments = [_zeros_like(variable) for variable in self._variables]

    def apply(self, gradients: Sequence[Any]) -> None:
        """One update of every variable."""
        for variable, moment, gradient in zip(self._variables, self._moments, gradients):  # noqa: B905
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle,
                accum=moment.handle,
                lr=tf.cast(self._chosen.learning_rate, variable.dtype),
                grad=gradient,
                momentum=tf.cast(self._chosen.momentum, variable.dtype),
            )


class Adam(tf.Module):  # type: ignore[misc]
    """Adam; with a weight decay, AdamW."""

    def __init__(self, chosen: OptimizerSettings, variables: Sequence[Any]) -> None:
        super().__init__()
        self._chosen, self._variables = chosen, list(variables)
        self._means = [_zeros_like(variable) for variable in self._variables]
        self._squares = [_zeros_like(variable) for variable in self._variables]
        self._beta_1_power = tf.Variable(chosen.beta_1, trainable=False)
        self._beta_2_power = tf.Variable(chosen.beta_2, trainable=False)

    def apply(self, gradients: Sequence[Any]) -> None:
        """One update of every variable."""
        chosen = self._chosen
        for variable, mean, square, gradient in zip(  # noqa: B905
            self._variables, self._means, self._squares, gradients
        ):
            if chosen.weight_decay:
                variable.assign_sub(chosen.learning_rate * chosen.weight_decay * variable)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=self._beta_1_power,
                beta2_power=self._beta_2_power,
                lr=chosen.learning_rate,
                beta1=chosen.beta_1,
                beta2=chosen.beta_2,
                epsilon=chosen.epsilon,
                grad=gradient,
            )
        self._beta_1_power.assign(self._beta_1_power * chosen.beta_1)
        self._beta_2_power.assign(self._beta_2_power * chosen.beta_2)


def make_optimizer(chosen: OptimizerSettings, variables: Sequence[Any]) -> Any:
    """The optimizer of these settings over the variables."""
    return (Sgd if chosen.name == "SGD" else Adam)(chosen, variables)


def _zeros_like(variable: Any) -> Any:
    return tf.Variable(tf.zeros_like(variable), trainable=False)
