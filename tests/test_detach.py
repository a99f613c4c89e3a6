"""Runs outlive their terminal: a real screen in a real terminal, signals, and several viewers of one run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fwtui.recording.control import send
from fwtui.recording.run_folder import RunFolder, list_runs
from fwtui.view.session import Session

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
ROOT = Path(__file__).parents[1]
TRAINS = """
import time
from fwtui import mark
for i in range(10**7):
    with mark.step(samples=4):
        time.sleep(0.004)
"""


def wait_for(what: Callable[[], object], limit_s: float = 40) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Terminals:
    """Terminals of a tmux server of their own, and what was started from them."""

    def __init__(self, path: Path) -> None:
        self.runs = path / "runs"
        self.mark = uuid.uuid4().hex
        self._tmux = ["tmux", "-L", self.mark]
        self._path = path
        self._environment = {
            **os.environ, "FWTUI_RUN_DIR": str(self.runs), "FWTUI_TEST_MARK": self.mark, "PYTHONPATH": str(ROOT)
        }  # fmt: skip
        (path / "train.py").write_text(TRAINS)

    def open(self, name: str, arguments: str) -> None:
        """Run fwtui in a new terminal, and wait until it shows two lanes training."""
        command = f"exec {sys.executable} -m fwtui {arguments}"
        subprocess.run(
            [*self._tmux, "new-session", "-d", "-s", name, "-x", "120", "-y", "35", command],
            cwd=self._path, env=self._environment, check=True,
        )  # fmt: skip
        wait_for(lambda: self.screen(name).count("it/s") >= 2)

    def screen(self, name: str) -> str:
        done = subprocess.run(
            [*self._tmux, "capture-pane", "-p", "-t", name], capture_output=True, text=True, check=False
        )
        return done.stdout

    def pid(self, name: str) -> int:
        command = [*self._tmux, "display-message", "-p", "-t", name, "#{pane_pid}"]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def keys(self, name: str, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", "-t", name, *keys], check=True)

    def left(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("FWTUI_TEST_MARK") == self.mark and "tmux" not in process.name():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def close(self) -> None:
        for process in self.left():
            process.kill()
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    made = Terminals(tmp_path)
    yield made
    made.close()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_run_outlives_its_terminal_its_viewers_and_tells_when_its_recorder_is_killed(terminals: Terminals) -> None:
    terminals.open("first", "a=train.py b=train.py")
    folder: RunFolder = list_runs(terminals.runs)[0]
    recorder = int(folder.read_manifest()["recorder"]["pid"])
    viewer = terminals.pid("first")
    os.kill(viewer, signal.SIGHUP)
    wait_for(lambda: gone(viewer))
    assert send(folder, {"do": "ping"})["ok"]

    terminals.open("second", "attach")
    terminals.open("third", f"attach {folder.id}")
    for name in ("second", "third"):  # the same run in both, with its history
        assert "a" in terminals.screen(name)
    second = terminals.pid("second")
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: gone(second))
    assert send(folder, {"do": "ping"})["ok"]
    third = terminals.pid("third")
    terminals.keys("third", "d")
    wait_for(lambda: gone(third))
    assert send(folder, {"do": "ping"})["ok"]
    lanes = [int(lane["pid"]) for lane in folder.read_manifest()["lanes"]]
    assert not any(gone(pid) for pid in lanes)

    assert all(not process.net_connections("inet") for process in terminals.left())  # nothing listens
    os.kill(recorder, signal.SIGKILL)
    wait_for(lambda: all(gone(pid) for pid in lanes))
    frame = Session(folder).frame()
    assert (frame.status, frame.live) == ("lost", False)
    assert "the recorder died" in str(frame.notice)
    wait_for(lambda: not terminals.left())


def test_a_screen_that_is_ended_leaves_its_lanes_unless_told_otherwise(terminals: Terminals) -> None:
    terminals.open("first", "a=train.py b=train.py")
    folder = list_runs(terminals.runs)[0]
    for name, arguments, ends in (("first", "", False), ("second", "attach --on-quit stop", True)):
        if arguments:
            terminals.open(name, arguments)
        viewer = terminals.pid(name)
        os.kill(viewer, signal.SIGTERM)
        wait_for(lambda pid=viewer: gone(pid))
        manifest = folder.read_manifest()
        assert (manifest["status"] == "interrupted") is ends


def test_what_q_does_can_be_told_before(terminals: Terminals) -> None:
    terminals.open("only", "a=train.py b=train.py --on-quit stop")
    folder = list_runs(terminals.runs)[0]
    viewer = terminals.pid("only")
    terminals.keys("only", "q")
    wait_for(lambda: gone(viewer))
    assert folder.read_manifest()["status"] == "stopped"
