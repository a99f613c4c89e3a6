"""The turn gate: at a step boundary a lane waits while it is not its turn."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any, Callable, List

from fwtui.guest import agent, devices, loader_workers, trainer
from fwtui.recording.event_log import SLOT_CORE, SLOT_GATE, SLOT_WAITING
from fwtui.recording.vocabulary import GATE_DEEP, GATE_FINISH, GATE_GO, GATE_HOLD, GATE_MASK

POLL_S = 0.003
"""A lane that waits must not keep the core of the one that trains busy: a look costs some 20 µs."""
LOOK_FOR_RECORDER_S = 1.0


def check() -> None:
    """Pass, or wait for the turn. Raises `fwtui.mark.Finished` where the program has asked for that."""
    if agent.header[SLOT_GATE] and not trainer.elsewhere():
        _stop()


def _stop() -> None:
    header = agent.header
    if header[SLOT_GATE] & GATE_DEEP:
        from fwtui.guest import deep_window

        deep_window.at_boundary(held=header[SLOT_GATE] & GATE_MASK == GATE_HOLD)
    if header[SLOT_GATE] & GATE_MASK == GATE_HOLD:
        agent.arm("drain", _drain, devices.waits())
        agent.recorder("wait_begin")(time.perf_counter_ns())
        held: List[int] = []
        try:
            agent.arm("loader workers", loader_workers.hold, held)
            header[SLOT_WAITING] = 1
            _wait(header)
        finally:
            header[SLOT_WAITING] = 0
            loader_workers.let_go(held)
            _begin_on(header[SLOT_CORE] - 1)
            agent.recorder("wait_end")(time.perf_counter_ns())
    if header[SLOT_GATE] & GATE_MASK == GATE_FINISH:
        mark = sys.modules.get("fwtui.mark")
        if mark is not None and mark.is_finishable():
            raise mark.Finished


def _drain(waits: List[Callable[[], None]]) -> None:
    """Let the devices finish what they were asked for: else it would run in the other lanes' turns."""
    if waits:
        agent.recorder("drain_begin")(time.perf_counter_ns())
        try:
            for wait in waits:
                wait()
        finally:
            agent.recorder("drain_end")(time.perf_counter_ns())


def _begin_on(core: int) -> None:
    """Move the thread that trains to a core, and at once let the kernel have it back: it stays where it may be.

    One core may be slower than the next for seconds (its sibling, or another guest of the host), and the kernel
    leaves a thread where it woke. So both lanes begin a round's turns on the same core.
    """
    if core < 0 or not hasattr(os, "sched_setaffinity"):
        return
    with contextlib.suppress(OSError):
        allowed = os.sched_getaffinity(0)
        if core in allowed and len(allowed) > 1:
            try:
                os.sched_setaffinity(0, {core})
            finally:  # also when a signal's handler raises between the two
                os.sched_setaffinity(0, allowed)


def _wait(header: Any) -> None:
    look_at = time.monotonic() + LOOK_FOR_RECORDER_S
    while header[SLOT_GATE] & GATE_MASK == GATE_HOLD and agent.active():
        time.sleep(POLL_S)
        if time.monotonic() > look_at:
            if _recorder_is_gone():
                header[SLOT_GATE] = GATE_GO
            look_at = time.monotonic() + LOOK_FOR_RECORDER_S


def _recorder_is_gone() -> bool:
    """Whether the process that would open the gate has died: then the lane must not wait for ever."""
    try:
        with open(os.path.join(os.environ["FWTUI_RUN"], "manifest.json"), encoding="utf-8") as file:
            os.kill(int(json.load(file)["recorder"]["pid"]), 0)
    except ProcessLookupError:
        return True
    except (KeyError, OSError, TypeError, ValueError):
        return False
    return False
