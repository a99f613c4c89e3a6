"""The programs that fwtui must watch unchanged, and what must be seen of each: one table for tests and for the record.

    python tests/matrix.py [WORD…] [--python PATH]      runs the cells whose name holds a word; prints the table

Each cell is a real process under the real recorder (`fwtui run --headless`). Checked are the program's own exit code,
the number of steps, samples per step, the phases that must have been measured, the loss, and that the phases, waits and
evaluations inside the program's own clock add up to it within 2 %.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fwtui.recording.run_folder import RunFolder
from fwtui.view.session import Session

SCRATCH = tempfile.TemporaryDirectory(prefix="fwtui-matrix-")
"""For what a program leaves behind: coverage replaces its data file, so it must never be a device."""
PROGRAMS = Path(__file__).parent / "guest_programs"
TORCH = ("forward", "backward", "optimizer")
LOADER = ("data", *TORCH)
FUSED = ("compute",)
SHARE = 0.02
"""How far the phases may be from the program's clock."""


@dataclass(frozen=True)
class Cell:
    """A program and what must be seen of it."""

    group: str
    name: str
    target: str
    """The program below `guest_programs/` with its arguments; or a whole command, where `{programs}` is that folder."""
    phases: tuple[str, ...] = ()
    """Phases that must be measured and not 0."""
    steps: int | None = 60
    """None: as many as the program says."""
    samples: float | None = 32
    loss: bool = True
    exit_code: int | None = 0
    env: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ("torch",)
    clock: bool = True
    title: str = ""
    """What the lane's title must say."""
    same: bool = False
    """Whether its weights and output are compared with a bare run (`test_no_harm.py`)."""
    absent: str = ""
    """Why the cell is n/a."""

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"


def _torch(name: str, case: str, phases: tuple[str, ...] = TORCH, **more: Any) -> Cell:
    return Cell("PyTorch loop", name, f"torch_variants.py {case}", phases, **more)


def _hostile(name: str, what: str, **more: Any) -> Cell:
    return Cell("program that", name, f"hostile.py {what}", LOADER, **more)


def _threaded(name: str, target: str, phases: tuple[str, ...], **more: Any) -> Cell:
    return Cell("program that", name, f"in_thread.py {target}", phases, **more)


def _keras(backend: str, name: str, case: str, **more: Any) -> Cell:
    usual: dict[str, Any] = {"needs": ("keras", backend), "env": {"KERAS_BACKEND": backend}}
    phases = more.pop("phases", ("backward",) if backend == "torch" else FUSED)
    return Cell(f"Keras on {backend}", name, f"keras_variants.py {case}", phases, **{**usual, **more})


def _keras_cells(backend: str) -> list[Cell]:
    only = {
        "jit": {"torch": "Keras has no jit_compile on torch that works with its optimizers"},
        "steps_per_execution": {"torch": "Keras does not implement it on torch"},
    }
    cells = []
    for name, case in (
        ("numpy arrays", "numpy"),
        ("tf.data", "tf.data"),
        ("PyDataset", "PyDataset"),
        ("DataLoader", "DataLoader"),
        ("steps_per_execution=4", "steps_per_execution"),
        ("jit_compile", "jit"),
        ("run_eagerly", "eager"),
        ("a custom train_step", "custom"),
        ("validation_data", "validation"),
        ("class_weight", "class_weight"),
        ("train_on_batch", "train_on_batch"),
    ):
        more: dict[str, Any] = {"absent": only.get(case, {}).get(backend, "")}
        if case in ("DataLoader", "PyDataset", "tf.data"):
            more["samples"] = 32 if case == "PyDataset" else None
            more["needs"] = ("keras", backend, *{"DataLoader": ("torch",), "tf.data": ("tensorflow",)}.get(case, ()))
        if case == "steps_per_execution":
            more["samples"] = 128
        if case == "train_on_batch":
            more |= {"steps": 61}
        if case == "eager":
            more["phases"] = ("backward", "optimizer") if backend != "jax" else ()
        cells.append(_keras(backend, name, case, same=case in ("numpy", "validation"), **more))
    return cells


def _keras_2_cells() -> list[Cell]:
    """Of tf_keras; in an older environment, of the Keras that came with TensorFlow."""
    usual: dict[str, Any] = {"needs": ("tensorflow", "tf_keras"), "env": {"TF_USE_LEGACY_KERAS": "1"}}
    own: dict[str, dict[str, Any]] = {
        "fit": {"same": True},
        "eager": {"phases": ("backward", "optimizer")},
        "steps_per_execution": {"samples": 128},
        "tf.data": {"samples": None},
        "train_on_batch": {"steps": 61},
        "custom": {},
    }
    names = {"fit": "fit", "custom": "a custom train_step", "steps_per_execution": "steps_per_execution=4"}
    cells = []
    for case, more in own.items():
        phases = more.pop("phases", FUSED)
        name = f"tf_keras {names.get(case, case)}"
        cells.append(Cell("Keras 2", name, f"tf_keras_fit.py {case}", phases, **{**usual, **more}))
    return cells


CELLS: tuple[Cell, ...] = (
    _torch("DataLoader", "loader", LOADER, same=True),
    _torch("DataLoader, 2 workers, fork", "workers", LOADER, same=True),
    _torch("DataLoader, 2 workers, spawn", "spawn", LOADER),
    _torch("batches made by hand", "hand", same=True),
    _torch("accumulation over 4 batches", "accumulation", steps=15, samples=128),
    _torch("two optimizers in turn (GAN)", "gan", same=True),
    _torch("GAN with a DataLoader", "gan-loader", LOADER),
    _torch("LBFGS with a closure", "lbfgs", samples=640, same=True),
    _torch("torch.compile on the model", "compiled-model"),
    _torch(
        "torch.compile on the whole step", "compiled-step", ("compute",), steps=62, samples=None, loss=False,
        title="a compiled step",
    ),
    _torch("autocast bfloat16, GradScaler", "bfloat16", same=True),
    _torch("autocast float16, GradScaler", "float16"),
    _torch("evaluation between epochs", "evaluation", LOADER, same=True),
    _torch("evaluation by hand", "hand-evaluation"),
    _torch("checkpoints", "checkpoints", (*LOADER, "callbacks")),
    _torch("no optimizer: says why", "by-hand", (), steps=0, samples=None, loss=False, clock=False),
    Cell("trainer", "Lightning Trainer", "lightning_fit.py", LOADER, needs=("torch", "lightning"), same=True),
    Cell(
        "trainer", "Hugging Face Trainer", "transformers_trainer.py", LOADER, steps=20, samples=16,
        needs=("torch", "transformers", "accelerate"), same=True,
    ),
    Cell("trainer", "accelerate", "accelerate_loop.py", LOADER, needs=("torch", "accelerate")),
    *(cell for backend in ("tensorflow", "torch", "jax") for cell in _keras_cells(backend)),
    Cell("TensorFlow", "GradientTape, eager", "tf_variants.py eager", ("data", "backward", "optimizer"),
         needs=("tensorflow",)),
    Cell("TensorFlow", "tf.function", "tf_variants.py function", ("data", *FUSED), needs=("tensorflow",), same=True),
    Cell("TensorFlow", "retracing", "tf_variants.py retracing", ("data", *FUSED), steps=68, samples=None,
         needs=("tensorflow",)),
    Cell("TensorFlow", "the optimizer outside of tf.function", "tf_variants.py outside", ("data", "optimizer"),
         loss=False, needs=("tensorflow",)),
    *_keras_2_cells(),
    Cell("JAX", "optax, jitted update", "jax_loop.py jit", FUSED, steps=61, samples=None, loss=False,
         needs=("jax", "optax"), title="a jitted update", same=True),
    Cell("JAX", "optax, jitted gradient", "jax_loop.py gradient", ("optimizer",), steps=61, samples=None, loss=False,
         needs=("jax", "optax"), title="an optax update"),
    Cell("JAX", "no optax, jitted", "jax_loop.py without-optax", FUSED, steps=61, samples=None, loss=False,
         needs=("jax",), title="a jitted update"),
    Cell("JAX", "optax, eager", "jax_loop.py eager", (), steps=61, samples=None, loss=False, needs=("jax", "optax")),
    Cell("JAX", "gradients by hand, jitted", "jax_loop.py by-hand", FUSED, steps=61, samples=None, loss=False,
         needs=("jax", "optax"), title="a jitted update"),
    Cell("started as", "python script.py args", "{python} {programs}/torch_variants.py loader", LOADER),
    Cell("started as", "python -m module", "{python} -m torch_variants loader", LOADER,
         env={"PYTHONPATH": str(PROGRAMS)}),
    Cell("started as", "torchrun --nproc-per-node 2",
         "{bin}/torchrun --nproc-per-node 2 --master-port 29531 {programs}/ranks.py", LOADER),
    Cell("started as", "accelerate launch",
         "{bin}/accelerate launch --cpu --num_processes 1 --num_machines 1 --dynamo_backend no --mixed_precision no"
         " {programs}/accelerate_loop.py", LOADER, needs=("torch", "accelerate")),
    Cell("started as", "a shell script", "sh {programs}/train.sh", LOADER),
    Cell("started as", "coverage run",
         "{python} -m coverage run --data-file={scratch}/coverage {programs}/hostile.py plain", LOADER,
         needs=("torch", "coverage")),
    Cell("started as", "python -I: says why", "{python} -I {programs}/hostile.py plain", (), steps=0, samples=None,
         loss=False, clock=False, exit_code=1),
    _hostile("reads stdin", "stdin", same=True),
    _hostile("changes directory", "chdir"),
    _hostile("forks", "fork", same=True),
    _hostile("spawns", "spawn"),
    _hostile("runs a Python of its own", "subprocess"),
    _hostile("execs itself", "exec"),
    _hostile("trains in a thread", "train-in-thread"),
    _threaded("trains in a thread: batches by hand", "torch_variants.py hand", TORCH),
    _threaded("trains in a thread: Keras fit", "keras_variants.py numpy", FUSED, needs=("keras", "tensorflow"),
              env={"KERAS_BACKEND": "tensorflow"}),
    _threaded("trains in a thread: tf.function", "tf_variants.py function", ("data", *FUSED), needs=("tensorflow",)),
    _threaded("trains in a thread: TensorFlow, eager", "tf_variants.py eager", ("data", "backward", "optimizer"),
              needs=("tensorflow",)),
    _threaded("trains in a thread: JAX", "jax_loop.py jit", FUSED, steps=61, samples=None, loss=False,
              needs=("jax", "optax")),
    _hostile("has threads", "thread"),
    _hostile("calls sys.exit(7)", "exit", exit_code=7, same=True),
    _hostile("calls os._exit(8)", "_exit", exit_code=8),
    _hostile("raises", "raise", exit_code=1),
    _hostile("has an excepthook", "excepthook", exit_code=1, same=True),
    _hostile("has signal handlers", "signals"),
    _hostile("is traced by a debugger", "trace"),
    _hostile("is killed", "abort", exit_code=None),
)  # fmt: skip


@dataclass
class Seen:
    """What came of a cell."""

    problems: list[str]
    steps: int = 0
    off: float | None = None
    """Share by which the phases miss the program's clock."""
    why: str | None = None


def missing(cell: Cell, python: str = sys.executable) -> str | None:
    """The first module that the interpreter lacks."""
    code = "import importlib.util as u, sys; print(next((m for m in sys.argv[1:] if u.find_spec(m) is None), ''))"
    done = subprocess.run([python, "-c", code, *cell.needs], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def command(cell: Cell, python: str) -> str:
    """The cell's target, as it is given to fwtui."""
    target = (
        cell.target if "{" in cell.target or cell.target.startswith("sh ") else "{python} {programs}/" + cell.target
    )
    return target.format(python=python, bin=Path(python).parent, programs=PROGRAMS, scratch=SCRATCH.name)


def environment(cell: Cell, python: str) -> dict[str, str]:
    """The cell's environment on top of this one."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "", "PYTHON": python}
    mine = {key: value for key, value in os.environ.items() if not key.startswith("FWTUI")}
    return {**mine, **quiet, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", **cell.env}


def run_cell(cell: Cell, folder: Path, python: str = sys.executable) -> Seen:
    """Run a cell under the recorder and compare what was seen with what must be."""
    root = str(Path(__file__).parents[1])
    env = environment(cell, python)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, cell.env.get("PYTHONPATH"))))
    argv = [sys.executable, "-m", "fwtui", "run", "--headless", "--no-deep", "--schedule", "together"]
    done = subprocess.run(
        [*argv, "--run-dir", str(folder), f"cell={command(cell, python)}"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    runs = [path.parent for path in folder.glob("*/manifest.json")]
    if not runs:
        return Seen([f"no run: {done.stderr.strip()[-300:]}"])
    session = Session(RunFolder(runs[0]))
    try:
        return _compare(cell, session)
    finally:
        session.close()


def _compare(cell: Cell, session: Session) -> Seen:
    lane = session.frame().lanes[0]
    output = (session.folder.path / "lanes" / "cell" / "output.log").read_text(errors="replace")
    seen = Seen([], lane.steps, why=lane.why_no_steps)
    told = re.search(r"updates (\d+)", output)
    wanted = cell.steps if cell.steps is not None else int(told[1]) if told else None

    def check(holds: bool, problem: str) -> None:
        if not holds:
            seen.problems.append(problem)

    check(lane.steps == wanted, f"{lane.steps} steps, not {wanted}")
    if cell.exit_code is None:
        check(lane.signal is not None, "no signal")
    else:
        check(lane.exit_code == cell.exit_code, f"exit code {lane.exit_code}, not {cell.exit_code}: {output[-300:]}")
    if cell.samples is not None:
        check(lane.samples_per_step == cell.samples, f"{lane.samples_per_step} samples a step, not {cell.samples}")
    table = session.steps(0).phases.sum(axis=0) if lane.steps else np.zeros(1)
    totals = dict(zip(lane.phases, table, strict=False))
    for name in cell.phases:
        check(totals.get(name, 0) > 0, f"no {name}")
    check(not cell.loss or lane.loss_last is not None, "no loss")
    check(cell.title in lane.title, f"the title {lane.title!r} does not say {cell.title!r}")
    check(lane.steps > 0 or bool(lane.why_no_steps), "it does not say why there are no steps")
    for path in (session.folder.path / "lanes" / "cell").glob("rank-*/notes.jsonl"):
        errors = [json.loads(line) for line in path.read_text().splitlines() if '"hook_error"' in line]
        check(not errors, f"a hook failed: {errors[:1]}")
    clock = re.search(r"clock (\d+) (\d+)", output)
    if cell.clock and clock is None:
        seen.problems.append(f"no clock: {output[-300:]}")
    elif cell.clock and clock is not None:
        seen.off = _off(session, int(clock[1]), int(clock[2]))
        check(abs(seen.off) <= SHARE, f"the phases miss the program's clock by {seen.off:+.1%}")
    return seen


def _off(session: Session, began: int, over: int) -> float:
    """By how much what is attributed between two moments misses the time between them, as a share."""
    steps = session.steps(0)
    start, end = np.maximum(steps.start_ns, began), np.minimum(steps.end_ns, over)
    inside = np.maximum(end - start, 0) / np.maximum(steps.end_ns - steps.start_ns, 1)
    attributed = float(((steps.step_ns + steps.wait_ns + steps.evaluation_ns + steps.profiler_ns) * inside).sum())
    after = max(0, over - int(steps.end_ns[-1])) if len(steps) else 0  # the last evaluation, the last checkpoint
    before = 0
    if not session.logs[0].saw("data_begin", "train_begin") and len(steps):
        before = max(0, int(steps.start_ns[0]) - began)  # nothing is seen before the first backward pass: start-up
    return (attributed + after + before) / (over - began) - 1


def run(cells: list[Cell], python: str) -> list[tuple[str, str, str]]:
    """(group, name, result) of the cells."""
    table = []
    for cell in cells:
        lacking = cell.absent or missing(cell, python)
        if lacking:
            result = f"n/a: {cell.absent or f'{lacking} is not installed'}"
        else:
            with tempfile.TemporaryDirectory() as folder:
                seen = run_cell(cell, Path(folder), python)
            off = "" if seen.off is None else f", clock {seen.off:+.2%}"
            result = "FAILED: " + "; ".join(seen.problems) if seen.problems else f"{seen.steps} steps{off}"
            if not seen.problems and seen.why:
                result += f": {seen.why}"
        print(f"{cell.id:60} {result}", file=sys.stderr, flush=True)
        table.append((cell.group, cell.name, result))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    words = arguments.words
    table = run([cell for cell in CELLS if not words or any(word in cell.id for word in words)], arguments.python)
    print_table(table)
    return 1 if any(result.startswith("FAILED") for _, _, result in table) else 0


def print_table(table: list[tuple[str, str, str]]) -> None:
    """As Markdown, with its sum."""
    print("| programs | program | seen |\n|---|---|---|")
    for row in table:
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    failed = sum(result.startswith("FAILED") for _, _, result in table)
    absent = sum(result.startswith("n/a") for _, _, result in table)
    print(f"\n{len(table)} cells: {len(table) - failed - absent} passed, {absent} n/a, {failed} failed")


if __name__ == "__main__":
    sys.exit(main())
