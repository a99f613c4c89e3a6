"""Every nanosecond of a real program's training is in a phase, a wait or an evaluation: checked by its own clock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fwtui
from fwtui.recording.run_folder import RunFolder
from fwtui.view.session import Session

pytestmark = pytest.mark.frameworks

PROGRAMS = Path(__file__).parent / "guest_programs"
BOOTSTRAP = Path(fwtui.__file__).parent / "guest" / "bootstrap"


@pytest.mark.parametrize("argv", [["torch_loader.py"], ["torch_loader.py", "2"], ["tensorflow_loop.py"]])
def test_phases_conserve_the_programs_own_wall_time(argv: list[str], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lane = folder.lane("lane")
    lane.mkdir(parents=True)
    env = {**os.environ, "PYTHONPATH": str(BOOTSTRAP), "FWTUI_RUN": str(tmp_path), "FWTUI_LANE_DIR": str(lane)}
    started = time.perf_counter_ns()
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / argv[0]), *argv[1:]], env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    ended = time.perf_counter_ns()
    ran = {"name": "lane", "status": "finished", "started_ns": started, "ended_ns": ended, "exit_code": 0}
    clock = {"monotonic_ns": started, "unix_ns": 0}
    folder.write_manifest({"schema": 1, "status": "finished", "clock": clock, "ended_ns": ended, "lanes": [ran]})

    began, over = (int(text) for text in re.search(r"clock (\d+) (\d+)", done.stderr).groups())
    session = Session(folder)
    steps = session.steps(0)
    assert session.frame().lanes[0].steps == int(re.search(r"updates (\d+)", done.stdout).group(1))
    inside = steps.phases.sum() + steps.wait_ns.sum() + steps.evaluation_ns.sum()
    after = max(0, over - int(steps.end_ns[-1]))  # the last evaluation, after the last step
    assert inside + after == pytest.approx(over - began, rel=0.02)
    session.close()
