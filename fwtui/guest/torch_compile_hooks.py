"""Hooks on Dynamo: when it compiles, and which compiled functions make an update.

A step that is compiled as a whole, optimizer included, is seen as the call of the compiled function; which of them
train is learnt while Dynamo traces an optimizer.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import types
from typing import Any, Set

from fwtui.guest import agent, notes, torch_hooks, torch_optimizer_hooks, torch_value_hooks, trainer, turn_gate
from fwtui.recording.event_log import SLOT_GATE
from fwtui.recording.vocabulary import CODE_BITS

_now, _log = time.perf_counter_ns, agent.log
_traced = [0]
"""How often an optimizer was traced into a graph."""
_inside: Set[int] = set()
"""Threads that are in a compiled function."""
SKIPPED = (
    *(
        "torch_hooks",
        "torch_loss",
        "torch_facts",
        "torch_value_hooks",
        "torch_compile_hooks",
        "keras_hooks",
        "keras_facts",
    ),
    *("sites", "sites_torch", "sites_dynamo", "sites_keras", "where", "parity_facts", "python_calls", "thread_stacks"),
    *("communication_hooks", "cuda_hooks", "device_events", "deep_window", "deep_torch", "changes"),
    *("turn_gate", "devices", "trainer", "stack_signals", "notes", "agent"),
)
"""The files of ours that Dynamo must not trace into: all but `torch_optimizer_hooks`."""


def arm_skipping(trace_rules: Any) -> None:
    """Keep Dynamo from tracing into our wrappers; the optimizer hooks are the exception, and live in their own file.

    `add` compiles one pattern of all the files again each time, so what can stands in its list before the last call.
    """
    here = os.path.dirname(__file__)
    files = [os.path.join(here, f"{name}.py") for name in SKIPPED]
    skipped = getattr(trace_rules, "SKIP_DIRS", None)
    if not isinstance(skipped, list):
        skipped = None
    elif files[0] in skipped:
        return
    else:
        skipped.extend(files[:-1])
    for name in SKIPPED if skipped is None else SKIPPED[-1:]:
        trace_rules.add(f"fwtui.guest.{name}")


def arm_dynamo(callback: Any) -> None:
    """Note when Dynamo compiles; its callbacks take no argument before torch 2.10 and one from there on."""
    begin, end = agent.span("compile_begin", "compile_end")
    handler = getattr(callback, "callback_handler", None)
    if handler is None:
        return

    def on_start(*_: Any) -> None:
        begin(_now())
        torch_hooks.compiling[0] = torch_optimizer_hooks.compiler_used[0] = True
        torch_value_hooks.take_out()

    def on_end(*_: Any) -> None:
        end(_now())
        torch_hooks.compiling[0] = False
        if agent.active():
            torch_value_hooks.put_in()
            notes.learn({"compiled": True})

    handler.register_start_callback(on_start)
    handler.register_end_callback(on_end)


def arm_optimizer(module: Any) -> None:
    """Count the optimizers that Dynamo traces."""

    def make(original: Any) -> Any:
        def call_method(self: Any, tx: Any, name: str, args: Any, kwargs: Any) -> Any:
            if name == "_init_group":
                _traced[0] += 1
            return original(self, tx, name, args, kwargs)

        return call_method

    agent.patch(module.OptimizerVariable, "call_method", make)


def arm_calls(module: Any) -> None:
    """Watch the calls of compiled functions (not of compiled modules: a module makes no update)."""
    context = module.OptimizeContext

    def make(original: Any) -> Any:
        def __call__(self: Any, fn: Any) -> Any:
            torch_optimizer_hooks.compiler_used[0] = True
            compiled = original(self, fn)
            return _watch(compiled) if isinstance(compiled, types.FunctionType) else compiled

        return __call__

    agent.patch(context, "__call__", make)


def _watch(compiled: Any) -> Any:
    begin, end = agent.code("train_call_begin"), agent.code("train_call_end")
    ident, begun = threading.get_ident, torch_optimizer_hooks.begun
    trains = [False]

    @functools.wraps(compiled)
    def call(*args: Any, **kwargs: Any) -> Any:
        me = ident()
        if me in _inside or (me != trainer.thread and trainer.decided) or not agent.active():
            return compiled(*args, **kwargs)
        traced, seen = _traced[0], begun[0]
        _inside.add(me)
        if trains[0]:
            _log(_now() << CODE_BITS | begin)
        try:
            return compiled(*args, **kwargs)
        finally:
            _inside.discard(me)
            _finish(traced, seen)

    def _finish(traced: int, seen: int) -> None:
        """Learn whether the call made an update of which no hook told, and if so tell it."""
        if begun[0] != seen:
            trains[0] = False
        elif _traced[0] != traced and not trains[0]:
            trains[0] = True
            trainer.here()
            _log(_now() << CODE_BITS | begin)  # not when it began: what came later may stand in the log already
            notes.learn({"step_is": "a compiled step", "compiled": True})
            agent.arm("torch facts", lambda _: _learn(), None)
        if trains[0]:
            _log(_now() << CODE_BITS | end)
            torch_optimizer_hooks.updates[0] += 1
            if torch_optimizer_hooks.loader_seen[0]:
                torch_optimizer_hooks.loader_seen[0] = False
            elif agent.header[SLOT_GATE]:
                turn_gate.check()

    return call


def _learn() -> None:
    from fwtui.guest import torch_facts

    torch_facts.learn_versions()
