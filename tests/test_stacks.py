"""Stacks that the recorder takes of a lane: while a stall lasts, of steady steps, on request. They do no harm."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fwtui.recorder import stack_dump
from fwtui.recording.code_lines import is_users
from fwtui.recording.control import ControlError, send
from fwtui.recording.run_folder import RunFolder

PROGRAM = """
import os, sys, threading, time
from fwtui import mark

def work():
    total = 0
    for number in range(60_000):
        total += number  # WORK
    return total

def hang():
    time.sleep(0.5)  # HANG

def train():
    for number in range(250):
        with mark.step():
            work()
            if number == 200:
                hang()

if "thread" in sys.argv:
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
else:
    train()
print("the end")
if "exec" in sys.argv:
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1)"])
sys.exit(7)
"""


def line_of(mark: str, program: str = PROGRAM) -> int:
    return next(i for i, line in enumerate(program.split("\n"), 1) if f"# {mark}" in line)


def run(tmp_path: Path, *arguments: str) -> tuple[RunFolder, list[dict[str, Any]], int]:
    program = tmp_path / "train.py"
    program.write_text(PROGRAM)
    words = " ".join(["train.py", *arguments])
    command = [sys.executable, "-m", "fwtui", "run", "--headless", "--run-dir", str(tmp_path / "runs"), f"lane={words}"]
    code = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    ).returncode
    folder = RunFolder(next((tmp_path / "runs").iterdir()))
    return folder, [json.loads(line) for line in folder.stacks_path("lane").read_text().splitlines()], code


@pytest.mark.alone
@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_stall_is_caught_at_its_line_and_steady_steps_are_sampled(tmp_path: Path, where: str) -> None:
    folder, rows, code = run(tmp_path, where)
    stalls = [row for row in rows if row["kind"] == "stall" and row["function"] == "hang"]
    samples = [row for row in rows if row["kind"] == "sample"]
    assert stalls
    assert {row["location"] for row in stalls} == {f"train.py:{line_of('HANG')}"}
    assert all(row["t"] - row["since"] > 100e6 for row in stalls)
    assert stalls[0]["state"] == "S"
    assert len([row for row in samples if row["function"] == "work"]) >= 5
    assert code == 1
    assert folder.read_manifest()["lanes"][0]["exit_code"] == 7
    assert folder.output_path("lane").read_text() == "the end\n"


def test_the_signal_does_not_end_a_program_that_became_another(tmp_path: Path) -> None:
    folder, rows, code = run(tmp_path, "exec")
    assert rows
    assert code == 0
    assert folder.read_manifest()["lanes"][0]["exit_code"] == 0


def test_a_stack_is_taken_on_request(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM.replace("range(250)", "range(100_000)"))
    command = [sys.executable, "-m", "fwtui", "run", "--headless", "--run-dir", str(tmp_path / "runs")]
    command.append("lane=train.py")
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            places: set[str] = set()
            deadline = time.monotonic() + 30
            while not places and time.monotonic() < deadline:  # until it has come from its imports to its steps
                time.sleep(0.2)
                for path in (tmp_path / "runs").glob("*/control.sock"):
                    with contextlib.suppress(ControlError):  # it has only begun, or the machine is busy
                        answer = send(RunFolder(path.parent), {"do": "stack", "lane": "lane"}, timeout_s=5.0)
                        places |= {row["location"] for row in answer.get("stacks", ()) if row["location"]}
            assert any(place.startswith("train.py:") for place in places)
        finally:
            process.terminate()
            process.wait(timeout=20)


DUMP = b"""Stack (most recent call first):
  File "/venv/lib/python3.11/site-packages/torch/nn/modules/linear.py", line 134 in forward
  File "/home/m\\xfcller/train.py", line 12 in main
Stack (most recent call first):
  File "<frozen runpy>", line 88 in _run_code
"""


def test_a_dump_is_read_with_names_of_any_script() -> None:
    first, second = stack_dump.parse(DUMP)
    assert first[1] == ("/home/müller/train.py", 12, "main")
    assert stack_dump.users_frame(first) == 1
    assert stack_dump.users_frame(second) is None


@pytest.mark.parametrize(
    ("file", "users"),
    [
        ("/home/me/train.py", True),
        ("/usr/lib/python3.11/logging/__init__.py", False),
        ("/venv/lib/python3.13/site-packages/keras/src/x.py", False),
        ("/tmp/__autograph_generated_filex.py", False),
        ("<string>", False),
    ],
)
def test_whose_a_file_is(file: str, users: bool) -> None:
    assert is_users(file) is users


def test_a_lane_starts_again_when_it_is_asked_to(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM.replace("range(250)", "range(100_000)"))
    command = [sys.executable, "-m", "fwtui", "run", "--headless", "--run-dir", str(tmp_path / "runs")]
    command.append("lane=train.py")
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            sent, seen = False, 0
            deadline = time.monotonic() + 40
            while seen < 2 and time.monotonic() < deadline:
                time.sleep(0.1)
                for path in (tmp_path / "runs").glob("*/manifest.json"):
                    folder = RunFolder(path.parent)
                    lane = folder.read_manifest()["lanes"][0]
                    steps = (folder.lane("lane") / "rank-0" / "events.log").exists() and lane["status"] == "running"
                    if steps and not sent:
                        sent = send(folder, {"do": "restart", "lane": "lane"}, timeout_s=5.0)["ok"]
                        first_pid = lane["pid"]
                    elif steps and sent and lane.get("restarts") == 1 and lane["pid"] != first_pid:
                        seen = 2
            assert seen == 2
            assert (folder.path / "lanes" / "lane.was-1" / "rank-0" / "events.log").exists()
        finally:
            process.terminate()
            process.wait(timeout=20)


def test_what_py_spy_lacks_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_dump.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(stack_dump.NoStackError, match="pip install"):
        stack_dump.by_py_spy(1)
    program = tmp_path / "py-spy"
    program.write_text("#!/bin/sh\necho 'Permission Denied: Try running again with elevated permissions' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(stack_dump.NoStackError, match=r"Permission Denied.* root"):
        stack_dump.by_py_spy(1)
