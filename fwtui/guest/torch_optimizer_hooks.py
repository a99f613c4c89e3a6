"""PyTorch's global optimizer hooks, in a file of their own: Dynamo must be able to trace through them.

When the whole step is compiled the hooks return at once, so that no graph breaks because of us.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from fwtui.guest import agent, turn_gate

loader_seen = False
"""Whether a batch was fetched from a loader since the last update: then the turn gate stands there."""
busy = [False]
"""Whether a loader or an optimizer runs, or a value is being read: what they read is no wait of the program."""
steps_begun = 0
"""Calls of `optimizer.step`; tells an update that `GradScaler` skipped."""


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
        global steps_begun
        steps_begun += 1
        busy[0] = True
        begin(now())

    def after(optimizer: Any, args: Any, kwargs: Any) -> None:
        if compiling():
            return
        end(now())
        busy[0] = False
        if not learnt[0]:
            learnt[0] = True
            agent.arm("torch facts", on_first_step, optimizer)
        global loader_seen
        if not loader_seen:
            gate()
        loader_seen = False

    handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]

    def restore() -> None:
        for handle in handles:
            handle.remove()

    agent.undo.append(restore)
