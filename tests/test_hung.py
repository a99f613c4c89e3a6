"""A lane that stood still until it was ended is hung, and its line is told; one that was stopped in time is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import scenarios

from fwtui.recording.event_log import EventLogWriter
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.vocabulary import CODE_BITS, EVENT
from fwtui.view.frame import LaneFrame
from fwtui.view.lane_log import LaneLog
from fwtui.view.session import Session
from fwtui.view.why_no_steps import why_no_steps


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


def why_after(tmp_path: Path, *events: tuple[float, str]) -> str | None:
    """What is said, a minute after its start, of a lane in which these things happened at so many seconds."""
    folder = RunFolder(tmp_path / "run")
    rank = folder.lane("torch") / "rank-0"
    rank.mkdir(parents=True)
    writer = EventLogWriter(str(rank / "events.log"), 1)
    writer.append([int(second * 1e9) << CODE_BITS | EVENT[name] for second, name in events])
    (rank / "notes.jsonl").write_text(json.dumps({"t": int(1e9), "kind": "stage", "value": "importing torch"}) + "\n")
    log = LaneLog(folder, "torch")
    log.poll()
    return why_no_steps(log, {"started_ns": 1}, int(60e9))


def test_a_lane_that_waits_for_its_first_turn_has_nothing_to_explain(tmp_path: Path) -> None:
    assert why_after(tmp_path, (2.0, "program_begin"), (3.0, "wait_begin")) is None


def test_nor_has_one_whose_first_turn_has_just_begun(tmp_path: Path) -> None:
    assert why_after(tmp_path, (2.0, "program_begin"), (3.0, "wait_begin"), (55.0, "wait_end")) is None


def test_one_without_a_step_long_after_says_why(tmp_path: Path) -> None:
    why = why_after(tmp_path, (2.0, "program_begin"), (3.0, "wait_begin"), (4.0, "wait_end"))
    assert why is not None
    assert "torch is imported and no backward pass" in why
