"""PyTorch's global optimizer hooks, in a file of their own: Dynamo must be able to trace through them.

When the whole step is compiled the hooks return at once, so that no graph breaks because of us.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from fwtui.guest import agent, turn_gate

loader_seen = False
"""Whether the program fetches its batches from a loader: then the turn gate stands there."""


def arm(torch: Any, on_first_step: Callable[[Any], None]) -> None:
    """Register the global pre and post hooks; both are public."""
    from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

    begin, end = agent.span("optimizer_begin", "optimizer_end")
    now, gate = time.perf_counter_ns, turn_gate.check
    compiling = torch.compiler.is_compiling if hasattr(torch, "compiler") else bool
    learnt = [False]

    def before(optimizer: Any, args: Any, kwargs: Any) -> None:
        if compiling():
            return
        begin(now())

    def after(optimizer: Any, args: Any, kwargs: Any) -> None:
        if compiling():
            return
        end(now())
        if not learnt[0]:
            learnt[0] = True
            agent.arm("torch facts", on_first_step, optimizer)
        if not loader_seen:
            gate()

    handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]

    def restore() -> None:
        for handle in handles:
            handle.remove()

    agent.undo.append(restore)
