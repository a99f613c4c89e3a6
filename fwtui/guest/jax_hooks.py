"""Hooks for JAX: its compilations, and, as best effort, the updates of raw loops.

Raw JAX has no optimizer object and no loop of its own. What can be seen is a call of a function made by `jax.jit`. It
is a step when `optax.apply_updates` ran in its trace; or when a gradient was taken there and, in programs with optax,
what one call returned is handed to the next (weights, not gradients). Eager `optax.apply_updates` is a step too.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
import types
import weakref
from typing import Any, List, Optional, Set

from fwtui.guest import agent, notes, sites, trainer, turn_gate
from fwtui.recording.event_log import SLOT_GATE

_now = time.perf_counter_ns
_calling: Set[int] = set()
"""Threads that are in a jitted function."""
_updates_traced = [0]
_gradients_traced = [0]
_LOOKS = 20
"""So many calls are enough to see whether what a function returns is handed to it again."""
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
            if agent.fitting[0] or trainer.elsewhere():
                return original(*args, **kwargs)
            if _tracing():
                _updates_traced[0] += 1
                return original(*args, **kwargs)
            trainer.here()
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

        @functools.wraps(made)
        def gradient(*args: Any, **kwargs: Any) -> Any:
            if _calling:
                _gradients_traced[0] += 1
            return made(*args, **kwargs)

        return gradient

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
        self._looks = 0
        """Calls that are still looked at: of a function that takes a gradient."""
        self._returned: List[Any] = []
        self._last = (0, 0, 0)
        """The last call's begin and end, and how many eager updates there were before it."""

    def __getattr__(self, name: str) -> Any:
        if name == "_made":  # not made yet: a copy that is being unpickled
            raise AttributeError(name)
        return getattr(self._made, name)

    def __repr__(self) -> str:
        return repr(self._made)

    def __get__(self, owner: Any, kind: Optional[type] = None) -> Any:
        return self if owner is None else types.MethodType(self, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made, me = self._made, threading.get_ident()
        if me in _calling or agent.fitting[0] or not agent.active() or trainer.elsewhere():
            return made(*args, **kwargs)
        updates, gradients = _updates_traced[0], _gradients_traced[0]
        if self._looks:
            agent.arm("jax update", self._look_for_update, (args, kwargs))
        trained = self._trains
        _calling.add(me)
        began = _now()
        if trained:
            _begin(began)
        try:
            result = made(*args, **kwargs)
        finally:
            _calling.discard(me)
            if not trained and _updates_traced[0] != updates:
                self._trains_now(began)
            elif not trained and _gradients_traced[0] != gradients:
                self._takes_gradient(began)
            if self._trains:
                _over(_end, "a jitted update")
        if self._looks:
            self._last = (began, _now(), agent.count("optimizer_end"))
            agent.arm("jax update", self._remember, result)
        return result

    def _trains_now(self, began: int) -> None:
        self._trains, self._looks = True, 0
        self._returned.clear()
        trainer.here()
        _begin(began)

    def _takes_gradient(self, began: int) -> None:
        """A gradient is no update where optax makes one of it, elsewhere."""
        if "optax" in sys.modules:
            self._looks = _LOOKS
        else:
            self._trains_now(began)

    def _remember(self, result: Any) -> None:
        self._returned = [weakref.ref(leaf) for leaf in _weights(result)]

    def _look_for_update(self, given: Any) -> None:
        """Whether the last call's result is handed in again, and no eager update came between."""
        began, ended, eager = self._last
        self._looks -= 1
        if agent.count("optimizer_end") != eager:
            self._looks = 0
        elif self._returned:
            leaves = {id(leaf) for leaf in _weights(given)}
            if any(id(leaf()) in leaves for leaf in self._returned if leaf() is not None):
                self._trains_now(began)
                _end(ended)


def _weights(tree: Any) -> List[Any]:
    """The arrays of floating-point numbers in a tree."""
    jax: Any = sys.modules["jax"]
    leaves = jax.tree_util.tree_leaves(tree)
    return [leaf for leaf in leaves if isinstance(leaf, jax.Array) and leaf.ndim and leaf.dtype.kind in "fV"]


_begin, _end = agent.span("train_call_begin", "train_call_end")


def _learn(step_is: str) -> None:
    """Learn the facts of a raw loop, once; a framework that is already told stays."""
    jax: Any = sys.modules["jax"]
    if notes.learnt.get("framework"):
        return
    notes.learn(
        {
            "framework": "jax",
            "version": jax.__version__,
            "device": str(jax.devices()[0].platform),
            "compiled": step_is == "a jitted update",
            "step_is": step_is,
            "python": sys.version.split()[0],
            "executable": sys.executable,
            "update_chain": sites.chain() or None,
        }
    )
