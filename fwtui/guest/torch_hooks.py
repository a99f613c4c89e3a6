"""Hooks for PyTorch: loader, autograd's engine, gradient scaling; the rest is in the files beside this one."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict

from fwtui.guest import (
    agent,
    loader_workers,
    notes,
    parity_facts,
    torch_facts,
    torch_loss,
    torch_optimizer_hooks,
    torch_value_hooks,
    trainer,
    turn_gate,
)
from fwtui.recording.event_log import SLOT_GATE
from fwtui.recording.vocabulary import CODE_BITS

OLDEST = (2, 0)
_now, _log = time.perf_counter_ns, agent.log
_busy = torch_optimizer_hooks.busy
_code = agent.code

compiling = [False]
"""Whether Dynamo compiles: it runs autograd on tensors without values then."""


def arm(torch: Any) -> None:
    """Arm everything once torch is imported."""
    agent.activate()
    if torch_facts.release(torch) < OLDEST:
        notes.learn({"framework": "torch", "version": torch.__version__.split("+")[0]})
        notes.too_old(f"torch {torch.__version__}", "2.0")
        return
    import torch.utils.data.dataloader as dataloader

    agent.patch(dataloader._BaseDataLoaderIter, "__next__", _next)
    agent.patch(dataloader.DataLoader, "__iter__", _iter)
    _arm_backward(torch)
    torch_optimizer_hooks.arm(torch, on_first_step=torch_facts.learn)
    torch_value_hooks.arm(torch)
    if "torch._dynamo.callback" in sys.modules:
        from fwtui.guest import torch_compile_hooks

        torch_compile_hooks.arm_dynamo(sys.modules["torch._dynamo.callback"])


def _next(original: Any) -> Any:
    begin, end, stop = map(_code, ("data_begin", "data_end", "data_stop"))
    ident, loader_seen = threading.get_ident, torch_optimizer_hooks.loader_seen
    sized = [False]

    def __next__(self: Any) -> Any:
        if ident() != trainer.thread and trainer.decided:
            return original(self)
        loader_seen[0] = True
        if agent.header[SLOT_GATE]:
            turn_gate.check()
        _busy[0] = True
        _log(_now() << CODE_BITS | begin)
        try:
            batch = original(self)
        except BaseException:
            _log(_now() << CODE_BITS | stop)
            _busy[0] = loader_seen[0] = False
            raise
        _log(_now() << CODE_BITS | end)
        _busy[0] = False
        if not sized[0]:
            sized[0] = True
            agent.arm("torch batch", notes.learn_batch, batch)
        return batch

    return __next__


def _iter(original: Any) -> Any:
    def noted(iterator: Any) -> Any:
        agent.arm("loader workers", loader_workers.note, iterator)
        return iterator

    begin, end = agent.span("loader_start_begin", "loader_start_end")
    ident = threading.get_ident

    def __iter__(self: Any) -> Any:
        if ident() != trainer.thread and trainer.decided:
            return noted(original(self))
        begin(_now())
        _busy[0] = True
        try:
            return noted(original(self))
        finally:
            _busy[0] = False
            end(_now())

    return __iter__


def _arm_backward(torch: Any) -> None:
    """Wrap the engine's entry under both of its names; older torch has only `autograd.backward`."""
    import torch.autograd.graph as graph

    name = "_engine_run_backward"
    if not hasattr(graph, name):
        agent.patch(torch.autograd, "backward", _backward)
        return
    wrapped: Dict[int, Any] = {}

    def once(original: Any) -> Any:
        return wrapped.setdefault(id(original), _backward(original))

    agent.patch(graph, name, once)
    if hasattr(torch.autograd, name):
        setattr(torch.autograd, name, getattr(graph, name))
        original = getattr(graph, name).__wrapped__
        agent.undo.append(lambda: setattr(torch.autograd, name, original))


def _backward(original: Any) -> Any:
    begin, end = _code("backward_begin"), _code("backward_end")
    due, several, now = [0], trainer.several, _now

    def run_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if compiling[0]:
            return original(tensors, *args, **kwargs)
        started = now()
        if started > due[0]:
            trainer.here()
        if several[0] and trainer.elsewhere():
            return original(tensors, *args, **kwargs)
        if started > due[0]:
            if not due[0]:
                agent.arm("torch batch", torch_loss.learn_batch, tensors)
                agent.arm("torch precision", torch_loss.learn_precision, tensors)
                agent.arm("torch loss", parity_facts.of_torch_loss, tensors)
            due[0] = started + torch_loss.EVERY_NS
            agent.arm("torch loss", torch_loss.note, tensors)
            started = now()
        _log(started << CODE_BITS | begin)
        try:
            return original(tensors, *args, **kwargs)
        finally:
            _log(now() << CODE_BITS | end)

    return run_backward


def arm_scaler(module: Any) -> None:
    """`GradScaler` skips the optimizer's step on an inf, and what it runs backward is the loss times its scale."""
    skipped = agent.recorder("update_skipped")
    begun = torch_optimizer_hooks.begun

    def step(original: Any) -> Any:
        def step(self: Any, *args: Any, **kwargs: Any) -> Any:
            before = begun[0]
            result = original(self, *args, **kwargs)
            if begun[0] == before:
                skipped(_now())
            return result

        return step

    def scale(original: Any) -> Any:
        def scale(self: Any, outputs: Any) -> Any:
            torch_loss.unscaled[:] = [outputs.detach()] if hasattr(outputs, "detach") else []
            return original(self, outputs)

        return scale

    agent.patch(module.GradScaler, "step", step)
    agent.patch(module.GradScaler, "scale", scale)
