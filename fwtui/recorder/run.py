"""The recorder's loop: looks at the lanes, reaps them, takes turns, answers requests, keeps the manifest up to date."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import signal
import sys
import threading
import time
from typing import Any

import psutil

from fwtui.recorder import processes
from fwtui.recorder.control_server import ControlServer, Request
from fwtui.recorder.deep import DeepWindows
from fwtui.recorder.keeper import Keeper
from fwtui.recorder.lane_process import Lane
from fwtui.recorder.requests import answer
from fwtui.recorder.sampler import Sampler
from fwtui.recorder.schedules import IDLE_S, SCHEDULES, all_cores
from fwtui.recorder.stacks import Stacks
from fwtui.recorder.time_limit import TimeLimit
from fwtui.recording.host import describe_process
from fwtui.recording.run_folder import RunFolder

STOPPED_BY_USER = "stopped by the user"
TURN_MS = 300
ALLOWED_TROUBLE_S = 0.2


class Run:
    """One run, from its manifest to its end.

    Args:
        folder: the run, its manifest written.
        asked_to_stop: set from outside to end it.
    """

    def __init__(self, folder: RunFolder, asked_to_stop: threading.Event) -> None:
        self.folder = folder
        self._asked_to_stop = asked_to_stop
        self.manifest: dict[str, Any] = folder.read_manifest()
        self.lanes = [Lane(folder, entry, index) for index, entry in enumerate(self.manifest["lanes"])]
        self.stop_reason: str | None = None
        self._written = ""
        self._troubles: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._keeper = Keeper(folder)
        self._chance = random.Random(self.manifest.get("seed"))
        self.schedule = self._make_schedule(self.manifest["schedule"])
        self.limit = TimeLimit(self)
        self.stacks = Stacks(folder, self.lanes)
        self._deep = DeepWindows(self.manifest, self.lanes)

    def _make_schedule(self, name: str) -> Any:
        turn_s = self.manifest.get("turn", {}).get("ms", TURN_MS) / 1e3
        return SCHEDULES[name](self.lanes, self._start_lane, turn_s, self._chance)

    def use_schedule(self, name: str) -> None:
        """Change the schedule while lanes run."""
        if name == self.manifest["schedule"]:
            return
        change = {"t": time.perf_counter_ns(), "from": self.manifest["schedule"], "value": name}
        self.manifest.setdefault("schedule_changes", []).append(change)
        self.manifest["schedule"] = name
        for lane in self.lanes:
            if all_cores():
                lane.use_cores(frozenset(all_cores()))
        self.schedule = self._make_schedule(name)

    def lane(self, name: Any) -> Lane | None:
        """The lane of that name."""
        return next((lane for lane in self.lanes if lane.name == name), None)

    def stop(self, reason: str = STOPPED_BY_USER) -> None:
        """End all lanes; the run is over when they are."""
        self.stop_reason = self.stop_reason or reason
        for lane in self.lanes:
            lane.end(reason)

    def execute(self) -> None:
        """Run to the end.

        Raises:
            OSError: the run folder cannot be written at the start.
        """
        self.manifest["recorder"] = {**describe_process(), "create_time": psutil.Process().create_time()}
        self.manifest["status"] = "running"
        sampler: Sampler | None = None
        server: ControlServer | None = None
        try:
            self.folder.write_manifest(self.manifest)
            sampler = Sampler(self.folder, self.lanes, self._troubles.put)
            server = ControlServer(self.folder)
            sampler.start()
            self.stacks.start()
            while not all(lane.quiet and not lane.pending for lane in self.lanes):
                self._wait(server, self._tick())
            self.manifest["status"] = self._outcome()
        except OSError as error:
            self.manifest["status"] = "failed"
            self.manifest["error"] = f"the run folder cannot be written: {error.strerror}"
            raise
        finally:
            self.stacks.stop()
            self._leave_nothing()
            if self.manifest["status"] == "running":
                self.manifest["status"] = "failed"
            if sampler is not None:
                sampler.stop()
            self.manifest["ended_ns"] = time.perf_counter_ns()
            self._save()
            if server is not None:
                server.close()
            self._keeper.dismiss()

    def _tick(self) -> float:
        """One look at everything; the seconds until the next."""
        if self._asked_to_stop.is_set() and self.stop_reason is None:
            self.stop()
        self._reap()
        for lane in self.lanes:
            lane.tick()
        idle_s = IDLE_S
        if self.stop_reason is None:
            idle_s = self.schedule.tick()
            self.limit.tick()
            self._deep.tick()
        while not self._troubles.empty():
            self.manifest["error"] = self._troubles.get()
        self._save()
        return idle_s

    def _wait(self, server: ControlServer, idle_s: float) -> None:
        """Sleep, or answer what is asked meanwhile."""
        with contextlib.suppress(queue.Empty):
            request: Request = server.requests.get(timeout=idle_s)
            request.answer.put(answer(self, request.value))

    def _start_lane(self, lane: Lane, gate: int, cores: frozenset[int] | None) -> None:
        if lane.start(gate, cores) and lane.pid is not None:
            self._keeper.watch(lane.pid)

    def _reap(self) -> None:
        """Collect every child that ended: lanes, and orphans that came to the recorder as their subreaper."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for lane in self.lanes:
                if lane.alive and lane.pid == pid:
                    lane.ended(os.waitstatus_to_exitcode(status))

    def _outcome(self) -> str:
        if self.stop_reason is not None:
            return "stopped" if self.stop_reason == STOPPED_BY_USER else "interrupted"
        ends = {lane.entry["status"] for lane in self.lanes}
        return "failed" if ends & {"failed", "killed"} else "finished"

    def _leave_nothing(self) -> None:
        """Kill what is left of any lane, whoever its parent is."""
        left = [*processes.carrying("FWTUI_RUN", str(self.folder.path)), *processes.descendants(os.getpid())]
        processes.signal_all((process for process in left if process.pid != self._keeper.pid), signal.SIGKILL)
        self._reap_for(ALLOWED_TROUBLE_S if left else 0.0)
        for lane in self.lanes:
            if lane.alive:
                lane.entry.update(status="stopped", ended_ns=time.perf_counter_ns(), stop_reason="the recorder ended")

    def _reap_for(self, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        self._reap()
        while time.monotonic() < deadline:
            time.sleep(0.02)
            self._reap()

    def _save(self) -> None:
        """Write the manifest when it changed; a full disk must not end the lanes."""
        text = repr(self.manifest)
        if text == self._written:
            return
        try:
            self.folder.write_manifest(self.manifest)
            self._written = text
        except OSError as error:
            if self.manifest["error"] is None:
                self.manifest["error"] = f"the manifest cannot be written: {error.strerror}"
                print(self.manifest["error"], file=sys.stderr)
