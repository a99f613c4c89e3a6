"""Hooks for Keras 3 on every backend and for Keras 2: `CallbackList` on the class, log conversion, the optimizer.

No callback of ours is ever injected: that would turn asynchronous dispatch off.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict, Tuple

from fwtui.guest import agent, keras_facts, notes, parity_facts, trainer, turn_gate
from fwtui.recording.vocabulary import CODE_BITS

LOSS_EVERY_NS = 200_000_000
_now, _log = time.perf_counter_ns, agent.log
_ended = agent.counters.setdefault("batch_end_exit", [0])
_state: Dict[str, Any] = {
    **{"evaluating": 0, "learnt": False, "begin": 0, "updates": 1, "batch_size": None, "loss_ns": 0},
    "last": float("inf"),  # number of an epoch's last batch, where `fit` knows it
}


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
    enter, leave = agent.code("batch_begin_enter"), agent.code("batch_begin_exit")
    gate, ident = turn_gate.check, threading.get_ident

    def on_train_batch_begin(self: Any, batch: Any, logs: Any = None) -> Any:
        if ident() != trainer.thread and trainer.decided:
            return original(self, batch, logs)
        gate()
        _state["begin"] = batch
        _log(_now() << CODE_BITS | enter)
        result = original(self, batch, logs)
        _log(_now() << CODE_BITS | leave)
        return result

    return on_train_batch_begin


def _batch_end(original: Any) -> Any:
    enter, leave, more = map(agent.code, ("batch_end_enter", "batch_end_exit", "more_updates"))
    ident = threading.get_ident

    def on_train_batch_end(self: Any, batch: Any, logs: Any = None) -> Any:
        if ident() != trainer.thread and trainer.decided:
            return original(self, batch, logs)
        entered = _now()
        _log(entered << CODE_BITS | enter)
        try:
            # Keras tells of an epoch's last execution as if it were a full one
            extra = int(min(batch, _state["last"]) - _state["begin"])
        except (TypeError, ValueError):  # somebody's own loop, with batches that are no numbers
            extra = 0
        for _ in range(extra):
            _log(entered << CODE_BITS | more)
        if extra >= _state["updates"]:
            agent.arm("keras samples", _note_samples, extra + 1)
        result = original(self, batch, logs)
        left = _now()
        _log(left << CODE_BITS | leave)
        _ended[0] += 1
        if left > agent.due[0]:
            agent.drain(left)
        if not _state["learnt"]:
            _state["learnt"] = True
            agent.arm("keras facts", _learn, getattr(self, "model", None) or getattr(self, "_model", None))
        return result

    return on_train_batch_end


def _learn(model: Any) -> None:
    keras_facts.learn(model, _state["batch_size"], _state["updates"])


def _note_samples(updates: int) -> None:
    """Tell how many updates, and so samples, one execution makes; a shorter last one is no change."""
    _state["updates"] = updates
    if _state["batch_size"]:
        notes.note("samples", value=_state["batch_size"] * updates, k=updates)
        notes.learn({"samples_per_step": _state["batch_size"] * updates})


def arm_batches(module: Any) -> None:
    """Learn the batch size from the iterator that `fit` makes before it begins; in Keras 2 from its data handler."""

    def make(original: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            if not agent.fitting[0]:
                agent.arm("keras data", _learn_data, self)

        return __init__

    agent.patch(getattr(module, "EpochIterator", None) or module.DataHandler, "__init__", make)


def _learn_data(iterator: Any) -> None:
    _state["batch_size"] = None
    adapter = getattr(iterator, "data_adapter", None) or getattr(iterator, "_adapter", None)
    size = getattr(adapter, "batch_size", None)
    size = size() if callable(size) else size
    _state["batch_size"] = size if isinstance(size, int) else None
    parity_facts.of_adapter(getattr(iterator, "data_adapter", None))


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
    notes.learn_batch(batch)
    _state["batch_size"] = notes.learnt.get("batch_size")


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
            epoch = args[0] if args else kwargs.get("epoch", 0)
            notes.note("epoch", value=epoch + 1 if isinstance(epoch, int) else epoch)
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
    for name in ("pythonify_logs", "sync_to_numpy_or_python_type"):
        if hasattr(module, name):
            agent.patch(module, name, _to_numbers)


def arm_trainer_logs(module: Any) -> None:
    """Before Keras 3.8 the conversion is a method, which calls itself for nested logs."""
    if hasattr(module.Trainer, "_pythonify_logs"):
        agent.patch(module.Trainer, "_pythonify_logs", _to_numbers)


def _to_numbers(original: Any) -> Any:
    begin, end = agent.code("sync_begin"), agent.code("sync_end")
    ident, inside = threading.get_ident, [False]

    def pythonify_logs(*given: Any) -> Any:
        if inside[0] or (ident() != trainer.thread and trainer.decided):
            return original(*given)
        started = _now()
        inside[0] = True
        _log(started << CODE_BITS | begin)
        try:
            result = original(*given)
        finally:
            _log(_now() << CODE_BITS | end)
            inside[0] = False
        if not _state["evaluating"] and started - _state["loss_ns"] > LOSS_EVERY_NS:
            agent.arm("keras loss", _note_loss, (result, started, agent.count("batch_end_exit") + 1))
        return result

    return pythonify_logs


def _note_loss(told: Tuple[Any, int, int]) -> None:
    """Note the loss that logs, or what `train_on_batch` returns, hold: a running mean. Told: (that, time, step).

    Only a number on the host is looked at: Keras before 3.8 converts logs while it traces, too.
    """
    result, now_ns, step = told
    if isinstance(result, list) and result:
        result = result[0]
    loss: Any = result.get("loss") if isinstance(result, dict) else result
    if isinstance(loss, (int, float)) or (type(loss).__module__ == "numpy" and getattr(loss, "shape", None) == ()):
        _state["loss_ns"] = now_ns
        notes.note("loss", value=float(loss), step=step, mean=True)


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
    enter, begin, end, leave = map(
        agent.code, ("batch_begin_enter", "batch_begin_exit", "batch_end_enter", "batch_end_exit")
    )
    ident = threading.get_ident

    def train_on_batch(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if agent.fitting[0] or (ident() != trainer.thread and trainer.decided):
            return original(self, x, *args, **kwargs)
        trainer.here()
        turn_gate.check()
        agent.fitting[0] = True
        now = _now()
        _log(now << CODE_BITS | enter)
        _log(now << CODE_BITS | begin)
        result = None
        try:
            result = original(self, x, *args, **kwargs)
            return result
        finally:
            now = _now()
            _log(now << CODE_BITS | end)
            _log(now << CODE_BITS | leave)
            _ended[0] += 1
            agent.fitting[0] = False
            if now - _state["loss_ns"] > LOSS_EVERY_NS:
                agent.arm("keras loss", _note_loss, (result, now, agent.count("batch_end_exit")))
            if not _state["learnt"]:
                _state["learnt"] = True
                agent.arm("keras batch", notes.learn_batch, x)
                agent.arm("keras facts", _learn, self)
            if now > agent.due[0]:
                agent.drain(now)

    return train_on_batch


def _eager(optimizer: Any) -> bool:
    """Whether operations run now; marks the function that trains when TensorFlow is tracing."""
    backend = keras_facts.backend()
    if backend == "tensorflow":
        from fwtui.guest import tensorflow_hooks

        return tensorflow_hooks.eager_or_mark(optimizer)
    return backend == "torch" and not sys.modules["torch"].compiler.is_compiling()


def _plan(callbacks: Any) -> None:
    """What `fit` intends: epochs and batches per epoch."""
    params = getattr(callbacks, "params", None) or {}
    per_epoch, epochs = params.get("steps"), params.get("epochs")
    _state["last"] = per_epoch - 1 if per_epoch else float("inf")
    if _planned_by_program():
        return
    values = {"epochs": epochs, "steps_per_epoch": per_epoch, "samples_per_step": _state["batch_size"]}
    if per_epoch and epochs:
        values["steps"] = per_epoch * epochs
    notes.note("plan", **{key: value for key, value in values.items() if value})


def _planned_by_program() -> bool:
    mark = sys.modules.get("fwtui.mark")
    return bool(mark is not None and mark.planned)
