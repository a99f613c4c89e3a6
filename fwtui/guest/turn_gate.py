"""The turn gate: at a step boundary a lane waits while it is not its turn."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from fwtui.guest import agent, trainer
from fwtui.recording.event_log import SLOT_GATE, SLOT_WAITING
from fwtui.recording.vocabulary import GATE_DEEP, GATE_FINISH, GATE_GO, GATE_HOLD, GATE_MASK

POLL_S = 0.001
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
        agent.recorder("wait_begin")(time.perf_counter_ns())
        header[SLOT_WAITING] = 1
        try:
            _wait(header)
        finally:
            header[SLOT_WAITING] = 0
            agent.recorder("wait_end")(time.perf_counter_ns())
    if header[SLOT_GATE] & GATE_MASK == GATE_FINISH:
        mark = sys.modules.get("fwtui.mark")
        if mark is not None and mark.is_finishable():
            raise mark.Finished


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
