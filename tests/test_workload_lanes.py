"""The built-in programs as real processes: every workload trains in every framework and computes the same losses."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from fwtui.analysis.numeric_parity import FirstLosses, numeric_parity
from fwtui.workloads.catalogue import WORKLOADS, parse_lane

pytestmark = [pytest.mark.frameworks, pytest.mark.beside]

SHORT = {"resnet": 6, "mnist-cnn": 8, "finetune": 8, "lstm": 8, "transformer": 8, "matmul": 4}
"""Steps of the workloads whose steps are long; others take 16."""
LEARNS_LATER = ("matmul", "lstm")
"""The loss does not fall within a few steps."""


def losses(workload: str, lane: str, steps: int) -> np.ndarray:
    """Every step's loss, or a skip where the lane's packages are missing."""
    for package in parse_lane(lane).packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "fwtui.workloads", "--workload", workload, "--lane", lane),
            *("--steps", str(steps), "--seed", "5", "--print-losses"),
        ],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    found = [float(line.split()[2]) for line in ended.stdout.splitlines() if line.startswith("step loss")]
    assert found
    return np.array(found)


def assert_agree(workload: str, baseline: np.ndarray, lane: str, precision: str = "float32") -> None:
    found = losses(workload, lane, len(baseline))
    parity = numeric_parity(
        [FirstLosses(tuple(baseline), precision=precision), FirstLosses(tuple(found), precision=precision)]
    )
    assert parity is not None
    assert parity.checked_steps == len(baseline)
    assert parity.agrees, f"{lane}: {parity.max_abs_loss_difference}"


def assert_learns(workload: str, found: np.ndarray) -> None:
    kind = workload.split(":")[0]
    if kind not in LEARNS_LATER:
        assert found[-3:].min() < found[0], f"{workload} learns"  # the first updates may overshoot


@pytest.mark.parametrize(
    ("workload", "lane"), [("mnist-cnn:batch_norm:optimizer=adamw", "tensorflow"), ("lstm:bidirectional", "keras")]
)
def test_frameworks_compute_the_same_losses(workload: str, lane: str) -> None:
    """A sample of what the long tests below do for all."""
    baseline = losses(workload, "torch", 6)
    assert_learns(workload, baseline)
    assert_agree(workload, baseline, lane)


@pytest.mark.long
@pytest.mark.parametrize("lane", ["tensorflow", "keras", "keras:backend=jax"])
@pytest.mark.parametrize(
    "workload",
    [
        "regression-mlp:optimizer=adamw:activation=gelu:l2=0.01",
        "regression-mlp:optimizer=sgd:activation=tanh:l1=0.001",
        "mnist-cnn:batch_norm:pool=average:augment",
        "lstm:bidirectional:layers=2",
        "transformer:activation=gelu:layers=1",
        "mnist-mlp:activation=sigmoid",
    ],
)
def test_a_workloads_options_mean_the_same_everywhere(workload: str, lane: str) -> None:
    baseline = losses(workload, "torch", 8)
    assert_learns(workload, baseline)
    assert_agree(workload, baseline, lane)


LANES = (
    "tensorflow",
    "tensorflow:jit",
    "keras",
    "keras:jit",
    "keras:backend=jax",
    "keras:backend=torch",
    "keras:eager",
)


@pytest.mark.long
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_workload_on_every_lane(workload: str, lane: str) -> None:
    baseline = losses(workload, "torch", SHORT.get(workload, 16))
    assert_learns(workload, baseline)
    assert_agree(workload, baseline, lane)


@pytest.mark.long
@pytest.mark.parametrize(
    "option",
    [
        "torch:compile",
        "torch:workers=2",
        "torch:optimizer_impl=loop",
        "torch:optimizer_impl=foreach",
        "torch:optimizer_impl=fused",
        "torch:layout=nhwc",
        "keras:backend=torch:layout=nchw",
        "keras:backend=jax:layout=nchw",
        *(
            f"{lane}:{option}"
            for lane in ("torch", "keras", "keras:backend=jax", "keras:backend=torch", "tensorflow")
            for option in ("in_memory", "per_sample", "threads=1", "callback_ms=1")
        ),
    ],
)
def test_options_change_how_and_not_what_is_computed(option: str) -> None:
    baseline = losses("mnist-cnn", "torch", 4)
    assert_agree("mnist-cnn", baseline, option)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["mixed_bf16", "bf16"])
@pytest.mark.parametrize("lane", ["tensorflow", "keras", "keras:backend=jax"])
def test_low_precision_agrees_within_its_tolerance(precision: str, lane: str) -> None:
    workload = f"mnist-mlp:optimizer=sgd:precision={precision}"
    assert_agree(workload, losses(workload, "torch", 8), lane, precision)
