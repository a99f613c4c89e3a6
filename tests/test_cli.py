"""The command line as it is run: sentences and exit codes, whole runs in text, and what an interruption leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fwtui.cli import COMMANDS, main
from fwtui.commands import interpreters
from fwtui.commands.run import exit_code
from fwtui.recording.control import send
from fwtui.recording.run_folder import RunFolder, list_runs

TRAINS = """
import time
from fwtui import mark
for i in range({steps}):
    with mark.step(samples=4):
        time.sleep(0.002)
"""
ENDLESS = 10_000_000


class Here:
    """A folder with scripts and runs, and a mark that everything started from it carries in its environment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, "FWTUI_RUN_DIR": str(self.runs), "FWTUI_TEST_MARK": self.mark}

    def script(self, name: str, code: str) -> None:
        (self.path / name).write_text(code)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "fwtui", *argv],
            cwd=self.path,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *argv: str) -> tuple[int, str, str]:
        process = self.start(*argv)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def left(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("FWTUI_TEST_MARK") == self.mark:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def leaves_nothing(self) -> bool:
        deadline = time.monotonic() + 10
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.left()

    def newest(self) -> RunFolder:
        return list_runs(self.runs)[0]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    place = Here(tmp_path)
    place.script("train.py", TRAINS.format(steps=40))
    place.script("endless.py", TRAINS.format(steps=ENDLESS))
    place.script("fails.py", "raise ValueError('no such luck')\n")
    yield place
    for process in place.left():
        process.kill()


WRONG = {
    "doctr": "doctor",
    "--lane torch": "--lanes",
    "--lanes torhc": "torch",
    "--lanes torch:compil": "compile",
    "--workload mnist": "mnist-mlp",
    "--batch-size 0": "from 1 up",
    "--steps -1": "from 1 up",
    "--steps many": "from 1 up",
    "--seconds 0": "above 0",
    "--seconds nan": "above 0",
    "--schedule turn": "'turns'",
    "--data digit": "'digits'",
    "--workload regression-mlp --data mnist": "synthetic",
    "--workload mnist-cnn:pool=mean": "max, average",
    "--workload mnist-mlp --lanes torch:layout=nhwc": "no convolution",
    "--workload regression-mlp --lanes torch,keras:batch_size=2000": "more than the 1,000 samples",
    "--workload origin --steps 5": "--workload regression-mlp",
    "--workload origin train.py": "--workload regression-mlp",
    "trian.py": "train.py",
    "--steps 3 train.py": "built-in",
    "./nowhere/prog": "no program",
    "--python a=/nowhere train.py": "no lane 'a'",
    "--python train=/nowhere train.py": "/nowhere is neither an interpreter nor an environment with one",
    "--python train= train.py": "--python train=: name a path",
    "--python train=/bin/true train.py": "/bin/true is no working Python",
    "report nothing": "no run named",
    "report --format yaml": "markdown",
    "attach": "no run",
    "workloads --all": "no option",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_mistake_is_one_sentence_that_helps(
    here: Here, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here.path)
    monkeypatch.setenv("FWTUI_RUN_DIR", str(here.runs))
    code = main(line.split())
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("fwtui: ")
    assert err.count("\n") == 1
    assert WRONG[line] in err
    assert not here.runs.exists() or not list_runs(here.runs)


def test_a_run_in_text(here: Here) -> None:
    code, out, _ = here.run("run", "--headless", "train.py", "b=train.py", "--json", "report.json")
    assert code == 0
    report = json.loads((here.path / "report.json").read_text())
    assert [(lane["name"], lane["status"], lane["steps"]) for lane in report["lanes"]] == [
        ("train", "finished", 40),
        ("b", "finished", 40),
    ]
    assert "run folder" in out
    assert here.leaves_nothing()
    code, again, _ = here.run("report", "--format", "json")
    assert (code, json.loads(again)["lanes"]) == (0, report["lanes"])
    assert here.newest().id in here.run("runs")[1]


def test_json_on_stdout_stands_alone(here: Here) -> None:
    code, out, err = here.run("train.py", "--json", "-")
    assert code == 0
    assert json.loads(out)["lanes"][0]["steps"] == 40
    assert "starting" in err


def test_a_failed_lane_is_exit_code_1_with_its_exception(here: Here) -> None:
    code, out, _ = here.run("--headless", "fails.py", "train.py")
    assert code == 1
    assert "ValueError: no such luck" in out


def test_two_lanes_of_a_name_are_told_apart(here: Here) -> None:
    here.run("--headless", "train.py", "train.py")
    assert [lane["name"] for lane in here.newest().read_manifest()["lanes"]] == ["train", "train#2"]


def test_seconds_end_a_script_and_count_as_success(here: Here) -> None:
    code, _, _ = here.run("--headless", "--seconds", "0.5", "endless.py")
    assert code == 0
    lane = here.newest().read_manifest()["lanes"][0]
    assert (lane["status"], lane["stop_reason"]) == ("stopped", "--seconds reached")
    assert here.leaves_nothing()


@pytest.mark.parametrize("after_s", [0.15, 0.3, 0.5, 1.5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_at_any_moment(here: Here, number: signal.Signals, after_s: float) -> None:
    process = here.start("--headless", "endless.py", "b=endless.py")
    time.sleep(after_s)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    if list_runs(here.runs):  # before that, Python itself may still be starting
        assert process.returncode == 130
        assert "Traceback" not in err
        assert here.newest().read_manifest()["ended_ns"] is not None
    assert here.leaves_nothing()


def test_a_lost_terminal_leaves_the_run_alone(here: Here) -> None:
    process = here.start("--headless", "endless.py")
    deadline = time.monotonic() + 30
    while not list_runs(here.runs) or here.newest().read_manifest()["status"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert send(here.newest(), {"do": "ping"})["ok"]
    send(here.newest(), {"do": "stop"})
    assert here.leaves_nothing()


def test_a_reader_that_leaves_is_no_error(here: Here) -> None:
    process = here.start("--headless", "train.py")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


def test_a_folder_that_cannot_be_written_is_named(here: Here) -> None:
    code, _, err = here.run("--headless", "train.py", "--run-dir", "train.py")
    assert code == 2
    assert err.count("\n") == 1
    assert "--run-dir" in err


def test_a_full_disk_is_named(here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    usage = shutil.disk_usage(here.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    monkeypatch.chdir(here.path)
    assert main(["--headless", "train.py", "--run-dir", str(here.runs)]) == 2
    assert "is full" in capsys.readouterr().err
    assert not list_runs(here.runs)


def test_a_missing_framework_is_named_with_its_install_line(here: Here) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(here.path / "bare")], check=True)
    code, _, err = here.run("--headless", "--lanes", "torch", "--python", "torch=bare")
    assert code == 2
    assert f"{here.path}/bare/bin/python -m pip install torch" in err
    assert "fwtui doctor" in err


def test_doctor_finds_an_environment_in_the_folder(here: Here) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(here.path / ".venv")], check=True)
    code, out, _ = here.run("doctor")
    assert code == 0
    assert "./.venv" in out
    assert sys.executable in out


def test_an_interpreter_that_is_too_old_is_told_before_anything_runs(here: Here) -> None:
    old = here.path / "old" / "bin" / "python"
    old.parent.mkdir(parents=True)
    old.write_text('#!/bin/sh\necho \'{"python": "3.8.18", "packages": {}, "cuda": false}\'\n')
    old.chmod(0o700)
    code, _, err = here.run("--headless", "--python", "train=old", "train.py")
    assert code == 2
    assert err == f"fwtui: --python train=old: {old} is Python 3.8.18: fwtui needs 3.9 or newer\n"


def test_an_interpreter_is_named_by_itself_its_environment_or_its_bin() -> None:
    folder = Path(sys.prefix)
    for path in (folder, folder / "bin", folder / "bin" / "python"):
        assert interpreters.python_in(str(path)) == str(folder / "bin" / "python")
    assert interpreters.python_in("") is None


def test_a_probe_of_no_python_says_so(tmp_path: Path) -> None:
    assert interpreters.probe(str(tmp_path / "none")).problem is not None


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert COMMANDS[command].split(",")[0] in " ".join(out.split())


@pytest.mark.parametrize(
    ("ends", "unfair", "code"),
    [
        ([("finished", None), ("finished", None)], False, 0),
        ([("finished", None), ("finished", None)], True, 4),
        ([("finished", None), ("killed", None)], True, 1),
        ([("stopped", "--seconds reached"), ("finished", None)], False, 0),
        ([("stopped", "stopped by the user"), ("finished", None)], False, 130),
    ],
)
def test_exit_codes(ends: list[tuple[str, str | None]], unfair: bool, code: int) -> None:
    lanes = [{"status": status, "stop_reason": reason} for status, reason in ends]
    assert exit_code({"status": "finished", "lanes": lanes}, False, unfair) == code


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_a_terminal_that_is_too_small_is_told_so(here: Here) -> None:
    code, screen = in_tmux(here, 30, 8, "train.py")
    assert code == 2
    assert "30×8" in screen.replace("\n", "")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_ctrl_c_in_the_screen_stops_the_run_and_prints_the_summary(here: Here) -> None:
    code, screen = in_tmux(here, 100, 50, "endless.py b=endless.py", wait_for="it/s")
    assert code == 130
    assert "run folder" in screen
    assert here.leaves_nothing()


def in_tmux(here: Here, columns: int, lines: int, line: str, wait_for: str | None = None) -> tuple[int, str]:
    """Run fwtui in a real terminal, with Ctrl-C once a text is seen if asked; its exit code and the screen then."""
    tmux = ["tmux", "-L", here.mark]
    command = f"{sys.executable} -m fwtui {line}; echo $? > code.part; mv code.part code; sleep 60"
    size = ["-x", str(columns), "-y", str(lines)]

    def shown() -> str:
        command = [*tmux, "capture-pane", "-p", "-J"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    subprocess.run([*tmux, "new-session", "-d", *size, command], cwd=here.path, env=here.environment, check=True)
    try:
        deadline = time.monotonic() + 60
        if wait_for is not None:
            while wait_for not in shown() and time.monotonic() < deadline:
                time.sleep(0.1)
            subprocess.run([*tmux, "send-keys", "C-c"], check=True)
        while not (here.path / "code").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        return int((here.path / "code").read_text()), shown()
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("runs", 0), ("attach", 2), ("runs rm nothing", 2)])
def test_a_closed_standard_stream_is_no_crash(tmp_path: Path, closed: str, words: str, code: int) -> None:
    command = f"exec {sys.executable} -m fwtui {words} --run-dir {tmp_path} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
