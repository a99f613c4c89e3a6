"""A sample of the injected faults in the default run; all of them by `pytest -m long` (or `run_suite.py`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cases import CLEAN, FAULTS, SAMPLE, Case
from run_suite import run

OUTSIDE = {"cpu-starved"}
"""What other work on the test machine brings about."""
ALL = (*FAULTS, *CLEAN)


def check(case: Case, folder: Path) -> dict[str, Any]:
    """The first finding is the injected one, at its line; a clean twin has none."""
    row = run(case, folder)
    assert "problem" not in row, row["problem"]
    codes = [code for code in row["codes"] if code not in OUTSIDE or code == case.expected]
    if case.expected is None:
        assert set(row["alarms"]) <= OUTSIDE, row
    else:
        assert codes[:1] == [case.expected], row
        if case.line and row["found"] == case.expected:
            assert row["line_right"], row
    return row


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "case", [case for case in ALL if case.name in SAMPLE and not case.neighbours], ids=lambda case: case.name
)
def test_a_fault_and_its_clean_twin(case: Case, tmp_path: Path) -> None:
    row = check(case, tmp_path)
    assert row["attributed"] == pytest.approx(1, abs=0.02)  # a wait between the steps is in the sum of the phases


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_all_faults_and_clean_twins(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
