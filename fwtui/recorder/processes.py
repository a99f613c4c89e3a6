"""Find and end the processes of a run, also those that left their process group.

Every process of a lane inherits `FWTUI_RUN` and `FWTUI_LANE_DIR`: what carries them belongs to the lane, whoever its
parent has become.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

import psutil


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in ("Z", "X")
    except FileNotFoundError:
        return os.path.isdir("/proc/self")  # without /proc nothing is known
    except (OSError, IndexError):
        return True


def carrying(name: str, value: str) -> list[psutil.Process]:
    """The processes whose environment holds `name=value`; those of other users are not seen."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def descendants(pid: int) -> list[psutil.Process]:
    """All that descends from a process, itself not."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def signal_all(found: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal each; one that ended or may not be signalled is passed over. A reused pid is never signalled."""
    for process in found:
        with contextlib.suppress(psutil.Error, OSError):
            process.send_signal(number)


def signal_group(group: int, number: signal.Signals) -> bool:
    """Signal a process group; whether it still had a member."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_run(run_path: str, groups: Iterable[int], grace_s: float) -> None:
    """End all groups and all that carries the run's path: SIGTERM, and SIGKILL after `grace_s`."""
    groups = list(groups)
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 0.5)):
        found = carrying("FWTUI_RUN", run_path)
        alive = [signal_group(group, number) for group in groups]
        signal_all(found, number)
        if number is signal.SIGTERM:
            for group in groups:
                signal_group(group, signal.SIGCONT)
        if not found and not any(alive):
            return
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and any(process.is_running() for process in found):
            time.sleep(0.05)
