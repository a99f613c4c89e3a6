"""Hooks for PyTorch: loader, autograd's engine, optimizers, Dynamo, values read by the host."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Callable, Dict, List

from fwtui.guest import agent, torch_optimizer_hooks, turn_gate

LOSS_EVERY_NS = 200_000_000
_now = time.perf_counter_ns
_sync_hooks: List[Callable[[], None]] = []
"""Take the hooks on `Tensor.item` and its like out again; done when Dynamo begins, which would trace into them."""


_reading = torch_optimizer_hooks.busy
_compiling = [False]
"""Whether Dynamo compiles: it runs autograd on tensors without values then."""
_unscaled: List[Any] = []
"""The loss that `GradScaler` scaled last; empty without one."""


def arm(torch: Any) -> None:
    """Arm everything once torch is imported."""
    agent.activate()
    import torch.utils.data.dataloader as dataloader

    agent.patch(dataloader._BaseDataLoaderIter, "__next__", _next)
    agent.patch(dataloader.DataLoader, "__iter__", _iter)
    _arm_backward(torch)
    torch_optimizer_hooks.arm(torch, on_first_step=_on_first_step)
    for name in ("item", "tolist", "cpu", "numpy"):
        _sync_hooks.append(agent.patch(torch.Tensor, name, lambda original: _sync(torch, original)))
    if "torch._dynamo.callback" in sys.modules:
        arm_dynamo(sys.modules["torch._dynamo.callback"])


def _next(original: Any) -> Any:
    begin, end = agent.span("data_begin", "data_end")
    stop, gate, ident = agent.recorder("data_stop"), turn_gate.check, threading.get_ident
    state = {"sized": False}

    def __next__(self: Any) -> Any:
        if ident() != agent.main_thread:
            return original(self)
        torch_optimizer_hooks.loader_seen = True
        gate()
        begin(_now())
        _reading[0] = True
        try:
            batch = original(self)
        except BaseException:
            stop(_now())
            raise
        finally:
            _reading[0] = False
        end(_now())
        if not state["sized"]:
            state["sized"] = True
            agent.arm("torch batch", agent.learn_batch, batch)
        return batch

    return __next__


def _iter(original: Any) -> Any:
    begin, end = agent.span("loader_start_begin", "loader_start_end")
    ident = threading.get_ident

    def __iter__(self: Any) -> Any:
        if ident() != agent.main_thread:
            return original(self)
        begin(_now())
        _reading[0] = True
        try:
            return original(self)
        finally:
            _reading[0] = False
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
    begin, end = agent.span("backward_begin", "backward_end")
    last = [0]

    def run_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if _compiling[0]:
            return original(tensors, *args, **kwargs)
        started = _now()
        begin(started)
        try:
            return original(tensors, *args, **kwargs)
        finally:
            end(_now())
            if started - last[0] > LOSS_EVERY_NS:
                last[0] = started
                agent.arm("torch loss", _note_loss, tensors)

    return run_backward


def _note_loss(tensors: Any) -> None:
    """Note the loss when it lies on the host already: reading it must never wait for a device."""
    loss = tensors[0] if isinstance(tensors, (list, tuple)) else tensors
    if _unscaled:
        loss = _unscaled.pop()
    if getattr(loss, "is_cpu", False) and loss.numel() == 1 and not agent.in_keras_fit():
        agent.note("loss", value=float(loss.detach()), step=agent.count("optimizer_end") + 1)


def arm_scaler(module: Any) -> None:
    """`GradScaler` skips the optimizer's step on an inf, and what it runs backward is the loss times its scale."""
    skipped = agent.recorder("update_skipped")

    def step(original: Any) -> Any:
        def step(self: Any, *args: Any, **kwargs: Any) -> Any:
            before = torch_optimizer_hooks.steps_begun
            result = original(self, *args, **kwargs)
            if torch_optimizer_hooks.steps_begun == before:
                skipped(_now())
            return result

        return step

    def scale(original: Any) -> Any:
        def scale(self: Any, outputs: Any) -> Any:
            _unscaled[:] = [outputs.detach()] if hasattr(outputs, "detach") else []
            return original(self, outputs)

        return scale

    agent.patch(module.GradScaler, "step", step)
    agent.patch(module.GradScaler, "scale", scale)


def _sync(torch: Any, original: Any) -> Any:
    begin, end = agent.span("sync_begin", "sync_end")
    ident, compiling = threading.get_ident, torch.compiler.is_compiling if hasattr(torch, "compiler") else bool
    inside = _reading

    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        if inside[0]:
            return original(self, *args, **kwargs)
        if compiling() or ident() != agent.main_thread:
            return original(self, *args, **kwargs)
        inside[0] = True
        begin(_now())
        try:
            return original(self, *args, **kwargs)
        finally:
            end(_now())
            inside[0] = False

    return read


def arm_skipping(trace_rules: Any) -> None:
    """Keep Dynamo from tracing into our wrappers; the optimizer hooks are the exception, and live in their own file."""
    for name in ("torch_hooks", "keras_hooks", "turn_gate", "agent"):
        trace_rules.add(f"fwtui.guest.{name}")


def arm_dynamo(callback: Any) -> None:
    """Note when Dynamo compiles; its callbacks take no argument before torch 2.10 and one from there on."""
    begin, end = agent.span("compile_begin", "compile_end")
    handler = getattr(callback, "callback_handler", None)
    if handler is None:
        return

    def on_start(*_: Any) -> None:
        begin(_now())
        _compiling[0] = True
        while _sync_hooks:
            _sync_hooks.pop()()

    def on_end(*_: Any) -> None:
        end(_now())
        _compiling[0] = False
        agent.facts({"compiled": True})

    handler.register_start_callback(on_start)
    handler.register_end_callback(on_end)


def _on_first_step(optimizer: Any) -> None:
    """Learn the facts once, after the first update."""
    import torch

    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if not parameters:
        return
    device = parameters[0].device
    group = optimizer.param_groups[0]
    names = {"lr": "learning_rate", "eps": "epsilon"}
    hyper = {names.get(k, k): v for k, v in group.items() if k != "params" and isinstance(v, (int, float, bool, tuple))}
    values = {
        "dtype": str(parameters[0].dtype).replace("torch.", ""),
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "parameters": sum(p.numel() for p in parameters),
        "optimizer": {"name": type(optimizer).__name__, **hyper},
        "threads": {"intra": torch.get_num_threads(), "inter": torch.get_num_interop_threads()},
        "device": f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device),
    }
    backend = "keras" in sys.modules and agent._facts.get("framework") == "keras"
    if not backend:
        values.update(framework="torch", version=torch.__version__.split("+")[0])
    values["python"] = sys.version.split()[0]
    values["executable"] = sys.executable
    agent.facts({"compiled": False, **agent._facts, **values} if "compiled" not in agent._facts else values)
