"""`fwtui.mark`: in threads, nested, with errors; the standard library alone, and nothing outside fwtui."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from guest_programs import lane as lanes

HEAD = "import threading\nfrom fwtui import mark\n"
IN_THREAD = "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n"


def run(tmp_path: Path, program: str) -> lanes.Lane:
    lane = lanes.run(tmp_path / "lane", "-c", HEAD + program)
    assert (lane.returncode, lane.stderr) == (0, "")
    return lane


def seen(lane: lanes.Lane) -> list[str]:
    return lane.names("program_begin", "program_end")


def test_an_inner_phase_interrupts_the_outer_one(tmp_path: Path) -> None:
    program = "with mark.step(4), mark.phase('backward'):\n  with mark.phase('data'):\n    mark.stage('x')\n"
    expected = ["step_begin", "backward_begin", "backward_end", "data_begin", "data_end", "backward_begin"]
    lane = run(tmp_path, program)
    moments = [moment for moment, _ in lane.events()]
    assert moments == sorted(moments)
    assert sorted(seen(lane)) == sorted([*expected, "backward_end", "step_end"])
    assert lane.counts()["backward_begin"] == lane.counts()["backward_end"] == 2


def test_a_step_within_a_step_is_a_part_of_it(tmp_path: Path) -> None:
    assert seen(run(tmp_path, "with mark.step():\n  with mark.step():\n    pass\n")) == ["step_begin", "step_end"]


def test_an_error_ends_what_is_open_and_goes_on_to_the_program(tmp_path: Path) -> None:
    program = "for _ in range(2):\n  try:\n    with mark.step(), mark.phase('data'), mark.evaluation():\n      1 / 0\n"
    lane = run(tmp_path, program + "  except ZeroDivisionError:\n    print('mine')\n")
    assert lane.stdout == "mine\nmine\n"
    for name in ("step", "data", "evaluation"):
        assert lane.counts()[f"{name}_begin"] == lane.counts()[f"{name}_end"] == 2


def test_a_thread_may_train(tmp_path: Path) -> None:
    work = "def work():\n  for _ in range(3):\n    with mark.step(), mark.phase('data'):\n      pass\n"
    lane = run(tmp_path, work + IN_THREAD)
    assert seen(lane) == ["step_begin", "data_begin", "data_end", "step_end"] * 3
    assert lane.reader().thread != lane.reader().pid


def test_what_runs_beside_the_steps_is_no_part_of_them(tmp_path: Path) -> None:
    work = "def work():\n  with mark.step(), mark.phase('data'):\n    pass\n"
    lane = run(tmp_path, work + "with mark.step():\n  pass\n" + IN_THREAD + "with mark.step():\n  pass\n")
    assert seen(lane) == ["step_begin", "step_end"] * 2
    assert lane.facts()["training_threads"] == 2
    assert lane.reader().thread == lane.reader().pid


def test_another_thread_takes_over_when_the_first_has_ended(tmp_path: Path) -> None:
    work = "def work():\n  with mark.step():\n    pass\n"
    lane = run(tmp_path, work + IN_THREAD + IN_THREAD)
    assert lane.counts()["step_end"] == 2
    assert not (tmp_path / "lane" / "rank-0" / "facts.json").exists(), "of no fact, several threads included"


def test_outside_it_imports_nothing_and_does_nothing(tmp_path: Path) -> None:
    program = HEAD + "with mark.step(4), mark.phase('data'), mark.evaluation():\n  mark.loss(1.0)\n"
    program += "import sys\nprint([name for name in sys.modules if name.startswith('fwtui.')])\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "['fwtui.mark']\n"


def test_a_phase_that_there_is_not_is_told_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", HEAD + "mark.phase('lunch')"], capture_output=True, text=True)
    assert "there is no phase 'lunch': use data, transfer, " in done.stderr.splitlines()[-1]
