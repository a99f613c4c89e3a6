"""Lists of runs, what is removed of them, runs whose recorder is gone, and moments of the past."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import scenarios

from fwtui.cli import COMMANDS, main
from fwtui.commands.completion import SHELLS, script
from fwtui.commands.runs import keep, thin_out
from fwtui.recording.host import describe_process
from fwtui.recording.run_folder import RunFolder, list_runs
from fwtui.view import liveness
from fwtui.view.clock import Clock
from fwtui.view.run_list import list_lines, newest_live
from fwtui.view.session import Session


def change(folder: RunFolder, **values: Any) -> None:
    folder.write_manifest({**folder.read_manifest(), **values})


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs: one over, one that goes on, and one, the newest, whose recorder died."""
    directory = tmp_path / "runs"
    scenarios.write("finished", directory / "2025-11-20T10-00-00-over")
    scenarios.write("healthy", directory / "2025-11-21T10-00-00-live", cut_s=8)
    lost = scenarios.write("healthy", directory / "2025-11-22T10-00-00-lost", cut_s=8)
    change(lost, recorder={"pid": scenarios.NO_PID, "create_time": time.time()})
    monkeypatch.setenv("FWTUI_RUN_DIR", str(directory))
    return directory


def test_live_runs_come_first(runs: Path) -> None:
    lines = list_lines(list_runs(runs))
    assert [(line.id[20:], line.status) for line in lines] == [
        ("live", "running"),
        ("lost", "lost"),
        ("over", "finished"),
    ]
    assert all(line.size_bytes > 10_000 for line in lines)
    newest = newest_live(list_runs(runs))
    assert newest is not None
    assert newest.id.endswith("live")


def test_the_list_tells_status_lanes_verdict_size_and_age(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert "● running" in out
    assert "✗ lost" in out
    assert "keras takes 1.99x" in out
    assert "KiB" in out
    assert "d ago" in out
    assert "3 runs, " in out
    assert main(["runs"]) == 0  # with the verdicts kept
    assert capsys.readouterr().out == out


def test_a_broken_run_is_a_line_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenarios.write_garbage_manifest("half", runs / "2025-11-23T10-00-00-broken")
    assert main(["runs"]) == 0
    assert "cannot be read" in capsys.readouterr().out


def test_a_live_run_is_not_removed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "rm", "live", "over"]) == 1
    assert "goes on" in capsys.readouterr().err
    assert [run.id[20:] for run in list_runs(runs)] == ["lost", "live"]


def test_keep_thins_out_and_spares_the_living(runs: Path) -> None:
    assert thin_out(runs, keep("7000d")) == []
    assert [line.id[20:] for line in thin_out(runs, keep("1"))] == ["over"]
    assert [line.id[20:] for line in thin_out(runs, keep("3d"))] == ["lost"]
    assert [run.id[20:] for run in list_runs(runs)] == ["live"]


def test_a_restart_of_the_machine_is_told_apart_from_a_dead_recorder(runs: Path) -> None:
    folder = next(run for run in list_runs(runs) if run.id.endswith("lost"))
    frame = Session(folder).frame()
    assert (frame.status, frame.live) == ("lost", False)
    assert "the recorder died" in str(frame.notice)
    assert {lane.state for lane in frame.lanes} == {"lost"}
    before = {**describe_process(), "create_time": psutil.Process().create_time(), "host": "another-boot time:[1]"}
    change(folder, recorder={**before, "pids": "another-boot time:[1] pid:[1]"})  # a process of its id exists again
    assert "restarted" in str(Session(folder).frame().notice)
    change(folder, recorder={"pid": os.getpid(), "create_time": psutil.boot_time() - 1000})  # of an older version
    assert "restarted" in str(Session(folder).frame().notice)


def test_a_full_disk_is_named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next(run for run in list_runs(runs) if run.id.endswith("lost"))
    usage = shutil.disk_usage(folder.path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=0))
    assert "disk is full" in str(Session(folder).frame().notice)


def test_a_process_of_the_same_id_is_not_the_recorder_and_a_set_clock_changes_nothing(runs: Path) -> None:
    folder = next(run for run in list_runs(runs) if run.id.endswith("lost"))
    here = describe_process()
    change(folder, recorder={**here, "create_time": time.time() - 5000})  # the clock was set meanwhile
    assert Session(folder).live
    change(folder, recorder={**here, "create_time": time.time(), "start_ticks": here["start_ticks"] - 1})
    assert "the recorder died" in str(Session(folder).frame().notice)


def test_a_run_of_another_machine_on_a_shared_disk_lives_while_it_is_written(runs: Path) -> None:
    folder = next(run for run in list_runs(runs) if run.id.endswith("lost"))
    there = {**describe_process(), "host": "other time:[1]", "pids": "other", "hostname": "node7", "create_time": 1.0}
    clock = {**folder.read_manifest()["clock"], "unix_ns": time.time_ns() - 20 * 10**9}
    change(folder, recorder={**there, "pid": scenarios.NO_PID}, clock=clock)
    session = Session(folder)
    assert session.live
    assert 20 <= (session.newest_ns - session.start_ns) / 1e9 < 40  # by both clocks: it began 20 s ago
    for path in (folder.samples_path, folder.manifest_path):
        os.utime(path, (time.time() - 1000, time.time() - 1000))
    assert "the recorder on node7 stopped writing" in str(Session(folder).frame().notice)


def test_a_run_that_never_began_is_lost_after_a_minute_and_after_a_restart(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    manifest = {"status": "starting", "recorder": None, "clock": {"monotonic_ns": 10**18, "unix_ns": time.time_ns()}}
    assert liveness.is_live(manifest, folder)
    manifest["clock"] = {"monotonic_ns": 10**18, "unix_ns": time.time_ns() - 100 * 10**9}
    assert liveness.status_of(manifest, folder) == "lost"
    assert "never started" in liveness.why_lost(manifest, folder)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_commands_and_options(shell: str) -> None:
    written = script(shell)
    for word in (*COMMANDS, "keep", "on-quit", "fwtui runs --names"):
        assert word in written


def test_completion_in_a_real_shell(runs: Path) -> None:
    code = (
        script("bash")
        + f'\nfwtui() {{ {sys.executable} -m fwtui "$@"; }}\n'
        + "COMP_WORDS=(fwtui attach 2025); COMP_CWORD=2; _fwtui; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
        + "COMP_WORDS=(fwtui runs --ke); COMP_CWORD=2; _fwtui; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
        + "COMP_WORDS=(fwtui at); COMP_CWORD=1; _fwtui; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
        + "COMP_WORDS=(fwtui report --format h); COMP_CWORD=3; _fwtui; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
        + "COMP_WORDS=(fwtui --sched); COMP_CWORD=1; _fwtui; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
        + "COMP_WORDS=(fwtui runs ''); COMP_CWORD=2; _fwtui; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [
        *(run.id for run in list_runs(runs)),
        "--keep",
        "attach",
        "html",
        "--schedule",
        "list",
        "rm",
    ]


@pytest.mark.parametrize(("answer", "left"), [("n", True), ("", True), (EOFError, True), ("y", False)])
def test_of_a_part_of_a_name_a_person_is_asked(
    answer: Any, left: bool, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(question: str) -> str:
        assert "2025-11-20T10-00-00-over" in question
        if answer is EOFError:
            raise EOFError
        return str(answer)

    monkeypatch.setattr("builtins.input", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(["runs", "rm", "over"]) == 0
    assert ("2025-11-20T10-00-00-over" in [run.id for run in list_runs(runs)]) is left
    assert main(["runs", "rm", "2025-11-22T10-00-00-lost"]) == 0  # the whole name is a clear word
    assert "removed 2025-11-22" in capsys.readouterr().out


def test_a_terminal_without_utf_8_gets_the_nearest_letters(runs: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for command in (["runs"], ["report", "over"]):
        done = subprocess.run(
            [sys.executable, "-m", "fwtui", *command], capture_output=True, env=environment, check=True
        )
        assert b"keras takes 1.99x" in done.stdout
        assert done.stderr == b""
    command = [sys.executable, "-m", "fwtui", "report", "over", "--format", "html"]
    page = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
    assert "▲" in page.decode("utf-8")  # as the page itself says


class TestClock:
    """A replay's clock, moved by hand."""

    @pytest.fixture
    def replay(self, tmp_path: Path) -> tuple[Session, Clock, list[float]]:
        session = Session(scenarios.write("stalls", tmp_path / "run"))
        outside = [0.0]
        return session, Clock(session, 2.0, tell_s=lambda: outside[0]), outside

    def test_runs_at_its_speed_and_ends_at_the_end(self, replay: Any) -> None:
        session, clock, outside = replay
        outside[0] = 1.5
        assert clock.now_ns(session) == session.start_ns + 3 * 10**9
        clock.speed = 0.1
        outside[0] = 11.5
        assert clock.now_ns() == session.start_ns + 4 * 10**9
        clock.speed = 1000
        assert clock.speed == 100.0
        outside[0] = 1e6
        assert clock.now_ns() == session.newest_ns
        clock.toggle()
        assert clock.now_ns() == session.start_ns

    def test_holds_seeks_and_steps(self, replay: Any) -> None:
        session, clock, outside = replay
        ends = sorted({int(end) for lane in range(2) for end in session.steps(lane).end_ns})
        clock.toggle()
        outside[0] = 100.0
        assert clock.now_ns() == session.start_ns
        clock.step(1)
        assert clock.now_ns() == ends[0]
        clock.step(1)
        clock.step(1)
        clock.step(-1)
        assert clock.now_ns() == ends[1]
        clock.seek(session.newest_ns + 10)
        assert clock.now_ns() == session.newest_ns
        clock.step(-1)
        assert clock.now_ns() == ends[-1]


def test_the_past_is_shown_as_it_was_seen_live(tmp_path: Path) -> None:
    """At the same moment, the whole recording and the one that was cut there tell the same of each lane."""
    whole = Session(scenarios.write("stalls", tmp_path / "whole"))
    seen = set()
    for cut_s in (0.9, 2.0, 4.2, 5.1, 6.0, 7.3, 8.1, 9.0, 9.9):
        cut = Session(scenarios.write("stalls", tmp_path / f"cut-{cut_s}", cut_s))
        at_ns = scenarios.START_NS + round(cut_s * 1e9)
        for then, now in zip(cut.frame(at_ns).lanes, whole.frame(at_ns).lanes, strict=True):
            assert (then.state, then.stage, then.steps) == (now.state, now.stage, now.steps)
            seen.add(now.state)
        assert whole.frame(at_ns).status == "running"
    assert {"starting", "training", "waiting", "stalled"} <= seen


def test_each_step_of_a_replay_is_counted(tmp_path: Path) -> None:
    session = Session(scenarios.write("stalls", tmp_path / "run"))
    ends = session.steps(0).end_ns
    for index in range(200, len(ends), 37):
        assert session.frame(int(ends[index])).lanes[0].steps == index + 1
        assert session.frame(int(ends[index]) - 1).lanes[0].steps == index


def test_an_ended_lane_shows_its_last_use(tmp_path: Path) -> None:
    session = Session(scenarios.write("finished", tmp_path / "run"))
    assert all(lane.cpu_cores is not None and lane.rss_bytes for lane in session.frame().lanes)


def test_the_verdict_of_a_finished_run_is_kept(runs: Path) -> None:
    assert main(["runs"]) == 0
    kept = json.loads((runs / "2025-11-20T10-00-00-over" / ".verdict.json").read_text())
    assert kept["headline"].startswith("keras takes")
    assert not (runs / "2025-11-21T10-00-00-live" / ".verdict.json").exists()
