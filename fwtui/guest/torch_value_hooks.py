"""Hooks on what crosses between host and device, on checkpoints, and on a model's mode."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, List

from fwtui.guest import agent, torch_optimizer_hooks, trainer

_now = time.perf_counter_ns
_busy = torch_optimizer_hooks.busy
_taken: List[Callable[[], Callable[[], None]]] = []
"""Put a hook on a method of `Tensor` in, and return how to take it out."""
_undo: List[Callable[[], None]] = []


def arm(torch: Any) -> None:
    """Arm the hooks; those on `Tensor` are out while Dynamo compiles, which would trace into them."""
    _taken.clear()
    for name in ("item", "tolist", "cpu", "numpy"):
        _taken.append(lambda name=name: agent.patch(torch.Tensor, name, _sync))  # type: ignore[misc]
    if torch.cuda.is_available():
        for name in ("to", "cuda", "copy_"):
            _taken.append(lambda name=name: agent.patch(torch.Tensor, name, _transfer))  # type: ignore[misc]
        agent.patch(torch.cuda, "synchronize", _around("sync_begin", "sync_end"))
    put_in()
    agent.patch(torch, "save", _around("checkpoint_begin", "checkpoint_end"))
    agent.patch(torch.nn.Module, "train", _mode)


def put_in() -> None:
    """Put the hooks on `Tensor` in, or back in."""
    if not _undo:
        _undo.extend(make() for make in _taken)


def take_out() -> None:
    """Take the hooks on `Tensor` out."""
    while _undo:
        restore = _undo.pop()
        if restore in agent.undo:
            agent.undo.remove(restore)
            restore()


def _sync(original: Any) -> Any:
    """Time a method that reads a tensor's values. `Adam` reads its step counts so; those are not timed."""
    begin, end = agent.span("sync_begin", "sync_end")
    ident = threading.get_ident

    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _busy[0] or (ident() != trainer.thread and trainer.decided):
            return original(self, *args, **kwargs)
        _busy[0] = True
        begin(_now())
        try:
            return original(self, *args, **kwargs)
        finally:
            end(_now())
            _busy[0] = False

    def item(self: Any) -> Any:
        return original(self) if _busy[0] else read(self)

    return item if original.__name__ == "item" else read


def _transfer(original: Any) -> Any:
    """Time a method that may copy to another device; it is told only when it did."""
    begin, end = agent.span("transfer_begin", "transfer_end")
    ident = threading.get_ident

    def move(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _busy[0] or (ident() != trainer.thread and trainer.decided):
            return original(self, *args, **kwargs)
        started = _now()
        moved = original(self, *args, **kwargs)
        source = args[0] if original.__name__ == "copy_" and args else self
        if getattr(source, "is_cuda", None) is not getattr(moved, "is_cuda", None):
            begin(started)
            end(_now())
        return moved

    return move


def _around(begin_name: str, end_name: str) -> Callable[[Any], Any]:
    begin, end = agent.span(begin_name, end_name)
    ident = threading.get_ident

    def make(original: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            if _busy[0] or (ident() != trainer.thread and trainer.decided):
                return original(*args, **kwargs)
            _busy[0] = True
            begin(_now())
            try:
                return original(*args, **kwargs)
            finally:
                end(_now())
                _busy[0] = False

        return timed

    return make


def _mode(original: Any) -> Any:
    """Note when a model changes between training and evaluation; the calls for its parts are no news."""
    train, evaluate = agent.span("train_mode", "eval_mode")
    inside = [False]
    ident = threading.get_ident

    def change(self: Any, mode: bool = True) -> Any:
        if inside[0] or (ident() != trainer.thread and trainer.decided):
            return original(self, mode)
        inside[0] = True
        try:
            return original(self, mode)
        finally:
            inside[0] = False
            (train if mode else evaluate)(_now())

    return change
