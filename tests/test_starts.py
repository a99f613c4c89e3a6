"""`--starts N`: the verdict over several starts of the same lanes."""

from __future__ import annotations

import math
from pathlib import Path

import lanes
import numpy as np
import pytest

from fwtui.analysis.results import Pair
from fwtui.analysis.starts import over_starts


def pair(ratio: float | None, half: float = 0.02, word: str = "slower") -> Pair:
    interval = None if ratio is None else (ratio * math.exp(-half), ratio * math.exp(half))
    return Pair("keras", ratio, interval, word, None)


def test_the_interval_is_students() -> None:
    """Logs -0.1, 0, 0.1: standard error 0.1 / sqrt(3), and 4.303 of them for two degrees of freedom."""
    found = over_starts([pair(math.exp(log)) for log in (-0.1, 0.0, 0.1)])
    assert found.ratio == pytest.approx(1.0)
    assert found.ci95 is not None
    assert math.log(found.ci95[1]) == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=0.01)


def test_starts_that_agree_by_luck_claim_no_more_than_each_alone_allows() -> None:
    found = over_starts([pair(1.5, half=0.1)] * 4)
    assert found.ci95 is not None
    assert math.log(found.ci95[1] / found.ci95[0]) > 2 * 0.1 / math.sqrt(4)


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    """Lanes whose speed is drawn anew, by 10 %, at each start: no single start's interval knows of that."""
    generator = np.random.default_rng(3)
    held = alone = 0
    for _ in range(300):
        starts = [pair(math.exp(log)) for log in generator.normal(0.0, 0.1, 5)]
        found = over_starts(starts)
        assert found.ci95 is not None
        held += found.ci95[0] <= 1 <= found.ci95[1]
        alone += starts[0].ci95[0] <= 1 <= starts[0].ci95[1]  # type: ignore[index]
    assert held >= 0.92 * 300
    assert alone < 0.5 * 300


def test_what_decides_nothing_says_so() -> None:
    assert over_starts([pair(1.2), pair(1.3)]).ci95 is None
    assert over_starts([pair(None, word="undecided")] * 3).ratio is None
    assert over_starts([pair(1.2), pair(1.2, word="unfair"), pair(1.2)]).verdict == "unfair"
    disturbed = over_starts([pair(1.2), pair(9.0, word="undecided"), pair(1.2), pair(1.21)])
    assert disturbed.ratios == (1.2, 1.2, 1.21)  # narrow and yet undecided: others had the machine


@pytest.mark.frameworks
def test_the_lanes_are_started_anew(tmp_path: Path) -> None:
    asked = ["--workload", "regression-mlp", "--lanes", "torch,torch:threads=1", "--steps", "60", "--starts", "2"]
    report, said = lanes.report_of(tmp_path, *asked)
    starts = report["starts"]
    assert len(set(starts["runs"])) == 2 == len(list(tmp_path.iterdir()))
    assert [pair["lane"] for pair in starts["pairs"]] == ["torch:threads=1"]
    assert "over 2 starts" in said
