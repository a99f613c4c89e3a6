"""Folding events piece by piece, in pieces of any size, says what one fold of all of them says."""

from __future__ import annotations

import numpy as np
import pytest
import scenarios
from simulated_lane import KERAS, TORCH, Lane, SimulatedLane

from fwtui.analysis.step_store import GrowingColumns
from fwtui.analysis.steps import StepFolder, Steps
from fwtui.recording.event_log import EventLogReader
from fwtui.recording.run_folder import EVENTS
from fwtui.view.derived import Derivation


def recorded(scenario, path):
    """The words of every rank of a scenario's run."""
    folder = scenarios.write(scenario, path)
    for file in sorted(folder.path.glob(f"lanes/*/rank-*/{EVENTS}")):
        reader = EventLogReader(str(file))
        yield np.frombuffer(reader.read_new(), dtype=np.uint64)
        reader.close()


def fold(words, cuts=()):
    """(folder, flags of the steps), after pieces that end at the cuts."""
    folder = StepFolder()
    derivation = Derivation(folder.store)
    for piece in np.split(words, cuts):
        folder.feed(piece)
        derivation.derived()
    return folder, derivation.derived()


def assert_same(words, cuts):
    (whole, flags), (pieces, grown) = fold(words), fold(words, cuts)
    for name in Steps.__dataclass_fields__:
        assert np.array_equal(getattr(whole.steps, name), getattr(pieces.steps, name)), (name, cuts)
    for name in ("counted", "stalled", "lost_ns", "turn", "number"):
        assert np.array_equal(getattr(flags, name), getattr(grown, name)), (name, cuts)
    assert whole.tail() == pieces.tail()
    assert (whole.first_step_ns, whole.compile_ns, whole.last_ns) == (
        *(pieces.first_step_ns, pieces.compile_ns),
        pieces.last_ns,
    )
    assert np.array_equal(whole.seen, pieces.seen)


@pytest.mark.parametrize("scenario", sorted(scenarios.SCENARIOS))
def test_pieces_of_a_recording_fold_into_the_same_steps(scenario, tmp_path):
    chance = np.random.default_rng(7)
    for words in recorded(scenario, tmp_path / "run"):
        for count in (1, 3, 40):
            assert_same(words, np.sort(chance.integers(0, len(words) + 1, count)))


@pytest.mark.parametrize(("kind", "program"), [("torch", TORCH), ("keras", KERAS)])
def test_single_events_fold_into_the_same_steps(kind, program):
    lane = SimulatedLane(Lane("a", kind, program), 10**15, 3)
    lane.start_up({})
    for _ in range(60):
        lane.step()
    words = np.array(lane.words, dtype=np.uint64)
    assert_same(words, np.arange(1, len(words)))


def test_a_table_of_columns_grows_by_pieces_of_any_length():
    chance = np.random.default_rng(1)
    values = chance.random((5000, 3))
    table = GrowingColumns({"one": 0, "wide": 3})
    for piece in np.split(values, np.sort(chance.integers(0, 5000, 30))):
        table.append({"one": piece[:, 0], "wide": piece})
    assert np.array_equal(table["one"], values[:, 0])
    assert np.array_equal(table["wide"], values)
