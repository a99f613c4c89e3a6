"""The workload `matmul`: pure products of two square matrices, one a step, in each framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fwtui import mark
from fwtui.workloads import settings
from fwtui.workloads.settings import Job

LEFT_MATRICES = 8
"""The left matrix changes from step to step, in a circle, so that no product can be taken from a cache."""

Product = Callable[[Any, Any], Any]
Move = Callable[[Any], Any]
"""From a NumPy matrix to the framework's own, on the device and in the lane's precision."""


def multiply(framework: str, job: Job) -> None:
    """Multiplies as often as the plan says, waiting for each product."""
    device, move, product, wait = _MAKERS[framework](job)
    print(f"data: synthetic, device: {device}")
    size = int(job.workload.values["size"])
    random = np.random.default_rng(job.seed)
    *lefts, right = (random.standard_normal((size, size), dtype=np.float32) for _ in range(LEFT_MATRICES + 1))
    moved, moved_right = [move(left) for left in lefts], move(right)
    settings.tell(job)
    mark.facts(framework=framework, device=device)
    means: list[float] = []
    with mark.finishable():
        for step in range(job.plan.steps):
            with mark.step(samples=1), mark.phase("compute"):
                result = wait(product(moved[step % LEFT_MATRICES], moved_right))
            if step < min(job.checked_steps, LEFT_MATRICES):
                means.append(_mean_square(result))
                if len(means) == min(job.checked_steps, LEFT_MATRICES):
                    settings.report_losses(means)
            if job.print_losses:
                print(f"step loss {_mean_square(result):.9g}")


_DTYPES = {"bf16": "bfloat16", "mixed_bf16": "bfloat16"}


def _mean_square(result: Any) -> float:
    """What stands for a loss: near the size of the matrices' entries, whatever their size."""
    array = np.asarray(result.float().cpu() if hasattr(result, "detach") else result, dtype=np.float32)
    return float(np.mean(np.square(array, dtype=np.float64)) / array.shape[0])


def _with_torch(job: Job) -> tuple[str, Move, Product, Product]:
    import torch

    from fwtui.workloads import torch_pipeline

    device = torch_pipeline.choose_device(job)
    dtype = getattr(torch, _DTYPES.get(job.precision, "float32"))
    mark.facts(version=torch.__version__.split("+")[0], threads={"intra": torch.get_num_threads()})
    return (
        str(device),
        lambda matrix: torch.from_numpy(matrix).to(device, dtype),
        torch.compile(torch.matmul) if job.options.get("compile") else torch.matmul,
        _waiting_torch(torch, device),
    )


def _waiting_torch(torch: Any, device: Any) -> Any:
    if device.type == "cpu":
        return lambda result: result

    def wait(result: Any) -> Any:
        torch.cuda.synchronize(device)
        return result

    return wait


def _with_tensorflow(job: Job) -> tuple[str, Move, Product, Any]:
    import tensorflow as tf

    from fwtui.workloads import tf_pipeline

    device = tf_pipeline.choose_device(job)
    dtype = _DTYPES.get(job.precision, "float32")
    mark.facts(version=tf.__version__)
    product: Product = tf.matmul
    if not job.options.get("eager"):
        product = tf.function(tf.matmul, jit_compile=bool(job.options.get("jit")))
    return device, lambda matrix: tf.cast(tf.constant(matrix), dtype), product, _waiting_numpy(device)


def _waiting_numpy(device: str) -> Any:
    """TensorFlow computes eagerly on the CPU; from a GPU one number is fetched, which waits for the product."""
    if device == "cpu":
        return lambda result: result

    def wait(result: Any) -> Any:
        result[0, 0].numpy()
        return result

    return wait


def _with_keras(job: Job) -> tuple[str, Move, Product, Any]:
    import importlib

    import keras

    from fwtui.workloads.with_keras import PIPELINES

    backend = keras.config.backend()
    device = importlib.import_module(PIPELINES[backend]).choose_device(job)
    dtype = _DTYPES.get(job.precision, "float32")
    mark.facts(version=keras.__version__, backend=backend)
    wait: Any = {"tensorflow": _waiting_numpy(str(device)), "jax": lambda result: result.block_until_ready()}.get(
        backend
    )
    if wait is None:
        import torch

        wait = _waiting_torch(torch, torch.device(str(device)))
    return (
        str(device),
        lambda matrix: keras.ops.convert_to_tensor(matrix, dtype=dtype),
        _keras_product(keras, job, backend),
        wait,
    )


def _keras_product(keras: Any, job: Job, backend: str) -> Product:
    """`keras.ops.matmul`, compiled by its backend unless the lane is eager."""
    product: Product = keras.ops.matmul
    if job.options.get("eager") or backend == "torch":
        return product
    if backend == "jax":
        import jax

        compiled: Product = jax.jit(product)
        return compiled
    import tensorflow as tf

    compiled = tf.function(product, jit_compile=bool(job.options.get("jit")))
    return compiled


_MAKERS: dict[str, Callable[[Job], tuple[str, Move, Product, Any]]] = {
    "torch": _with_torch,
    "tensorflow": _with_tensorflow,
    "keras": _with_keras,
}
