"""Changes that `fwtui explain` makes to somebody's program from outside, one at a time, to see what it costs.

Armed only where FWTUI_CHANGE names them, as in `FWTUI_CHANGE=steps_per_execution=32`. What was really changed is told
in the facts (`changes`): a change that found nothing to change says nothing, and counts as no experiment.
"""

from __future__ import annotations

import inspect
import os
from typing import Any, Callable, Dict, List

from fwtui.guest import agent, notes, trainer

VARIABLE = "FWTUI_CHANGE"
Arm = Callable[[Any], None]


def hooks() -> Dict[str, Arm]:
    """Module to wait for → what to do with it then, for all the changes that the environment asks for."""
    wanted: Dict[str, List[Arm]] = {}
    for text in filter(None, os.environ.get(VARIABLE, "").split(",")):
        name, _, value = text.partition("=")
        for module, make in CHANGES.get(name, {}).items():
            wanted.setdefault(module, []).append(make(text, value))
    return {module: _all(arms) for module, arms in wanted.items()}


def _all(arms: List[Arm]) -> Arm:
    def arm(module: Any) -> None:
        for one in arms:
            one(module)

    return arm


_made: List[str] = []


def _tell(text: str) -> None:
    """Note that a change was made."""
    if text not in _made:
        _made.append(text)
        notes.learn({"changes": list(_made)})


def _compile_setting(setting: str, parse: Callable[[str], Any]) -> Callable[[str, str], Arm]:
    """Another value for an argument of Keras's `compile()`."""

    def make(text: str, value: str) -> Arm:
        def arm(module: Any) -> None:
            def wrapper(original: Any) -> Any:
                signature = inspect.signature(original)

                def compile(self: Any, *args: Any, **kwargs: Any) -> Any:
                    bound = signature.bind(self, *args, **kwargs)
                    bound.arguments[setting] = parse(value)
                    _tell(text)
                    return original(*bound.args, **bound.kwargs)

                return compile

            agent.patch(module.Trainer, "compile", wrapper)

        return arm

    return make


def _no_callbacks(text: str, value: str) -> Arm:
    """`fit(callbacks=…)` without the callbacks."""

    def arm(module: Any) -> None:
        def wrapper(original: Any) -> Any:
            def __init__(self: Any, callbacks: Any = None, *args: Any, **kwargs: Any) -> None:
                if callbacks:
                    _tell(text)
                original(self, None, *args, **kwargs)

            return __init__

        agent.patch(module.CallbackList, "__init__", wrapper)

    return arm


def _no_logs(text: str, value: str) -> Arm:
    """`fit` without converting the losses and metrics of every batch to Python numbers: callbacks get tensors."""

    def arm(module: Any) -> None:
        utils: Any = getattr(module, "python_utils", None)
        if not hasattr(utils, "pythonify_logs"):
            return

        def wrapper(original: Any) -> Any:
            def on_train_batch_end(self: Any, batch: Any, logs: Any = None) -> Any:
                kept = utils.pythonify_logs
                utils.pythonify_logs = _as_they_are
                try:
                    _tell(text)
                    return original(self, batch, logs)
                finally:
                    utils.pythonify_logs = kept

            return on_train_batch_end

        inner = "_on_train_batch_end"  # where Keras converts, in the training's thread or in one of its own
        agent.patch(module.CallbackList, inner if hasattr(module.CallbackList, inner) else inner[1:], wrapper)

    return arm


def _as_they_are(logs: Any) -> Any:
    return logs or {}


def _optimizer(text: str, value: str) -> Arm:
    """A torch optimizer's other implementation: `fused` or `foreach`, where it has one."""

    def arm(torch: Any) -> None:
        def wrapper(original: Any) -> Any:
            def __init__(self: Any, params: Any, defaults: Any) -> None:
                if isinstance(defaults, dict) and value in defaults and not defaults[value]:
                    others = {name: None for name in ("fused", "foreach") if name in defaults}
                    defaults = {**defaults, **others, value: True}
                    _tell(text)
                original(self, params, defaults)

            return __init__

        agent.patch(torch.optim.Optimizer, "__init__", wrapper)

    return arm


def _loader(**settings: Any) -> Callable[[str, str], Arm]:
    """Other arguments for DataLoaders that load in the training's own thread; a callable takes the change's value."""

    def make(text: str, value: str) -> Arm:
        def arm(torch: Any) -> None:
            def wrapper(original: Any) -> Any:
                signature = inspect.signature(original)

                def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
                    bound = signature.bind(self, *args, **kwargs)
                    whole = not isinstance(bound.arguments["dataset"], torch.utils.data.IterableDataset)
                    if whole and not any(bound.arguments.get(name) for name in settings):
                        for name, new in settings.items():
                            bound.arguments[name] = new(value) if callable(new) else new
                        _tell(text)
                    original(*bound.args, **bound.kwargs)

                return __init__

            agent.patch(torch.utils.data.DataLoader, "__init__", wrapper)

        return arm

    return make


def _torch_compile(text: str, value: str) -> Arm:
    """The first module with trainable parameters that is called in training goes through `torch.compile`."""

    def arm(torch: Any) -> None:
        restore: List[Callable[[], None]] = []

        def wrapper(original: Any) -> Any:
            def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
                if self.training and any(parameter.requires_grad for parameter in self.parameters()):
                    restore.pop()()
                    if type(self).__name__ != "OptimizedModule" and getattr(self, "_compiled_call_impl", None) is None:
                        self._compiled_call_impl = torch.compile(_through(self._call_impl))
                        _tell(text)
                    return self(*args, **kwargs)
                return original(self, *args, **kwargs)

            return __call__

        if hasattr(torch.nn.Module, "_compiled_call_impl"):  # from torch 2.2 on
            restore.append(agent.patch(torch.nn.Module, "__call__", wrapper))

    return arm


def _through(call: Any) -> Any:
    """A frame of our own: Dynamo skips one that is torch's, such as `Sequential.forward`, and all below it."""

    def inner(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return inner


def _replay_torch(text: str, value: str) -> Arm:
    """A DataLoader's first batches again and again, out of memory, as many as an epoch has."""

    def arm(torch: Any) -> None:
        import torch.utils.data.dataloader as dataloader

        kept: Dict[int, List[Any]] = {}
        most = int(value)

        def wrapper(original: Any) -> Any:
            def _next_data(self: Any) -> Any:
                batches = kept.setdefault(id(self._dataset), [])
                if trainer.elsewhere() or not hasattr(self._index_sampler, "__len__"):
                    return original(self)
                if len(batches) < min(most, len(self._index_sampler)):
                    batches.append(original(self))
                    return batches[-1]
                _tell(text)
                if self._num_yielded >= len(self._index_sampler):
                    raise StopIteration
                return batches[self._num_yielded % len(batches)]

            return _next_data

        for kind in (dataloader._SingleProcessDataLoaderIter, dataloader._MultiProcessingDataLoaderIter):
            agent.patch(kind, "_next_data", wrapper)

    return arm


_epoch_batches: List[Any] = [None]
"""Batches of an epoch, as Keras knows them where its dataset does not."""


def _learn_batches(text: str, value: str) -> Arm:
    """Learn how many batches an epoch of `fit` has."""

    def arm(module: Any) -> None:
        def wrapper(original: Any) -> Any:
            def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
                _epoch_batches[0] = None
                original(self, *args, **kwargs)
                _epoch_batches[0] = self.num_batches

            return __init__

        agent.patch(module.EpochIterator, "__init__", wrapper)

    return arm


def _replay_tensorflow(text: str, value: str) -> Arm:
    """A tf.data dataset's first elements again and again, out of memory, as many as it has."""

    def arm(module: Any) -> None:
        replays: Dict[int, Any] = {}
        busy = [False]

        def replay(dataset: Any) -> Any:
            known = replays.get(id(dataset))
            if known is None:
                count = int(dataset.cardinality())
                if count == -2:
                    count = _epoch_batches[0] or count
                if count == -2:  # unknown: an epoch would never end
                    return dataset
                made = dataset.take(int(value)).cache().repeat()
                known = replays[id(dataset)] = (made.take(count) if count >= 0 else made, dataset)
            _tell(text)
            return known[0]

        def wrapper(original: Any) -> Any:
            def __iter__(self: Any) -> Any:
                if busy[0] or trainer.elsewhere() or not module.context.executing_eagerly():
                    return original(self)
                busy[0] = True
                try:
                    return original(replay(self))
                finally:
                    busy[0] = False

            return __iter__

        agent.patch(module.DatasetV2, "__iter__", wrapper)

    return arm


def _prefetch_tensorflow(text: str, value: str) -> Arm:
    """A tf.data dataset that prepares its next elements while the current one is trained on."""

    def arm(module: Any) -> None:
        busy = [False]

        def wrapper(original: Any) -> Any:
            def __iter__(self: Any) -> Any:
                if busy[0] or trainer.elsewhere() or not module.context.executing_eagerly():
                    return original(self)
                if "Prefetch" in type(self).__name__:
                    return original(self)
                busy[0] = True
                try:
                    _tell(text)
                    return original(self.prefetch(-1))
                finally:
                    busy[0] = False

            return __iter__

        agent.patch(module.DatasetV2, "__iter__", wrapper)

    return arm


_TRAINER = "keras.src.trainers.trainer"
CHANGES: Dict[str, Dict[str, Callable[[str, str], Arm]]] = {
    "steps_per_execution": {_TRAINER: _compile_setting("steps_per_execution", int)},
    "jit": {_TRAINER: _compile_setting("jit_compile", lambda value: True)},
    "graph": {_TRAINER: _compile_setting("run_eagerly", lambda value: False)},
    "no_callbacks": {"keras.src.callbacks.callback_list": _no_callbacks},
    "no_logs": {"keras.src.callbacks.callback_list": _no_logs},
    "torch_compile": {"torch": _torch_compile},
    "optimizer": {"torch": _optimizer},
    "workers": {"torch": _loader(num_workers=int, persistent_workers=True)},
    "pin_memory": {"torch": _loader(pin_memory=True)},
    "prefetch": {"tensorflow.python.data.ops.dataset_ops": _prefetch_tensorflow},
    "replay_data": {
        "torch": _replay_torch,
        "tensorflow.python.data.ops.dataset_ops": _replay_tensorflow,
        "keras.src.trainers.epoch_iterator": _learn_batches,
    },
}
"""Change → module to wait for → what makes the change, given its whole text and its value."""
