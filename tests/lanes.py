"""Runs one program as a lane, with the real guest and without a recorder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fwtui
from fwtui.recording.run_folder import RunFolder
from fwtui.view.frame import LaneFrame
from fwtui.view.session import Session

PROGRAMS = Path(__file__).parent / "guest_programs"
BOOTSTRAP = Path(fwtui.__file__).parent / "guest" / "bootstrap"


@dataclass
class Ran:
    """A program that ran to its end."""

    code: int
    stdout: str
    stderr: str
    folder: RunFolder | None = None

    def session(self) -> Session:
        assert self.folder is not None
        return Session(self.folder)

    def lane(self) -> LaneFrame:
        session = self.session()
        try:
            return session.frame().lanes[0]
        finally:
            session.close()


def environment(folder: RunFolder | None, **extra: str) -> dict[str, str]:
    """The environment of a lane; of a bare program when `folder` is None."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("FWTUI_")}
    if folder is not None:
        lane = folder.lane("lane")
        lane.mkdir(parents=True, exist_ok=True)
        env.update(PYTHONPATH=str(BOOTSTRAP), FWTUI_RUN=str(folder.path), FWTUI_LANE="lane", FWTUI_LANE_DIR=str(lane))
    return {**env, **extra}


def run(argv: list[str], path: Path | None, python: str = sys.executable, timeout: float = 240, **extra: str) -> Ran:
    """Run `python argv…` bare (path None) or as a lane of a run folder made at `path`."""
    folder = RunFolder(path) if path is not None else None
    env = environment(folder, **extra)
    began = time.perf_counter_ns()
    done = subprocess.run(
        [python, *argv], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )
    ended = time.perf_counter_ns()
    if folder is not None:
        write_manifest(folder, began, ended, done.returncode)
    return Ran(done.returncode, done.stdout, done.stderr, folder)


def report_of(runs: Path, *arguments: str, timeout: float = 300) -> tuple[dict[str, Any], str]:
    """The JSON report of `fwtui run arguments…` with its recorder, and what it wrote to stderr."""
    path = os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "fwtui", "run", *arguments, "--headless", "--json", "-", "--run-dir", str(runs)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def write_manifest(folder: RunFolder, began: int, ended: int, code: int) -> None:
    """The manifest that a recorder would have left of a single lane."""
    lane = {
        "name": "lane",
        "status": "finished" if code == 0 else "killed" if code < 0 else "failed",
        "started_ns": began,
        "ended_ns": ended,
        "exit_code": code,
    }
    manifest = {
        "schema": 1,
        "status": "finished" if code == 0 else "failed",
        "clock": {"monotonic_ns": began, "unix_ns": 0},
        "schedule": "together",
        "ended_ns": ended,
        "lanes": [lane],
    }
    folder.write_manifest(manifest)
