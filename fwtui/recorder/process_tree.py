"""Measure a lane's process tree and the host. What the system does not tell is None."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from fwtui.recorder.processes import descendants

Values = Mapping[str, float | None]
SEARCH_S = 1.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_HAS_PROC = Path("/proc/self/stat").exists()


@dataclass
class Counters:
    """Sums that only rise, and levels, over a process tree at one moment."""

    time_s: float
    totals: dict[str, float | None] = field(default_factory=dict)
    levels: dict[str, float | None] = field(default_factory=dict)

    def add(self, into: dict[str, float | None], name: str, value: float | None) -> None:
        """Add a process's share; a sum of which nothing is known stays None."""
        if value is not None:
            into[name] = (into.get(name) or 0.0) + value


class TreeMeter:
    """Measures one lane, from its root process down."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.pids: frozenset[int] = frozenset()
        self._searched_s = -SEARCH_S
        self._before: Counters | None = None

    def sample(self, thread: int) -> Values:
        """Rates since the last call and levels now; `thread` is the kernel's number of the thread that trains."""
        self._search()
        counters = _count(self.pids)
        delay_ns = _run_delay_ns(thread)
        counters.totals["run_delay_share"] = None if delay_ns is None else delay_ns / 1e9
        before, self._before = self._before, counters
        values = dict(counters.levels)
        if before is not None and counters.time_s > before.time_s:
            elapsed_s = counters.time_s - before.time_s
            for name, total in counters.totals.items():
                earlier = before.totals.get(name)
                if total is not None and earlier is not None and total >= earlier:
                    values[name] = (total - earlier) / elapsed_s
        return values

    def memory(self) -> float | None:
        """Resident bytes of the tree as it was last found; None where the system does not tell at once, or it ended."""
        told = filter(None, (_read(f"/proc/{pid}/statm") for pid in self.pids))
        return float(sum(int(text.split()[1]) for text in told) * _PAGE_BYTES) or None

    def _search(self) -> None:
        """Find the tree's processes, once a second: it reads all of /proc. A new one counts from now on."""
        now = time.monotonic()
        if now - self._searched_s < SEARCH_S:
            return
        self._searched_s = now
        found = frozenset((self.root, *(process.pid for process in descendants(self.root))))
        if self._before is not None:
            for name, total in _count(found - self.pids).totals.items():
                self._before.add(self._before.totals, name, total)
        self.pids = found


def _count(pids: Iterable[int]) -> Counters:
    counters = Counters(time.perf_counter())
    for pid in pids:
        (_count_proc if _HAS_PROC else _count_psutil)(counters, pid)
    return counters


def _count_proc(counters: Counters, pid: int) -> None:
    """Add a process by /proc. CPU and faults include its reaped children, so that sums do not fall when one ends."""
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return
    part = stat.rpartition(")")[2].split()  # the name before may hold blanks; field 3 of proc(5) is part[0]
    counters.add(counters.totals, "cpu_cores", sum(map(int, part[11:15])) / _TICKS_PER_S)
    counters.add(counters.totals, "major_faults_s", int(part[9]) + int(part[10]))
    counters.add(counters.levels, "threads", int(part[17]))
    counters.add(counters.levels, "rss_bytes", int(part[21]) * _PAGE_BYTES)
    lines = dict(
        line.split(":", 1)
        for source in ("io", "status")
        for line in (_read(f"/proc/{pid}/{source}") or "").split("\n")
        if ":" in line
    )
    for name, key in (
        ("read_bytes_s", "read_bytes"),
        ("write_bytes_s", "write_bytes"),
        ("involuntary_switches_s", "nonvoluntary_ctxt_switches"),
    ):
        counters.add(counters.totals, name, float(lines[key]) if key in lines else None)


def _count_psutil(counters: Counters, pid: int) -> None:
    """Add a process where there is no /proc."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu = process.cpu_times()
            counters.add(counters.totals, "cpu_cores", cpu.user + cpu.system)
            counters.add(counters.levels, "rss_bytes", process.memory_info().rss)
            counters.add(counters.levels, "threads", process.num_threads())
    except psutil.Error:
        return


def _run_delay_ns(thread: int) -> float | None:
    """How long a thread was ready to run and had no core; the second field of schedstat."""
    text = _read(f"/proc/{thread}/schedstat")
    fields = text.split() if text else []
    return float(fields[1]) if len(fields) == 3 else None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


class HostMeter:
    """Measures the host."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def sample(self) -> Values:
        """The host's row of the samples log."""
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        busy -= getattr(times, "guest_nice", 0.0)
        now, before = (time.perf_counter(), busy), self._before
        self._before = now
        cores = None
        if before is not None and now[0] > before[0]:
            cores = max(0.0, (now[1] - before[1]) / (now[0] - before[0]))
        memory = psutil.virtual_memory()
        return {"cpu_cores": cores, "memory_available_bytes": memory.available, "swap_used_bytes": _swap_used()}


def _swap_used() -> float | None:
    try:
        return float(psutil.swap_memory().used)
    except (OSError, RuntimeError, psutil.Error):
        return None  # some containers hide it
