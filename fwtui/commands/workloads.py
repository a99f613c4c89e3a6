"""`fwtui workloads`: what the built-in lanes can train, and on what."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from fwtui.commands import origin
from fwtui.workloads import catalogue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def main(arguments: argparse.Namespace) -> int:
    """Print the catalogue."""
    workloads = catalogue.WORKLOADS.values()
    print("workloads (--workload NAME[:OPTION[=VALUE]]…)")
    for workload in workloads:
        print(f"  {workload.name:<16}{workload.description}")
        print(f"  {'':<16}{_size(workload)}, data {'|'.join(workload.data)}")
        for option in workload.options:
            if option not in _common(workloads):
                print(f"  {'':<16}:{option.usage:<24} {option.meaning}")
    print(f"  {origin.NAME:<16}{origin.MEANING}")
    print(f"  {'all that learn':<16}with the same values in every lane")
    for option in _common(workloads):
        print(f"  {'':<16}:{option.usage:<40} {option.meaning}")
    print("\nlanes (--lanes LANE,LANE: framework[:option[=value]]…)")
    shared = _common(catalogue.LANES.values())
    for framework in catalogue.LANES.values():
        print(f"  {framework.name:<16}{framework.meaning}")
        for option in framework.options:
            if option not in shared:
                print(f"  {'':<16}:{option.usage:<40} {option.meaning}")
    print(f"  {'all':<16}")
    for option in shared:
        print(f"  {'':<16}:{option.usage:<40} {option.meaning}")
    return 0


def _size(workload: catalogue.Workload) -> str:
    work = f"{_short(workload.operations * workload.batch_size)}FLOP a step"
    if workload.network is None:
        return f"{workload.epochs * workload.samples:,} products, {work}"
    return (
        f"batch {workload.batch_size}, {workload.epochs} epochs of {workload.samples:,} samples, "
        f"{workload.parameters:,} parameters, {work}"
    )


def _short(number: float) -> str:
    """`1.4 G`: three figures and the unit's prefix."""
    for prefix in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.3g} {prefix}"
        number /= 1000
    return f"{number:.3g} T"


def _common(things: Iterable[catalogue.Workload | catalogue.Framework]) -> tuple[catalogue.Option, ...]:
    """The options of all of them that learn, or compute."""
    kept = [thing.options for thing in things if getattr(thing, "network", True)]
    return tuple(option for option in kept[0] if all(option in options for options in kept))
