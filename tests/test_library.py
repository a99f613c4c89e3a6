"""`import fwtui` in a script: reading a run, making one, and staying light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scenarios

import fwtui

TRAINS = """
import time
from fwtui import mark
for _ in range(60):
    with mark.step(samples=4):
        time.sleep(0.002)
"""


def test_a_run_is_read(tmp_path: Path) -> None:
    folder = scenarios.write("stalls", tmp_path / "runs" / "2025-11-20T10-00-00-over")
    with fwtui.open("over", tmp_path / "runs") as run:
        assert (run.id, run.status, list(run)) == (folder.id, "finished", ["torch", "keras"])
        assert "keras takes" in run.headline
        assert run.comparison is not None
        torch, truth = run["torch"], folder.truth["torch"]
        assert torch.step_ms is not None
        assert torch.step_ms.median == pytest.approx(truth.median_ms, rel=0.03)
        steps = torch.steps
        assert len(steps) == pytest.approx(len(truth.steps), abs=1)
        assert int(steps.stalled.sum()) == truth.stalls == len(torch.stalls)
        assert np.nansum(steps.phases, axis=1) == pytest.approx(steps.step_ms)
        assert np.isnan(steps.phase("compute")).all()
        assert np.isnan(run["keras"].steps.phase("forward")).all()
        assert (steps.end_s >= steps.start_s).all()
        assert steps.phases.shape == (len(steps), len(fwtui.PHASES))
        assert run.report()["lanes"][0]["name"] == "torch"
        assert run.html().startswith("<!doctype html>")
        assert "run folder" in str(run)
        assert "torch" in repr(run)
        with pytest.raises(KeyError):
            run["jax"]


def test_steps_as_a_data_frame(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    with fwtui.open(scenarios.write("healthy", tmp_path / "run").path) as run:
        table = run["torch"].steps.to_pandas()
    assert table[table.counted].step_ms.median() == pytest.approx(5.0, rel=0.1)
    assert "data_ms" in table.columns


def test_without_pandas_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with (
        fwtui.open(scenarios.write("healthy", tmp_path / "run").path) as run,
        pytest.raises(fwtui.RunError, match="pip"),
    ):
        run["torch"].steps.to_pandas()


@pytest.mark.parametrize("name", ["no_steps", "importing", "killed_mid_step"])
def test_a_run_with_little_in_it_is_read(name: str, tmp_path: Path) -> None:
    with fwtui.open(scenarios.write(name, tmp_path / "run").path) as run:
        for lane in run.lanes:
            assert len(lane.steps) == len(lane.steps.phases)
            assert lane.name in repr(lane)
        run.refresh()


def test_a_run_is_made(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINS)
    target = str(tmp_path / "train.py")
    with fwtui.run(target, f"b={target}", run_dir=tmp_path / "runs", quiet=True) as run:
        assert run.status == "finished"
        assert {lane.frame.steps for lane in run.lanes} == {60}
    with pytest.raises(fwtui.RunError, match="did you mean"):
        fwtui.run(lanes=["torhc"], run_dir=tmp_path / "runs")
    with pytest.raises(fwtui.RunError, match="no run named"):
        fwtui.open("nothing", tmp_path / "runs")


def test_the_root_stays_light_and_types_are_known(tmp_path: Path) -> None:
    code = "import fwtui, sys; assert 'numpy' not in sys.modules; fwtui.open; assert 'numpy' in sys.modules; dir(fwtui)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError):
        fwtui.nothing  # noqa: B018
