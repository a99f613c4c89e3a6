"""Two runs lane by lane: slower, the same, not decidable; what came, went and changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import scenarios

from fwtui.cli import main
from fwtui.commands.compare import percent
from fwtui.view.session import Session
from fwtui.view.two_runs import compare_runs

Patch, Capture = pytest.MonkeyPatch, pytest.CaptureFixture


def run(path: Path, monkeypatch: Patch, factor: float = 1.0, turns: int = 24, **changes: object) -> Path:
    """A run of two lanes whose keras lane takes `factor` as long as usual."""
    keras = replace(
        scenarios.keras, phases={name: ms * factor for name, ms in scenarios.keras.phases.items()}, **changes
    )  # type: ignore[arg-type]
    monkeypatch.setitem(scenarios.SCENARIOS, "made", scenarios.Scenario((scenarios.torch, keras), turns=turns))
    return scenarios.write("made", path).path


@pytest.mark.parametrize(
    ("factor", "turns", "code", "words"),
    [
        (1.2, 24, 3, "slower by more than 5 %: keras 1.2"),
        (1.0, 24, 0, "no lane is slower"),
        (0.8, 24, 0, "no lane is slower"),
        (1.02, 24, 0, "no lane is slower"),
        (1.0, 2, 5, "undecided"),
    ],
)
def test_fails_when_slower(
    factor: float,
    turns: int,
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: Patch,
    capsys: Capture,
) -> None:
    before = run(tmp_path / "before", monkeypatch)
    after = run(tmp_path / "after", monkeypatch, factor, turns)
    assert main(["compare", str(before), str(after), "--fail-if-slower", "5%"]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert "keras: 9.98 ms" in captured.out
    assert main(["compare", str(before), str(after), "--fail-if-slower", "5%", "--format", "markdown"]) == code
    assert f"**{words}" in capsys.readouterr().out


def test_tells_what_came_went_and_changed(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    before = run(tmp_path / "before", monkeypatch)
    phases = {**scenarios.KERAS, "callbacks": 8.4}
    monkeypatch.setattr(
        scenarios, "keras", replace(scenarios.keras, phases=phases, facts={"threads": {"intra": 1, "inter": 2}})
    )
    after = run(tmp_path / "after", monkeypatch)
    assert main(["compare", str(before), str(after)]) == 0
    out = capsys.readouterr().out
    for words in ("new: ", "threads.intra: 2 -> 1", "slower", "of that ", "not paired"):
        assert words in out
    assert main(["compare", str(after), str(before), "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "gone: " in out
    assert "| keras | " in out
    assert main(["compare", str(before), str(after), "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["lanes"][1]["pair"]["verdict"] == "slower"
    assert value["lanes"][1]["appeared"][0]["code"] in ("slow-callback", "per-execution-overhead")


def test_unequal_work_is_not_judged(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    before = run(tmp_path / "before", monkeypatch)
    after = run(tmp_path / "after", monkeypatch, batch_size=128)
    assert main(["compare", str(before), str(after), "--fail-if-slower", "5"]) == 5
    assert "not the same work: batch-size" in capsys.readouterr().out


def test_a_lane_that_is_gone_is_not_green(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    before = run(tmp_path / "before", monkeypatch)
    monkeypatch.setitem(scenarios.SCENARIOS, "made", scenarios.Scenario((scenarios.torch,), turns=24))
    after = scenarios.write("made", tmp_path / "after").path
    assert main(["compare", str(before), str(after), "--fail-if-slower", "5%"]) == 5
    assert "keras (not in B)" in capsys.readouterr().err


def test_a_lane_that_crashed_is_not_green(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    before = run(tmp_path / "before", monkeypatch)
    after = run(tmp_path / "after", monkeypatch)
    manifest = json.loads((after / "manifest.json").read_text())
    manifest["lanes"][1].update(status="failed", exit_code=1)
    (after / "manifest.json").write_text(json.dumps(manifest))
    assert main(["compare", str(before), str(after), "--fail-if-slower", "5%"]) == 5
    captured = capsys.readouterr()
    assert "keras (failed in B)" in captured.err
    assert "it failed in B" in captured.out


def test_sessions_are_not_paired(tmp_path: Path) -> None:
    """The same moments in both runs must not make pairs of their turns: their noise does not cancel."""
    sessions = [Session(scenarios.write("healthy", tmp_path / name)) for name in ("a", "b")]
    result = compare_runs(*sessions)
    for lane in result.lanes:
        assert lane.pair.verdict == "no difference"
        assert lane.pair.ci95 is not None
        assert lane.pair.ci95[0] < 1 < lane.pair.ci95[1]


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("5", 0.05), ("0", 0.0), ("12.5%", 0.125)])
def test_percentages(text: str, value: float) -> None:
    assert percent(text) == pytest.approx(value)
