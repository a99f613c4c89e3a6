"""Where in the user's code something was set up: a loader, an optimizer, a number of threads.

Called a few times in a program's life, never in its steps.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, List, Optional

from fwtui.guest import agent, notes
from fwtui.recording.code_lines import is_users


def here() -> Optional[str]:
    """`file:line` of the innermost frame in the user's code; None when there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return shown(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def chain() -> List[List[Any]]:
    """The user's frames that lead here, outermost first: (file, line, function)."""
    frames: List[List[Any]] = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if is_users(code.co_filename):
            frames.append([shown(code.co_filename, 0)[: -len(":0")], frame.f_lineno, code.co_name])
        frame = frame.f_back
    return frames[::-1]


def shown(file: str, line: int) -> str:
    """A line as it is shown: relative to the working folder when it lies in it."""
    folder = os.getcwd().rstrip(os.sep) + os.sep
    return f"{file[len(folder) :] if file.startswith(folder) else file}:{line}"


def cores() -> int:
    """How many cores the program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def after(owner: Any, name: str, learn: Callable[..., None]) -> None:
    """Call `learn` with the call's own arguments after `owner.name`; an error in it is noted, and disarms it."""

    def make(original: Any) -> Any:
        broken = [False]

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not broken[0]:
                try:
                    learn(*args, **kwargs)
                except Exception as error:  # the outermost guard: the program goes on
                    broken[0] = True
                    notes.hook_error(f"{name} at {owner!r}"[:80], error)
            return result

        return wrapper

    agent.patch(owner, name, make)
