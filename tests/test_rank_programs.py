"""Real programs of several ranks or replicas, under the real recorder: who is slow, who died, who hangs, and where."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from guest_programs import lane as lanes

from fwtui import cli

pytestmark = pytest.mark.frameworks
TORCHRUN = f"{sys.executable} -m torch.distributed.run --standalone --nproc-per-node 2"


def watch(tmp_path: Path, command: str, *options: str, needs: str = "torch") -> dict[str, Any]:
    """The lane of the report of a headless run."""
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    report = tmp_path / "report.json"
    program = command.replace("PROGRAMS", str(lanes.PROGRAMS))
    arguments = [f"train={program}", "--headless", "--json", str(report), "--run-dir", str(tmp_path), *options]
    cli.main(["run", *arguments])
    (lane,) = json.loads(report.read_text())["lanes"]
    return dict(lane)


def line_of(program: str, mark: str) -> str:
    """`program.py:N`, of the line with a mark."""
    lines = (lanes.PROGRAMS / program).read_text().splitlines()
    return f"{program}:{next(number for number, line in enumerate(lines, 1) if mark in line)}"


def straggler(lane: dict[str, Any]) -> dict[str, Any]:
    (found,) = [finding for finding in lane["findings"] if finding["code"] == "straggler-rank"]
    return dict(found)


@pytest.mark.parametrize(
    ("command", "program", "phase", "needs"),
    [
        (f"{TORCHRUN} PROGRAMS/fsdp.py 0.03", "fsdp.py", "forward", "torch"),
        (f"{sys.executable} PROGRAMS/multiworker.py 0.03", "multiworker.py", "callbacks", "tf_keras"),
    ],
    ids=["fsdp", "multi-worker keras"],
)
def test_a_straggler_is_named_at_its_line(tmp_path: Path, command: str, program: str, phase: str, needs: str) -> None:
    lane = watch(tmp_path, command, needs=needs)
    assert lane["status"] == "finished"
    assert [rank["steps"] for rank in lane["ranks"]] == [60, 60]
    found = straggler(lane)
    assert "rank 1 takes" in found["evidence"]
    assert f"mostly in {phase} (+" in found["evidence"]
    assert found["location"].endswith(line_of(program, "# LINE"))
    quick, slow = lane["ranks"]
    assert slow["own_ms"] > quick["own_ms"] + 15
    assert quick["communication_ms"] > slow["communication_ms"]


def test_the_rank_that_died_first_is_named(tmp_path: Path) -> None:
    lane = watch(tmp_path, f"{TORCHRUN} PROGRAMS/straggler.py --die-at 40")
    assert lane["status"] == "failed"
    found = straggler(lane)
    assert found["evidence"].startswith("rank 1 ")
    assert "died first" in found["evidence"]


def test_a_rank_that_hung_is_named_at_its_line(tmp_path: Path) -> None:
    lane = watch(tmp_path, f"{TORCHRUN} PROGRAMS/straggler.py --hang-at 30", "--seconds", "20")
    assert lane["status"] == "stopped"
    found = straggler(lane)
    assert found["evidence"].startswith("rank 1 ")
    assert "hung" in found["evidence"]
    assert found["location"].endswith(line_of("straggler.py", "time.sleep(3600)"))


@pytest.mark.parametrize(("kind", "needs"), [("mirrored", "tensorflow"), ("jax", "jax")])
def test_replicas_in_one_process_are_one_lane(tmp_path: Path, kind: str, needs: str) -> None:
    lane = watch(tmp_path, f"{sys.executable} PROGRAMS/replicas.py {kind}", needs=needs)
    assert (lane["status"], lane["steps"]) == ("finished", 120)
    assert lane["samples_per_step"] == 32, "the whole batch, not one replica's part"
    assert not lane["ranks"]
    assert "retracing" not in [finding["code"] for finding in lane["findings"]]
    (facts,) = tmp_path.glob("*/lanes/train/rank-0/facts.json")
    assert json.loads(facts.read_text())["replicas"] == 2
