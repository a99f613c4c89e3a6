"""Tell how a lane ended: finished, stopped, failed with which words, killed by which signal or for want of memory."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fwtui.recorder.lane_process import Lane

TAIL_BYTES = 32_768
LONGEST_ERROR = 300
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Timeout|Warning|Iteration)(: .+)?$")


def how_it_ended(lane: Lane, exit_code: int, out_of_memory: bool) -> dict[str, Any]:
    """The manifest's keys for a lane whose process ended.

    Args:
        lane: the lane.
        exit_code: the process's own code, or minus the signal that killed it.
        out_of_memory: whether the kernel killed a process for want of memory while it ran.
    """
    if lane.entry["stop_reason"] is not None:
        return {
            "status": "stopped",
            "exit_code": exit_code if exit_code >= 0 else None,
            "signal": None if exit_code >= 0 else signal_name(-exit_code),
        }
    if exit_code == 0:
        return {"status": "finished", "exit_code": 0}
    if exit_code < 0:
        name = signal_name(-exit_code)
        cause = ": the machine, or its container, was out of memory" if out_of_memory and name == "SIGKILL" else ""
        by = "the kernel (SIGKILL)" if cause else name
        return {"status": "killed", "signal": name, "error": f"it was killed by {by}{cause}"}
    if exit_code == 128 + signal.SIGKILL and out_of_memory:
        words: str | None = "a process of it was killed by the kernel: the machine, or its container, was out of memory"
    else:
        words = last_words(lane.folder.output_path(lane.name))
    return {
        "status": "failed",
        "exit_code": exit_code,
        "error": words or f"it ended with exit code {exit_code} and printed nothing",
    }


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_words(output: Path) -> str | None:
    """The line of a program's output that tells best why it failed: its exception, else its last line."""
    try:
        with output.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    lines = [
        line
        for line in (_ESCAPES.sub("", line).rstrip() for line in re.split(r"[\r\n]+", text))
        if re.search(r"\w", line)
    ]
    told = [line for line in lines if _EXCEPTION.match(line)]
    if not lines:
        return None
    best = next((line for line in reversed(told) if ": " in line), (told or lines)[-1])
    return best.strip()[:LONGEST_ERROR]


class OomCounter:
    """Whether the kernel killed anything for want of memory since a moment, in this cgroup or on this host."""

    def __init__(self) -> None:
        self._files = _oom_files()
        self._before = self._read()

    def remember(self) -> None:
        """Count from now."""
        self._before = self._read()

    def rose(self) -> bool:
        """Whether a counter is higher than at the last `remember`."""
        return any(now > before for now, before in zip(self._read(), self._before, strict=True))

    def _read(self) -> list[int]:
        return [_counter(path) for path in self._files]


def _oom_files() -> list[Path]:
    """The host's counter, and the one of the cgroup (v2 and v1) that this process is in."""
    files = [
        Path("/proc/vmstat"),
        Path("/sys/fs/cgroup/memory.events"),
        Path("/sys/fs/cgroup/memory/memory.oom_control"),
    ]
    try:
        groups = Path("/proc/self/cgroup").read_text().split("\n")
    except OSError:
        groups = []
    for line in groups:
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0" and path != "/":
            files.append(Path("/sys/fs/cgroup") / path.lstrip("/") / "memory.events")
    return files


def _counter(path: Path) -> int:
    """The value of the line `oom_kill N`; 0 when there is none."""
    try:
        found = re.search(r"^oom_kill (\d+)", path.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
