"""Lost time: split by cause and phase without a rest, no alarm for honest long batches, the same in every report."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
import scenarios

from fwtui.analysis.stalls import find_stalls
from fwtui.reports import html as html_report
from fwtui.reports import json_report, markdown, text
from fwtui.view.session import Session
from fwtui.view.units import show

MS = 1e6


def test_lost_time_is_split_by_cause_and_phase_and_sums_to_it(tmp_path: Path) -> None:
    lane = Session(scenarios.write("stalls", tmp_path / "run")).frame().lanes[0]
    assert lane.lost_share is not None
    assert lane.lost_share > 0.1
    assert sum(part.share for part in lane.lost) == pytest.approx(lane.lost_share, rel=1e-9)
    assert (lane.lost[0].code, lane.lost[0].phase) == ("input-bound", "data")
    assert sum(part.stalls for part in lane.lost) == lane.stalls


def test_a_lane_without_stalls_has_lost_nothing(tmp_path: Path) -> None:
    lane = Session(scenarios.write("healthy", tmp_path / "run")).frame().lanes[0]
    assert (lane.lost_share, lane.lost) == (0.0, ())


def steps_of(long_every: int, backward: bool, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """(step time, (work, backward)) of 3 ms steps, of which some take 24 ms, in the model or elsewhere."""
    generator = np.random.default_rng(0)
    step = 3 * MS * generator.lognormal(0, 0.04, count)
    work = np.stack((step, step * 0.6), axis=1)
    longer = np.arange(count) % long_every == long_every - 1
    extra = 21 * MS * generator.lognormal(0, 0.03, count) * longer
    return step + extra, work + np.stack((extra, extra * 0.6), axis=1) * backward


@pytest.mark.parametrize("long_every", [2, 5, 12, 25])
def test_long_and_short_sequences_are_no_alarm(long_every: int) -> None:
    step, work = steps_of(long_every, backward=True)
    stalled, lost = find_stalls(step, np.ones(len(step), dtype=bool), work_ns=work)
    assert not stalled.any()
    assert not lost.any()


def test_as_long_a_pause_outside_the_model_is_a_stall() -> None:
    step, work = steps_of(25, backward=False)
    stalled, _ = find_stalls(step, np.ones(len(step), dtype=bool), work_ns=work)
    assert stalled.sum() == 16


def test_single_long_steps_of_all_lengths_are_stalls() -> None:
    step, work = steps_of(10**9, backward=True)
    for number, factor in ((50, 4), (120, 12), (300, 40)):
        step[number] *= factor
        work[number] *= factor
    stalled, _ = find_stalls(step, np.ones(len(step), dtype=bool), work_ns=work)
    assert np.flatnonzero(stalled).tolist() == [50, 120, 300]


def plain(report: str) -> str:
    """A report without line breaks and markup."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", report)))


@pytest.mark.parametrize("name", ["slow_callback", "stalls", "input_starved", "failed", "unfair"])
def test_every_report_shows_the_same_findings(name: str, tmp_path: Path) -> None:
    session = Session(scenarios.write(name, tmp_path / "run"))
    frame = session.frame()
    findings = [(lane, one) for lane in frame.lanes for one in lane.findings]
    assert findings
    told = {lane["name"]: lane["findings"] for lane in json.loads(json.dumps(json_report.report(frame)))["lanes"]}
    for lane, one in findings:
        row = told[lane.name][lane.findings.index(one)]
        assert {key: row[key] for key in ("code", "severity", "share", "evidence", "location", "advice")} == {
            "code": one.code,
            "severity": one.severity,
            "share": one.share,
            "evidence": one.evidence,
            "location": one.location,
            "advice": one.advice,
        }
        for report in (text.summary(frame), markdown.report(frame), html_report.report(session)):
            words = plain(report).replace("\\", "")
            assert one.code in words
            assert plain(one.evidence) in words
            assert plain(one.advice) in words
            assert one.place in words
            if one.share is not None:
                assert f"{one.severity}, {show(one.share, 'share')} of its time" in words
