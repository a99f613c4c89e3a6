"""Tell fwtui what no hook can see. Standard library only; outside fwtui every call does nothing.

from fwtui import mark

with mark.step(samples=64):
    with mark.phase("data"):
        batch = next_batch()
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any, Iterator, Optional, Sequence

planned = False
"""Whether the program told its plan itself."""
_finishable = 0


class Finished(Exception):
    """Raised at a step boundary inside `finishable()` when the run's time is up."""


def _agent() -> Any:
    agent = sys.modules.get("fwtui.guest.agent")
    if agent is None or not agent._lane_dir:
        return None
    agent.activate()
    return agent


@contextlib.contextmanager
def step(samples: Optional[int] = None) -> Iterator[None]:
    """One training step; `samples` is the number of samples it trains on."""
    agent = _agent()
    if agent is None:
        yield
        return
    from fwtui.guest import turn_gate

    turn_gate.check()
    if samples is not None and agent._facts.get("samples_per_step") != samples:
        agent.facts({"samples_per_step": samples})
    agent.recorder("step_begin")(time.perf_counter_ns())
    try:
        yield
    finally:
        ended = time.perf_counter_ns()
        agent.recorder("step_end")(ended)
        if ended > agent.due[0]:
            agent.drain(ended)


@contextlib.contextmanager
def phase(name: str) -> Iterator[None]:
    """A part of a step: data, transfer, forward, backward, optimizer, compute or sync.

    Raises:
        ValueError: there is no phase of that name.
    """
    events = {"compute": "call"}.get(name, name)
    if events not in ("data", "transfer", "forward", "backward", "optimizer", "call", "sync"):
        raise ValueError(
            f"there is no phase {name!r}: use data, transfer, forward, backward, optimizer, compute or sync"
        )
    agent = _agent()
    if agent is None:
        yield
        return
    agent.recorder(f"{events}_begin")(time.perf_counter_ns())
    try:
        yield
    finally:
        agent.recorder(f"{events}_end")(time.perf_counter_ns())


@contextlib.contextmanager
def evaluation() -> Iterator[None]:
    """Validation or test: its time belongs to no step."""
    agent = _agent()
    if agent is None:
        yield
        return
    agent.recorder("evaluation_begin")(time.perf_counter_ns())
    try:
        yield
    finally:
        agent.recorder("evaluation_end")(time.perf_counter_ns())


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
        agent.note("plan", **{key: value for key, value in values.items() if value is not None})


def result(**values: float) -> None:
    """Named results, such as `test_accuracy=0.97`."""
    agent = _agent()
    if agent is not None:
        agent.note("result", **values)


def facts(**values: Any) -> None:
    """What the program knows of itself, such as `parameters=1021`; it wins over what the hooks learn."""
    agent = _agent()
    if agent is not None:
        agent.tell(values)


def losses(values: Sequence[float], updates_per_loss: int = 1) -> None:
    """The losses of the first updates, for comparing lanes that start alike; each may be the mean of several."""
    agent = _agent()
    if agent is not None:
        agent.note("losses", values=[float(value) for value in values], updates=updates_per_loss)


def stage(text: str) -> None:
    """What the program does before its first step: `loading data`, `building the model`."""
    agent = _agent()
    if agent is not None:
        agent.note_now("stage", value=text)


def loss(value: float) -> None:
    """The loss of the current step, at most a few times a second."""
    agent = _agent()
    if agent is not None:
        agent.note("loss", value=float(value), step=agent.count("step_end"))


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
