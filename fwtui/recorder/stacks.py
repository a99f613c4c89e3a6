"""Stacks of the lanes: of a stall while it lasts, of the steady steps now and then, and on request.

A rank's guest registered a signal that writes the training thread's stack to a file, between two bytecodes. The
recorder sends it and reads the file at its next look. Where no answer comes the thread waits or is in native code: then
the guest's own thread is asked, which looks while it holds the interpreter's lock. When that one does not answer
either, native code holds the lock, and only then `faulthandler`'s signal is sent, which may crash a thread that runs
bytecode. Steady steps are sampled densely at first, so that fifty steps are enough to tell where time goes, and rarely
later on.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import platform
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fwtui.recorder import stack_dump
from fwtui.recorder.lane_process import Lane
from fwtui.recorder.ranks import rank_number
from fwtui.recording.code_lines import is_users
from fwtui.recording.event_log import EventLogError, EventLogReader
from fwtui.recording.run_folder import EVENTS, STACK_DUMP, RunFolder
from fwtui.recording.vocabulary import CODE_BITS, CODE_MASK, EVENT

PERIOD_S, EARLY_PERIOD_S = 0.015, 0.004
"""Between two looks; and while some lane is in its first second of training."""
RATES = ((1.0, 80.0), (5.0, 20.0), (40.0, 5.0))
"""(until so many seconds of training, samples a second): in the first second at most 0.8 % of a lane's time, with ten
frames a stack, later 0.2 %."""
LATE_RATE = 0.5
STALL_LEAST_NS = 250_000_000
STALL_TIMES_MEDIAN, STALL_TIMES_P90 = 4.0, 2.0
"""As `analysis.stalls`, and longer: what is published lags by up to 60 ms."""
FIRST_STEP_NS = 20_000_000_000
"""Before its first step a lane imports and compiles: it is looked at after so long."""
BACK_OFF = 1.5
LONGEST_PAUSE_NS = 10_000_000_000
STACKS_A_STALL = 40
ANSWER_LIMIT_S = 1.5
WANT_NS = 150_000_000
"""A main thread that has not answered after so long is not between two bytecodes: ask the guest's thread."""
DUMP_NS = 2_000_000_000
"""When neither has answered after so long, native code holds the interpreter's lock: dump the stack."""
GIVE_UP_NS = 3_000_000_000
MOST_ROWS = 20_000

_STEP_ENDS = frozenset(EVENT[name] for name in ("optimizer_end", "train_call_end", "batch_end_exit", "step_end"))
_RESUMES = EVENT["wait_end"]


class RankWatch:
    """One rank's habit, and its stacks.

    Raises:
        EventLogError: the rank has no log (yet).
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, rank: int) -> None:
        self._log = EventLogReader(str(path / EVENTS))
        self._dump = path / STACK_DUMP
        self.rank = rank
        self.pid = self._log.pid
        self._habit: deque[int] = deque(maxlen=64)
        self._since_ns = self._log.start_ns
        self._stepped = False
        self._trained_s = 0.0
        self._looked_s = time.monotonic()
        self._next_sample_s = 0.0
        self._stall = (0, 0, 0)  # since, taken, next look
        self._asked: tuple[int, str, str | None] | None = None  # when, why, state of the thread
        self._wanted = self._dumped = False
        self._size = 0

    @property
    def early(self) -> bool:
        """Whether it lives, and is about to make its first steps or did so a moment ago."""
        return self._trained_s < RATES[0][0] and time.monotonic() - self._looked_s < 1.0

    def look(self) -> tuple[str, dict[str, Any]] | None:
        """Take what was asked for, and ask when it is time; (dump, what is known of it) when one has come."""
        self._read_steps()
        taken = self._collect()
        now_s, now_ns = time.monotonic(), time.perf_counter_ns()
        elapsed_s, self._looked_s = now_s - self._looked_s, now_s
        if self._asked is not None or self._log.waiting or self._log.ended:
            return taken
        if self._stepped:
            self._trained_s += elapsed_s
        if self._stalls(now_ns):
            since, count, _ = self._stall
            if since != self._since_ns:
                count = 0
            pause_ns = min(LONGEST_PAUSE_NS, 100_000_000 * BACK_OFF ** min(count, 20))
            self._stall = (self._since_ns, count + 1, now_ns + int(pause_ns))
            if count < STACKS_A_STALL:
                self._ask("stall")
        elif self._stepped and now_s >= self._next_sample_s:
            rate = next((rate for until, rate in RATES if self._trained_s < until), LATE_RATE)
            self._next_sample_s = now_s + random.uniform(0.3, 1.7) / rate  # uneven, so as not to beat with the steps
            self._ask("sample")
        return taken

    def _read_steps(self) -> None:
        words = array.array("Q", self._log.read_new(1 << 14))
        for word in words:
            code = word & CODE_MASK
            if code in _STEP_ENDS:
                moment = word >> CODE_BITS
                if self._stepped:
                    self._habit.append(moment - self._since_ns)
                self._since_ns, self._stepped = moment, True
            elif code == _RESUMES:
                self._since_ns = word >> CODE_BITS

    def _stalls(self, now_ns: int) -> bool:
        silent = now_ns - self._since_ns
        if not self._stepped:
            limit = float(FIRST_STEP_NS)
        else:
            habit = sorted(self._habit) or [0]
            median, p90 = habit[len(habit) // 2], habit[len(habit) * 9 // 10]
            limit = max(STALL_LEAST_NS, STALL_TIMES_MEDIAN * median, STALL_TIMES_P90 * p90)
        if silent < limit:
            return False
        since, _, due = self._stall
        return since != self._since_ns or now_ns >= due

    def _ask(self, why: str) -> bool:
        """Send the signal; whether it could be."""
        number = self._log.stack_signal
        if not number or not _handles(self.pid, number):
            return False
        state = _state(self.pid, self._log.thread)
        self._size, self._wanted, self._dumped = 0, False, False
        self._asked = (time.perf_counter_ns(), why, state)
        try:
            os.truncate(self._dump, 0)  # a late answer to an earlier question
            os.kill(self.pid, number)
        except OSError:
            self._asked = None
            return False
        return True

    def _insist(self, asked_ns: int) -> None:
        """Get the stack of a thread that does not answer because it runs no bytecode.

        The main thread answers for another that trains: while that one runs, nobody knows whether it runs bytecode.
        """
        late, thread = time.perf_counter_ns() - asked_ns, self._log.thread
        if not self._wanted and late > WANT_NS:
            self._wanted = True
            self._log.want_stack()
        elif not self._dumped and late > DUMP_NS and (thread == self.pid or _state(self.pid, thread) != "R"):
            self._dumped = True
            number = self._log.dump_signal
            if number and _handles(self.pid, number):
                _signal_thread(self.pid, thread, number)

    def _collect(self) -> tuple[str, dict[str, Any]] | None:
        """The dump that was asked for, once it has stopped growing."""
        if self._asked is None:
            return None
        asked_ns, why, state = self._asked
        try:
            size = self._dump.stat().st_size
            if size == 0 or size != self._size:
                self._size = size
                if size == 0:
                    self._insist(asked_ns)
                if time.perf_counter_ns() - asked_ns > GIVE_UP_NS:
                    self._asked = None  # it is stopped, or stuck in the kernel
                return None
            data = self._dump.read_bytes()
            os.truncate(self._dump, 0)
        except OSError:
            self._asked = None
            return None
        self._asked = None
        known = {"t": asked_ns, "rank": self.rank, "since": self._since_ns, "kind": why, "state": state}
        return data.decode("ascii", "replace"), known

    def take_now(self) -> tuple[str, dict[str, Any]] | None:
        """Ask, and wait for the answer a moment."""
        if self._asked is None and not self._ask("asked"):
            return None
        deadline = time.monotonic() + ANSWER_LIMIT_S
        while time.monotonic() < deadline:
            time.sleep(0.005)
            taken = self._collect()
            if taken is not None:
                return taken
        return None

    def close(self) -> None:
        self._log.close()


class Stacks:
    """The thread that watches all ranks of all lanes.

    Args:
        folder: the run.
        lanes: its lanes; those that run are watched.
    """

    def __init__(self, folder: RunFolder, lanes: Sequence[Lane]) -> None:
        self._folder = folder
        self._lanes = lanes
        self._watches: dict[tuple[Path, int], RankWatch] = {}
        """By the rank's folder and how often its lane was restarted."""
        self._rows: dict[str, int] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._searched_s = 0.0
        self._known: dict[str, list[Path]] = {}
        self._thread = threading.Thread(target=self._run, name="stacks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._over.wait(EARLY_PERIOD_S if any(one.early for one in self._watches.values()) else PERIOD_S):
            with self._lock:
                for lane in self._lanes:
                    if lane.alive:
                        self._each(lane, RankWatch.look)

    def _each(self, lane: Lane, do: Callable[[RankWatch], tuple[str, dict[str, Any]] | None]) -> list[dict[str, Any]]:
        """Apply `do` to each rank of a lane; the rows that came of it, written down."""
        rows = []
        for path in self._paths(lane):
            key = path, int(lane.entry.get("restarts") or 0)
            watch = self._watches.get(key)
            try:
                if watch is None:
                    watch = self._watches[key] = RankWatch(path, rank_number(path))
                taken = do(watch)
            except (OSError, EventLogError):
                continue  # not written yet, or gone
            if taken is not None and (row := self._row(lane, *taken)) is not None:
                rows.append(row)
        return rows

    def _paths(self, lane: Lane) -> list[Path]:
        """The lane's rank folders; new ones are looked for a few times a second."""
        now = time.monotonic()
        if now - self._searched_s > 0.2:
            self._searched_s = now
            self._known = {one.name: self._folder.ranks(one.name) for one in self._lanes if one.alive}
        return self._known.get(lane.name, [])

    def _row(self, lane: Lane, dump: str, known: dict[str, Any]) -> dict[str, Any] | None:
        stacks = stack_dump.parse(dump.encode("ascii", "replace"))
        return self._write(lane, stacks[-1], known) if stacks else None

    def _write(self, lane: Lane, frames: list[stack_dump.Frame], known: dict[str, Any]) -> dict[str, Any]:
        row = {**known, **describe(frames, lane.entry.get("cwd"))}
        self._rows[lane.name] = self._rows.get(lane.name, 0) + 1
        if self._rows[lane.name] <= MOST_ROWS:
            try:
                with self._folder.stacks_path(lane.name).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
            except OSError:
                self._rows[lane.name] = MOST_ROWS  # the disk is full: the sampler says so
        return row

    def take(self, lane: Lane) -> list[dict[str, Any]]:
        """The lane's stacks now, one a rank: by its guest, else by py-spy.

        Raises:
            NoStackError: neither can.
        """
        with self._lock:
            rows = self._each(lane, RankWatch.take_now)
            if rows:
                return rows
            if lane.pid is None:
                raise stack_dump.NoStackError("its process does not exist yet")
            frames = stack_dump.by_py_spy(lane.ranks.pid or lane.pid)
            now = time.perf_counter_ns()
            return [self._write(lane, frames, {"t": now, "rank": 0, "since": now, "kind": "asked", "state": None})]


def describe(frames: list[stack_dump.Frame], cwd: str | None) -> dict[str, Any]:
    """A stack as a row of stacks.jsonl: where the user's code stands, and the framework's frame below it."""
    at = stack_dump.users_frame(frames)
    row: dict[str, Any] = {"location": None, "function": None, "framework": None}
    shown = [(stack_dump.shown(file, cwd), line, function) for file, line, function in frames]
    if at is not None:
        row.update(location=f"{shown[at][0]}:{shown[at][1]}", function=shown[at][2])
    if at != 0:
        row["framework"] = f"{shown[0][0]}:{shown[0][1]} {shown[0][2]}"
    row["frames"] = [list(frame) for frame in shown]
    row["users"] = [number for number, frame in enumerate(frames) if is_users(frame[0])]
    return row


def _handles(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal: it must never be sent to one that would end by it."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            caught = next((line for line in file if line.startswith("SigCgt:")), "")
    except OSError:
        return False
    return bool(caught) and bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def _state(pid: int, thread: int) -> str | None:
    """A thread's state, one letter of proc(5): R runs, S sleeps, D waits for the disk."""
    try:
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return None


def _signal_thread(pid: int, thread: int, number: int) -> None:
    """Send a signal to one thread of another process; where that cannot be said, only to a main thread."""
    if thread == pid:
        os.kill(pid, number)
    elif _TGKILL is not None:
        ctypes.CDLL(None, use_errno=True).syscall(_TGKILL, pid, thread, number)


_TGKILL = {"x86_64": 234, "aarch64": 131}.get(platform.machine()) if sys.platform == "linux" else None
"""The number of the system call tgkill(2)."""
