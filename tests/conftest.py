"""How the tests are run, and what each may use: the scenarios as fixtures."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import scenarios

# A shell starts its background jobs with Ctrl-C ignored, and what is ignored stays so in every program of a test.
signal.signal(signal.SIGINT, signal.default_int_handler)

WriteScenario = Callable[..., scenarios.ScenarioFolder]
PILOT_WAIT_S = 0.004


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long suites out, whatever `-m` says, unless it names them."""
    if "long" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(autouse=True)
def _company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test marked `alone`, and one with real frameworks unless it is marked `beside`, waits until no other runs."""
    marked = request.node.get_closest_marker
    alone = marked("alone") or (marked("frameworks") and not marked("beside"))
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    folder = tmp_path_factory.getbasetemp().parent
    with (folder / "queue.lock").open("w") as queue, (folder / "floor.lock").open("w") as floor:
        fcntl.flock(queue, fcntl.LOCK_EX)  # first come, first served: others do not pass who waits to be alone
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


@pytest.fixture
def quick_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's pilot waits until all messages are through, and 20 ms more; here 4, for what settles in rounds."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", PILOT_WAIT_S)


@pytest.fixture
def write_scenario(tmp_path: Path) -> WriteScenario:
    """Write a named scenario into this test's own folder: `write_scenario("healthy", cut_s=6)`."""

    def write(name: str, cut_s: float | None = None) -> scenarios.ScenarioFolder:
        return scenarios.write(name, tmp_path / "runs" / f"2025-11-23T21-03-07-{name}", cut_s)

    return write
