"""What the manifest says of the host."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

from fwtui.recorder.gpus import Gpus


def facts() -> dict[str, Any]:
    """CPU, cores that may be used, memory, system and GPUs."""
    gpus = Gpus()
    try:
        return {
            "cpu": _cpu_name(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "os": platform.platform(terse=True),
            "gpus": gpus.facts(),
        }
    finally:
        gpus.close()


def _cpu_name() -> str | None:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine() or None
