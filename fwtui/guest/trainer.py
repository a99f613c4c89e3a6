"""Which thread trains: any, until one is seen to; from then on that one, as long as no other takes over from it.

Hooks that time waits and calls look only at it, for a loader that fetches ahead in a thread of its own, or a server's
thread that calls a model, is no part of a step.
"""

from __future__ import annotations

import sys
import threading
import time

from fwtui.guest import agent, notes, stack_signals
from fwtui.recording.event_log import SLOT_THREAD

GONE_NS = 2_000_000_000
"""A thread that has not trained for so long gives way to another that does."""

thread = agent.main_thread
"""Identity of the thread that trains; the main one before any did."""
decided = False
"""Whether one was seen to train."""
several = [False]
"""Whether another one trains beside it: its steps are left out."""
_seen_ns = 0


def elsewhere() -> bool:
    """Whether the calling thread is another than the one that trains."""
    return decided and threading.get_ident() != thread


def here() -> None:
    """The calling thread trains."""
    is_thread(threading.get_ident())


def is_thread(one: int) -> None:
    """A thread trains: watch it. Where another one still does, say that there are several."""
    global thread, decided, _seen_ns
    now = time.perf_counter_ns()
    if decided and one != thread:
        busy = agent.fitting[0] or now - _seen_ns < GONE_NS
        if busy and thread in sys._current_frames():
            if not several[0]:
                several[0] = True
                notes.learn({"training_threads": 2})
            return
    if one != thread or not decided:
        thread, decided = one, True
        number = next((other.native_id for other in threading.enumerate() if other.ident == one), None)
        agent.header[SLOT_THREAD] = 0 if one == agent.main_thread else number or 0
        stack_signals.answer_for(one)
    _seen_ns = now
