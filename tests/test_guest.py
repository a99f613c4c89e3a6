"""The guest without any framework: how it starts, what it leaves behind, how a program ends under it."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from guest_programs import lane as lanes

import fwtui
from fwtui.recording.event_log import SLOT_COUNT, EventLogError, TurnGate
from fwtui.recording.vocabulary import GATE_FINISH, GATE_GO, GATE_HOLD

SUPPORTED = tuple(f"3.{minor}" for minor in range(9, 15))


def _pythons() -> list[str]:
    """This interpreter, and one of each supported version that pyenv or PATH has."""
    found = {}
    for version in SUPPORTED:
        ours = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        other = ours[-1] if ours else shutil.which(f"python{version}")
        if other is not None:
            found[version] = str(other)
    return [sys.executable, *found.values()]


@pytest.mark.parametrize("python", _pythons())
def test_a_marked_loop_is_recorded(tmp_path: Path, python: str) -> None:
    lane = lanes.run(tmp_path / "lane", "marked.py", "end", "20", python=python)
    assert (lane.returncode, lane.stdout, lane.stderr) == (0, "steps 20\n", "")
    step = ["step_begin", "data_begin", "data_end", "forward_begin", "forward_end", "step_end"]
    assert lane.names() == ["program_begin", *step * 20, "program_end"]
    times = [moment for moment, _ in lane.events()]
    assert times == sorted(times)
    assert lane.reader().ended
    assert [row["value"] for row in lane.notes("stage")] == ["loading data"]
    assert lane.notes("plan")[0]["steps"] == 20
    assert lane.notes("result")[0]["accuracy"] == 0.5
    assert all(row["t"] and row["value"] == 0.5 and 1 <= row["step"] <= 20 for row in lane.notes("loss"))
    assert lane.facts()["samples_per_step"] == 4


def test_what_cannot_be_written_down_ends_the_recording_and_not_the_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import time\n"
        "from fwtui import mark\n"
        "class Odd:\n"
        "    def __str__(self):\n"
        "        raise RuntimeError('odd')\n"
        "mark.result(odd=Odd())\n"
        "for _ in range(200):\n"
        "    with mark.step():\n"
        "        time.sleep(0.002)\n"
        "print('done')\n"
    )
    lane = lanes.run(tmp_path / "lane", str(program))
    assert (lane.returncode, lane.stdout, lane.stderr) == (0, "done\n", "")


def test_what_runs_in_a_lane_is_written_for_the_oldest_python() -> None:
    root = Path(fwtui.__file__).parent
    for path in [root / "__init__.py", root / "mark.py", *root.glob("recording/*.py"), *root.glob("guest/**/*.py")]:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_it_imports_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code = "import sys, json; print(json.dumps([(n, getattr(m, '__file__', None)) for n, m in sys.modules.items()]))"
    lane = lanes.run(tmp_path / "lane", "-I", "-c", code)
    bare = {name for name, _ in json.loads(lane.stdout)}
    lane = lanes.run(tmp_path / "lane", "-c", code)
    new = [(name, path) for name, path in json.loads(lane.stdout) if name not in bare]
    assert ("fwtui.guest.agent") in dict(new)
    for name, path in new:
        assert name.partition(".")[0] in sys.stdlib_module_names | {"fwtui", "sitecustomize"}, (name, path)
    assert not lane.ranks, "no framework, no marks: nothing is left behind"


def test_a_program_sees_its_own_path(tmp_path: Path) -> None:
    code = "import sys; print(sys.path, sys.argv)"
    assert lanes.run(tmp_path / "lane", "-c", code).stdout == lanes.run_bare("-c", code).stdout


def test_it_gives_way_to_the_users_sitecustomize(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine', __name__, __file__)\nvalue = 3\n")
    code = "import sys, sitecustomize; print(sitecustomize.value, 'fwtui' in sys.modules)"
    lane = lanes.run(tmp_path / "lane", "-c", code, PYTHONPATH=str(tmp_path))
    assert lane.stdout.splitlines() == [f"mine sitecustomize {tmp_path / 'sitecustomize.py'}", "3 True"]


def test_a_broken_sitecustomize_reads_as_without_us(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("1 / 0\n")
    lane = lanes.run(tmp_path / "lane", "-c", "print(1)", PYTHONPATH=str(tmp_path))
    bare = lanes.run_bare("-c", "print(1)", PYTHONPATH=str(tmp_path))
    assert (lane.returncode, lane.stdout, lane.stderr) == (bare.returncode, bare.stdout, bare.stderr)


def test_it_never_raises_whatever_is_wrong_with_the_folder(tmp_path: Path) -> None:
    lane = lanes.run(tmp_path / "lane", "marked.py", "end", "3", FWTUI_LANE_DIR="/proc/no/such/folder")
    assert (lane.returncode, lane.stdout, lane.stderr) == (0, "steps 3\n", "")


def test_mark_does_nothing_outside() -> None:
    done = subprocess.run(
        [sys.executable, str(lanes.PROGRAMS / "marked.py"), "end", "3"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "steps 3\n")


@pytest.mark.parametrize("argv", [("marked.py",), ("-m", "marked")])
@pytest.mark.parametrize(("how", "code"), [("exit", 7), ("_exit", 8), ("raise", 1)])
def test_exit_codes_are_the_programs_own(tmp_path: Path, argv: tuple[str, ...], how: str, code: int) -> None:
    lane = lanes.run(tmp_path / "lane", *argv, how, "5")
    assert lane.returncode == code
    assert lane.stdout == "steps 5\n"
    assert str(Path(fwtui.__file__).parent) + os.sep not in lane.stderr, "a frame of ours shows"
    assert lane.counts()["step_end"] == 5
    assert lane.reader().ended == (how != "_exit")


@pytest.mark.alone
def test_a_killed_program_loses_no_more_than_lies_between_two_drains(tmp_path: Path) -> None:
    process = lanes.start(tmp_path / "lane", "marked.py", "kill", "5")
    gate = wait_for(tmp_path / "lane" / "rank-0" / "events.log")
    seen, drained_ns = 0, []
    while process.poll() is None:
        if gate._slots[SLOT_COUNT] != seen:
            seen = gate._slots[SLOT_COUNT]
            drained_ns.append(time.perf_counter_ns())
        time.sleep(0.001)
    stdout, stderr = process.communicate()
    lane = lanes.Lane(tmp_path / "lane", process.returncode, stdout, stderr)
    assert lane.returncode == -signal.SIGKILL
    assert not lane.reader().ended
    lost_ns = int(stdout.split()[-1]) - lane.events()[-1][0]
    longest_ns = max(after - before for before, after in itertools.pairwise(drained_ns))
    assert lost_ns < 2 * longest_ns, "what came since the last drain, and the little that is held back"


def test_a_fork_is_not_recorded(tmp_path: Path) -> None:
    lane = lanes.run(tmp_path / "lane", "marked.py", "fork", "5")
    assert lane.returncode == 0
    assert lane.ranks == ["rank-0"]
    assert lane.counts()["step_end"] == 6
    assert lane.counts()["program_end"] == 1
    assert lane.reader().ended


def test_two_processes_of_a_rank_keep_apart(tmp_path: Path) -> None:
    code = "import os, subprocess, sys; from fwtui import mark; mark.stage('x'); "
    code += "sys.argv[1:] and subprocess.run([sys.executable, '-c', 'from fwtui import mark; mark.stage(1)'])"
    lane = lanes.run(tmp_path / "lane", "-c", code, "child", RANK="3")
    assert lane.returncode == 0
    assert [name.partition(".")[0] for name in lane.ranks] == ["rank-3", "rank-3"]


@pytest.mark.parametrize("name", ["torchrun", "accelerate"])
def test_launchers_leave_nothing_behind(tmp_path: Path, name: str) -> None:
    script = tmp_path / name
    script.write_text("from fwtui import mark\nmark.stage('x')\n")
    assert lanes.run(tmp_path / "lane", str(script), "launch").ranks == []


def test_a_script_named_after_multiprocessing_is_recorded(tmp_path: Path) -> None:
    script = tmp_path / "multiprocessing.train.py"
    script.write_text("from fwtui import mark\nmark.stage('x')\n")
    assert lanes.run(tmp_path / "lane", str(script)).ranks == ["rank-0"]


@pytest.mark.parametrize("limit", [100_000, 1_300_000])
def test_a_full_disk_disarms_and_the_program_goes_on(tmp_path: Path, limit: int) -> None:
    program = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))\n"
    program += "sys.argv = ['marked.py', 'many', '60000']; runpy.run_path('marked.py', run_name='__main__')"
    lane = lanes.run(tmp_path / "lane", "-c", program.format(limit))
    assert (lane.returncode, lane.stdout, lane.stderr) == (0, "steps 60000\n", "")
    if limit > 1_100_000:
        assert lane.reader().gave_up
        assert lane.counts()["step_end"] > 1000
    else:
        assert not list(lane.folder.glob("rank-*/events.log"))


def wait_for(path: Path) -> TurnGate:
    for _ in range(2000):
        try:
            return TurnGate(str(path))
        except (FileNotFoundError, EventLogError):  # not there, or its header is not yet written
            time.sleep(0.005)
    raise AssertionError("the guest made no log")


def wait_until_waiting(gate: TurnGate) -> None:
    for _ in range(2000):
        if gate.waiting:
            return
        time.sleep(0.005)
    raise AssertionError("the guest does not wait")


def test_the_gate_holds_lets_go_and_finishes(tmp_path: Path) -> None:
    process = lanes.start(tmp_path / "lane", "marked.py", "end", "100000", gate="hold")
    gate = wait_for(tmp_path / "lane" / "rank-0" / "events.log")
    wait_until_waiting(gate)
    before = gate._slots[SLOT_COUNT]
    gate.set(GATE_GO)
    while gate._slots[SLOT_COUNT] < before + 60:
        time.sleep(0.005)
    assert not gate.waiting
    gate.set(GATE_FINISH)
    stdout, stderr = process.communicate(timeout=60)
    lane = lanes.Lane(tmp_path / "lane", process.returncode, stdout, stderr)
    assert lane.returncode == 0
    assert lane.names()[:3] == ["program_begin", "wait_begin", "wait_end"]
    assert stdout == f"steps {lane.counts()['step_end']}\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no thread to a core")
def test_a_turn_begins_on_the_core_that_was_told_and_may_leave_it(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    process = lanes.start(tmp_path / "lane", "marked.py", "end", "100000", gate="hold")
    gate = wait_for(tmp_path / "lane" / "rank-0" / "events.log")
    wait_until_waiting(gate)
    for core in (cores[-1], None, max(cores) + 1):  # the last is none that it may use
        gate.begin_on(core)
        gate.set(GATE_GO)
        while gate.waiting:
            time.sleep(0.001)
        time.sleep(0.02)
        assert sorted(os.sched_getaffinity(process.pid)) == cores
        gate.set(GATE_HOLD)
        wait_until_waiting(gate)
    gate.set(GATE_FINISH)
    process.communicate(timeout=60)
    assert process.returncode == 0


FORKS_IN_A_FOREIGN_THREAD = """
import _thread, multiprocessing, time
from fwtui import mark
codes = []
def fork():
    for _ in range(3):
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join()
        codes.append(child.exitcode)
with mark.step():
    _thread.start_new_thread(fork, ())
    while len(codes) < 3:
        time.sleep(0.01)
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_of_a_thread_that_python_does_not_know_ends_well(tmp_path: Path) -> None:
    """TensorFlow calls a data pipeline's Python code, and so may start a loader's workers, in a thread of its own."""
    lane = lanes.run(tmp_path / "lane", "-c", FORKS_IN_A_FOREIGN_THREAD)
    assert (lane.returncode, lane.stdout) == (0, "[0, 0, 0]\n"), lane.stderr


def test_a_held_lane_goes_on_when_its_recorder_is_gone(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "manifest.json").write_text(json.dumps({"recorder": {"pid": gone.pid}}))
    lane = lanes.run(tmp_path / "lane", "marked.py", "end", "5", gate="hold")
    assert (lane.returncode, lane.stdout) == (0, "steps 5\n")


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no real-time signals")
def test_the_recorder_can_fetch_a_stack(tmp_path: Path) -> None:
    code = "from fwtui import mark\nmark.stage('x')\nimport time\nprint(1, flush=True)\ntime.sleep(60)\n"
    process = lanes.start(tmp_path / "lane", "-c", code)
    stack = tmp_path / "lane" / "rank-0" / "stack.txt"
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGRTMIN + 7)
    for _ in range(1000):
        if "in <module>" in stack.read_text():
            break
        time.sleep(0.005)
    process.kill()
    process.communicate()
    # the line that prints, or the one that sleeps: the signal may come between them
    assert re.search(r'File "<string>", line [45] in <module>', stack.read_text())
