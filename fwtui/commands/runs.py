"""`fwtui runs`: the recorded runs, newest first."""

from __future__ import annotations

import argparse

from fwtui.commands.parser import add_run_dir, runs_dir
from fwtui.recording.run_folder import RunFolderError, list_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to look."""
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Print one line a run."""
    folder = runs_dir(arguments)
    runs = list_runs(folder)
    if not runs:
        print(f"there is no run in {folder} yet: start one with `fwtui run`")
    for run in runs:
        try:
            manifest = run.read_manifest()
        except RunFolderError as error:
            print(f"{run.id:<44} broken: {error}")
            continue
        lanes = ", ".join(f"{lane.get('name')} {lane.get('status')}" for lane in manifest["lanes"])
        print(f"{run.id:<44} {manifest.get('status', '?'):<12} {lanes}")
    return 0
