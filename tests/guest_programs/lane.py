"""Runs a program as the recorder would start a lane, and reads back what the guest wrote."""

from __future__ import annotations

import array
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import fwtui
from fwtui.recording.event_log import EventLogReader
from fwtui.recording.vocabulary import CODE_BITS, CODE_MASK, EVENTS

PROGRAMS = Path(__file__).parent
BOOTSTRAP = Path(fwtui.__file__).parent / "guest" / "bootstrap"
NAMES = {event.code: event.name for event in EVENTS}


@dataclass
class Lane:
    """A lane's folder and what its process ended with."""

    folder: Path
    returncode: int
    stdout: str
    stderr: str

    @property
    def ranks(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("rank-*"))

    def reader(self, rank: str = "rank-0") -> EventLogReader:
        return EventLogReader(str(self.folder / rank / "events.log"))

    def events(self, rank: str = "rank-0") -> list[tuple[int, str]]:
        """(time, name) in the order of the log."""
        words = array.array("Q")
        words.frombytes(self.reader(rank).read_new())
        return [(word >> CODE_BITS, NAMES[word & CODE_MASK]) for word in words]

    def names(self, *without: str) -> list[str]:
        hidden = {"gc_begin", "gc_end", "guest_flush", *without}
        return [name for _, name in self.events() if name not in hidden]

    def counts(self) -> Counter[str]:
        return Counter(name for _, name in self.events())

    def notes(self, kind: str | None = None) -> list[dict]:
        path = self.folder / "rank-0" / "notes.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row for row in rows if kind is None or row["kind"] == kind]

    def facts(self) -> dict:
        return json.loads((self.folder / "rank-0" / "facts.json").read_text())


def environment(folder: Path, gate: str = "go", **more: str) -> dict[str, str]:
    """What the recorder adds to a lane's environment."""
    path = os.pathsep.join(part for part in (str(BOOTSTRAP), more.pop("PYTHONPATH", "")) if part)
    lane = {"FWTUI_RUN": str(folder.parent), "FWTUI_LANE": "lane", "FWTUI_LANE_DIR": str(folder), "FWTUI_GATE": gate}
    return {**bare_environment(), **lane, "PYTHONPATH": path, **more}


def bare_environment() -> dict[str, str]:
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("FWTUI", "PYTHONPATH"))}, **quiet}


def start(
    folder: Path, *argv: str, python: str = sys.executable, gate: str = "go", **more: str
) -> subprocess.Popen[str]:
    """Start a program under the guest."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [python, *argv],
        env=environment(folder, gate, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROGRAMS,
    )


def run(folder: Path, *argv: str, python: str = sys.executable, gate: str = "go", **more: str) -> Lane:
    """Run a program under the guest to its end."""
    process = start(folder, *argv, python=python, gate=gate, **more)
    stdout, stderr = process.communicate(timeout=300)
    return Lane(folder, process.returncode, stdout, stderr)


def run_bare(*argv: str, python: str = sys.executable, **more: str) -> subprocess.CompletedProcess[str]:
    """The same without the guest."""
    return subprocess.run(
        [python, *argv],
        env={**bare_environment(), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=PROGRAMS,
        timeout=300,
    )
