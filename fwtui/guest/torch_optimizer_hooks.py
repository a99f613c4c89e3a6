"""PyTorch's global optimizer hooks, in a file of their own: Dynamo must be able to trace through them.

When the whole step is compiled the hooks return at once, so that no graph breaks because of us.
"""

from __future__ import annotations

import time
from typing import Any, Callable, List, Optional, Tuple

from fwtui.guest import agent, trainer, turn_gate
from fwtui.recording.event_log import SLOT_GATE
from fwtui.recording.vocabulary import CODE_BITS

loader_seen = [False]
"""Whether a batch was fetched from a loader since the last update: then the turn gate stands there."""
busy = [False]
"""Whether a loader or an optimizer runs, or a value is being read: what they read is no wait of the program."""
begun = [0]
"""Calls of `optimizer.step`; tells an update that `GradScaler` skipped."""
updates = [0]
"""Steps so far: updates, of several optimizers the last one's only."""
compiler_used = [False]
"""Whether Dynamo was ever asked for: only then the hooks can be running inside a trace."""

_known: List[int] = []
"""Identities of the optimizers in the order of their first update; they take turns in that order."""
_last = [0]
"""The one whose update ends a step: of several, the one that came last."""
_parts = [0]
"""Updates of others in a row."""
PARTS_LIMIT = 64
"""After so many the last one does not come any more: the cycle is learnt anew."""
KNOWN_LIMIT = 1024

_now = time.perf_counter_ns
_log, _due = agent.log, agent.due
_BEGIN, _END, _PART, _NEW = map(agent.code, ("optimizer_begin", "optimizer_end", "part_update", "new_optimizer"))
_CLOSURE_BEGIN, _CLOSURE_END = agent.code("closure_begin"), agent.code("closure_end")


def arm(torch: Any, on_first_step: Callable[[Any], None]) -> None:
    """Register the global pre and post hooks; both are public."""
    from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

    compiling = torch.compiler.is_compiling if hasattr(torch, "compiler") else torch._utils.is_compiling
    learnt, several, log, now = [False], trainer.several, _log, _now
    agent.counters["optimizer_end"] = updates

    def before(optimizer: Any, args: Any, kwargs: Any) -> Any:
        if compiler_used[0] and compiling():
            return None
        if several[0] and trainer.elsewhere():
            return None
        begun[0] += 1
        if id(optimizer) != _last[0]:
            _other(id(optimizer))
        elif _parts[0]:
            _parts[0] = 0
        busy[0] = True
        log(now() << CODE_BITS | _BEGIN)
        if len(args) > 1 or kwargs:
            return _with_closure(args, kwargs)
        return None

    def after(optimizer: Any, args: Any, kwargs: Any) -> None:
        if compiler_used[0] and compiling():
            return
        if several[0] and trainer.elsewhere():
            return
        busy[0] = False
        if id(optimizer) != _last[0]:
            _log(_now() << CODE_BITS | _PART)
            return
        ended = now()
        log(ended << CODE_BITS | _END)
        updates[0] += 1
        if ended > _due[0]:
            agent.drain(ended)
        if not learnt[0]:
            learnt[0] = True
            agent.arm("torch facts", on_first_step, optimizer)
        if loader_seen[0]:
            loader_seen[0] = False
        elif agent.header[SLOT_GATE]:
            turn_gate.check()

    handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]

    def restore() -> None:
        for handle in handles:
            handle.remove()

    agent.undo.append(restore)


def _other(me: int) -> None:
    """Another optimizer than the one that ends a step: a new one, or one that comes earlier in the cycle."""
    if me in _known:
        _parts[0] += 1
        if _parts[0] > max(PARTS_LIMIT, 4 * len(_known)):
            _known[:] = [me]
            _last[0] = me
        return
    if _known:
        _log(_now() << CODE_BITS | _NEW)
    _known.append(me)
    del _known[:-KNOWN_LIMIT]
    _last[0] = me
    _parts[0] = 0


def _with_closure(args: Tuple[Any, ...], kwargs: Any) -> Optional[Tuple[Any, Any]]:
    """The arguments of `step` with its closure wrapped: what runs in it is the program's own forward and backward."""
    if len(args) > 1 and callable(args[1]):
        return (args[0], _wrap(args[1]), *args[2:]), kwargs
    if callable(kwargs.get("closure")):
        return args, {**kwargs, "closure": _wrap(kwargs["closure"])}
    return None


def _wrap(closure: Any) -> Any:
    def called_back(*args: Any, **kwargs: Any) -> Any:
        busy[0] = False
        _log(_now() << CODE_BITS | _CLOSURE_BEGIN)
        try:
            return closure(*args, **kwargs)
        finally:
            _log(_now() << CODE_BITS | _CLOSURE_END)
            busy[0] = True

    return called_back
