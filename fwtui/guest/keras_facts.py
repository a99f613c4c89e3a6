"""What is learnt once of a Keras model: its framework, its size, its optimizer, how it is compiled."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional

from fwtui.guest import notes, parity_facts


def learn(model: Any, batch_size: Optional[int], updates: int) -> None:
    """Learn the facts, after the first batch; `updates` are those of one execution."""
    keras = _package_of(model)
    computes = backend()
    values: Dict[str, Any] = {
        "framework": "keras",
        "version": getattr(keras, "__version__", None),
        "backend": computes,
        "backend_version": getattr(sys.modules.get(computes), "__version__", "").split("+")[0] or None,
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "device": _device(computes),
        "batch_size": batch_size,
        "samples_per_step": batch_size and batch_size * updates,
    }
    notes.learn(values)
    if model is None:
        return
    optimizer = getattr(model, "optimizer", None)
    trainable = sum(int(_size(weight)) for weight in model.trainable_weights)
    loss = getattr(model, "loss", None)
    eager = bool(getattr(model, "run_eagerly", False))
    notes.learn(
        {
            "parameters": int(model.count_params()),
            "trainable_parameters": trainable,
            "dtype": str(getattr(model, "compute_dtype", "")) or None,
            "optimizer": optimizer_facts(optimizer),
            "loss": loss if isinstance(loss, str) else type(loss).__name__ if loss is not None else None,
            "jit_compile": bool(getattr(model, "jit_compile", False)),
            "compiled": computes != "torch" and not eager,
            "steps_per_execution": _steps_per_execution(model),
            "replicas": _replicas(model, computes),
        }
    )
    parity_facts.of_keras(model, computes)


def _package_of(model: Any) -> Any:
    """The package that a model is of: Keras 2 and 3 may both be imported."""
    roots = [kind.__module__.split(".")[0] for kind in type(model).__mro__]
    name = next((root for root in roots if root in ("keras", "tf_keras")), "keras")
    return sys.modules.get(name) or sys.modules.get("tf_keras")


def _steps_per_execution(model: Any) -> int:
    """Under a strategy of several workers Keras 2 keeps it in a variable, of which each replica has its own."""
    value = getattr(model, "steps_per_execution", 1)
    value = getattr(value, "numpy", lambda: value)()
    return int(value or 1)


def _replicas(model: Any, backend: str) -> Any:
    """How many copies of the model train in step: devices of this process, and those of the other workers."""
    strategy = getattr(model, "distribute_strategy", None)
    number = getattr(strategy, "num_replicas_in_sync", None)
    if number is None and backend == "jax":
        distribution = sys.modules["keras"].distribution.distribution()
        mesh = getattr(distribution, "device_mesh", None)
        number = None if mesh is None else mesh.devices.size
    return int(number) if number and number > 1 else None


def optimizer_facts(optimizer: Any) -> Any:
    """A Keras optimizer's name and its plain settings; None when there is none."""
    if optimizer is None:
        return None
    settings = {key: value for key, value in optimizer.get_config().items() if isinstance(value, (int, float, bool))}
    return {"name": type(optimizer).__name__, **settings}


def _size(weight: Any) -> int:
    size = 1
    for extent in weight.shape:
        size *= int(extent)
    return size


def _device(backend: str) -> Any:
    """The device that the backend computes on; None when it cannot be told."""
    if backend == "tensorflow":
        from fwtui.guest import tensorflow_hooks

        return tensorflow_hooks.device()
    if backend == "torch":
        torch = sys.modules["torch"]
        return f"cuda:0 {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "cpu"
    if backend == "jax":
        return str(sys.modules["jax"].devices()[0].platform)
    return None


def backend() -> str:
    """The backend of Keras; TensorFlow of Keras 2."""
    keras = sys.modules.get("keras")
    try:
        return str(keras.config.backend()) if keras is not None else "tensorflow"
    except AttributeError:
        return "tensorflow"
