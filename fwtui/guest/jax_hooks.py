"""Hooks for JAX: its compilations, and, as best effort, the updates of raw loops.

Raw JAX has no optimizer object and no loop of its own. What can be seen is a call of a function made by `jax.jit` in
whose trace `optax.apply_updates` ran, or, in programs without optax, a gradient was taken: each such call is a step.
Eager `optax.apply_updates` is one too.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
import types
from typing import Any, Optional

from fwtui.guest import agent, turn_gate
from fwtui.recording.event_log import SLOT_GATE

_now = time.perf_counter_ns
_calling = [False]
_trained = [0]
"""How often an update was traced, or a gradient where optax is not there."""
_learnt = [False]


def arm(module: Any) -> None:
    """Listen to the durations that JAX reports after the fact."""
    begin, end = agent.span("compile_begin", "compile_end")

    def on_duration(event: str, duration_s: float, **_: Any) -> None:
        if "compile" in event or "trace" in event:
            now = _now()
            begin(now - int(duration_s * 1e9))
            end(now)

    module.register_event_duration_secs_listener(on_duration)


def arm_jax(jax: Any) -> None:
    """Watch the functions that the program makes with `jax.jit`; JAX's own were made before."""
    agent.activate()
    agent.patch(jax, "jit", _jit)
    agent.patch(jax, "grad", _gradient)
    agent.patch(jax, "value_and_grad", _gradient)


def arm_optax(optax: Any) -> None:
    """Watch the update itself."""
    begin, end = agent.span("optimizer_begin", "optimizer_end")

    def make(original: Any) -> Any:
        def apply_updates(*args: Any, **kwargs: Any) -> Any:
            if agent.fitting[0] or threading.get_ident() != agent.main_thread:
                return original(*args, **kwargs)
            if _tracing():
                _trained[0] += 1
                return original(*args, **kwargs)
            begin(_now())
            try:
                return original(*args, **kwargs)
            finally:
                _over(end, "an optax update")

        return apply_updates

    agent.patch(optax, "apply_updates", make)


def _tracing() -> bool:
    """Whether operations are being traced rather than run."""
    core = sys.modules["jax"].core
    clean = getattr(core, "trace_state_clean", None) or sys.modules["jax._src.core"].trace_state_clean
    return not clean()


def _over(end: Any, step_is: str) -> None:
    ended = _now()
    end(ended)
    if not _learnt[0]:
        _learnt[0] = True
        agent.arm("jax facts", _learn, step_is)
    if agent.header[SLOT_GATE]:
        turn_gate.check()
    if ended > agent.due[0]:
        agent.drain(ended)


def _gradient(original: Any) -> Any:
    """Count the gradients that are taken while something is traced."""

    def make(fun: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(fun, *args, **kwargs)
        if "optax" not in sys.modules and not agent.fitting[0] and _calling[0]:
            _trained[0] += 1
        return made

    return make


def _jit(original: Any) -> Any:
    def jit(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        if hasattr(made, "lower"):
            return _Watched(made)
        return (lambda fun: _Watched(made(fun))) if callable(made) and not args else made  # `@jit(static_argnums=…)`

    return jit


class _Watched:
    """A jitted function whose calls are watched; everything else is the function's own."""

    def __init__(self, made: Any) -> None:
        functools.update_wrapper(self, made)
        self._made = made
        self._trains = False

    def __getattr__(self, name: str) -> Any:
        if name == "_made":  # not made yet: a copy that is being unpickled
            raise AttributeError(name)
        return getattr(self._made, name)

    def __repr__(self) -> str:
        return repr(self._made)

    def __get__(self, owner: Any, kind: Optional[type] = None) -> Any:
        return self if owner is None else types.MethodType(self, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = self._made
        if _calling[0] or agent.fitting[0] or not agent.active() or threading.get_ident() != agent.main_thread:
            return made(*args, **kwargs)
        before, trains = _trained[0], self._trains
        _calling[0] = True
        began = _now()
        if trains:
            _begin(began)
        try:
            return made(*args, **kwargs)
        finally:
            _calling[0] = False
            if trains or _trained[0] != before:
                if not trains:
                    self._trains = True
                    _begin(began)
                _over(_end, "a jitted update")


_begin, _end = agent.span("train_call_begin", "train_call_end")


def _learn(step_is: str) -> None:
    """Learn the facts of a raw loop, once; a framework that is already told stays."""
    jax: Any = sys.modules["jax"]
    if agent._facts.get("framework"):
        return
    agent.facts(
        {
            "framework": "jax",
            "version": jax.__version__,
            "device": str(jax.devices()[0].platform),
            "compiled": step_is == "a jitted update",
            "step_is": step_is,
            "python": sys.version.split()[0],
            "executable": sys.executable,
        }
    )
