"""`fwtui workloads`: what the built-in lanes can train, and on what."""

from __future__ import annotations

import argparse

from fwtui.workloads import catalogue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def main(arguments: argparse.Namespace) -> int:
    """Print the catalogue."""
    print("workloads (--workload NAME)")
    for workload in catalogue.WORKLOADS.values():
        print(f"  {workload.name:<16}{workload.description}")
        print(
            f"  {'':<16}batch {workload.batch_size}, {workload.epochs} epochs of {workload.samples:,} samples, "
            f"{workload.parameters:,} parameters, data {'|'.join(workload.data)}"
        )
    print("\nlanes (--lanes LANE,LANE: framework[:option[=value]]…)")
    for framework in catalogue.LANES.values():
        print(f"  {framework.name:<16}{framework.meaning}")
        for option in framework.options:
            print(f"  {'':<16}:{option.usage:<24} {option.meaning}")
    return 0
