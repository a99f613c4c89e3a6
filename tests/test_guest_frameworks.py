"""Real programs of real frameworks under the guest: what is counted, and that nothing else changed."""

from __future__ import annotations

import importlib.util
import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from guest_programs import lane as lanes

from fwtui.recording.event_log import HEADER_BYTES, SLOT_COUNT, TurnGate
from fwtui.recording.vocabulary import GATE_GO, GATE_HOLD

pytestmark = [pytest.mark.frameworks, pytest.mark.beside]
EPOCHS, BATCHES = 2, 12
"""Of 32 in every program: two epochs of 192 samples."""


def needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def wait_until(done: Callable[[], bool], limit_s: float = 120) -> None:
    deadline = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def without_moments(log: str) -> str:
    """TensorFlow's C++ log lines carry a time and a process id."""
    return re.sub(r"(?m)^([IWEF]\d{4}) .*?\]", r"\1]", log)


def run_both(tmp_path: Path, *argv: str, **env: str) -> lanes.Lane:
    """Run a program with and without the guest: output and exit code must be the same."""
    lane = lanes.run(tmp_path / "lane", *argv, **env)
    bare = lanes.run_bare(*argv, **env)
    assert (lane.returncode, lane.stdout) == (bare.returncode, bare.stdout)
    assert without_moments(lane.stderr) == without_moments(bare.stderr)
    assert lane.returncode == 0, lane.stderr
    assert not lane.notes("hook_error")
    assert not list(lane.folder.glob("guest-error.txt"))
    times = [moment for moment, _ in lane.events()]
    assert times == sorted(times)
    assert lane.reader().ended
    return lane


@pytest.mark.parametrize(
    ("options", "updates", "backwards", "fetched"),
    [
        ([], BATCHES, BATCHES, BATCHES),
        (["--workers", "2"], BATCHES, BATCHES, BATCHES),
        (["--no-loader"], BATCHES, BATCHES, 0),
        (["--accumulate", "3"], BATCHES // 3, BATCHES, BATCHES),
        (["--compile", "model"], BATCHES, BATCHES, BATCHES),
    ],
    ids=lambda value: " ".join(value) or "plain" if isinstance(value, list) else "",
)
def test_torch(tmp_path: Path, options: list[str], updates: int, backwards: int, fetched: int) -> None:
    needs("torch")
    lane = run_both(tmp_path, "torch_loop.py", *options)
    counts = lane.counts()
    assert counts["optimizer_begin"] == counts["optimizer_end"] == updates
    assert counts["backward_begin"] == counts["backward_end"] == backwards
    assert counts["data_end"] == fetched
    assert counts["data_begin"] == fetched + counts["data_stop"]
    assert counts["data_stop"] == counts["loader_start_end"] == (2 if fetched else 0)
    assert lane.ranks == ["rank-0"]
    assert bool(counts["compile_begin"]) == ("--compile" in options)
    facts = lane.facts()
    assert facts["framework"] == "torch"
    assert facts["parameters"] == facts["trainable_parameters"] == 20 * 10 + 10 + 10 + 1
    assert facts["optimizer"]["name"] == "Adam"
    assert facts["optimizer"]["learning_rate"] == 0.01
    assert facts["threads"]["intra"] == 1
    assert facts["device"] == "cpu"
    if fetched:
        assert facts["batch_size"] == 32
    losses = lane.notes("loss")
    assert losses
    assert losses[0]["step"] == 1
    assert 0 < losses[0]["value"] < 10
    assert lane.notes("stage")[0]["value"] == "importing torch"


def test_a_loaders_workers_stand_still_while_their_lane_waits(tmp_path: Path) -> None:
    needs("torch")
    argv = ("torch_loop.py", "--workers", "2", "--epochs", "60")
    process = lanes.start(tmp_path / "lane", *argv)
    log = tmp_path / "lane" / "rank-0" / "events.log"
    wait_until(lambda: log.exists() and log.stat().st_size > HEADER_BYTES)
    time.sleep(0.1)  # its header is written right after
    gate = TurnGate(str(log))
    wait_until(lambda: gate._slots[SLOT_COUNT] > 200)

    def workers() -> set[str]:
        return {child.status() for child in psutil.Process(process.pid).children()} or {"none"}

    for _ in range(3):
        gate.set(GATE_HOLD)
        wait_until(lambda: gate.waiting)
        wait_until(lambda: workers() <= {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, "none"})
        gate.set(GATE_GO)
        wait_until(lambda: not gate.waiting and psutil.STATUS_STOPPED not in workers())
    stdout, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    assert stdout == lanes.run_bare(*argv).stdout


PLAIN = {
    "parameters": 221,
    "trainable_parameters": 221,
    "autocast": None,
    "float32_products": "highest",
    "loss": "MseLossBackward0",
    "reduction": "mean",
    "shuffle": True,
}


@pytest.mark.parametrize(
    ("differs", "in_what"),
    [
        ("nothing", {}),
        ("frozen", {"trainable_parameters": 11}),
        ("frozen-outside", {"trainable_parameters": 11}),
        ("autocast", {"autocast": "bfloat16"}),
        ("products", {"float32_products": "medium"}),
        ("absolute", {"loss": "L1Loss"}),
        ("square-by-hand", {"loss": "MSELoss"}),
        ("sum", {"reduction": "sum"}),
        ("sum-by-hand", {"loss": "MSELoss", "reduction": "sum"}),
        ("order", {"shuffle": False}),
    ],
)
def test_a_program_that_differs_in_one_thing_differs_in_one_fact(
    tmp_path: Path, differs: str, in_what: dict[str, object]
) -> None:
    needs("torch")
    facts = run_both(tmp_path, "torch_parity.py", differs).facts()
    assert {name: facts.get(name) for name in PLAIN} == {**PLAIN, **in_what}


def test_a_torch_step_in_order(tmp_path: Path) -> None:
    needs("torch")
    lane = run_both(tmp_path, "torch_loop.py", "--read-loss")
    step = ["data_begin", "data_end", "backward_begin", "backward_end", "optimizer_begin", "optimizer_end"]
    step += ["sync_begin", "sync_end"]
    epoch = ["loader_start_begin", "loader_start_end", *step * 6, "data_begin", "data_stop"]
    names = lane.names()
    assert names[1 : 1 + 2 * len(epoch)] == epoch * 2


def test_a_closure_nests_in_its_optimizer_step(tmp_path: Path) -> None:
    needs("torch")
    lane = run_both(tmp_path, "torch_loop.py", "--lbfgs", "--no-loader", "--epochs", "1")
    names = lane.names("sync_begin", "sync_end", "compile_begin", "compile_end")
    assert names.count("optimizer_end") == 6
    first = names[names.index("optimizer_begin") : names.index("optimizer_end") + 1]
    assert first[1:5] == ["closure_begin", "backward_begin", "backward_end", "closure_end"]
    assert first.count("backward_begin") > 1


def test_a_skipped_update_is_told(tmp_path: Path) -> None:
    needs("torch")
    lane = run_both(tmp_path, "torch_loop.py", "--scaler")
    assert lane.counts()["optimizer_end"] == BATCHES - 1
    assert lane.counts()["update_skipped"] == 1
    assert lane.notes("loss")[0]["value"] < 5, "the loss, not the scaled loss"


def test_a_compiled_step_has_no_more_graph_breaks(tmp_path: Path) -> None:
    needs("torch")
    lane = run_both(tmp_path, "torch_loop.py", "--compile", "step")
    assert "breaks" in lane.stdout
    assert lane.counts()["backward_end"] >= BATCHES


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_keras_fit(tmp_path: Path, backend: str) -> None:
    needs("keras", backend)
    lane = run_both(tmp_path, "keras_fit.py", "--validate", KERAS_BACKEND=backend)
    counts = lane.counts()
    for name in ("batch_begin_enter", "batch_begin_exit", "batch_end_enter", "batch_end_exit"):
        assert counts[name] == BATCHES
    for name, times in (("train", 1), ("epoch", 2)):
        assert counts[f"{name}_begin"] == counts[f"{name}_end"] == times
    assert counts["evaluation_begin"] == counts["evaluation_end"] == 2 + 2, "two epochs, evaluate and predict"
    assert counts["train_call_end"] == (BATCHES if backend == "tensorflow" else 0)
    assert counts["optimizer_end"] == (BATCHES if backend == "torch" else 0)
    assert counts["sync_begin"] == counts["sync_end"]
    facts = lane.facts()
    assert (facts["framework"], facts["backend"]) == ("keras", backend)
    assert facts["parameters"] == facts["trainable_parameters"] == 221
    assert facts["optimizer"]["name"] == "Adam"
    assert abs(facts["optimizer"]["learning_rate"] - 0.01) < 1e-6
    assert facts["batch_size"] == facts["samples_per_step"] == 32
    assert facts["loss"] == "mse"
    plan = lane.notes("plan")[0]
    assert (plan["epochs"], plan["steps_per_epoch"]) == (2, 6)
    assert [row["value"] for row in lane.notes("epoch")] == [1, 2]
    assert lane.notes("loss")[0]["mean"] is True


@pytest.mark.parametrize("updates", [3, 4], ids=["even", "a shorter last execution"])
def test_steps_per_execution(tmp_path: Path, updates: int) -> None:
    needs("keras", "tensorflow")
    lane = run_both(tmp_path, "keras_fit.py", "--steps-per-execution", str(updates), KERAS_BACKEND="tensorflow")
    counts = lane.counts()
    assert counts["batch_end_exit"] == counts["train_call_end"] == EPOCHS * -(-BATCHES // EPOCHS // updates)
    assert counts["batch_end_exit"] + counts["more_updates"] == BATCHES
    assert lane.facts()["steps_per_execution"] == updates
    assert lane.facts()["samples_per_step"] == 32 * updates
    assert {row["k"] for row in lane.notes("samples")} == {updates}


def test_keras_eager_is_told_apart(tmp_path: Path) -> None:
    needs("keras", "tensorflow")
    counts = run_both(tmp_path, "keras_fit.py", "--eager", KERAS_BACKEND="tensorflow").counts()
    assert counts["backward_end"] == counts["optimizer_end"] == counts["batch_end_exit"] == BATCHES


@pytest.mark.parametrize(
    ("options", "calls", "updates"),
    [
        ([], BATCHES, 0),
        (["--keras-optimizer"], BATCHES, 0),
        (["--eager"], 0, 0),
        (["--eager", "--keras-optimizer"], 0, BATCHES),
        (["--apply-outside"], 0, BATCHES),
    ],
    ids=lambda value: " ".join(value) or "plain" if isinstance(value, list) else "",
)
def test_tensorflow_loop(tmp_path: Path, options: list[str], calls: int, updates: int) -> None:
    needs("tensorflow")
    lane = run_both(tmp_path, "tf_loop.py", *options)
    counts = lane.counts()
    assert counts["data_end"] == BATCHES
    assert counts["train_call_end"] == calls
    assert counts["optimizer_end"] == updates
    assert counts["backward_end"] == (BATCHES if "--eager" in options else 0)
    assert counts["call_begin"] + counts["train_call_begin"] == counts["call_end"] + counts["train_call_end"]
    if calls or updates:
        facts = lane.facts()
        assert facts["framework"] == "tensorflow"
        assert facts["trainable_parameters"] == 20
        assert facts["batch_size"] == 32
    if calls:
        assert lane.notes("loss")[0]["step"] >= 1
