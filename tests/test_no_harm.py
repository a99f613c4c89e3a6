"""Real programs compute, print and end the same with and without fwtui: to the bit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import matrix
import pytest
from lanes import BOOTSTRAP

pytestmark = [pytest.mark.frameworks, pytest.mark.beside]
CELLS = [cell for cell in matrix.CELLS if cell.same]
SAMPLE = ("PyTorch loop: DataLoader", "program that: has an excepthook")


def run(cell: matrix.Cell, lane: Path | None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; under the guest when there is a lane's folder."""
    env = matrix.environment(cell, sys.executable)
    env.pop("PYTHONPATH", None)
    path = [str(BOOTSTRAP)] if lane else []
    if lane is not None:
        lane.mkdir(parents=True)
        env |= {"FWTUI_RUN": str(lane.parent), "FWTUI_LANE": "lane", "FWTUI_LANE_DIR": str(lane), "FWTUI_GATE": "go"}
    path += filter(None, [cell.env.get("PYTHONPATH")])
    if path:
        env["PYTHONPATH"] = os.pathsep.join(path)
    done = subprocess.run(
        matrix.command(cell, sys.executable).split(),
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    # the program's own clock, and the time and process that TensorFlow's log lines and warnings carry
    stdout = re.sub(r"clock \d+ \d+", "clock", done.stdout)
    stderr = re.sub(r"(?m)^([IWEF]\d{4}) .*?\]", r"\1]", done.stderr)
    return done.returncode, stdout, re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "", stderr)


def check(cell: matrix.Cell, tmp_path: Path) -> None:
    lacking = matrix.missing(cell)
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    bare, watched = run(cell, None), run(cell, tmp_path / "lane")
    assert watched == bare
    assert "weights" in bare[1], "it printed no digest of its weights"
    assert list((tmp_path / "lane").glob("rank-*/events.log")), "it was not watched"


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.id in SAMPLE], ids=lambda cell: cell.id)
def test_no_harm_to_a_sample(cell: matrix.Cell, tmp_path: Path) -> None:
    check(cell, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.id not in SAMPLE], ids=lambda cell: cell.id)
def test_no_harm(cell: matrix.Cell, tmp_path: Path) -> None:
    check(cell, tmp_path)


def test_there_are_at_least_twelve() -> None:
    assert len(CELLS) >= 12
