"""One lane's files, read as they grow: events into steps, notes, facts, output."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fwtui.analysis.loader_starts import LoaderStarts
from fwtui.analysis.run_ahead import may_run_ahead
from fwtui.analysis.steps import StepFolder
from fwtui.recording.event_log import EventLogError, EventLogReader
from fwtui.recording.run_folder import EVENTS, FACTS, NOTES, RunFolder, read_json_lines
from fwtui.recording.vocabulary import EVENT
from fwtui.view import checkpoint
from fwtui.view.deep import DeepFile, deep_split
from fwtui.view.derived import Derivation, Derived
from fwtui.view.frame import DeepSplit
from fwtui.view.history import LIMIT, History
from fwtui.view.lane_stacks import LaneStacks
from fwtui.view.rank_logs import RankLogs

_TAKEN_OVER = 200
"""A lane whose statistics have more steps of a later rank keeps it."""
_TAIL_BYTES = 16_384
_PIECE_WORDS = 1 << 14
"""Events folded at a time: more would take memory, fewer time."""
SAMPLED_STEPS = 500
"""So many steps tell how many batches one takes."""


@dataclass(slots=True)
class Notes:
    """What the guest wrote down on the side, in columns where it is a series."""

    stage: list[tuple[int, str]] = field(default_factory=list)
    loss: list[tuple[int, float, int]] = field(default_factory=list)
    """(time ns, loss, updates so far)"""
    epoch: list[tuple[int, int]] = field(default_factory=list)
    first_losses: tuple[int, tuple[float, ...], int] | None = None
    """(time ns, losses of the first updates, updates per loss)"""
    results: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    samples: float | None = None
    messages: list[tuple[int, str]] = field(default_factory=list)
    python_calls: list[tuple[int, int, int, str | None, int | None]] = field(default_factory=list)
    """(time, calls so far, ns in them so far, where, ns without any so far) of TensorFlow's calls back into Python."""
    thread_stacks: list[dict[str, Any]] = field(default_factory=list)
    """Where the user's code ran in other threads than the main one."""
    too_old: str | None = None
    """A sentence, when a framework is older than what the guest knows."""

    def add(self, note: dict[str, Any]) -> None:
        """Take one line of notes; a malformed one is passed over."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            time_ns, kind = int(note["t"]), note["kind"]
            if kind == "stage":
                self.stage.append((time_ns, str(note["value"])))
            elif kind == "loss":
                self.loss.append((time_ns, float(note["value"]), int(note.get("step", 0))))
            elif kind == "epoch":
                self.epoch.append((time_ns, int(note["value"])))
            elif kind == "plan":
                self.plan.update({key: value for key, value in note.items() if isinstance(value, (int, float))})
            elif kind == "samples" and note.get("value"):
                self.samples = float(note["value"])
            elif kind == "losses" and isinstance(note.get("values"), list):
                losses = tuple(float(value) for value in note["values"])
                self.first_losses = (time_ns, losses, int(note.get("updates") or 1))
            elif kind == "result":
                values = {
                    key: float(value)
                    for key, value in note.items()
                    if key not in ("t", "kind") and isinstance(value, (int, float))
                }
                self.results.append((time_ns, values))
            elif kind == "python_calls":
                rest = int(note["rest_ns"]) if "rest_ns" in note else None
                self.python_calls.append((time_ns, int(note["calls"]), int(note["ns"]), note.get("at"), rest))
            elif kind == "thread_stack":
                self.thread_stacks.append(note)
            elif kind == "too_old":
                self.too_old = str(note["value"])
            elif kind in ("message", "hook_error"):
                self.messages.append((time_ns, str(note.get("value") or f"{note.get('hook')}: {note.get('error')}")))


class _GrowingFile:
    """A file that is only appended to: hands out its new whole lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new_lines(self) -> bytes:
        try:
            if os.stat(self.path).st_size <= self._offset:
                return b""
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return b""
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole


class LaneLog:
    """All that one lane has recorded so far. `poll` reads what is new."""

    def __init__(self, folder: RunFolder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._rank: Path | None = None
        self._rank_number = 0
        self._reader: EventLogReader | None = None
        self._notes_file: _GrowingFile | None = None
        self._facts_stamp: tuple[int, int] | None = None
        self._stacks_file = _GrowingFile(folder.stacks_path(name))
        self._output_path = folder.output_path(name)
        self._output: tuple[tuple[int, int, int] | None, tuple[str, ...]] = (None, ())
        self._restart()
        self.notes = Notes()
        self.facts: dict[str, Any] = {}
        self.stacks = LaneStacks()
        self.loader_starts = LoaderStarts()
        self._deep_file = DeepFile()
        self.ranks = RankLogs(folder, name)
        self.problem: str | None = None
        """One sentence, when the log cannot be read."""

    def _restart(self) -> None:
        """Fold the events from their beginning."""
        self.folder = StepFolder()
        self.derivation = Derivation(self.folder.store)
        self.words_read = 0
        self._saved_words = 0
        self._batches = (0, 1)
        self.history = History(self.folder.store, self.derivation)

    def poll(self, until_s: float | None = None) -> bool:
        """Read what is new, until a moment on `time.monotonic` at the latest; whether anything was."""
        self._find_rank()
        self.stacks.add(list(read_json_lines(self._stacks_file.new_lines())))
        changed = False
        if self._notes_file is not None:
            for note in read_json_lines(self._notes_file.new_lines()):
                self.notes.add(note)
                changed = True
        self._read_facts()
        if self._reader is not None:
            while until_s is None or not changed or time.monotonic() < until_s:
                words = np.frombuffer(self._reader.read_new(_PIECE_WORDS), dtype=np.uint64)
                if not len(words):
                    break
                self.folder.feed(words)
                self.loader_starts.feed(words)
                self.stacks.settle(self.folder, self._rank_number)
                self.words_read += len(words)
                changed = True
                if len(self.folder.store) > LIMIT:
                    self.history.trim(self.derived())
                if len(words) < _PIECE_WORDS:
                    break
        self.ranks.poll()
        self.stacks.settle(self.folder, self._rank_number)
        before = self._rank
        self._find_rank()  # the first one may have ended without a step: a program that executes itself anew
        return self.poll(until_s) or changed if self._rank is not before else changed

    def _find_rank(self) -> None:
        """Settle on the rank that trains: the first one, or a later one that has steps while this one has none.

        Ranks that start together show themselves in any order: while there are few steps, a lower one takes over.
        """
        settled = self._reader is not None and len(self.folder.store) > 0
        if settled and (self._rank_number == 0 or len(self.folder.store) > _TAKEN_OVER):
            return
        if not settled and self.words_waiting:
            return  # what this one has is read first
        for path in self._folder.ranks(self._name):
            if self._reader is not None and path == self._rank:
                if settled:
                    return
                continue
            try:
                reader = EventLogReader(str(path / EVENTS))
            except FileNotFoundError:
                continue
            except (EventLogError, OSError) as error:
                self.problem = str(error)
                continue
            if self._reader is not None:
                trial = StepFolder()
                trial.feed(np.frombuffer(reader.read_new(1 << 16), dtype=np.uint64))
                if not len(trial.steps):
                    reader.close()
                    continue
                self._reader.close()
                reader.close()
                reader = EventLogReader(str(path / EVENTS))
            self._rank, self._reader, self.problem = path, reader, None
            digits = re.findall(r"\d+", path.name)
            self._rank_number = int(digits[0]) if digits else 0
            self._notes_file = _GrowingFile(path / NOTES)
            self._restart()
            self.notes, self._facts_stamp = Notes(), None
            self._load_fold(path)
            return

    def _load_fold(self, rank: Path) -> None:
        assert self._reader is not None
        words = checkpoint.load(self, rank / checkpoint.NAME)
        if words and self._reader.skip(words):
            self.words_read = self._saved_words = words
        elif words:
            self._restart()

    def _read_facts(self) -> None:
        if self._rank is None:
            return
        path = self._rank / FACTS
        try:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._facts_stamp:
                return
            facts = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        self._facts_stamp = stamp
        if isinstance(facts, dict):
            self.facts = facts

    def deep(self, at_ns: int) -> DeepSplit | None:
        """What the last profiler window said, if it was over by then."""
        return deep_split(self._deep_file.read(self._rank), self.folder.steps, self.facts, at_ns)

    @property
    def events_path(self) -> Path | None:
        """The event log of the rank that is read; None before there is one."""
        return None if self._rank is None else self._rank / EVENTS

    @property
    def guest_start_ns(self) -> int | None:
        """When the guest was armed in the process."""
        return self._reader.start_ns if self._reader else None

    def guest_error(self) -> str | None:
        """What kept the guest from starting, as it wrote it down."""
        try:
            text = (self._folder.lane(self._name) / "guest-error.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return text.strip().split("\n")[0] or None

    @property
    def gave_up(self) -> bool:
        """Whether the guest stopped recording: the disk was full."""
        return bool(self._reader and self._reader.gave_up)

    @property
    def at_gate(self) -> bool:
        """Whether the lane stands at the turn gate now."""
        return bool(self._reader and self._reader.waiting)

    @property
    def pid(self) -> int | None:
        return self._reader.pid if self._reader else None

    def derived(self) -> Derived:
        """Which steps count, which stalled, and the block of each."""
        return self.derivation.derived(may_run_ahead(self.facts))

    def batches_per_step(self) -> int:
        """How many batches a step trains on, as far as the hooks saw; 1 when they saw none."""
        batches = self.folder.steps.batches[:SAMPLED_STEPS]
        if len(batches) != self._batches[0]:
            self._batches = (len(batches), max(1, int(np.median(batches))) if len(batches) else 1)
        return self._batches[1]

    def saw(self, *names: str) -> bool:
        """Whether any of these events was recorded."""
        return any(self.folder.seen[EVENT[name]] for name in names)

    def output_tail(self, lines: int) -> tuple[str, ...]:
        """The last lines that the program printed; carriage returns keep only what stays visible."""
        try:
            status = os.stat(self._output_path)
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp != self._output[0]:
                self._output = (stamp, _last_lines(self._output_path))
        except OSError:
            return ()
        return self._output[1][-lines:]

    @property
    def words_waiting(self) -> int:
        """Events that are on disk and not yet folded."""
        return self._reader.waiting_words if self._reader else 0

    def forget(self) -> None:
        """The store was filled from outside."""
        self.derivation.forget()

    def save_fold(self) -> None:
        """Keep a long lane's fold beside its log, unless that is there already."""
        if self._rank is None or not self.history.thinned or self.words_read == self._saved_words:
            return
        self._saved_words = self.words_read
        checkpoint.save(self, self._rank / checkpoint.NAME, self.words_read)

    def close(self) -> None:
        self.ranks.close()
        if self._reader is not None:
            self.save_fold()
            self._reader.close()


def _last_lines(path: Path) -> tuple[str, ...]:
    """The lines at a file's end that are not blank, each as a terminal would leave it."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    rows = [re.split(r"\r+", row.rstrip("\r"))[-1] for row in text.split("\n")]
    return tuple(row for row in rows if row.strip())
