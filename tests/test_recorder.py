"""The recorder with real processes: small Python programs that take steps through `fwtui.mark`."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from fwtui.recorder.endings import how_it_ended, last_words
from fwtui.recorder.lane_process import Lane
from fwtui.recorder.launch import start
from fwtui.recorder.process_tree import TreeMeter
from fwtui.recorder.sampler import Sampler
from fwtui.recording import run_folder
from fwtui.recording.control import ControlError, send
from fwtui.recording.event_log import EventLogError, EventLogReader
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.samples_log import SamplesLogReader
from fwtui.recording.vocabulary import CODE_BITS, CODE_MASK, EVENT, SOURCE_HOST, source_of_lane

STEPS = """
import sys, time
from fwtui import mark
for _ in range({steps}):
    with mark.step():
        time.sleep({sleep})
"""
LIMIT_S = 60.0
MakeRun = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    """Write a manifest of lanes that run Python code; whatever is left at the end is killed."""
    made: list[RunFolder] = []

    def make(*codes: str, name: str = "run", kind: str = "command", **values: Any) -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir(parents=True)
        lanes = [lane(f"lane{i}", code, kind) for i, code in enumerate(codes)]
        clock = {"monotonic_ns": time.perf_counter_ns(), "unix_ns": time.time_ns()}
        folder.write_manifest(
            {
                "schema": run_folder.SCHEMA, "fwtui": "0", "id": folder.id, "name": "test", "argv": [], "started": "",
                "clock": clock, "schedule": "turns", "seed": 0, "seconds": None, "workload": None, "host": {},
                "recorder": {}, "status": "starting", "ended_ns": None, "error": None, "turn": {"ms": 100},
                "lanes": lanes, **values,
            }
        )  # fmt: skip
        made.append(folder)
        return folder

    yield make
    for folder in made:
        with contextlib.suppress(ControlError):
            send(folder, {"do": "stop"})
            wait_for(lambda folder=folder: processes_of(folder) == [])


def lane(name: str, code: str, kind: str) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "framework": None, "argv": [sys.executable, "-c", code], "python": sys.executable,
        "cwd": os.getcwd(), "env": {}, "status": "pending", "pid": None, "started_ns": None, "ended_ns": None,
        "exit_code": None, "signal": None, "error": None, "stop_reason": None, "paused": False,
    }  # fmt: skip


def steps(count: int = 10**6, sleep: float = 0.005) -> str:
    return STEPS.format(steps=count, sleep=sleep)


def wait_for(condition: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def lanes_of(folder: RunFolder) -> list[dict[str, Any]]:
    return list(folder.read_manifest()["lanes"])


def wait_for_end(folder: RunFolder) -> dict[str, Any]:
    wait_for(lambda: folder.read_manifest()["ended_ns"] is not None)
    wait_for(lambda: processes_of(folder) == [] and not folder.socket_path.exists())
    return folder.read_manifest()


def processes_of(folder: RunFolder) -> list[psutil.Process]:
    """All processes of a run: lanes and what they started, the recorder and its keeper."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mine = process.environ().get("FWTUI_RUN") == str(folder.path) or str(folder.path) in process.cmdline()
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def events(folder: RunFolder, name: str) -> list[tuple[int, int]]:
    """(time, code) of all events of a lane's first rank."""
    reader = EventLogReader(str(folder.ranks(name)[0] / "events.log"))
    data = reader.read_new()
    reader.close()
    return [(word >> CODE_BITS, word & CODE_MASK) for word in memoryview(data).cast("Q")]


def step_count(folder: RunFolder, name: str) -> int:
    try:
        return sum(code == EVENT["step_end"] for _, code in events(folder, name))
    except (IndexError, FileNotFoundError, EventLogError):
        return 0  # no log yet


def test_lanes_take_turns_and_never_overlap(make_run: MakeRun) -> None:
    folder = make_run(steps(150), steps(150))
    start(folder)
    manifest = wait_for_end(folder)
    assert manifest["status"] == "finished"
    assert [lane["status"] for lane in manifest["lanes"]] == ["finished", "finished"]
    spans = []
    for name in ("lane0", "lane1"):
        log = events(folder, name)
        ends = [time_ns for time_ns, code in log if code == EVENT["wait_begin"]]
        begins = [time_ns for time_ns, code in log if code == EVENT["wait_end"]]
        assert len(begins) >= 3
        spans += [(begin, end, name) for begin, end in zip(begins, ends[1:], strict=False)]
    spans.sort()
    for (_, end, one), (begin, _, other) in itertools.pairwise(spans):
        assert end <= begin, f"{one} and {other} ran at the same time"


def test_a_turn_of_long_steps_goes_on_until_it_holds_some(make_run: MakeRun) -> None:
    folder = make_run(steps(sleep=0.06), steps(sleep=0.005))  # a turn is 100 ms
    start(folder)
    wait_for(lambda: step_count(folder, "lane0") >= 20)
    send(folder, {"do": "stop"})
    wait_for_end(folder)
    held: list[int] = []
    for _, code in events(folder, "lane0"):
        if code == EVENT["wait_end"]:
            held.append(0)
        elif code == EVENT["step_end"] and held:
            held[-1] += 1
    assert len(held) >= 2
    assert min(held[:-1]) >= 6


@pytest.mark.alone
def test_the_samples_log_has_five_rows_a_second_of_each_source(make_run: MakeRun) -> None:
    folder = make_run("import time\nend = time.time() + 1.5\nwhile time.time() < end: pass", schedule="together")
    start(folder)
    wait_for_end(folder)
    reader = SamplesLogReader(str(folder.samples_path))
    values = memoryview(reader.read_new()).cast("d")
    width = reader.row_bytes // 8
    rows = [values[i : i + width] for i in range(0, len(values), width)]
    for source in (SOURCE_HOST, source_of_lane(0)):
        times = [row[0] for row in rows if row[1] == source]
        assert (len(times) - 1) / (times[-1] - times[0]) * 1e9 >= 5
    cpu = 2 + reader.columns.index("cpu_cores")
    cores = [row[cpu] for row in rows if row[1] == source_of_lane(0)]
    assert math.isnan(cores[0]), "a rate needs two samples"
    assert max(cores[1:]) > 0.2
    reader.close()


def test_a_lane_that_never_steps_does_not_fill_the_samples_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fwtui.recorder.sampler.LOADING_S", 0.05)
    folder, pid = SimpleNamespace(samples_path=tmp_path / "samples.log"), os.getpid()
    lane: Any = SimpleNamespace(index=0, pid=pid, alive=True, ranks=SimpleNamespace(known=True, stepped=False))
    sampler = Sampler(folder, [lane], print)  # type: ignore[arg-type]
    sampler._meters[0] = TreeMeter(pid)
    sampler._meters[0].sample(pid)

    def rows_in(seconds: float) -> int:
        before, until = folder.samples_path.stat().st_size, time.monotonic() + seconds
        while time.monotonic() < until:
            sampler._sample_memory()
            time.sleep(0.002)
        return int(folder.samples_path.stat().st_size) - before

    assert rows_in(0.06) > 0
    assert rows_in(0.05) == 0
    lane.ranks.stepped = True  # its first steps are looked at all the same
    assert rows_in(0.05) > 0
    sampler._log.close()


def test_stop_ends_the_whole_tree_also_what_left_its_group_or_ignores_sigterm(make_run: MakeRun) -> None:
    code = (
        "import subprocess, sys, time\n"
        "stubborn = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); '\n"
        "stubborn += 'print(1, flush=True); time.sleep(999)'\n"
        "for _ in range(2): subprocess.Popen([sys.executable, '-c', stubborn], start_new_session=True)\n"
        "time.sleep(999)"
    )
    folder = make_run(code)
    start(folder)
    wait_for(lambda: folder.output_path("lane0").exists() and folder.output_path("lane0").read_text().count("1") == 2)
    assert send(folder, {"do": "stop"})["ok"]
    manifest = wait_for_end(folder)
    assert (manifest["status"], manifest["lanes"][0]["status"]) == ("stopped", "stopped")
    assert manifest["lanes"][0]["stop_reason"] == "stopped by the user"


def test_sigterm_to_the_recorder_is_a_stop(make_run: MakeRun) -> None:
    folder = make_run(steps(), steps())
    start(folder)
    wait_for(lambda: step_count(folder, "lane0") > 0)
    os.kill(folder.read_manifest()["recorder"]["pid"], signal.SIGTERM)
    assert wait_for_end(folder)["status"] == "stopped"


def test_a_recorder_that_is_killed_leaves_no_lane(make_run: MakeRun) -> None:
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(999)']"
    stray = f"import subprocess, sys\nsubprocess.Popen({sleeper}, start_new_session=True)\n"
    folder = make_run(stray + steps(), steps())
    start(folder)
    wait_for(lambda: step_count(folder, "lane1") > 0)
    os.kill(folder.read_manifest()["recorder"]["pid"], signal.SIGKILL)
    wait_for(lambda: processes_of(folder) == [])
    wait_for(lambda: not folder.socket_path.exists())


def test_a_killed_lane_is_told_with_its_signal_and_the_other_goes_on(make_run: MakeRun) -> None:
    folder = make_run(steps(), steps(60))
    start(folder)
    wait_for(lambda: step_count(folder, "lane1") > 0)
    os.kill(lanes_of(folder)[0]["pid"], signal.SIGKILL)
    manifest = wait_for_end(folder)
    killed, other = manifest["lanes"]
    assert (killed["status"], killed["signal"], killed["exit_code"]) == ("killed", "SIGKILL", None)
    assert "SIGKILL" in killed["error"]
    assert other["status"] == "finished"
    assert manifest["status"] == "failed"


def test_a_failed_lane_is_told_by_its_exception(make_run: MakeRun) -> None:
    folder = make_run("raise RuntimeError('no such dataset')", "import sys; sys.exit(3)")
    start(folder)
    failed, silent = wait_for_end(folder)["lanes"]
    assert (failed["status"], failed["exit_code"]) == ("failed", 1)
    assert failed["error"] == "RuntimeError: no such dataset"
    assert silent["error"] == "it ended with exit code 3 and printed nothing"


def test_a_program_that_cannot_be_started_is_a_failed_lane(make_run: MakeRun) -> None:
    folder = make_run("", "")
    manifest = folder.read_manifest()
    manifest["lanes"][0]["argv"] = ["/no/such/program"]
    folder.write_manifest(manifest)
    start(folder)
    failed, other = wait_for_end(folder)["lanes"]
    assert failed["error"] == "/no/such/program cannot be started: No such file or directory"
    assert other["status"] == "finished"


@pytest.mark.parametrize("schedule", ["turns", "together", "solo"])
def test_seconds_finish_built_in_lanes_and_stop_commands(make_run: MakeRun, schedule: str) -> None:
    finishable = "from fwtui import mark\nimport time\nwith mark.finishable():\n" + (
        "    while True:\n        with mark.step():\n            time.sleep(0.005)\n"
    )
    folder = make_run(finishable, steps(), seconds=0.5, schedule=schedule)
    manifest = folder.read_manifest()
    manifest["lanes"][0]["kind"] = "workload"
    folder.write_manifest(manifest)
    start(folder)
    manifest = wait_for_end(folder)
    built_in, command = manifest["lanes"]
    assert (built_in["status"], built_in["exit_code"]) == ("finished", 0)
    assert (command["status"], command["stop_reason"]) == ("stopped", "--seconds reached")
    assert manifest["status"] == "finished"


def test_solo_runs_one_lane_after_the_other(make_run: MakeRun) -> None:
    folder = make_run(steps(20), steps(20), schedule="solo")
    start(folder)
    one, other = wait_for_end(folder)["lanes"]
    assert one["ended_ns"] <= other["started_ns"]


def test_a_lane_is_paused_and_resumed_and_the_schedule_changes_live(make_run: MakeRun) -> None:
    folder = make_run(steps(), steps())
    start(folder)
    wait_for(lambda: step_count(folder, "lane1") > 5)
    assert send(folder, {"do": "pause", "lane": "lane0"})["ok"]
    time.sleep(0.3)
    before, other = step_count(folder, "lane0"), step_count(folder, "lane1")
    wait_for(lambda: step_count(folder, "lane1") > other + 50)
    assert step_count(folder, "lane0") == before
    for schedule in ("together", "solo", "turns"):
        assert send(folder, {"do": "schedule", "value": schedule})["ok"]
        assert (
            folder.read_manifest()["schedule"] == schedule
            or wait_for(lambda schedule=schedule: folder.read_manifest()["schedule"] == schedule) is None
        )
    assert send(folder, {"do": "resume", "lane": "lane0"})["ok"]
    wait_for(lambda: step_count(folder, "lane0") > before + 20)
    assert not send(folder, {"do": "schedule", "value": "random"})["ok"]
    assert not send(folder, {"do": "pause", "lane": "nobody"})["ok"]
    assert not send(folder, {"do": "dance"})["ok"]


def test_the_socket_is_the_owners_and_a_long_path_is_no_hindrance(make_run: MakeRun) -> None:
    folder = make_run(steps(), name="/".join(["a-very-long-name-of-a-folder" * 3] * 2))
    start(folder)
    assert stat.S_IMODE(folder.socket_path.stat().st_mode) == 0o600
    assert send(folder, {"do": "ping"})["pid"] == folder.read_manifest()["recorder"]["pid"]
    send(folder, {"do": "stop"})
    wait_for_end(folder)
    with pytest.raises(ControlError):
        send(folder, {"do": "ping"})


def test_a_lane_has_no_terminal_and_no_input(make_run: MakeRun) -> None:
    code = "import os, json, sys\nprint(json.dumps([sys.stdin.read(), os.isatty(1), os.getsid(0) == os.getpid()]))"
    folder = make_run(code)
    start(folder)
    wait_for_end(folder)
    assert json.loads(folder.output_path("lane0").read_text()) == ["", False, True]


def test_the_recorder_imports_neither_numpy_nor_textual() -> None:
    code = (
        "import fwtui.recorder.run, sys; print([m for m in ('numpy', 'textual', 'rich', 'torch') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("Traceback:\n  File\nValueError: bad\n", "ValueError: bad"),
        ("Traceback:\nRuntimeError: CUDA error: no memory\nAdvice.\n", "RuntimeError: CUDA error: no memory"),
        ("step 1\rstep 2\r\n\x1b[31mno such file\x1b[0m\n\n", "no such file"),
        ("KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("", None),
    ],
)  # fmt: skip
def test_last_words(tmp_path: Path, output: str, words: str | None) -> None:
    path = tmp_path / "output.log"
    path.write_text(output)
    assert last_words(path) == words


def test_a_kill_for_want_of_memory_is_told_as_such(tmp_path: Path) -> None:
    killed = Lane(RunFolder(tmp_path), lane("lane0", "", "command"), 0)
    told = how_it_ended(killed, -signal.SIGKILL, out_of_memory=True)
    assert (told["status"], told["signal"]) == ("killed", "SIGKILL")
    assert "out of memory" in told["error"]
    assert "out of memory" in how_it_ended(killed, 137, out_of_memory=True)["error"]
    assert "memory" not in how_it_ended(killed, -signal.SIGKILL, out_of_memory=False)["error"]
