"""Which host this is: who shares a clock (a boot, a time namespace), who sees whose processes, and which is which."""

from __future__ import annotations

import os
import socket
from typing import Any, Dict, Optional

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def host_identity() -> str:
    """The same for two processes whose `perf_counter_ns` is the same clock."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return f"{file.read().strip()} {_namespace('time')}".strip()
    except OSError:
        return socket.gethostname()


def pid_identity() -> str:
    """The same for two processes that know each other by the same process ids."""
    return f"{host_identity()} {_namespace('pid')}"


def start_ticks(pid: int) -> Optional[int]:
    """When a process began, in the kernel's ticks since the boot: unlike a time of day, no set clock changes it.

    None for a process that does not exist or is a zombie, and where there is no `/proc`.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def describe_process() -> Dict[str, Any]:
    """What tells this process from all others, here and elsewhere; for the manifest."""
    return {
        "pid": os.getpid(),
        "start_ticks": start_ticks(os.getpid()),
        "host": host_identity(),
        "pids": pid_identity(),
        "hostname": socket.gethostname(),
    }


def _namespace(kind: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return ""
