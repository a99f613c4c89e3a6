"""The ranks of a lane that has several: each one's log, read in turn, a little at a time.

A lane's own statistics are its first rank's: ranks that train together end every step together. The others are kept
for comparison, their newest steps only, and are read within a budget, so that a thousand ranks do not hold up a frame.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fwtui.analysis.ranks import RankSteps
from fwtui.analysis.steps import StepFolder
from fwtui.recording.event_log import EventLogError, EventLogReader
from fwtui.recording.host import pid_identity
from fwtui.recording.run_folder import EVENTS, HOST, RunFolder
from fwtui.recording.vocabulary import EVENT

KEEP = 2048
"""Newest steps of a rank that are kept; half of them are let go when there are twice as many."""
BUDGET_S = 0.02
"""Time for reading other ranks at each look; the rest has its turn at the next ones."""
SEARCH_S = 1.0
WORDS = 1 << 15


class RankLog:
    """One rank of a lane."""

    def __init__(self, path: Path) -> None:
        self.path = path
        numbers = [int(number) for number in re.findall(r"\d+", path.name)]
        self.rank = numbers[0] if numbers else 0
        self.folder = StepFolder()
        self.forgotten = 0
        """Steps that were let go."""
        self.host: Mapping[str, Any] = {}
        self._reader: EventLogReader | None = None
        self.read_ns = 0
        """When it was read last: nothing is known of it after that."""

    def poll(self) -> bool:
        """Read what is new, at most a piece of it; whether anything was."""
        if not self.host:
            self._read_host()
        if self._reader is None:
            try:
                self._reader = EventLogReader(str(self.path / EVENTS))
            except (EventLogError, OSError):
                return False
        self.read_ns = time.perf_counter_ns()
        words = np.frombuffer(self._reader.read_new(WORDS), dtype=np.uint64)
        if len(words):
            self.folder.feed(words)
            count = len(self.folder.store)
            if count > 2 * KEEP:
                self.folder.store.keep(np.arange(count - KEEP, count))
                self.forgotten += count - KEEP
        return bool(len(words))

    def _read_host(self) -> None:
        try:
            value = json.loads((self.path / HOST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(value, dict):
            self.host = value

    @property
    def pid(self) -> int | None:
        return self._reader.pid if self._reader else None

    @property
    def ended(self) -> bool:
        """Whether its log has its trailer."""
        return bool(self._reader and self._reader.ended)

    @property
    def waiting(self) -> bool:
        return bool(self._reader and self._reader.waiting)

    @property
    def communicating(self) -> bool:
        """Whether it waits for other ranks at the end of what is recorded."""
        seen = self.folder.seen
        return bool(seen[EVENT["communication_begin"]] > seen[EVENT["communication_end"]])

    @property
    def local(self) -> bool:
        """Whether its process can be looked for here."""
        return not self.host or self.host.get("processes") == pid_identity()

    def alive(self) -> bool | None:
        """Whether its process exists; None where that cannot be seen from here."""
        pid = self.pid
        if pid is None or not self.local:
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return not _is_zombie(pid)

    def steps(self, offset_ns: float, until_ns: float) -> RankSteps:
        """Its steps up to a moment, on the recorder's clock."""
        steps = self.folder.steps
        ends = steps.end_ns + int(offset_ns)
        count = int(np.searchsorted(ends, until_ns, side="right"))
        return RankSteps(
            self.rank,
            self.forgotten,
            ends[:count],
            steps.step_ns[:count],
            steps.phases[:count],
            steps.communication_ns[:count],
        )

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


class RankLogs:
    """All ranks of a lane; empty for a lane with one."""

    def __init__(self, folder: RunFolder, lane: str) -> None:
        self._folder, self._lane = folder, lane
        self.logs: dict[Path, RankLog] = {}
        self._searched_s = -SEARCH_S
        self._next = 0

    def poll(self) -> None:
        """Search for ranks once a second, and read as many as the budget allows."""
        now = time.monotonic()
        if now - self._searched_s >= SEARCH_S:
            self._searched_s = now
            self._search()
        logs = list(self.logs.values())
        for count in range(len(logs)):
            logs[(self._next + count) % len(logs)].poll()
            if time.monotonic() - now > BUDGET_S:
                self._next = (self._next + count + 1) % len(logs)
                return

    def read_all(self) -> None:
        """Search once more, and read every rank to its end: the run is over, and a report must have all of them."""
        self._search()
        for log in self.logs.values():
            while log.poll():
                pass

    def _search(self) -> None:
        found = [path for path in self._folder.ranks(self._lane) if re.fullmatch(r"rank-\d+", path.name)]
        if len(found) > 1:
            for path in found:
                if path not in self.logs:
                    self.logs[path] = RankLog(path)

    def close(self) -> None:
        for log in self.logs.values():
            log.close()
