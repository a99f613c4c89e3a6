"""Whether a run goes on: what its manifest says, held against the processes that exist. Imports psutil when it must.

A recorder whose processes cannot be seen from here, on another machine that shares the folder or in a container, is
judged by whether it still writes.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fwtui.recording.host import host_identity, pid_identity, start_ticks
from fwtui.recording.run_folder import RunFolder

OPEN_STATUSES = ("starting", "running")
LONGEST_START_S = 60.0
"""A run whose recorder has not shown itself by then has none."""
LONGEST_SILENCE_S = 90.0
"""A recorder elsewhere samples five times a second; a network's file system may tell of it a minute later."""

FULL_BYTES = 1 << 16
"""A disk with less room takes no manifest any more: that is why the recorder could not say how it ended."""


def recorder_lives(manifest: Mapping[str, Any], folder: RunFolder) -> bool:
    """Whether a run that is not over has its recorder, or may still get it."""
    recorder = manifest.get("recorder") or {}
    if not recorder.get("pid"):
        began_s = float((manifest.get("clock") or {}).get("unix_ns") or 0) / 1e9
        return 0 <= time.time() - began_s < LONGEST_START_S
    if _is_elsewhere(recorder):
        return not _restarted(recorder) and _written_s_ago(folder) < LONGEST_SILENCE_S
    return same_process(int(recorder["pid"]), recorder.get("create_time"), recorder.get("start_ticks"))


def is_live(manifest: Mapping[str, Any], folder: RunFolder) -> bool:
    """Whether lanes run under a living recorder."""
    return manifest.get("status") in OPEN_STATUSES and recorder_lives(manifest, folder)


def status_of(manifest: Mapping[str, Any], folder: RunFolder) -> str:
    """The run's status as it is: `lost` when its recorder died without a word."""
    status = str(manifest.get("status") or "lost")
    return "lost" if status in OPEN_STATUSES and not recorder_lives(manifest, folder) else status


def why_lost(manifest: Mapping[str, Any], folder: RunFolder) -> str:
    """What became of a lost run, in one sentence."""
    import psutil

    recorder = manifest.get("recorder") or {}
    began_s = recorder.get("create_time")
    if began_s is None:
        return "the recorder never started: the run has no history"
    if _restarted(recorder) or ("pids" not in recorder and float(began_s) < psutil.boot_time() - 1):
        return "the machine was restarted while the run went on: its history ends there"
    if _is_elsewhere(recorder):
        return f"the recorder on {recorder.get('hostname')} stopped writing: the run ends here as far as can be seen"
    with suppress(OSError):
        if shutil.disk_usage(folder.path).free < FULL_BYTES:
            return "the recorder ended and the run's disk is full: the run ends here, and its lanes were ended with it"
    return "the recorder died: the run ends here, and its lanes were ended with it"


def run_clock(manifest: Mapping[str, Any]) -> Callable[[], int]:
    """The run's own clock in nanoseconds, as far as it can be read from here: elsewhere by both walls' clocks."""
    recorder, clock = manifest.get("recorder") or {}, manifest.get("clock") or {}
    if recorder.get("host") in (None, host_identity()) or not clock.get("unix_ns"):
        return time.perf_counter_ns
    offset_ns = int(clock["monotonic_ns"]) - int(clock["unix_ns"])
    return lambda: time.time_ns() + offset_ns


def same_process(pid: int, create_time: float | None, ticks: int | None = None) -> bool:
    """Whether a process is the one that was started then: by the kernel's ticks, else by the time of day."""
    if ticks is not None:
        return start_ticks(pid) == ticks
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return create_time is None or abs(process.create_time() - create_time) < 2
    except psutil.Error:
        return False


def _is_elsewhere(recorder: Mapping[str, Any]) -> bool:
    """Whether its processes are none of ours."""
    return "pids" in recorder and recorder["pids"] != pid_identity()


def _restarted(recorder: Mapping[str, Any]) -> bool:
    """Whether this very machine has another boot now."""
    boots = [str(identity).split()[:1] for identity in (recorder.get("host"), host_identity())]
    return recorder.get("hostname") == socket.gethostname() and boots[0] != boots[1]


def _written_s_ago(folder: RunFolder) -> float:
    """Since when nothing was written to a run's samples and manifest."""
    newest = 0.0
    for path in (folder.samples_path, folder.manifest_path):
        with suppress(OSError):
            newest = max(newest, os.stat(path).st_mtime)
    return time.time() - newest
