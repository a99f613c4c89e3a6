"""A very long lane: what is summed up says the same as all its steps, and a saved fold opens as what it was."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import scenarios

from fwtui.analysis.stalls import find_stalls
from fwtui.analysis.statistics import counted_mask
from fwtui.analysis.steps import Steps
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.vocabulary import PHASE_INDEX
from fwtui.view import checkpoint, history, lane_log
from fwtui.view.session import Session

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import simulated_runs


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "run"
    simulated_runs.write_long(str(path), 80_000)
    return RunFolder(path)


@pytest.fixture
def small_limits(monkeypatch):
    for name, value in (("LIMIT", 12_000), ("RECENT", 4_000), ("SAMPLE", 3_000), ("MOST_SLOTS", 128)):
        monkeypatch.setattr(history, name, value)
    monkeypatch.setattr(lane_log, "LIMIT", 12_000)
    monkeypatch.setattr(lane_log, "_PIECE_WORDS", 1 << 14)


def opened(folder):
    session = Session(folder)
    frame = session.frame()
    return session, frame


def test_deriving_in_pieces_is_deriving_at_once(monkeypatch, tmp_path):
    folder = scenarios.write("stalls", tmp_path / "run")
    monkeypatch.setattr(lane_log, "_PIECE_WORDS", 1000)
    session = Session(folder)
    for log in session.logs:
        derived, steps = log.derived(), log.folder.steps
        compile_ns = steps.phases[:, PHASE_INDEX["compile"]]
        counted = counted_mask(steps.step_ns, steps.start_ns, steps.wait_ns, compile_ns, steps.deep_ns)
        assert np.array_equal(derived.counted, counted)
        assert np.array_equal(derived.stalled, find_stalls(steps.step_ns, counted)[0])


def test_a_summed_up_lane_says_what_all_its_steps_say(long_run, monkeypatch, small_limits):
    _, thin = opened(long_run)
    monkeypatch.setattr(history, "LIMIT", 10**9)
    monkeypatch.setattr(lane_log, "LIMIT", 10**9)
    whole_session, whole = opened(long_run)
    assert all(len(log.folder.steps) == 40_000 for log in whole_session.logs)
    for a, b in zip(thin.lanes, whole.lanes, strict=True):
        assert (a.steps, a.steps_counted, a.stalls) == (b.steps, b.steps_counted, b.stalls)
        assert a.lost_share == pytest.approx(b.lost_share, rel=1e-6)
        assert a.attributed_s == pytest.approx(b.attributed_s, rel=1e-6)
        assert a.step_ms.median == pytest.approx(b.step_ms.median, rel=0.01)
        assert a.phases["backward"].ms == pytest.approx(b.phases["backward"].ms, rel=1e-6)


def test_the_chart_of_a_summed_up_lane_is_that_of_all_its_steps(long_run, monkeypatch, small_limits):
    session, _ = opened(long_run)
    assert session.logs[0].history.thinned
    assert len(session.logs[0].folder.steps) < 20_000
    thin = session.columns(0, 1e9, 0, 40, session.newest_ns)
    monkeypatch.setattr(history, "LIMIT", 10**9)
    monkeypatch.setattr(lane_log, "LIMIT", 10**9)
    whole = Session(long_run).columns(0, 1e9, 0, 40, session.newest_ns)
    known = ~np.isnan(whole.mean_ms)
    assert np.array_equal(known, ~np.isnan(thin.mean_ms))
    assert np.allclose(thin.mean_ms[known], whole.mean_ms[known], rtol=0.02)
    assert abs(int(thin.stalls.sum()) - int(whole.stalls.sum())) <= 1


def test_a_saved_fold_opens_as_what_it_was(long_run, small_limits):
    session, frame = opened(long_run)
    session.close()
    saved = [rank / checkpoint.NAME for lane in ("torch", "keras") for rank in long_run.ranks(lane)]
    assert all(path.is_file() for path in saved)
    again, same = opened(long_run)
    assert again.logs[0].words_read == session.logs[0].words_read
    for a, b in zip(frame.lanes, same.lanes, strict=True):
        assert (a.steps, a.stalls, a.step_ms, a.phases) == (b.steps, b.stalls, b.step_ms, b.phases)
    again.close()
    for path in saved:
        path.write_bytes(b"no fold at all")
    _, anew = opened(long_run)
    assert anew.lanes[0].steps == frame.lanes[0].steps


def test_rules_in_a_fold_s_key_exist():
    root = Path(checkpoint.__file__).parents[1]
    assert all((root / name).is_file() for name in checkpoint._SOURCES)
    assert set(Steps.__dataclass_fields__) >= {"step_ns", "wait_ns"}


def test_a_long_recording_is_read_in_pieces_with_its_progress(long_run, monkeypatch):
    monkeypatch.setattr(lane_log, "_PIECE_WORDS", 1 << 12)
    for lane in ("torch", "keras"):
        for rank in long_run.ranks(lane):
            (rank / checkpoint.NAME).unlink(missing_ok=True)
    monkeypatch.setattr("fwtui.view.session._WORTH_TELLING", 1)
    session = Session(long_run, patience_s=0.0)
    assert session.reading is not None
    assert 0 < session.reading.share < 1
    assert "reading the recording" in session.reading.words
    assert session.newest_ns < session.manifest["ended_ns"]
    while session.reading is not None:
        session.poll()
    assert session.frame().lanes[0].steps == 40_000
