"""`--until-decided`: a run ends when its verdict stands, at its limit at the latest."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fwtui.analysis.decided import HALF_WIDTH, LEAST_TURNS, decided
from fwtui.analysis.results import Comparison, Pair
from fwtui.cli import main

Run = Callable[..., tuple[int, dict[str, Any], str]]

SPINNER = """
import random, sys, time
from fwtui import mark
ms = float(sys.argv[1])
for _ in range(100000):
    with mark.step():
        time.sleep(random.uniform(0.9, 1.1) * ms / 1e3)
"""


ROOT = Path(__file__).parents[1]
TURN_MS = 60
"""Shorter turns than a user's, so that enough of them go by in a few seconds."""


@pytest.fixture
def fwtui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line headless; (exit code, report, stderr)."""
    (tmp_path / "lane.py").write_text(SPINNER, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("fwtui.commands.run.TURN_MS", TURN_MS)

    def run(*words: str) -> tuple[int, dict[str, Any], str]:
        code = main(["run", "--headless", "--json", "-", "--run-dir", str(tmp_path / "runs"), *words])
        done = capsys.readouterr()
        return code, json.loads(done.out or "{}"), done.err

    return run


def comparison(*pairs: Pair) -> Comparison:
    return Comparison("a", True, (), (), None, pairs)


@pytest.mark.parametrize(
    ("interval", "word", "enough"),
    [
        ((0.97, 1.03), "no difference", True),
        ((1.8, 2.1), "slower", False),
        ((1.95, 2.05), "slower", True),
        (None, "undecided", False),
    ],
)
def test_only_the_width_of_the_interval_decides(interval: tuple[float, float] | None, word: str, enough: bool) -> None:
    ratio = sum(interval) / 2 if interval else 1.0
    pair = Pair("b", ratio, interval, word, 0.0, turns=LEAST_TURNS)
    assert decided(comparison(pair)) is enough
    assert not decided(comparison(replace(pair, turns=LEAST_TURNS - 1)))
    assert decided(comparison(pair, Pair("c", None, None, "undecided", None))) is False


def test_nothing_to_compare_is_never_decided() -> None:
    assert decided(None) is False


@pytest.mark.alone
def test_a_run_ends_when_its_verdict_stands(fwtui: Run) -> None:
    code, report, words = fwtui("--until-decided=60", "fast=lane.py 2", "slow=lane.py 4")
    assert code == 0, words
    (pair,) = report["comparison"]["pairs"]
    assert pair["verdict"] == "slower"
    assert pair["ci95"][1] - pair["ci95"][0] <= 2 * HALF_WIDTH * pair["ratio"] + 1e-9
    assert report["run"]["elapsed_s"] < 55
    assert {lane["status"] for lane in report["lanes"]} == {"stopped"}


def test_the_limit_ends_what_is_not_decided(fwtui: Run) -> None:
    code, report, words = fwtui("--until-decided=1", "fast=lane.py 150", "slow=lane.py 300")
    assert code == 0, words
    assert report["comparison"]["pairs"][0]["verdict"] == "undecided"
