"""Hooks for Keras 3 on every backend and for Keras 2: `CallbackList` on the class, log conversion, the optimizer.

No callback of ours is ever injected: that would turn asynchronous dispatch off.
"""

from __future__ import annotations

import sys
import threading
import time
import types
from typing import Any, Dict

from fwtui.guest import agent, parity_facts, trainer, turn_gate

LOSS_EVERY_NS = 200_000_000
_now = time.perf_counter_ns
_state: Dict[str, Any] = {"evaluating": 0, "learnt": False, "begin": 0, "updates": 1, "batch_size": None}


def arm_callbacks(module: Any) -> None:
    """Wrap the methods of `CallbackList` on the class."""
    kind = getattr(module, "CallbackList", None)
    if kind is None or getattr(kind.on_train_batch_begin, "__wrapped__", None) is not None:
        return
    agent.activate()
    agent.patch(kind, "on_train_batch_begin", _batch_begin)
    agent.patch(kind, "on_train_batch_end", _batch_end)
    agent.patch(kind, "on_epoch_begin", lambda original: _around(original, None, "epoch_begin"))
    agent.patch(kind, "on_epoch_end", lambda original: _around(original, "epoch_end", None))
    agent.patch(kind, "on_train_begin", lambda original: _around(original, "train_begin", None))
    agent.patch(kind, "on_train_end", lambda original: _around(original, None, "train_end"))
    for what in ("test", "predict"):
        agent.patch(kind, f"on_{what}_begin", lambda original: _evaluation(original, 1))
        agent.patch(kind, f"on_{what}_end", lambda original: _evaluation(original, -1))


def _batch_begin(original: Any) -> Any:
    enter, leave = agent.span("batch_begin_enter", "batch_begin_exit")
    gate, ident = turn_gate.check, threading.get_ident

    def on_train_batch_begin(self: Any, batch: Any, logs: Any = None) -> Any:
        if ident() != trainer.thread and trainer.decided:
            return original(self, batch, logs)
        gate()
        _state["begin"] = batch
        enter(_now())
        result = original(self, batch, logs)
        leave(_now())
        return result

    return on_train_batch_begin


def _batch_end(original: Any) -> Any:
    enter, leave = agent.span("batch_end_enter", "batch_end_exit")
    more, ident = agent.recorder("more_updates"), threading.get_ident

    def on_train_batch_end(self: Any, batch: Any, logs: Any = None) -> Any:
        if ident() != trainer.thread and trainer.decided:
            return original(self, batch, logs)
        entered = _now()
        enter(entered)
        extra = batch - _state["begin"]
        for _ in range(extra):
            more(entered)
        if extra >= _state["updates"]:
            agent.arm("keras samples", _note_samples, extra + 1)
        result = original(self, batch, logs)
        left = _now()
        leave(left)
        if left > agent.due[0]:
            agent.drain(left)
        if not _state["learnt"]:
            _state["learnt"] = True
            agent.arm("keras facts", _learn, self)
        return result

    return on_train_batch_end


def _note_samples(updates: int) -> None:
    """Tell how many updates, and so samples, one execution makes; a shorter last one is no change."""
    _state["updates"] = updates
    if _state["batch_size"]:
        agent.note("samples", value=_state["batch_size"] * updates, k=updates)
        agent.facts({"samples_per_step": _state["batch_size"] * updates})


def arm_batches(module: Any) -> None:
    """Learn the batch size from the iterator that `fit` makes before it begins; in Keras 2 from its data handler."""

    def make(original: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            if not agent.fitting[0]:
                adapter = getattr(self, "data_adapter", None) or getattr(self, "_adapter", None)
                size = getattr(adapter, "batch_size", None)
                size = size() if callable(size) else size
                _state["batch_size"] = size if isinstance(size, int) else None
                agent.arm("keras data", parity_facts.of_adapter, getattr(self, "data_adapter", None))

        return __init__

    agent.patch(getattr(module, "EpochIterator", None) or module.DataHandler, "__init__", make)


def arm_datasets(module: Any) -> None:
    """Learn the batch size of a `PyDataset` from its first batch: it does not say it."""

    def make(original: Any) -> Any:
        def _standardize_batch(self: Any, batch: Any) -> Any:
            if _state["batch_size"] is None and not _state["evaluating"]:
                agent.arm("keras batch", _learn_size, batch)
            return original(self, batch)

        return _standardize_batch

    agent.patch(module.PyDatasetAdapter, "_standardize_batch", make)


def _learn_size(batch: Any) -> None:
    agent.learn_batch(batch)
    _state["batch_size"] = agent._facts.get("batch_size")


def _around(original: Any, before: Any, after: Any) -> Any:
    begin, end = agent.span("callback_begin", "callback_end")
    first = agent.recorder(before) if before else None
    last = agent.recorder(after) if after else None

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        now = _now()
        if first is not None:
            first(now)
        begin(now)
        if after == "epoch_begin":
            agent.note("epoch", value=(args[0] if args else kwargs.get("epoch", 0)) + 1)
        elif before == "train_begin":
            _state.update(evaluating=0, updates=1)
            trainer.here()
            agent.fitting[0] = True
            agent.arm("keras plan", _plan, self)
        try:
            return original(self, *args, **kwargs)
        finally:
            now = _now()
            end(now)
            if last is not None:
                last(now)
                if after == "train_end":
                    agent.fitting[0] = False

    return method


def _evaluation(original: Any, change: int) -> Any:
    """Only the outermost of nested evaluations counts."""
    note = agent.recorder("evaluation_begin" if change > 0 else "evaluation_end")

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        _state["evaluating"] += change
        if change > 0 and _state["evaluating"] == 1:
            note(_now())
        try:
            return original(self, *args, **kwargs)
        finally:
            if change < 0 and _state["evaluating"] == 0:
                note(_now())

    return method


def arm_logs(module: Any) -> None:
    """Time the conversion of logs to Python numbers: it waits for the device. Trainers import it by name, later."""
    begin, end = agent.span("sync_begin", "sync_end")
    ident, last = threading.get_ident, [0]

    def make(original: Any) -> Any:
        def pythonify_logs(logs: Any) -> Any:
            if ident() != trainer.thread and trainer.decided:
                return original(logs)
            started = _now()
            begin(started)
            result = original(logs)
            end(_now())
            if started - last[0] > LOSS_EVERY_NS and not _state["evaluating"] and isinstance(result, dict):
                loss: Any = result.get("loss")
                if getattr(loss, "shape", ()) == () and hasattr(loss, "__float__"):
                    last[0] = started
                    agent.note("loss", value=float(loss), step=agent.count("batch_end_exit") + 1, mean=True)
            return result

        return pythonify_logs

    for name in ("pythonify_logs", "sync_to_numpy_or_python_type"):
        if hasattr(module, name):
            agent.patch(module, name, make)


def arm_optimizer(module: Any) -> None:
    """Time eager updates; at trace time, mark the function that is being traced as the one that trains."""
    begin, end = agent.span("optimizer_begin", "optimizer_end")
    depth = [0]

    def make(original: Any) -> Any:
        def apply(self: Any, *args: Any, **kwargs: Any) -> Any:
            if depth[0] or not _eager(self) or (trainer.several[0] and trainer.elsewhere()):
                return original(self, *args, **kwargs)
            depth[0] += 1
            begin(_now())
            try:
                return original(self, *args, **kwargs)
            finally:
                end(_now())
                depth[0] -= 1

        return apply

    for kind, name in (("BaseOptimizer", "apply"), ("_BaseOptimizer", "apply_gradients")):
        if hasattr(module, kind) and name in vars(getattr(module, kind)):
            agent.patch(getattr(module, kind), name, make)


def arm_trainer(module: Any) -> None:
    """`train_on_batch` is a step of its own: no callback tells of it."""
    for kind in list(vars(module).values()):
        own = isinstance(kind, type) and kind.__module__ == module.__name__
        if own and "train_on_batch" in vars(kind):
            agent.patch(kind, "train_on_batch", _train_on_batch)


def _train_on_batch(original: Any) -> Any:
    enter, begin = agent.span("batch_begin_enter", "batch_begin_exit")
    end, leave = agent.span("batch_end_enter", "batch_end_exit")
    ident = threading.get_ident

    def train_on_batch(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if agent.fitting[0] or (ident() != trainer.thread and trainer.decided):
            return original(self, x, *args, **kwargs)
        trainer.here()
        turn_gate.check()
        agent.fitting[0] = True
        now = _now()
        enter(now)
        begin(now)
        try:
            return original(self, x, *args, **kwargs)
        finally:
            now = _now()
            end(now)
            leave(now)
            agent.fitting[0] = False
            if not _state["learnt"]:
                _state["learnt"] = True
                agent.arm("keras batch", agent.learn_batch, x)
                agent.arm("keras facts", _learn, types.SimpleNamespace(model=self))
            if now > agent.due[0]:
                agent.drain(now)

    return train_on_batch


def _eager(optimizer: Any) -> bool:
    """Whether operations run now; marks the function that trains when TensorFlow is tracing."""
    backend = _backend()
    if backend == "tensorflow":
        from fwtui.guest import tensorflow_hooks

        return tensorflow_hooks.eager_or_mark(optimizer)
    return backend == "torch" and not sys.modules["torch"].compiler.is_compiling()


def _backend() -> str:
    keras = sys.modules.get("keras")
    try:
        return str(keras.config.backend()) if keras is not None else "tensorflow"
    except AttributeError:
        return "tensorflow"


def _plan(callbacks: Any) -> None:
    """What `fit` intends: epochs and batches per epoch."""
    params = getattr(callbacks, "params", None) or {}
    per_epoch, epochs = params.get("steps"), params.get("epochs")
    if _planned_by_program():
        return
    values = {"epochs": epochs, "steps_per_epoch": per_epoch, "samples_per_step": _state["batch_size"]}
    if per_epoch and epochs:
        values["steps"] = per_epoch * epochs
    agent.note("plan", **{key: value for key, value in values.items() if value})


def _planned_by_program() -> bool:
    mark = sys.modules.get("fwtui.mark")
    return bool(mark is not None and mark.planned)


def _learn(callbacks: Any) -> None:
    """Learn the facts once, after the first batch."""
    model = getattr(callbacks, "model", None) or getattr(callbacks, "_model", None)
    keras = _package_of(model)
    backend = _backend()
    values: Dict[str, Any] = {
        "framework": "keras",
        "version": getattr(keras, "__version__", None),
        "backend": backend,
        "backend_version": getattr(sys.modules.get(backend), "__version__", "").split("+")[0] or None,
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "device": _device(backend),
        "batch_size": _state["batch_size"],
        "samples_per_step": _state["batch_size"] and _state["batch_size"] * _state["updates"],
    }
    agent.facts(values)
    if model is None:
        return
    optimizer = getattr(model, "optimizer", None)
    trainable = sum(int(_size(weight)) for weight in model.trainable_weights)
    loss = getattr(model, "loss", None)
    eager = bool(getattr(model, "run_eagerly", False))
    agent.facts(
        {
            "parameters": int(model.count_params()),
            "trainable_parameters": trainable,
            "dtype": str(getattr(model, "compute_dtype", "")) or None,
            "optimizer": optimizer_facts(optimizer),
            "loss": loss if isinstance(loss, str) else type(loss).__name__ if loss is not None else None,
            "jit_compile": bool(getattr(model, "jit_compile", False)),
            "compiled": backend != "torch" and not eager,
            "steps_per_execution": _steps_per_execution(model),
            "replicas": _replicas(model, backend),
        }
    )
    parity_facts.of_keras(model, backend)


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
