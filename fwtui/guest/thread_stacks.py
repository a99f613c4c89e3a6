"""Stacks of the other threads in which the user's code runs: TensorFlow calls generators and `py_function`s there.

The recorder asks for the training thread's stack only. So the drain thread looks at the others now and then; it takes a
few microseconds, and nothing where there are no such threads.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict, List

from fwtui.guest import agent, notes, python_calls, sites, trainer
from fwtui.recording.code_lines import is_users
from fwtui.recording.event_log import SLOT_WAITING

EVERY, LATER = 1, 20
"""Looks each time (10 to 20 a second) at first, then each twentieth time."""
FIRST_LOOKS = 300
DEPTH = 40
_looks = [0, 0]


def look() -> None:
    """Note where the user's code runs in other threads than the main one and the one that trains."""
    python_calls.note(time.perf_counter_ns())
    _looks[0] += 1
    if _looks[0] % (EVERY if _looks[1] < FIRST_LOOKS else LATER) or agent.header[SLOT_WAITING]:
        return
    _looks[1] += 1
    mine = threading.get_ident()
    found: Dict[int, Any] = {
        thread: frame
        for thread, frame in sys._current_frames().items()
        if thread not in (agent.main_thread, trainer.thread, mine)
    }
    now = time.perf_counter_ns()
    for frame in found.values():
        frames = _walk(frame)
        users = [number for number, one in enumerate(frames) if is_users(one[0])]
        if users:
            file, line, _ = frames[users[0]]
            row = {"t": now, "kind": "thread_stack", "looks": _looks[1], "location": sites.shown(file, line)}
            notes.pending.append({**row, "frames": frames, "users": users})


def _walk(frame: Any) -> List[Any]:
    frames: List[Any] = []
    while frame is not None and len(frames) < DEPTH:
        frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return frames
