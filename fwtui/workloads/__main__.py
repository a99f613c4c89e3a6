"""Trains one built-in lane: `python -m fwtui.workloads --workload mnist-mlp --lane torch`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fwtui import mark
from fwtui.workloads import catalogue

if TYPE_CHECKING:
    from fwtui.workloads.settings import Job

MODULES = {
    "torch": "fwtui.workloads.with_torch",
    "keras": "fwtui.workloads.with_keras",
    "tensorflow": "fwtui.workloads.with_tensorflow",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Trains the lane that the arguments name. Exit code 1: it could not; 2: wrong arguments."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        workload = catalogue.workload(arguments.workload)
        lane = catalogue.parse_lane(arguments.lane)
        catalogue.check(lane, workload)
        batch_size = catalogue.batch_size(lane, arguments.batch_size)
        plan = catalogue.plan(workload, batch_size, arguments.epochs, arguments.steps)
        if arguments.data not in workload.data:
            raise ValueError(f"{workload.name} has no data {arguments.data!r}: take one of {', '.join(workload.data)}")
    except ValueError as error:
        print(f"fwtui: {error}", file=sys.stderr)
        return 2
    missing = [package for package in (*lane.packages, "numpy") if not _is_installed(package)]
    if missing:
        print(f"fwtui: {_missing_sentence(lane.name, missing)}", file=sys.stderr)
        return 1
    mark.plan(plan.steps, plan.epochs, plan.batch_size, plan.steps_per_epoch)

    from fwtui.workloads.settings import Job, WorkloadError

    job = Job(workload, lane.options, plan, arguments.seed, arguments.data, arguments.device, arguments.print_losses)
    try:
        _train(lane, job)
    except WorkloadError as error:
        print(f"fwtui: {error}", file=sys.stderr)
        return 1
    return 0


def _train(lane: catalogue.LaneSpec, job: Job) -> None:
    from fwtui.workloads.settings import WorkloadError

    _set_environment(lane, job.device)
    mark.stage(f"importing {lane.framework}")
    try:
        module = importlib.import_module(MODULES[lane.framework])
    except ImportError as error:
        raise WorkloadError(
            f"{lane.framework} is installed in {sys.executable} but cannot be imported: {error}"
        ) from error
    print(
        f"{lane.name}: {job.workload.name}, {job.plan.steps:,} steps of {job.plan.batch_size} samples, seed {job.seed}"
    )
    if job.workload.network is None:
        from fwtui.workloads import products

        products.multiply(lane.framework, job)
    else:
        module.train(job)


def _set_environment(lane: catalogue.LaneSpec, device: str) -> None:
    """What the frameworks read while they are imported; what the user has set stays, but for what the lane names."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "threads" in lane.options:
        os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = str(lane.options["threads"])  # NPROC is for XLA on JAX
    if lane.framework == "keras":
        os.environ["KERAS_BACKEND"] = str(lane.options.get("backend", catalogue.BACKENDS[0]))
        if device == "cpu":
            os.environ["KERAS_TORCH_DEVICE"] = os.environ["JAX_PLATFORMS"] = "cpu"


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _missing_sentence(lane: str, missing: list[str]) -> str:
    install = f"{sys.executable} -m pip install {' '.join(missing)}"
    return f"the lane {lane} needs {' and '.join(missing)}, not installed in {sys.executable}; install: {install}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fwtui.workloads", description="Train one built-in lane.")
    parser.add_argument("--workload", default=catalogue.DEFAULT_WORKLOAD, help=", ".join(catalogue.WORKLOADS))
    parser.add_argument("--lane", required=True, help="framework[:option[=value]]…")
    parser.add_argument("--batch-size", type=int, help="samples an update")
    parser.add_argument("--epochs", type=int, help="passes over the samples")
    parser.add_argument("--steps", type=int, help="updates in all; wins over --epochs")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and the order of samples")
    parser.add_argument("--data", choices=catalogue.DATA_CHOICES, default="auto")
    parser.add_argument("--device", choices=catalogue.DEVICE_CHOICES, default="auto")
    parser.add_argument("--print-losses", action="store_true", help="print every step's loss, for tests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
