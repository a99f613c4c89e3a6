"""`--workload origin`: two scripts that claim to compare PyTorch with Keras, and then the comparison they meant."""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fwtui.commands.parser import UsageError
from fwtui.workloads import catalogue

NAME = "origin"
MEANING = "two scripts that claim to compare PyTorch with Keras, as they are: unequal work"
FAIR = "regression-mlp"
"""The same network, loss and optimizer on as many samples, with the same batches in every lane."""
FAIR_LIMIT_S = 60.0
_FOLDER = Path(catalogue.__file__).parent / "origin"
SCRIPTS = (
    ("pytorch", _FOLDER / "train_pytorch.py", ("torch",)),
    ("keras", _FOLDER / "train_keras.py", ("keras", "tensorflow")),
)
"""(lane, script, packages it needs)."""
_MEANINGLESS = ("lanes", "steps", "epochs", "batch_size", "data", "device")


def is_asked_for(arguments: argparse.Namespace) -> bool:
    """Whether the run is that of the two scripts."""
    return bool(arguments.workload == NAME)


def check(arguments: argparse.Namespace) -> None:
    """Raises UsageError when something is asked for that the scripts cannot follow."""
    given = next((option for option in _MEANINGLESS if getattr(arguments, option) is not None), None)
    if given is None and arguments.targets:
        given = "targets"
    if given:
        what = "a script" if given == "targets" else "--" + given.replace("_", "-")
        raise UsageError(
            f"--workload {NAME} runs two scripts as they are, so {what} cannot go with it: "
            f"take --workload {FAIR}, which trains the same network"
        )


def then_the_fair_one(arguments: argparse.Namespace, run: Callable[[argparse.Namespace], int], code: int) -> int:
    """After the scripts, run the same work in both frameworks, in text; on the screen and for JSON name it only.

    Args:
        arguments: of the run of the scripts.
        run: runs what arguments ask for and returns its exit code.
        code: how the scripts' run ended.

    Returns:
        The exit code of both.
    """
    if code not in (0, 4):
        return code
    line = f"the same work in both: fwtui run --workload {FAIR} --until-decided"
    if arguments.json == "-" or (not arguments.headless and sys.stdout.isatty()):
        print(line, file=sys.stderr)
        return code
    print(f"\n{line}\n", flush=True)
    fair: Any = copy.copy(arguments)
    fair.workload, fair.json = FAIR, None
    if fair.seconds is None and fair.until_decided is None:
        fair.until_decided = FAIR_LIMIT_S
    return run(fair) or code
