"""The stack of the thread that trains, written down when the recorder asks by a signal; none needs a right.

The first signal runs a handler in the main thread between two bytecodes, where the frames of all threads are whole.
The second, `faulthandler`'s, dumps the thread that it reaches at any moment, also while native code holds the
interpreter's lock; but it may crash where bytecode runs (CPython 3.11 pushes frames that it can meet half made), so the
recorder sends it only when neither the main thread answered the first nor the guest's own thread (`answer`) could look.
Both are ignored where their handler is not (before it, after Python's end), so that they can never end the program.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from typing import Any

from fwtui.guest import agent
from fwtui.recording.event_log import SLOT_DUMP_SIGNAL, SLOT_STACK_SIGNAL, SLOT_STACK_WANTED
from fwtui.recording.run_folder import STACK_DUMP

DEEPEST = 100
_file: Any = None
_other_thread = 0
"""Identity of the thread that trains, where it is not the main one."""


def register() -> None:
    """Let the recorder ask. Call it once the rank has its folder."""
    global _file
    with contextlib.suppress(Exception):  # a convenience: no platform's refusal may matter
        import faulthandler

        ask, dump = signal.SIGRTMIN + 8, signal.SIGRTMIN + 7
        if signal.getsignal(ask) is not signal.SIG_DFL or signal.getsignal(dump) is not signal.SIG_DFL:
            return
        _file = open(os.path.join(str(agent.rank_dir()), STACK_DUMP), "a")  # noqa: SIM115 - kept open for the handlers
        signal.signal(dump, signal.SIG_IGN)
        faulthandler.register(dump, file=_file, all_threads=False)
        signal.signal(ask, _write)
        signal.siginterrupt(ask, False)  # system calls that it meets go on
        atexit.register(signal.signal, ask, signal.SIG_IGN)  # Python's end would make it deadly
        agent.header[SLOT_STACK_SIGNAL], agent.header[SLOT_DUMP_SIGNAL] = ask, dump


def answer_for(thread: int) -> None:
    """The main thread answers for another one: it must leave what it waits in to do so, and then goes on waiting."""
    global _other_thread
    _other_thread = 0 if thread == agent.main_thread else thread
    ask = agent.header[SLOT_STACK_SIGNAL]
    if ask:
        signal.siginterrupt(ask, bool(_other_thread))


def answer() -> None:
    """In the guest's own thread: write the stack down when the recorder wants it.

    The interpreter's lock, which this thread holds, keeps the other's frames whole and still.
    """
    if agent.header[SLOT_STACK_WANTED]:
        agent.header[SLOT_STACK_WANTED] = 0
        if _file is not None:
            _write(0, sys._current_frames().get(agent.main_thread))


def _write(number: int, frame: Any) -> None:
    """Write the training thread's stack down as `faulthandler` does, innermost line first."""
    try:
        if _other_thread:
            frame = sys._current_frames().get(_other_thread)
        lines = ["Current thread 0 (most recent call first):"]
        while frame is not None and len(lines) < DEEPEST:
            code = frame.f_code
            lines.append(f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}')
            frame = frame.f_back
        text = "\n".join((*lines, ""))
        os.write(_file.fileno(), text.encode("ascii", "backslashreplace"))
    except Exception:
        return  # between two lines of somebody else's program: nothing may come of it
