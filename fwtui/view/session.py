"""An open run: `frame(at)` is a pure function of what is recorded and the moment.

Live is the newest moment, pause a fixed one, replay a moving one; attach and post-mortem are opening the folder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwtui.analysis.step_store import GrowingColumns
from fwtui.analysis.steps import Steps
from fwtui.recording.run_folder import RunFolder, RunFolderError
from fwtui.recording.vocabulary import PHASE_NAMES, SOURCE_HOST, source_of_lane
from fwtui.view import columns as cutting
from fwtui.view import liveness, memory
from fwtui.view.build_frame import build
from fwtui.view.explanation_file import ExplanationFile
from fwtui.view.frame import Columns, Frame, Stall
from fwtui.view.lane_log import LaneLog
from fwtui.view.lane_stalls import stalls_over
from fwtui.view.lane_statistics import lane_statistics
from fwtui.view.samples import Samples, in_slots
from fwtui.view.units import show

_WORTH_TELLING = 1 << 18
"""Events that wait to be read before it is told."""
_GIVE_BACK_S = 1.0
"""How often memory is given back while a long recording is read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a long recording is read."""

    share: float
    left_s: float | None

    @property
    def words(self) -> str:
        """For the screen."""
        left = f", {show(self.left_s, 's')} left" if self.left_s is not None else ""
        return f"reading the recording: {self.share * 100:.0f} %{left}"


class Session:
    """Opens a run folder and folds it, a poll at a time.

    Args:
        folder: the run.
        now_ns: the clock that the run was recorded by; a mirror of another machine's run has that machine's.
        recorder_lives: tells of a manifest whether the run's recorder exists.
        patience_s: how long a poll may read; what is left comes with the next one. None: until all is read.
        later: know the lanes only, and read nothing before `open`: a screen is there sooner.

    Raises:
        RunFolderError: the folder is no run, or its manifest is broken.
    """

    def __init__(
        self,
        folder: RunFolder,
        now_ns: Callable[[], int] | None = None,
        recorder_lives: Callable[[Mapping[str, Any]], bool] | None = None,
        patience_s: float | None = None,
        later: bool = False,
    ) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = folder.read_manifest()
        self._now_ns = now_ns or liveness.run_clock(self.manifest)
        self._recorder_lives = recorder_lives or (lambda manifest: liveness.recorder_lives(manifest, folder))
        self._manifest_stamp: tuple[int, int, int] | None = None
        self.samples = Samples(folder)
        self.explanation = ExplanationFile(folder)
        self.logs: list[LaneLog] = []
        self.cache: dict[Any, Any] = {}
        """Derived values that are kept while the data they come from stays the same."""
        self.start_ns: int = int(self.manifest["clock"]["monotonic_ns"])
        self.recorder_alive = True
        self.notice: str | None = None
        """Something about how the run is reached, not of the run itself: a broken connection."""
        self._checked_s = -10.0
        self.patience_s = patience_s
        self.reading: Reading | None = None
        self._given_back_s = math.inf  # nothing long was read
        """How far a long recording is read; None once it is."""
        self._first = 0
        self.opened = not later
        """Whether anything was read but the manifest."""
        if self.opened:
            self.poll()
        else:
            self._add_logs()

    def open(self, patience_s: float) -> None:
        """Read for the first time, for so long."""
        self.cache.clear()
        usual, self.patience_s, self.opened = self.patience_s, patience_s, True
        self.poll()
        self.patience_s = usual

    def _add_logs(self) -> None:
        for lane in self.manifest["lanes"][len(self.logs) :]:
            self.logs.append(LaneLog(self.folder, lane["name"]))

    def poll(self, patience_s: float | None = None) -> bool:
        """Read what is new on disk, for so long where it is not to be as long as usual; whether anything was."""
        self._check_recorder()  # before the manifest is read: what a recorder writes last is then known
        manifest = self._read_manifest()
        changed = manifest != self.manifest
        for index, (before, now) in enumerate(zip(self.manifest["lanes"], manifest["lanes"], strict=False)):
            if before.get("restarts") != now.get("restarts") and index < len(self.logs):
                self.logs[index].close()
                self.logs[index] = LaneLog(self.folder, now["name"])
                self.cache.clear()
        self.manifest = manifest
        self._add_logs()
        patience_s = patience_s or self.patience_s
        until_s = None if patience_s is None else time.monotonic() + patience_s
        for log in self._by_turns():
            if changed and until_s is not None and time.monotonic() > until_s:
                break
            changed |= log.poll(until_s)
            if until_s is None and not self.live:
                log.ranks.read_all()
        self._note_reading()
        changed |= self.explanation.poll()
        return self.samples.poll() or changed

    def _by_turns(self) -> list[LaneLog]:
        """The lanes, each time another one first: where there is much to read, each has its turn."""
        self._first += 1
        first = self._first % max(1, len(self.logs))
        return self.logs[first:] + self.logs[:first]

    def _read_manifest(self) -> dict[str, Any]:
        """The manifest, read again when it was replaced; a folder that vanishes leaves the last one."""
        try:
            status = self.folder.manifest_path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp == self._manifest_stamp:
                return self.manifest
            manifest = self.folder.read_manifest()
        except (OSError, RunFolderError):
            return self.manifest
        self._manifest_stamp = stamp
        return manifest

    def read_all(self) -> None:
        """Read what is on disk to its end."""
        self.patience_s = None
        self.poll()

    def _note_reading(self) -> None:
        """Tell how far the reading is while it takes more than one poll."""
        waiting = sum(log.words_waiting for log in self.logs)
        if waiting < _WORTH_TELLING:
            if self.reading is not None and not self.live:
                for log in self.logs:
                    log.save_fold()
            self.reading = None
            self._give_back(last=True)
            return
        read = sum(log.words_read for log in self.logs)
        if self.reading is None:
            self._reading_since = (time.monotonic(), read)
            self._given_back_s = time.monotonic()
        self._give_back()
        since_s, first = self._reading_since
        speed = (read - first) / max(1e-3, time.monotonic() - since_s)
        self.reading = Reading(read / (read + waiting), waiting / speed if speed else None)

    def _give_back(self, last: bool = False) -> None:
        """Give memory back now and then while a long recording is read, and once more after it is."""
        now = time.monotonic()
        if now - self._given_back_s > _GIVE_BACK_S:
            self._given_back_s = math.inf if last else now
            memory.give_back()

    def _check_recorder(self) -> None:
        """Whether the recorder process still exists; looked at once a second."""
        if time.monotonic() - self._checked_s < 1.0:
            return
        self._checked_s = time.monotonic()
        if self.manifest["status"] in liveness.OPEN_STATUSES:
            self.recorder_alive = self._recorder_lives(self.manifest)

    @property
    def newest_ns(self) -> int:
        """The newest moment that is recorded; for a live run, now."""
        if self.live:
            return self._now_ns()
        if self.reading is not None:
            return max(self.start_ns, min(log.folder.last_ns for log in self.logs if log.words_waiting))
        ended = self.manifest.get("ended_ns")
        if ended:
            return int(ended)
        logs = [log.folder.last_ns for log in self.logs]
        return max([self.samples.newest_ns(), self.start_ns, *logs])

    @property
    def live(self) -> bool:
        """Whether lanes run under a living recorder."""
        return self.manifest["status"] in liveness.OPEN_STATUSES and self.recorder_alive

    def frame(self, at_ns: int | None = None) -> Frame:
        """All that a viewer may show at a moment; the newest one by default."""
        return build(self, self.newest_ns if at_ns is None else at_ns)

    def columns(self, lane: int, slot_ns: float, first: int, count: int, at_ns: int | None = None) -> Columns:
        """A lane's history in `count` slots from slot `first`; nothing after `at_ns`."""
        log, manifest = self.logs[lane], self.manifest["lanes"][lane]
        derived = log.derived()
        spawn = manifest.get("started_ns")
        first_step = log.folder.first_step_ns or manifest.get("ended_ns") or at_ns or self.newest_ns
        old = log.history.slots_before(self.start_ns, slot_ns, first, count)
        key = ("columns", lane, slot_ns, id(log.folder))
        known: tuple[int, int, Columns | None] = self.cache.get(key) or (0, 0, None)
        same = 0  # slots whose steps are settled stay as they were
        if known[2] is not None and known[0] <= first + old < known[1]:
            same = min(known[1], first + count) - (first + old)
        begin = first + old + same
        made = cutting.cut(derived, self.start_ns, slot_ns, begin, first + count - begin, spawn, float(first_step))
        if same and known[2] is not None:
            place = first + old - known[0]
            made = cutting.joined(cutting.part(known[2], place, place + same), made)
        settled = int((log.derivation.settled_ns - self.start_ns) // slot_ns)
        self.cache[key] = (first + old, min(settled, first + count), cutting.part(made, 0, count - old))
        return log.history.joined(made, self.start_ns, slot_ns, first, old) if old else made

    def series(self, lane: int | None, metric: str, slot_ns: float, first: int, count: int) -> np.ndarray:
        """A hardware metric in slots: of a lane, or of the host when `lane` is None. NaN: not measured."""
        source = SOURCE_HOST if lane is None else source_of_lane(lane)
        times, values = self.samples.of(source, metric)
        return in_slots(times, values, self.start_ns, slot_ns, first, count)

    def loss(self, lane: int, slot_ns: float, first: int, count: int) -> np.ndarray:
        """The lane's loss in slots. NaN: none noted."""
        rows, key = self.logs[lane].notes.loss, ("loss", lane)
        table = self.cache.get(key)
        if table is None or len(table) > len(rows):
            table = self.cache[key] = GrowingColumns({"time": 0, "value": 0})
        fresh = rows[len(table) :]
        if fresh:
            columns = np.array([row[:2] for row in fresh], dtype=float)
            table.append({"time": columns[:, 0], "value": columns[:, 1]})
        return in_slots(table["time"], table["value"], self.start_ns, slot_ns, first, count)

    def phase_shares(self, lane: int, slot_ns: float, first: int, count: int, at_ns: int) -> np.ndarray:
        """(count, phases) share of the steps' own time in each phase; NaN where no step ended in the slot."""
        log = self.logs[lane]
        old = log.history.slots_before(self.start_ns, slot_ns, first, count)
        sums = self._phase_sums(lane, slot_ns, first + old, count - old, at_ns)
        if old:
            sums = np.concatenate((log.history.phase_sums(self.start_ns, slot_ns, first, old), sums))
        total = sums.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares: np.ndarray = np.where(total > 0, sums / total, np.nan)
        return shares

    def _phase_sums(self, lane: int, slot_ns: float, first: int, count: int, at_ns: int) -> np.ndarray:
        """(count, phases) ns by phase; slots that lie before the newest step are kept from look to look."""
        steps, key = self.logs[lane].folder.steps, ("phases", lane, slot_ns, id(self.logs[lane].folder))
        known_first, known = self.cache.get(key) or (first, np.empty((0, len(PHASE_NAMES))))
        over = int((min(at_ns, int(steps.end_ns[-1]) if len(steps) else 0) - self.start_ns) // slot_ns)
        same = min(known_first + len(known), first + count, over) - first if known_first <= first else 0
        sums = cutting.phase_sums(steps, self.start_ns, slot_ns, first + max(0, same), count - max(0, same), at_ns)
        if same > 0:
            sums = np.concatenate((known[first - known_first : first - known_first + same], sums))
        self.cache[key] = (first, sums[: max(0, over - first)])
        return sums

    def step_times(self, lane: int, at_ns: int) -> np.ndarray:
        """(counted,) ms an update of the counted steps up to a moment."""
        times: np.ndarray = lane_statistics(self, lane, at_ns, ended=False).lane_ms
        return times

    def steps(self, lane: int) -> Steps:
        """The columns of all whole steps of a lane."""
        return self.logs[lane].folder.steps

    def stalls(self, lane: int) -> tuple[Stall, ...]:
        """The stalls of a lane that are over, oldest first."""
        log = self.logs[lane]
        derived = log.derived()
        return tuple(stalls_over(log, derived, self.samples, source_of_lane(lane)))

    def close(self) -> None:
        self.samples.close()
        for log in self.logs:
            log.close()
