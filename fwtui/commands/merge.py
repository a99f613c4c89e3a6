"""`fwtui merge`: put what ranks on other hosts recorded into a run, where no file system is shared."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fwtui.commands.parser import UsageError, add_run_dir, runs_dir
from fwtui.recording.event_log import EventLogError, EventLogReader
from fwtui.recording.run_folder import EVENTS, RunFolder, RunFolderError, find_run, folder_name

HOW = """On each other host, before the training starts:

  export FWTUI_RUN=PART FWTUI_LANE={lane} PYTHONPATH={guest}

PART is a folder of that host; give its copy to `fwtui merge RUN PART`. On a file system that the hosts share, let
FWTUI_RUN name the run's own folder instead: then nothing needs to be merged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and the parts."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's folder, or its name or a part of it")
    parser.add_argument("parts", nargs="*", metavar="PART", help="a folder that FWTUI_RUN named on another host")
    parser.add_argument("--how", action="store_true", help="print what to set on the other hosts")
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Merge, and say what was merged.

    Raises:
        UsageError: there is nothing to merge, or it does not fit.
    """
    if arguments.how:
        guest = Path(__file__).parent.parent / "guest" / "bootstrap"
        print(HOW.format(lane=_lane_of(arguments), guest=guest))
        return 0
    if not arguments.run or not arguments.parts:
        raise UsageError("fwtui merge needs a run and at least one part: fwtui merge RUN PART (--how tells more)")
    try:
        folder = find_run(runs_dir(arguments), arguments.run)
    except RunFolderError as error:
        raise UsageError(str(error)) from None
    lanes = [str(lane["name"]) for lane in folder.read_manifest()["lanes"]]
    ranks = [(source, _target(folder, lanes, source)) for part in arguments.parts for source in _ranks(Path(part))]
    for source, target in ranks:
        if target.exists():
            raise UsageError(f"{source} is in the run already: {target} exists")
    for source, target in ranks:
        draft = target.with_name(f".{target.name}.{os.getpid()}.part")
        shutil.copytree(source, draft)
        draft.rename(target)
        print(f"{target.parent.name}: {target.name} from {source}")
    return 0


def _lane_of(arguments: argparse.Namespace) -> str:
    """The run's lane, when it is known and the only one."""
    try:
        names = [lane["name"] for lane in find_run(runs_dir(arguments), arguments.run).read_manifest()["lanes"]]
    except RunFolderError:
        return "LANE"
    return folder_name(str(names[0])) if len(names) == 1 else "LANE"


def _ranks(part: Path) -> Iterator[Path]:
    """The rank folders of a part.

    Raises:
        UsageError: it has none, or one whose log cannot be read.
    """
    found = sorted(part.glob("lanes/*/rank-*")) or sorted(part.glob("rank-*"))
    if not found:
        raise UsageError(f"{part} has no ranks: it is no folder that FWTUI_RUN named on another host")
    for path in found:
        try:
            EventLogReader(str(path / EVENTS)).close()
        except (EventLogError, OSError) as error:
            raise UsageError(f"{path} cannot be merged: {error}") from None
        yield path


def _target(folder: RunFolder, lanes: list[str], source: Path) -> Path:
    """Where a rank belongs: the lane of the same name, or the only one.

    Raises:
        UsageError: neither is there.
    """
    names = {folder_name(name): name for name in lanes}
    lane = names.get(source.parent.name) or (lanes[0] if len(lanes) == 1 else None)
    if lane is None:
        raise UsageError(f"{source} is of a lane {source.parent.name!r}, and the run has {', '.join(lanes)}")
    target = folder.lane(lane) / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
