"""One lane's process: how it is started, how it is ended, and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fwtui
from fwtui.recorder import processes
from fwtui.recorder.endings import OomCounter, how_it_ended
from fwtui.recorder.ranks import Ranks
from fwtui.recording.host import host_identity
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.vocabulary import GATE_FINISH, GATE_GO, GATE_HOLD

TERM_GRACE_S = 3.0
GATE_WORDS = {GATE_GO: "go", GATE_HOLD: "hold"}


class Lane:
    """A lane of the run; `entry` is its part of the manifest and is kept up to date."""

    def __init__(self, folder: RunFolder, entry: dict[str, Any], index: int) -> None:
        self.entry = entry
        self.name: str = entry["name"]
        self.index = index
        self.folder = folder
        self.path: Path = folder.lane(self.name)
        self.ranks = Ranks(folder, self.name)
        self.finishing = False
        """Whether it was asked to end its training loop; its gate stays as it is."""
        self._popen: subprocess.Popen[bytes] | None = None
        self._oom = OomCounter()
        self._kill_at_s: float | None = None
        self._ending = False
        self._starts_again = False

    @property
    def pending(self) -> bool:
        return bool(self.entry["status"] == "pending")

    @property
    def alive(self) -> bool:
        return bool(self.entry["status"] == "running")

    @property
    def paused(self) -> bool:
        return bool(self.entry["paused"])

    @property
    def quiet(self) -> bool:
        """Whether nothing of it is left to be ended."""
        return not self.alive and not self._ending and not self._starts_again

    @property
    def pid(self) -> int | None:
        pid = self.entry["pid"]
        return None if pid is None else int(pid)

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        started = self.entry["started_ns"]
        return 0.0 if started is None else (time.perf_counter_ns() - started) / 1e9

    @property
    def joined(self) -> bool:
        """Whether it can take turns: it has a gate and has come to its training."""
        return self.alive and not self.paused and not self.finishing and self.ranks.stepped

    def start(self, gate: int, cores: frozenset[int] | None = None) -> bool:
        """Start the process; whether it could be. `cores` are the ones it may use."""
        entry = self.entry
        self.path.mkdir(parents=True, exist_ok=True)
        self.ranks.set(gate)
        self._oom.remember()
        entry["started_ns"] = time.perf_counter_ns()
        own_cores = _limit_to(cores)
        try:
            with self.folder.output_path(self.name).open("ab") as output:
                self._popen = subprocess.Popen(
                    entry["argv"],
                    cwd=entry["cwd"],
                    env=self._environment(gate),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            entry.update(
                status="failed",
                ended_ns=time.perf_counter_ns(),
                error=f"{entry['argv'][0]} cannot be started: {error.strerror}",
            )
            return False
        finally:
            _limit_to(own_cores)
        entry.update(status="running", pid=self._popen.pid)
        return True

    def _environment(self, gate: int) -> Mapping[str, str]:
        entry = self.entry
        environment = {**os.environ, **entry.get("env", {})}
        bootstrap = os.path.join(os.path.dirname(os.path.abspath(fwtui.__file__)), "guest", "bootstrap")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (bootstrap, environment.get("PYTHONPATH"))))
        environment["FWTUI_RUN"] = str(self.folder.path)
        environment["FWTUI_LANE"] = self.name
        environment["FWTUI_LANE_DIR"] = str(self.path)
        environment["FWTUI_GATE"] = GATE_WORDS[gate]
        environment["FWTUI_HOST"] = host_identity()
        if entry["kind"] == "workload":
            environment["PYTHONUNBUFFERED"] = "1"
        return environment

    def set_gate(self, gate: int) -> None:
        """Open or close the gate; a lane that is asked to finish keeps its own."""
        if not self.finishing:
            self.ranks.set(gate)

    def finish(self) -> None:
        """Ask a built-in lane to end its training loop at its next step boundary, held or not."""
        self.ranks.set(GATE_FINISH)
        self.finishing = True

    def end(self, reason: str) -> None:
        """End the whole process tree: SIGTERM now, SIGKILL after a grace."""
        entry = self.entry
        if self.pending:
            entry.update(status="stopped", stop_reason=reason)
        elif self.alive and entry["stop_reason"] is None:
            entry["stop_reason"] = reason
            self._begin_ending()

    def _begin_ending(self) -> None:
        self._ending = True
        self._kill_at_s = time.monotonic() + TERM_GRACE_S
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> bool:
        """Signal the group and all that left it; whether anything was there."""
        assert self.pid is not None
        others = [*processes.descendants(self.pid), *processes.carrying("FWTUI_LANE_DIR", str(self.path))]
        in_group = processes.signal_group(self.pid, number)
        processes.signal_all(
            (process for process in others if not in_group or not _in_group(process, self.pid)), number
        )
        return in_group or bool(others)

    def restart(self) -> None:
        """Start again from the beginning, once what runs has ended; what was recorded stays in a folder beside."""
        if not self.pending:
            self._starts_again = True
            self.end("restarted")

    def _begin_again(self) -> None:
        self._starts_again = False
        count = int(self.entry.get("restarts") or 0) + 1
        os.rename(self.path, self.path.with_name(f"{self.path.name}.was-{count}"))
        gone = ("pid", "started_ns", "ended_ns", "exit_code", "signal", "stop_reason", "error")
        self.entry.pop("ranks_gone", None)
        self.entry.update({**dict.fromkeys(gone), "status": "pending", "paused": False, "restarts": count})
        self.ranks = Ranks(self.folder, self.name)
        self.finishing = False

    def tick(self) -> None:
        """Kill what outlived its grace."""
        if self.alive:
            self.ranks.look()
            self._note_gone()
        elif self._starts_again and not self._ending:
            self._begin_again()
        if not self._ending or self._kill_at_s is None:
            return
        if time.monotonic() >= self._kill_at_s:
            self._ending = self._signal(signal.SIGKILL)
            self._kill_at_s = time.monotonic() + 0.1
        elif not self.alive and self.pid is not None and not processes.signal_group(self.pid, signal.SIGCONT):
            self._ending = bool(processes.carrying("FWTUI_LANE_DIR", str(self.path)))

    def _note_gone(self) -> None:
        if self.ranks.gone:
            self.entry["ranks_gone"] = list(self.ranks.gone)

    def ended(self, exit_code: int) -> None:
        """Note how the process ended, by the code that `os.waitstatus_to_exitcode` gives."""
        assert self._popen is not None
        self._popen.returncode = exit_code  # reaped by the recorder, which waits for all its children at one place
        self.entry["ended_ns"] = time.perf_counter_ns()
        self.entry.update(how_it_ended(self, exit_code, self._oom.rose()))
        self._note_gone()
        self.ranks.close()
        if not self._ending:
            self._begin_ending()  # what the process left running ends with it

    def use_cores(self, cores: frozenset[int]) -> None:
        """Move all threads of the process tree to these cores."""
        if self.pid is None or not self.alive or not hasattr(os, "sched_setaffinity"):
            return
        for pid in (self.pid, *(process.pid for process in processes.descendants(self.pid))):
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(thread), cores)
            except OSError:
                continue  # it ended, or the host forbids it: then it keeps the cores it has


def _in_group(process: Any, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group
    except OSError:
        return False


def _limit_to(cores: frozenset[int] | None) -> frozenset[int] | None:
    """Limit this thread, and so what it starts, to some cores; the cores it had."""
    if cores is None or not hasattr(os, "sched_setaffinity"):
        return None
    before = frozenset(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        return None
    return before
