"""What every test may use: the scenarios as fixtures."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import scenarios

# A shell starts its background jobs with Ctrl-C ignored, and what is ignored stays so in every program of a test.
signal.signal(signal.SIGINT, signal.default_int_handler)

WriteScenario = Callable[..., scenarios.ScenarioFolder]


@pytest.fixture
def write_scenario(tmp_path: Path) -> WriteScenario:
    """Write a named scenario into this test's own folder: `write_scenario("healthy", cut_s=6)`."""

    def write(name: str, cut_s: float | None = None) -> scenarios.ScenarioFolder:
        return scenarios.write(name, tmp_path / "runs" / f"2025-11-23T21-03-07-{name}", cut_s)

    return write
