"""What a profiler window says of a fused step, beside separately compiled parts of the same step.

    python tests/benchmarks/deep_split.py [tensorflow|jax]

The parts are timed as forward alone, forward with gradients, and the whole step, in shuffled rounds; their medians'
differences are the phases. Both columns leave out what no operation explains. The cost of a window is printed as well.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fwtui.analysis.deep import split
from fwtui.guest import agent
from fwtui.guest.deep_xla import JaxProfiler, TensorFlowProfiler

ROUNDS, CALLS, STEPS = 30, 10, 20
SIZES = {"mlp, 128 wide": (128, 64), "mlp, 1024 wide": (1024, 128)}


def tensorflow_parts(width: int, batch: int) -> tuple[list[Callable[[], Any]], Any]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(width, "relu"), keras.layers.Dense(width, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((256,)), *layers])
    optimizer = keras.optimizers.Adam()
    weights = model.trainable_weights
    values = [weight.value for weight in weights]
    optimizer.build(weights)
    x, y = tf.random.normal((batch, 256)), tf.random.normal((batch, 10))

    def loss() -> Any:
        return tf.reduce_mean((model(x, training=True) - y) ** 2)

    @tf.function
    def forward() -> Any:
        return loss()

    @tf.function
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            value = loss()
        return value, tape.gradient(value, values)

    @tf.function
    def whole() -> Any:
        with tf.GradientTape() as tape:
            value = loss()
        optimizer.apply(tape.gradient(value, values), weights)
        return value

    return [lambda: forward().numpy(), lambda: gradients()[0].numpy(), lambda: whole().numpy()], TensorFlowProfiler


def jax_parts(width: int, batch: int) -> tuple[list[Callable[[], Any]], Any]:
    import jax
    import jax.numpy as jnp
    import optax

    keys = jax.random.split(jax.random.key(0), 5)
    shapes = [(256, width), (width, width), (width, 10)]
    state = {"weights": [jax.random.normal(key, shape) * 0.05 for key, shape in zip(keys, shapes, strict=False)]}
    rule = optax.adam(1e-3)
    state["moments"] = rule.init(state["weights"])
    x, y = jax.random.normal(keys[3], (batch, 256)), jax.random.normal(keys[4], (batch, 10))

    def loss(weights: Any) -> Any:
        hidden = jax.nn.relu(jax.nn.relu(x @ weights[0]) @ weights[1])
        return jnp.mean((hidden @ weights[2] - y) ** 2)

    def update(weights: Any, moments: Any) -> Any:
        gradients = jax.grad(loss)(weights)
        changes, moments = rule.update(gradients, moments)
        return optax.apply_updates(weights, changes), moments

    forward, gradients, whole = jax.jit(loss), jax.jit(jax.grad(loss)), jax.jit(update)

    def step() -> None:
        state["weights"], state["moments"] = whole(state["weights"], state["moments"])
        jax.block_until_ready(state["weights"])

    return [
        lambda: jax.block_until_ready(forward(state["weights"])),
        lambda: jax.block_until_ready(gradients(state["weights"])),
        step,
    ], JaxProfiler


def separate(parts: list[Callable[[], Any]]) -> list[float]:
    """Median ms of each part, in shuffled rounds."""
    times: list[list[float]] = [[] for _ in parts]
    for part in parts:
        for _ in range(CALLS):
            part()
    for _ in range(ROUNDS):
        for index in random.sample(range(len(parts)), len(parts)):
            began = time.perf_counter()
            for _ in range(CALLS):
                parts[index]()
            times[index].append((time.perf_counter() - began) / CALLS * 1e3)
    return [float(np.median(series)) for series in times]


def window(step: Callable[[], Any], kind: Any) -> tuple[dict[str, float], float, float, float]:
    """Shares by phase, ms a step in the window, ms to stop the profiler and ms to read what it saw."""
    profiler = kind()
    profiler.start()
    began = time.perf_counter()
    for _ in range(STEPS):
        step()
    stepped = time.perf_counter()
    profiler.stop()
    stopped = time.perf_counter()
    table = profiler.table()
    read = time.perf_counter()
    phases, _ = split(table["operations"], table["rest_ns"], table["busy_ns"], None) or ({}, [])
    return phases, (stepped - began) / STEPS * 1e3, (stopped - stepped) * 1e3, (read - stopped) * 1e3


def main() -> None:
    agent._rank_dir, agent._writer = tempfile.mkdtemp(), object()  # type: ignore[assignment]
    for framework in sys.argv[1:] or ["tensorflow", "jax"]:
        for name, (width, batch) in SIZES.items():
            parts, kind = {"tensorflow": tensorflow_parts, "jax": jax_parts}[framework](width, batch)
            forward, gradients, whole = separate(parts)
            apart = np.array([forward, max(0.0, gradients - forward), max(0.0, whole - gradients)])
            phases, step_ms, stop_ms, read_ms = window(parts[2], kind)
            inside = np.array([phases[phase] for phase in ("forward", "backward", "optimizer")])
            shown = [" / ".join(f"{share:.0%}" for share in column / column.sum()) for column in (inside, apart)]
            print(
                f"{framework}, {name}: forward / backward / optimizer {shown[0]} in the window, {shown[1]} apart; "
                f"not explained {phases['unexplained']:.0%}; step {whole:.2f} ms, in the window {step_ms:.2f} ms; "
                f"stop {stop_ms:.0f} ms, read {read_ms:.0f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
