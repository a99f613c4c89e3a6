"""Tell fwtui what no hook can see. Standard library only; outside fwtui every call does nothing.

from fwtui import mark

with mark.step(samples=64):
    with mark.phase("data"):
        batch = next_batch()
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Optional, Sequence, Type

planned = False
"""Whether the program told its plan itself."""
_finishable = 0


class Finished(Exception):
    """Raised at a step boundary inside `finishable()` when the run's time is up."""


_guest: Any = None
"""(agent, trainer, turn gate, notes) of the guest once it writes."""


def _agent() -> Any:
    """The guest's agent; None outside fwtui, in a forked child, and after the end."""
    global _guest
    if _guest is not None and _guest[0]._writer is not None:
        return _guest[0]
    agent = sys.modules.get("fwtui.guest.agent")
    if agent is None or not agent._lane_dir:
        return None
    agent.activate()
    if not agent.active():
        return None
    from fwtui.guest import notes, trainer, turn_gate

    _guest = agent, trainer, turn_gate, notes
    return agent


class _Nothing:
    """What is marked outside fwtui, or in a thread that does not train: nothing."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: Any) -> None:
        return None


_NOTHING = _Nothing()


class _Span:
    """Appends a moment where it begins and one where it ends, however that is."""

    __slots__ = ("begin", "end")

    def __init__(self, agent: Any, events: str) -> None:
        self.begin: Callable[[int], None] = agent.recorder(f"{events}_begin")
        self.end: Callable[[int], None] = agent.recorder(f"{events}_end")

    def __enter__(self) -> None:
        self.begin(_now())

    def __exit__(self, *error: Any) -> None:
        self.end(_now())


class _Phase(_Span):
    """A span within which another one interrupts it: no moment is in two phases."""

    __slots__ = ()

    def __enter__(self) -> None:
        now = _now()
        if _open:
            _open[-1].end(now)
        _open.append(self)
        self.begin(now)

    def __exit__(self, *error: Any) -> None:
        now = _now()
        self.end(now)
        _open.pop()
        if _open:
            _open[-1].begin(now)


_now = time.perf_counter_ns
_spans: Dict[str, _Span] = {}
_open: List[_Phase] = []
"""The phases that are open, the innermost last."""
_in_step = False


class _Step:
    """A step that is open; one within another is a part of it."""

    __slots__ = ("_agent", "_samples")

    def __init__(self, agent: Any, samples: Optional[int]) -> None:
        self._agent, self._samples = agent, samples

    def __enter__(self) -> None:
        global _in_step
        agent, samples = self._agent, self._samples
        _, _, gate, notes = _guest
        gate.check()
        if samples is not None and notes.learnt.get("samples_per_step") != samples:
            notes.learn({"samples_per_step": samples})
        _in_step = True
        agent.recorder("step_begin")(_now())

    def __exit__(self, *error: Any) -> None:
        global _in_step
        _in_step = False
        ended = _now()
        self._agent.recorder("step_end")(ended)
        if ended > self._agent.due[0]:
            self._agent.drain(ended)


def step(samples: Optional[int] = None) -> ContextManager[None]:
    """One training step; `samples` is the number of samples it trains on.

    The steps of one thread count, the first that marks one; a step within a step is a part of it.
    """
    agent = _agent()
    if agent is None:
        return _NOTHING
    trainer = _guest[1]
    trainer.here()
    return _NOTHING if _in_step or trainer.elsewhere() else _Step(agent, samples)


PHASES = ("data", "transfer", "forward", "backward", "optimizer", "compute", "sync")


def phase(name: str) -> ContextManager[None]:
    """A part of a step: data, transfer, forward, backward, optimizer, compute or sync; of nested ones the inner counts.

    In a thread that does not train it does nothing: what runs beside a step is no part of its time.

    Raises:
        ValueError: there is no phase of that name.
    """
    if name not in PHASES:
        raise ValueError(f"there is no phase {name!r}: use {', '.join(PHASES[:-1])} or {PHASES[-1]}")
    return _span(name, _Phase, "call" if name == "compute" else name)


def evaluation() -> ContextManager[None]:
    """Validation or test: its time belongs to no step."""
    return _span("evaluation", _Span, "evaluation")


def _span(name: str, kind: Type[_Span], events: str) -> ContextManager[None]:
    agent = _agent()
    if agent is None or threading.get_ident() != _guest[1].thread:
        return _NOTHING
    span = _spans.get(name)
    if span is None:
        span = _spans[name] = kind(agent, events)
    return span


def plan(
    steps: Optional[int] = None,
    epochs: Optional[int] = None,
    samples_per_step: Optional[int] = None,
    steps_per_epoch: Optional[int] = None,
) -> None:
    """What the program intends, for progress and time left."""
    global planned
    agent = _agent()
    if agent is not None:
        planned = True
        values = {
            "steps": steps,
            "epochs": epochs,
            "samples_per_step": samples_per_step,
            "steps_per_epoch": steps_per_epoch,
        }
        _guest[3].note("plan", **{key: value for key, value in values.items() if value is not None})


def result(**values: float) -> None:
    """Named results, such as `test_accuracy=0.97`."""
    agent = _agent()
    if agent is not None:
        _guest[3].note("result", **values)


def facts(**values: Any) -> None:
    """What the program knows of itself, such as `parameters=1021`; it wins over what the hooks learn."""
    agent = _agent()
    if agent is not None:
        _guest[3].tell(values)


def losses(values: Sequence[float], updates_per_loss: int = 1) -> None:
    """The losses of the first updates, for comparing lanes that start alike; each may be the mean of several."""
    agent = _agent()
    if agent is not None:
        _guest[3].note("losses", values=[float(value) for value in values], updates=updates_per_loss)


def stage(text: str) -> None:
    """What the program does before its first step: `loading data`, `building the model`."""
    agent = _agent()
    if agent is not None:
        agent.note_now("stage", value=text)


def loss(value: float) -> None:
    """The loss of the current step, at most a few times a second."""
    agent = _agent()
    if agent is not None:
        _guest[3].note("loss", value=float(value), step=agent.count("step_end"))


@contextlib.contextmanager
def finishable() -> Iterator[None]:
    """Let fwtui end what is inside at a step boundary, as if it had reached its last step (`--seconds`)."""
    global _finishable
    _finishable += 1
    try:
        yield
    except Finished:
        pass
    finally:
        _finishable -= 1


def is_finishable() -> bool:
    """Whether the program may be ended at a step boundary now."""
    return _finishable > 0


_agent()  # now, where the main thread imports this: signal handlers, by which stacks are asked for, are made there only
