"""Hooks for TensorFlow: compiled functions, their tracing, the dataset iterator, the eager tape."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict, Set

from fwtui.guest import agent, notes, parity_facts, sites, trainer, turn_gate
from fwtui.recording.vocabulary import CODE_BITS

LOSS_EVERY_NS = 200_000_000
_now, _log = time.perf_counter_ns, agent.log
_trained = agent.counters.setdefault("train_call_end", [0])
_calling: Dict[int, Any] = {}
"""The function called at depth 0, by thread."""
_trainers: Set[int] = set()
"""Identities of functions whose trace applied an optimizer, or took a gradient and assigned to a weight: they train."""
_state: Dict[str, Any] = {
    "iterator": False,
    "learnt": False,
    "sized": False,
    "loss": 0,
    "tracing": 0,
    "gradient": False,
    "assigns": False,
    "parameters": None,
    "optimizer": None,
}


def eager_or_mark(optimizer: Any) -> bool:
    """Whether operations run now; a function in whose trace an optimizer is applied is one that trains."""
    _state["optimizer"] = optimizer
    if _executing_eagerly():
        if not _state["learnt"] and not agent.fitting[0]:
            agent.arm("tensorflow facts", _learn, optimizer)
        return True
    _mark()
    return False


def _executing_eagerly() -> bool:
    from tensorflow.python.eager import context

    return bool(context.executing_eagerly())


def _mark() -> None:
    """The function that is being called trains; its trace may run in a thread of a distribution strategy's own."""
    me = threading.get_ident()
    caller = me if me in _calling else next(iter(tuple(_calling)), None)
    function = None if caller is None else _calling.get(caller)
    if caller is not None and function is not None:
        _trainers.add(id(function))
        trainer.is_thread(caller)


def arm_functions(module: Any) -> None:
    """Wrap the call of a `tf.function`."""
    kind = getattr(module, "PolymorphicFunction", None) or module.Function
    agent.activate()
    agent.patch(kind, "__call__", _call)


def _call(original: Any) -> Any:
    begin, end, train_begin, train_end = map(
        agent.code, ("call_begin", "call_end", "train_call_begin", "train_call_end")
    )
    compile_begin, compile_end = agent.span("compile_begin", "compile_end")
    ident, gate = threading.get_ident, turn_gate.check
    called: Set[int] = set()

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        me = ident()
        if me in _calling or (me != trainer.thread and trainer.decided):
            return original(self, *args, **kwargs)
        trains = id(self) in _trainers
        if trains and not _state["iterator"] and not agent.fitting[0]:
            gate()
        _calling[me] = self
        first = id(self) not in called
        _log(_now() << CODE_BITS | (train_begin if trains else begin))
        if first:  # it traces, optimizes its graph and, with XLA, compiles: all but one run of it happens once
            called.add(id(self))
            compile_begin(_now())
        try:
            result = original(self, *args, **kwargs)
        finally:
            _calling.pop(me, None)
            if first:
                compile_end(_now())
            trains = id(self) in _trainers
            ended = _now()
            _log(ended << CODE_BITS | (train_end if trains else end))
            if trains:
                _trained[0] += 1
            if ended > agent.due[0]:
                agent.drain(ended)
        if trains and ended - _state["loss"] > LOSS_EVERY_NS:
            _state["loss"] = ended
            agent.arm("tensorflow loss", _after_training_call, (result, args))
        return result

    return __call__


def _after_training_call(call: Any) -> None:
    """Note the loss that a training function returned, and learn the facts once. Keras tells both itself."""
    if agent.fitting[0]:
        return
    result, args = call
    if not _state["sized"]:
        _state["sized"] = True
        notes.learn_batch(args)
        notes.learn({"update_chain": sites.chain() or None})
    _learn(result)
    _note_loss(result, "train_call_end", 0)


def _note_loss(result: Any, update: str, ahead: int) -> None:
    """Note a scalar that lies on the host: reading it must never wait for a device."""
    if isinstance(result, dict):
        result = result.get("loss")
    if isinstance(result, (list, tuple)) and result:
        result = result[0]
    if (
        getattr(result, "shape", None) == ()
        and hasattr(result, "numpy")
        and "CPU" in str(getattr(result, "device", ""))
    ):
        notes.note("loss", value=float(result.numpy()), step=agent.count(update) + ahead)


def _learn(_: Any) -> None:
    """Learn the facts of a raw loop, once."""
    if _state["learnt"]:
        return
    _state["learnt"] = True
    from fwtui.guest import keras_facts

    tensorflow = sys.modules["tensorflow"]
    notes.learn(
        {
            "framework": "tensorflow",
            "version": tensorflow.__version__,
            "device": device(),
            "compiled": _state["gradient"],
            "parameters": _state["parameters"],
            "trainable_parameters": _state["parameters"],
            "optimizer": keras_facts.optimizer_facts(_state["optimizer"]),
            "threads": parity_facts.of_tensorflow(),
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
            if ident() != trainer.thread and trainer.decided:
                return original(*args, **kwargs)
            if _state["tracing"]:
                graph = original(*args, **kwargs)
                agent.arm("tensorflow trace", _look_for_update, graph)
                return graph
            _state.update(tracing=1, gradient=False, assigns=False)
            begin(_now())
            try:
                graph = original(*args, **kwargs)
                agent.arm("tensorflow trace", _look_for_update, graph)
                if _state["gradient"] and _state["assigns"]:
                    _mark()
                return graph
            finally:
                end(_now())
                _state["tracing"] = 0

        return func_graph_from_py_func

    agent.patch(module, "func_graph_from_py_func", make)


def _look_for_update(graph: Any) -> None:
    """Whether a traced graph assigns to a weight; counters and moving averages are not trainable."""
    if not _state["gradient"] or _state["assigns"]:
        return
    weights = {id(variable.handle) for variable in graph.variables if variable.trainable}
    others = {id(variable.handle) for variable in graph.variables} - weights
    outer = {id(inside): id(outside) for outside, inside in graph.captures}
    for operation in graph.get_operations():
        if operation.type.startswith(("Assign", "ResourceApply", "ResourceSparseApply", "ResourceScatter")):
            handle = id(operation.inputs[0])
            if outer.get(handle, handle) not in others:
                _state["assigns"] = True
                return


def arm_iterator(module: Any) -> None:
    """Time the wait for the next element of a dataset, where Python iterates it."""
    begin, end, stop = map(agent.code, ("data_begin", "data_end", "data_stop"))
    gate, ident = turn_gate.check, threading.get_ident

    def make(original: Any) -> Any:
        def _next_internal(self: Any) -> Any:
            me = ident()
            if me in _calling or (me != trainer.thread and trainer.decided):
                return original(self)
            if not agent.fitting[0]:
                gate()
            _state["iterator"] = True
            _log(_now() << CODE_BITS | begin)
            try:
                element = original(self)
            except BaseException:
                _log(_now() << CODE_BITS | stop)
                raise
            _log(_now() << CODE_BITS | end)
            if not _state["sized"]:
                _state["sized"] = True
                agent.arm("tensorflow batch", notes.learn_batch, element)
            return element

        return _next_internal

    agent.patch(module.OwnedIterator, "_next_internal", make)
    agent.patch(module.OwnedIterator, "__init__", _make_iterator)


def _make_iterator(original: Any) -> Any:
    """Time the making of a dataset's iterator in a raw loop; Keras makes its own between epochs."""
    begin, end = agent.span("loader_start_begin", "loader_start_end")
    ident = threading.get_ident

    def __init__(self: Any, *args: Any, **kwargs: Any) -> Any:
        me = ident()
        if agent.fitting[0] or me in _calling or (me != trainer.thread and trainer.decided):
            return original(self, *args, **kwargs)
        begin(_now())
        try:
            return original(self, *args, **kwargs)
        finally:
            end(_now())

    return __init__


def arm_tape(module: Any) -> None:
    """Time an eager tape's gradient; while tracing, remember that there was one."""
    begin, end = agent.span("backward_begin", "backward_end")

    def make(original: Any) -> Any:
        def gradient(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            if _state["parameters"] is None:
                agent.arm("tensorflow parameters", _count_parameters, sources)
            if not _executing_eagerly():
                _state["gradient"] = True
                return original(self, target, sources, *args, **kwargs)
            if trainer.several[0] and trainer.elsewhere():
                return original(self, target, sources, *args, **kwargs)
            started = _now()
            begin(started)
            try:
                return original(self, target, sources, *args, **kwargs)
            finally:
                end(_now())
                if started - _state["loss"] > LOSS_EVERY_NS:
                    _state["loss"] = started
                    trainer.here()
                    agent.arm("tensorflow loss", _after_eager_gradient, target)

        return gradient

    agent.patch(module.GradientTape, "gradient", make)


def _after_eager_gradient(target: Any) -> None:
    if not agent.fitting[0]:
        if agent.count("optimizer_end") or agent.count("backward_end") > 1:  # an optimizer would have come by now
            _learn(target)
        _note_loss(target, "optimizer_end", 1)


def _count_parameters(sources: Any) -> None:
    """What a gradient is taken for: the trainable parameters."""
    from tensorflow.python.util import nest

    _state["parameters"] = 0
    for source in nest.flatten(sources):
        size = 1
        for extent in source.shape:
            size *= int(extent)
        _state["parameters"] += size
