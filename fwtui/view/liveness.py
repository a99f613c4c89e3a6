"""Whether a run goes on: what its manifest says, held against the processes that exist. Imports psutil when it must."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

OPEN_STATUSES = ("starting", "running")
LONGEST_START_S = 60.0
"""A run whose recorder has not shown itself by then has none."""


def recorder_lives(manifest: Mapping[str, Any]) -> bool:
    """Whether a run that is not over has its recorder, or may still get it."""
    recorder = manifest.get("recorder") or {}
    if not recorder.get("pid"):
        began_s = float((manifest.get("clock") or {}).get("unix_ns") or 0) / 1e9
        return 0 <= time.time() - began_s < LONGEST_START_S
    return same_process(int(recorder["pid"]), recorder.get("create_time"))


def is_live(manifest: Mapping[str, Any]) -> bool:
    """Whether lanes run under a living recorder."""
    return manifest.get("status") in OPEN_STATUSES and recorder_lives(manifest)


def status_of(manifest: Mapping[str, Any]) -> str:
    """The run's status as it is: `lost` when its recorder died without a word."""
    status = str(manifest.get("status") or "lost")
    return "lost" if status in OPEN_STATUSES and not recorder_lives(manifest) else status


def why_lost(manifest: Mapping[str, Any]) -> str:
    """What became of a lost run, in one sentence."""
    import psutil

    began_s = (manifest.get("recorder") or {}).get("create_time")
    if began_s is None:
        return "the recorder never started: the run has no history"
    if float(began_s) < psutil.boot_time() - 1:
        return "the machine was restarted while the run went on: its history ends there"
    return "the recorder died: the run ends here, and its lanes were ended with it"


def same_process(pid: int, create_time: float | None) -> bool:
    """Whether a process is the one that was started then."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return create_time is None or abs(process.create_time() - create_time) < 2
    except psutil.Error:
        return False
