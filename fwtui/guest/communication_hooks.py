"""How long a torch rank waits for the others: `Work.wait`, and the end of DDP's backward pass.

Each blocking collective ends in `Work.wait`. DDP's reducer waits in C++ instead, in a callback at the end of the
backward pass; a callback of ours that is queued before it, and one after it, stand on both sides of that wait.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any, Callable

from fwtui.guest import agent, notes, trainer

_now = time.perf_counter_ns
_learnt = [False]


def arm(module: Any) -> None:
    """Wrap `Work.wait`; called when `torch.distributed.distributed_c10d` is there."""
    work = getattr(sys.modules.get("torch._C._distributed_c10d"), "Work", None) or getattr(module, "Work", None)
    if work is not None:
        agent.patch(work, "wait", _wait)


def _wait(original: Any) -> Any:
    begin, end = agent.span("communication_begin", "communication_end")
    ident = threading.get_ident

    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        if ident() != trainer.thread and trainer.decided:
            return original(self, *args, **kwargs)
        begin(_now())
        try:
            return original(self, *args, **kwargs)
        finally:
            end(_now())
            if not _learnt[0]:
                agent.arm("torch ranks", _learn, None)

    return wait


def _learn(_: Any) -> None:
    """Learn how many ranks there really are: a launcher's variables may stand in the environment of a lone program."""
    _learnt[0] = True
    distributed: Any = sys.modules["torch.distributed"]
    with contextlib.suppress(RuntimeError, ValueError):
        notes.learn({"world_size": int(distributed.get_world_size())})


def arm_ddp(module: Any) -> None:
    """Look at what a DDP model returns, to be told when its backward pass begins."""
    kind = module.DistributedDataParallel
    agent.patch(kind, "_post_forward" if hasattr(kind, "_post_forward") else "forward", _after_forward)


def _after_forward(original: Any) -> Any:
    import torch

    compiling: Callable[[], bool] = torch.compiler.is_compiling if hasattr(torch, "compiler") else bool

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        output = original(self, *args, **kwargs)
        if not compiling():
            tensor = _differentiable(output)
            if tensor is not None:
                tensor.register_hook(_on_backward)
        return output

    return forward


def _differentiable(output: Any) -> Any:
    """The first tensor in what a model returned that a gradient will flow into; None of none."""
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        return next((found for part in output if (found := _differentiable(part)) is not None), None)
    return output if getattr(output, "requires_grad", False) and hasattr(output, "register_hook") else None


def _on_backward(gradient: Any) -> None:
    if agent.active():
        _engine().queue_callback(_computed)


def _engine() -> Any:
    from torch.autograd import Variable

    return Variable._execution_engine


def _computed() -> None:
    """All gradients of this rank are there; the reducer's callback comes next, and then ours again."""
    agent.recorder("communication_begin")(_now())
    _engine().queue_callback(_reduced)
    if not _learnt[0]:
        agent.arm("torch ranks", _learn, None)


def _reduced() -> None:
    agent.recorder("communication_end")(_now())
