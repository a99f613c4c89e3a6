"""The verdict over simulated runs that go on until it is decided: a sample of `benchmarks/verdicts.py simulate`."""

from __future__ import annotations

import pytest
from benchmarks import verdicts

SEEDS = range(1000, 1008)


@pytest.mark.parametrize("kind", list(verdicts.EXPECTED))
def test_what_is_the_same_is_no_different_and_ten_per_cent_is_found(kind: str) -> None:
    found = [verdicts.simulated_verdict(kind, seed) for seed in SEEDS]
    assert found.count(verdicts.EXPECTED[kind]) >= len(SEEDS) - 1, found  # 95 of 100: two of eight would be chance
