"""What `faulthandler` and py-spy write, into frames; and which frame is the user's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fwtui.recording.code_lines import is_users

Frame = tuple[str, int, str]
"""(file, line, function)"""

_FRAME = re.compile(rb'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
_HEAD = re.compile(rb"^(Stack|Current thread|Thread) .*\(most recent call first\):")
PY_SPY_LIMIT_S = 3.0


def parse(dump: bytes) -> list[list[Frame]]:
    """The stacks in a piece of faulthandler's output, each innermost frame first."""
    stacks: list[list[Frame]] = []
    for line in dump.split(b"\n"):
        if _HEAD.match(line):
            stacks.append([])
        elif stacks and (found := _FRAME.match(line)) is not None:
            number = int(found[2]) if found[2].isdigit() else 0
            stacks[-1].append((_text(found[1]), number, _text(found[3])))
    return [stack for stack in stacks if stack]


def _text(raw: bytes) -> str:
    """faulthandler escapes what is not ASCII as Python does."""
    if b"\\" not in raw:
        return raw.decode("ascii", "replace")
    return raw.decode("unicode_escape", "replace")


def users_frame(frames: Sequence[Frame]) -> int | None:
    """Index of the innermost frame in the user's code; None of none."""
    return next((i for i, frame in enumerate(frames) if is_users(frame[0])), None)


def shown(file: str, folder: str | None) -> str:
    """A file's path as it is shown: relative to the lane's working folder when it lies in it."""
    if folder and file.startswith(folder.rstrip(os.sep) + os.sep):
        return file[len(folder.rstrip(os.sep)) + 1 :]
    return file


class NoStackError(RuntimeError):
    """A stack cannot be taken; the message says in one sentence what it needs."""


def by_py_spy(pid: int) -> list[Frame]:
    """The main thread's stack by py-spy, innermost first.

    Raises:
        NoStackError: py-spy is not installed, or may not look at the process.
    """
    program = Path(sys.executable).with_name("py-spy")
    command = str(program) if program.exists() else shutil.which("py-spy")
    if command is None:
        raise NoStackError("fwtui is not inside that process and py-spy is not installed: pip install 'fwtui[stacks]'")
    done = None
    try:
        done = subprocess.run(
            [command, "dump", "--json", "--nonblocking", "--pid", str(pid)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PY_SPY_LIMIT_S,
            check=False,
        )
        threads = json.loads(done.stdout)
        main = next((thread for thread in threads if thread.get("thread_name") == "MainThread"), threads[0])
        return [(str(frame["filename"]), int(frame["line"]), str(frame["name"])) for frame in main["frames"]]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        told = done.stderr.decode("utf-8", "replace").strip().split("\n") if done else []
        words = told[0][:160] if told and told[0] else f"{type(error).__name__}"
        raise NoStackError(f"py-spy cannot look into process {pid} ({words}): it may need root") from error
