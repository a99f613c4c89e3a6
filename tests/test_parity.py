"""Parity before the verdict: each line's mark, the reasons, what is fair instead, and why nothing is decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scenarios

from fwtui.analysis.bootstrap import Rivals
from fwtui.analysis.comparison import LaneSteps, compare, headline
from fwtui.analysis.parity import can_be_scaled, parity_list, unfair_reasons
from fwtui.analysis.results import Pair
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES
from fwtui.view.counting import periods, schedule_at
from fwtui.view.session import Session

TORCH = {
    "dtype": "float32",
    "parameters": 1021,
    "trainable_parameters": 1021,
    "batch_size": 32,
    "batch_shape": [32, 1, 28, 28],
    "optimizer": {"name": "Adam", "learning_rate": 1e-3, "betas": [0.9, 0.999], "epsilon": 1e-8},
    "loss": "MseLossBackward0",
    "device": "cpu",
    "compiled": False,
}
KERAS = {
    **TORCH,
    "batch_shape": [32, 28, 28, 1],
    "optimizer": {"name": "adam", "learning_rate": 0.0010000000474974513, "beta_1": 0.9, "beta_2": 0.999,
                  "epsilon": 1e-7},
    "loss": "mean_squared_error",
    "compiled": True,
}  # fmt: skip


def marks(**differs: Any) -> dict[str, str]:
    items = parity_list([("torch", TORCH), ("keras", {**KERAS, **differs})])
    return {item.name: item.mark for item in items}


def test_frameworks_say_the_same_in_different_words() -> None:
    found = marks()
    for name in ("input values a sample", "optimizer", "learning rate", "loss", "other hyper-parameters", "precision"):
        assert found[name] == "equal", name


def test_a_difference_of_style_is_a_named_condition() -> None:
    found = marks()
    assert found["compiled"] == "condition"
    assert found["epsilon"] == "condition"
    assert marks(shuffle=True)["shuffle"] == "not known"


@pytest.mark.parametrize(
    ("fact", "name"),
    [
        ({"batch_size": 1000}, "batch size"),
        ({"parameters": 1022}, "parameters"),
        ({"trainable_parameters": 11}, "trainable parameters"),
        ({"precision": "mixed_bfloat16"}, "precision"),
        ({"dtype": "float64"}, "precision"),
        ({"optimizer": {"name": "SGD"}}, "optimizer"),
        ({"loss": "SparseCategoricalCrossentropy"}, "loss"),
        ({"device": "cuda:0 NVIDIA H100"}, "device"),
        ({"batch_shape": [32, 14, 14]}, "input values a sample"),
    ],
)
def test_unequal_work_is_unfair(fact: dict[str, Any], name: str) -> None:
    assert marks(**fact)[name] == "unfair"
    assert marks()[name] == "equal"


def test_the_last_batch_is_told_from_what_is_known() -> None:
    known = {"samples_per_epoch": 100, "batch_size": 32}
    items = parity_list([("a", {**known, "drop_last": True}), ("b", {**known, "updates_per_epoch": 4})])
    (item,) = [item for item in items if item.name == "last batch"]
    assert dict(item.values) == {"a": "dropped", "b": "short"}
    even = parity_list([("a", {**known, "batch_size": 25}), ("b", {**known, "batch_size": 50, "drop_last": True})])
    assert next(item.mark for item in even if item.name == "last batch") == "equal"


def test_only_how_much_a_step_holds_can_be_put_right_by_counting() -> None:
    batches = parity_list([("a", TORCH), ("b", {**KERAS, "batch_size": 1000, "updates_per_epoch": 1})])
    assert can_be_scaled(batches)
    assert [reason.code for reason in unfair_reasons(batches)] == ["batch-size"]
    assert not can_be_scaled(parity_list([("a", TORCH), ("b", {**KERAS, "parameters": 5})]))


def lane(name: str, ms: float, turns: int = 20, facts: Any = None, samples: float = 32, **more: Any) -> LaneSteps:
    """Counted steps of a lane that took turns of half a second with another."""
    generator = np.random.default_rng(len(name))
    step_ms = ms * generator.lognormal(0, 0.03, turns * 30)
    block = np.repeat(np.arange(turns), 30)
    phases = np.zeros((len(step_ms), len(PHASE_NAMES)))
    phases[:, PHASE_INDEX["compute"]] = step_ms
    return LaneSteps(name, step_ms, block, block * 1e9, phases, samples, facts or {}, **more)


def pair_of(*lanes: LaneSteps, **more: Any) -> Pair:
    comparison = compare(lanes, **more)
    assert comparison is not None
    return comparison.pairs[0]


def test_unequal_batches_are_compared_per_sample_and_per_update() -> None:
    torch, keras = {**TORCH, "batch_size": 1000}, KERAS
    lanes = (lane("torch", 20.0, facts=torch, samples=1000), lane("keras", 2.0, facts=keras, samples=32))
    comparison = compare(lanes)
    assert comparison is not None
    assert not comparison.fair
    (pair,) = comparison.pairs
    assert pair.verdict == "unfair"
    instead = {one.code: one for one in pair.alternatives}
    assert instead["per-update"].ratio == pytest.approx(0.1, rel=0.05)
    assert instead["per-sample"].ratio == pytest.approx(0.1 * 1000 / 32, rel=0.05)
    assert instead["per-sample"].verdict == "slower"
    assert "UNFAIR: unequal batch size" in headline(comparison)
    assert "per sample, keras takes" in headline(comparison)


def test_other_models_have_no_fair_alternative() -> None:
    lanes = (lane("torch", 20.0, facts=TORCH), lane("keras", 2.0, facts={**KERAS, "parameters": 7}))
    assert pair_of(*lanes).alternatives == ()


def test_undecided_says_why() -> None:
    few = pair_of(lane("a", 5, turns=4), lane("b", 5, turns=4))
    assert few.verdict == "undecided"
    assert "too few turns" in str(few.reason)
    never = pair_of(lane("a", 5), lane("b", 5, compiling_share=0.4))
    assert never.verdict == "undecided"
    assert "b never gets steady: 40% of its later steps are traced" in str(never.reason)
    none = pair_of(lane("a", 5), lane("b", 5, turns=0))
    assert "b has no steady step yet" in str(none.reason)


def test_a_ratio_that_drifts_decides_nothing() -> None:
    faster = lane("b", 5)
    speed = np.repeat(np.linspace(2.0, 1.0, 20), 30)
    drifting = LaneSteps("b", faster.step_ms * speed, faster.block, faster.end_ns, faster.phases_ms, 32, {})
    found = pair_of(lane("a", 5), drifting)
    assert found.verdict == "undecided"
    assert "not steady" in str(found.reason)


def test_a_wide_interval_names_what_else_used_the_machine() -> None:
    noisy = lane("b", 5)
    scatter = np.repeat(np.random.default_rng(1).lognormal(0, 0.5, 20), 30)
    wide = LaneSteps("b", noisy.step_ms * scatter, noisy.block, noisy.end_ns, noisy.phases_ms, 32, {})
    found = pair_of(lane("a", 5), wide, disturbance="other programs used 1.3 of 2 cores meanwhile")
    assert found.verdict == "undecided"
    assert "farther than ±10%; other programs used 1.3 of 2 cores" in str(found.reason)


@pytest.mark.parametrize(("until_s", "word"), [(9.0, "undecided"), (4.0, "slower"), (0.0, "slower")])
def test_a_machine_that_others_crowd_decides_nothing(until_s: float, word: str) -> None:
    """Most of 14 turns; less than half of them; none."""
    lanes = [lane(name, ms, turns=14) for name, ms in (("a", 5), ("bb", 9))]
    lanes = [replace(one, end_ns=one.end_ns + np.tile(np.arange(30) * 0.01e9, 14)) for one in lanes]
    at_s = np.arange(0, 20, 0.1)
    found = pair_of(*lanes, rivals=Rivals(at_s * 1e9, np.where(at_s < until_s, 1.0, 0.1)))
    assert found.verdict == word
    assert ("other programs crowded the machine in 9 of the 14" in str(found.reason)) == (word == "undecided")


def test_a_change_of_schedule_parts_the_statistics() -> None:
    changes = [{"t": 10e9, "from": "turns", "value": "together"}, {"t": 20e9, "from": "together", "value": "turns"}]
    manifest = {"schedule": "turns", "schedule_changes": changes}
    assert [schedule_at(manifest, moment) for moment in (5e9, 15e9, 25e9)] == ["turns", "together", "turns"]
    assert periods(manifest, "together", 30e9) == [(10e9 + 250e6, 20e9)]
    assert [end for _, end in periods(manifest, "turns", 30e9)] == [10e9, np.inf]
    assert periods(manifest, "turns", 15e9) == [(-np.inf, 10e9)]


def test_lanes_that_share_the_machine_are_counted_only_while_both_train(tmp_path: Path) -> None:
    folder = scenarios.write("together", tmp_path / "run")
    session = Session(folder)
    frame = session.frame(folder.end_ns)
    session.close()
    torch, keras = (folder.truth[name].steps for name in ("torch", "keras"))
    both = [step for step in torch if step.start_ns > keras[0].end_ns - 50e6]
    assert frame.lanes[0].steps_counted <= len(both) < len(torch)
    assert "sharing the machine" in frame.headline
