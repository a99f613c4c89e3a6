"""A lane whose host runs ahead of the computing: its turn's end counts, and its steps are told by the turn."""

from __future__ import annotations

from pathlib import Path

import lanes
import numpy as np
import pytest

from fwtui.analysis import run_ahead
from fwtui.analysis.steps import StepFolder
from fwtui.recording.vocabulary import CODE_BITS, EVENT, PHASE_INDEX, PHASE_NAMES
from fwtui.view.derived import Derivation

MS = 1_000_000
QUICK, DISPATCH_MS, DRAIN_MS, OTHERS_MS = 30, 0.5, 285.0, 400.0
TURNS = 12

JAX = """
import sys, jax, jax.numpy as jnp, numpy as np, optax
jax.config.update("jax_platforms", "cpu")
weights = jnp.asarray(np.random.default_rng(0).normal(0, 0.04, (448, 448)).astype("float32"))
inputs = jnp.asarray(np.random.default_rng(1).normal(0, 1, (448, 448)).astype("float32"))
optimizer = optax.sgd(1e-3)
state = optimizer.init(weights)

def loss(weights, inputs):
    for _ in range(6):
        inputs = jnp.tanh(inputs @ weights)
    return (inputs**2).mean()

@jax.jit
def update(weights, state, inputs):
    value, gradient = jax.value_and_grad(loss)(weights, inputs)
    changes, state = optimizer.update(gradient, state)
    return optax.apply_updates(weights, changes), state, value

while True:
    weights, state, value = update(weights, state, inputs)
    if sys.argv[1] == "waits":
        value.block_until_ready()
"""


def ahead_words() -> np.ndarray:
    """A Keras lane on JAX: in each turn thirty batches are asked for at once, then the device is waited for."""
    words, now = [], 10.0

    def event(name: str, takes_ms: float = 0.0) -> None:
        nonlocal now
        words.append(int(now * MS) << CODE_BITS | EVENT[name])
        now += takes_ms

    for _ in range(TURNS):
        for _ in range(QUICK):
            event("batch_begin_enter")
            event("batch_begin_exit", DISPATCH_MS)
            event("batch_end_enter")
            event("batch_end_exit")
        event("drain_begin", DRAIN_MS)
        event("drain_end")
        event("wait_begin", OTHERS_MS)
        event("wait_end")
    return np.array(words, dtype=np.uint64)


def test_a_turn_that_ran_ahead_counts_whole() -> None:
    folder = StepFolder()
    folder.feed(ahead_words())
    derived = Derivation(folder.store).derived(ahead=True)
    assert not derived.stalled.any()  # the wait for the device is no stall
    own, phases = run_ahead.drained(derived.steps)
    assert run_ahead.ran_ahead(own[derived.counted], phases[derived.counted], derived.lost_ns[derived.counted])
    rows = np.flatnonzero(run_ahead.whole_blocks(derived.counted, derived.steps.wait_ns, derived.block))
    means, by_phase = run_ahead.block_means(own[rows], phases[rows], derived.lost_ns[rows], derived.block[rows])
    assert means / MS == pytest.approx((QUICK * DISPATCH_MS + DRAIN_MS) / QUICK)
    assert by_phase.sum(axis=1) == pytest.approx(means)
    assert not np.isin(derived.block[rows], (derived.block[0], derived.block[-1])).any()


def test_what_else_takes_long_now_and_then_is_no_running_ahead() -> None:
    phases = np.zeros((60, len(PHASE_NAMES)))
    phases[:, PHASE_INDEX["compute"]] = MS
    phases[::4, PHASE_INDEX["gc"]] = 20 * MS
    assert not run_ahead.ran_ahead(phases.sum(axis=1), phases, np.zeros(60))
    phases[::4, [PHASE_INDEX["gc"], PHASE_INDEX["sync"]]] = 0, 20 * MS
    assert run_ahead.ran_ahead(phases.sum(axis=1), phases, np.zeros(60))


def test_what_a_long_run_forgets_does_not_shorten_its_steps() -> None:
    folder = StepFolder()
    folder.feed(ahead_words())
    derived = Derivation(folder.store).derived(ahead=True)
    own, _ = run_ahead.evened(derived.steps, derived.block)
    assert own[QUICK : -2 * QUICK] / MS == pytest.approx((QUICK * DISPATCH_MS + DRAIN_MS) / QUICK)


@pytest.mark.parametrize(
    ("facts", "may"),
    [
        ({"framework": "jax", "device": "cpu"}, True),
        ({"framework": "keras", "backend": "jax"}, True),
        ({"framework": "torch", "device": "cuda:0 NVIDIA H200"}, True),
        ({"framework": "torch", "device": "cpu"}, False),
        ({}, False),
    ],
)
def test_who_may_run_ahead(facts: dict[str, str], may: bool) -> None:
    assert run_ahead.may_run_ahead(facts) is may


@pytest.mark.frameworks
def test_a_lane_that_runs_ahead_is_as_slow_as_one_that_waits_for_every_step(tmp_path: Path) -> None:
    """The same program with and without `block_until_ready`: by the median step the latter would take a hundredth."""
    (tmp_path / "train.py").write_text(JAX, encoding="utf-8")
    both = [f"{how}={tmp_path / 'train.py'} {how}" for how in ("waits", "ahead")]
    report, _ = lanes.report_of(tmp_path / "runs", *both, "--seconds", "10")
    waits, ahead = report["lanes"]
    assert ahead["step_ms"]["median"] > 0.6 * waits["step_ms"]["median"]
    (pair,) = report["comparison"]["pairs"]
    assert 0.6 < pair["ratio"] < 1.6, pair
    assert ahead["lost_share"] < 0.3
