"""A lane that stood still until it was ended is hung, and its line is told; one that was stopped in time is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import scenarios

from fwtui.view.frame import LaneFrame
from fwtui.view.session import Session


def ended_after(tmp_path: Path, silent_s: float) -> LaneFrame:
    """The first lane of a run whose lanes were ended so long after their last step."""
    folder = scenarios.write("together", tmp_path / "run", cut_s=9.0)
    ended = folder.end_ns + int(silent_s * 1e9)
    manifest = folder.read_manifest()
    for lane in manifest["lanes"]:
        lane.update(status="stopped", ended_ns=ended, stop_reason="--seconds reached")
    folder.write_manifest({**manifest, "status": "finished", "ended_ns": ended})
    row = {"t": folder.end_ns + 10**9, "rank": 0, "since": folder.end_ns, "kind": "stall", "state": "S"}
    row.update(location="train.py:9", function="wait", frames=[["train.py", 9, "wait"]], users=[0])
    folder.stacks_path("torch").write_text(json.dumps(row) + "\n")
    return Session(folder).frame().lanes[0]


def test_a_lane_that_hung_until_it_was_ended_is_named_at_its_line(tmp_path: Path) -> None:
    lane = ended_after(tmp_path, 75)
    assert lane.state == "hung"
    assert (lane.findings[0].code, lane.findings[0].severity) == ("lane-hung", "critical")
    assert lane.findings[0].location == "train.py:9"
    assert "no step for 7" in lane.stage


@pytest.mark.parametrize("silent_s", [0.0, 40.0])
def test_a_lane_that_was_stopped_sooner_is_stopped(silent_s: float, tmp_path: Path) -> None:
    lane = ended_after(tmp_path, silent_s)
    assert lane.state == "stopped"
    assert "lane-hung" not in [one.code for one in lane.findings]
