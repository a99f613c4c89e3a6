"""The turn gate: at a step boundary a lane waits while it is not its turn."""

from __future__ import annotations

import sys
import time

from fwtui.guest import agent
from fwtui.recording.event_log import SLOT_GATE, SLOT_WAITING
from fwtui.recording.vocabulary import GATE_FINISH, GATE_HOLD

POLL_S = 0.001


def check() -> None:
    """Pass, or wait for the turn. Raises `fwtui.mark.Finished` where the program has asked for that."""
    if agent.header[SLOT_GATE]:
        _stop()


def _stop() -> None:
    header = agent.header
    if header[SLOT_GATE] == GATE_HOLD:
        agent.recorder("wait_begin")(time.perf_counter_ns())
        header[SLOT_WAITING] = 1
        while header[SLOT_GATE] == GATE_HOLD and agent.active():
            time.sleep(POLL_S)
        header[SLOT_WAITING] = 0
        agent.recorder("wait_end")(time.perf_counter_ns())
    if header[SLOT_GATE] == GATE_FINISH:
        mark = sys.modules.get("fwtui.mark")
        if mark is not None and mark.is_finishable():
            raise mark.Finished
