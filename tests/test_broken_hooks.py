"""Hooks that fail, in every framework: the program goes on as if nothing was, and the recorder is told once of each."""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from guest_programs import lane as lanes

pytestmark = [pytest.mark.frameworks, pytest.mark.beside]

SABOTAGE = """
import importlib, os
def breaking(name):
    def broken(*_, **__):
        raise RuntimeError(name + " is broken")
    return broken
for name in os.environ["BREAK"].split():
    module, _, function = name.rpartition(".")
    owner = importlib.import_module("fwtui.guest." + module)
    assert hasattr(owner, function), name
    setattr(owner, function, breaking(name))
"""
"""A user's `sitecustomize`, which runs after ours."""

FACTS = {
    "torch": [
        *("notes.learn_batch", "torch_loss.note", "torch_loss.learn_batch", "torch_facts.learn"),
        *(
            "parity_facts.of_torch_loss",
            "sites_torch._made_optimizer",
            "sites_torch._made_loader",
            "sites_torch._learn",
        ),
    ],
    "keras": [
        *("keras_facts.learn", "keras_hooks._plan", "keras_hooks._learn_data"),
        *("sites_keras._compiled", "tensorflow_hooks._look_for_update"),
    ],
    "tensorflow": [
        *("tensorflow_hooks._after_training_call", "tensorflow_hooks._count_parameters", "notes.learn_batch"),
        *("sites_tensorflow._compare", "sites_tensorflow._iterated", "sites_tensorflow._made"),
    ],
    "jax": ["jax_hooks._learn"],
}
"""What hooks learn on the side; steps are counted all the same."""
ARMS = {
    "torch": ["torch_hooks.arm", "sites_torch.arm"],
    "keras": ["keras_hooks.arm_callbacks", "keras_hooks.arm_logs", "keras_hooks.arm_batches", "sites_keras.arm"],
    "tensorflow": [
        *("tensorflow_hooks.arm_functions", "tensorflow_hooks.arm_iterator", "tensorflow_hooks.arm_tracing"),
        *("tensorflow_hooks.arm_tape", "sites_tensorflow.arm_traces", "python_calls.arm"),
    ],
    "jax": ["jax_hooks.arm", "jax_hooks.arm_jax", "jax_hooks.arm_optax"],
}
"""Hooking itself: what a version that we have never seen may do."""
PROGRAMS = {
    "torch": ("torch_loop.py", "--slow", "0.1"),
    "keras": ("keras_fit.py",),
    "tensorflow": ("tf_loop.py",),
    "jax": ("jax_loop.py", "jit"),
}
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow"}
ENDS = {"torch": "optimizer_end", "keras": "batch_end_exit", "tensorflow": "train_call_end", "jax": "train_call_end"}


def run_both(tmp_path: Path, framework: str, broken: list[str]) -> lanes.Lane:
    """The program with broken hooks, and bare: the same output and exit code."""
    for module in (framework, *(["tensorflow"] if framework == "keras" else ["optax"] if framework == "jax" else [])):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    (tmp_path / "sitecustomize.py").write_text(SABOTAGE)
    more = {"PYTHONPATH": str(tmp_path), "BREAK": " ".join(broken)}
    lane = lanes.run(tmp_path / "lane", *PROGRAMS[framework], **ENVIRONMENT, **more)
    bare = run_bare(framework)
    assert (lane.returncode, without_clock(lane.stdout)) == (bare.returncode, without_clock(bare.stdout)), lane.stderr
    assert lane.returncode == 0
    assert "is broken" not in lane.stderr
    return lane


@functools.cache
def run_bare(framework: str) -> subprocess.CompletedProcess[str]:
    return lanes.run_bare(*PROGRAMS[framework], **ENVIRONMENT)


def without_clock(text: str) -> str:
    return re.sub(r"clock \d+ \d+", "clock", text)


def told(lane: lanes.Lane) -> Counter[str]:
    """How often each broken function was told of."""
    return Counter(row["error"].split()[1] for row in lane.notes("hook_error"))


@pytest.mark.parametrize("framework", PROGRAMS)
def test_what_fails_on_the_side_is_told_once_and_steps_are_counted(tmp_path: Path, framework: str) -> None:
    lane = run_both(tmp_path, framework, FACTS[framework])
    assert set(told(lane).values()) == {1}
    assert told(lane).keys() <= set(FACTS[framework])
    assert len(told(lane)) >= len(FACTS[framework]) - 1
    assert lane.counts()[ENDS[framework]] >= 12
    assert lane.reader().ended


@pytest.mark.parametrize("framework", PROGRAMS)
def test_a_program_whose_hooks_cannot_be_put_in_runs_unwatched(tmp_path: Path, framework: str) -> None:
    lane = run_both(tmp_path, framework, ARMS[framework])
    assert told(lane).keys() == set(ARMS[framework])


def test_what_no_file_can_hold_does_no_harm(tmp_path: Path) -> None:
    code = "from fwtui import mark; import sys\nloop = []; loop.append(loop)\n"
    code += "mark.facts(loop=loop, odd={(1, 2): 3})\n"
    code += "for n in range(3):\n    with mark.step(): pass\nprint('end')"
    lane = lanes.run(tmp_path / "lane", "-c", code)
    assert (lane.returncode, lane.stdout, lane.stderr) == (0, "end\n", "")
