"""`fwtui doctor`: which interpreters there are, which frameworks each has, and which GPUs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fwtui
from fwtui.commands import host, interpreters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def main(arguments: argparse.Namespace) -> int:
    """Print what was found."""
    facts = host.describe()
    print(
        f"fwtui {fwtui.__version__} on {facts['cpu']}, {facts['cores']} cores, {facts['memory_bytes'] / 2**30:.1f} GiB"
    )
    for gpu in facts["gpus"]:
        print(f"GPU {gpu['index']}: {gpu['name']}, {gpu['memory_bytes'] / 2**30:.0f} GiB, driver {gpu['driver']}")
    if not facts["gpus"]:
        print("no NVIDIA GPU: lanes run on the CPU")
    print()
    places = interpreters.found_here()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(interpreters.probe, (path for _, path in places)))
    rows: list[tuple[str, ...]] = [("interpreter", "found by", "python", *interpreters.FRAMEWORKS, "devices")]
    for (where, path), interpreter in zip(places, found, strict=True):
        versions = (interpreter.packages.get(name, "—") for name in interpreters.FRAMEWORKS)
        rows.append((path, where, _version(interpreter), *versions, _devices(interpreter, facts)))
    _print_table(rows)
    print("\nrun a lane in another interpreter with --python LANE=PATH, e.g. --python torch=./.venv")
    return 0


def _version(interpreter: interpreters.Interpreter) -> str:
    if interpreter.version is None:
        return interpreter.problem or "?"
    return f"{interpreter.version} (too old)" if interpreter.problem else interpreter.version


def _devices(interpreter: interpreters.Interpreter, facts: Mapping[str, Any]) -> str:
    """What its frameworks can compute on, by the packages that are installed."""
    if not interpreter.packages:
        return "—"
    if not interpreter.cuda:
        return "cpu"
    return f"cpu, {len(facts['gpus'])} GPU" if facts["gpus"] else "cpu (has CUDA, no GPU here)"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
