"""Hooks for TensorFlow: compiled functions, their tracing, the dataset iterator, the eager tape."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict, List, Set

from fwtui.guest import agent, turn_gate

LOSS_EVERY_NS = 200_000_000
_now = time.perf_counter_ns
_calling: List[Any] = []
"""The function called at depth 0 in the main thread; empty outside."""
_trainers: Set[int] = set()
"""Identities of functions whose trace applied an optimizer or took a gradient: they train."""
_state: Dict[str, Any] = {"iterator": False, "learnt": False, "loss": 0, "tracing": 0}


def eager_or_mark() -> bool:
    """Whether operations run now; when a function is traced, it is one that trains."""
    from tensorflow.python.eager import context

    if context.executing_eagerly():
        return True
    if _calling:
        _trainers.add(id(_calling[0]))
    return False


def arm_functions(module: Any) -> None:
    """Wrap the call of a `tf.function`."""
    kind = getattr(module, "PolymorphicFunction", None) or module.Function
    agent.activate()
    agent.patch(kind, "__call__", _call)


def _call(original: Any) -> Any:
    begin, end = agent.span("call_begin", "call_end")
    train_begin, train_end = agent.span("train_call_begin", "train_call_end")
    ident, gate = threading.get_ident, turn_gate.check

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _calling or ident() != agent.main_thread:
            return original(self, *args, **kwargs)
        trains = id(self) in _trainers
        if trains and not _state["iterator"] and not agent.in_keras_fit():
            gate()
        _calling.append(self)
        (train_begin if trains else begin)(_now())
        try:
            result = original(self, *args, **kwargs)
        finally:
            _calling.clear()
            trains = id(self) in _trainers
            ended = _now()
            (train_end if trains else end)(ended)
        if trains and ended - _state["loss"] > LOSS_EVERY_NS:
            _state["loss"] = ended
            agent.arm("tensorflow loss", _after_training_call, result)
        return result

    return __call__


def _after_training_call(result: Any) -> None:
    """Note the loss that a training function returned, and learn the facts once. Keras tells both itself."""
    if agent.in_keras_fit():
        return
    if not _state["learnt"]:
        _state["learnt"] = True
        _learn()
    if isinstance(result, (list, tuple)) and result:
        result = result[0]
    if (
        getattr(result, "shape", None) == ()
        and hasattr(result, "numpy")
        and "CPU" in str(getattr(result, "device", ""))
    ):
        agent.note("loss", value=float(result.numpy()), step=agent.count("train_call_end"))


def _learn() -> None:
    tensorflow = sys.modules["tensorflow"]
    threading_config = tensorflow.config.threading
    agent.facts(
        {
            "framework": "tensorflow",
            "version": tensorflow.__version__,
            "device": device(),
            "compiled": True,
            "threads": {
                "intra": threading_config.get_intra_op_parallelism_threads() or None,
                "inter": threading_config.get_inter_op_parallelism_threads() or None,
            },
            "python": sys.version.split()[0],
            "executable": sys.executable,
        }
    )


def device() -> str:
    """The device that TensorFlow computes on by default."""
    tensorflow = sys.modules["tensorflow"]
    gpus = tensorflow.config.get_visible_devices("GPU")
    if not gpus:
        return "cpu"
    details = tensorflow.config.experimental.get_device_details(gpus[0])
    return f"cuda:0 {details.get('device_name', '')}".strip()


def arm_tracing(module: Any) -> None:
    """Time the outermost trace of a Python function into a graph."""
    begin, end = agent.span("compile_begin", "compile_end")
    ident = threading.get_ident

    def make(original: Any) -> Any:
        def func_graph_from_py_func(*args: Any, **kwargs: Any) -> Any:
            if _state["tracing"] or ident() != agent.main_thread:
                return original(*args, **kwargs)
            _state["tracing"] = 1
            begin(_now())
            try:
                return original(*args, **kwargs)
            finally:
                end(_now())
                _state["tracing"] = 0

        return func_graph_from_py_func

    agent.patch(module, "func_graph_from_py_func", make)


def arm_iterator(module: Any) -> None:
    """Time the wait for the next element of a dataset, where Python iterates it."""
    begin, end = agent.span("data_begin", "data_end")
    stop, gate, ident = agent.recorder("data_stop"), turn_gate.check, threading.get_ident

    def make(original: Any) -> Any:
        def _next_internal(self: Any) -> Any:
            if _calling or ident() != agent.main_thread:
                return original(self)
            if not agent.in_keras_fit():
                gate()
            _state["iterator"] = True
            begin(_now())
            try:
                element = original(self)
            except BaseException:
                stop(_now())
                raise
            end(_now())
            return element

        return _next_internal

    agent.patch(module.OwnedIterator, "_next_internal", make)


def arm_tape(module: Any) -> None:
    """Time an eager tape's gradient; while tracing, mark the function as one that trains."""
    begin, end = agent.span("backward_begin", "backward_end")

    def make(original: Any) -> Any:
        def gradient(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not eager_or_mark():
                return original(self, *args, **kwargs)
            begin(_now())
            try:
                return original(self, *args, **kwargs)
            finally:
                end(_now())

        return gradient

    agent.patch(module.GradientTape, "gradient", make)
