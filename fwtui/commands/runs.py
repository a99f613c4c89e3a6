"""`fwtui runs`: list the recorded runs, live ones first; remove some."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fwtui.commands.parser import UsageError, add_run_dir, runs_dir
from fwtui.recording.run_folder import MANIFEST, RunFolder, RunFolderError, find_run, list_runs

if TYPE_CHECKING:
    from fwtui.view.run_list import RunLine

STATUS_WORDS = {"running": "● running", "starting": "● starting", "lost": "✗ lost", "failed": "✗ failed"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with them."""
    parser.add_argument("action", nargs="?", choices=("list", "rm"), default="list", help="list (the default), or rm")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="with rm: the runs to remove, by name or a part of it")
    parser.add_argument(
        "--keep",
        type=keep,
        metavar="N|DAYSd",
        help="remove all but the newest N, or those older: --keep 20, --keep 30d",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="with rm: remove without a question")
    parser.add_argument("--names", action="store_true", help="the names only, a line each")
    add_run_dir(parser)


def keep(text: str) -> tuple[str, float]:
    """`20` is ("newest", 20), `30d` is ("days", 30)."""
    found = re.fullmatch(r"(\d+)(d?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of runs (20) or of days (30d)")
    return ("days" if found[2] else "newest", float(found[1]))


def main(arguments: argparse.Namespace) -> int:
    """List, remove, or thin out."""
    directory = runs_dir(arguments)
    if arguments.action == "rm":
        if not arguments.runs:
            raise UsageError("say which run to remove: fwtui runs rm RUN (`fwtui runs` lists them)")
        return _remove_named(directory, arguments.runs, arguments.yes)
    if arguments.runs:
        raise UsageError(f"fwtui runs has no argument {arguments.runs[0]!r}: see `fwtui runs --help`")
    if arguments.keep:
        for line in thin_out(directory, arguments.keep):
            print(f"removed {line.id}")
    elif arguments.names:
        print("\n".join(run.id for run in list_runs(directory)))
    else:
        _list(directory)
    return 0


def _list(directory: Path) -> None:
    from fwtui.view.run_list import list_lines

    lines = list_lines(list_runs(directory))
    if not lines:
        print(f"there is no run in {directory} yet: start one with `fwtui run`")
        return
    width = max(60, shutil.get_terminal_size().columns) if sys.stdout.isatty() else sys.maxsize
    for line in lines:
        for row in _rows(line, width):
            print(row, flush=True)
    print(f"\n{len(lines)} run{'s' * (len(lines) > 1)}, {_size(lines)} in {directory}")


def _rows(line: RunLine, width: int) -> list[str]:
    """A run's name, status, size and age; below it the lanes and the verdict."""
    from fwtui.view.run_list import verdict
    from fwtui.view.units import show

    status = STATUS_WORDS.get(line.status, f"  {line.status}")
    head = f"{line.id:<44} {status:<13} {show(line.size_bytes, 'bytes'):>9}  {age(line.age_s):>9}"
    if line.problem:
        return [head, f"    {line.problem}"]
    lanes = ", ".join(name if status == line.status else f"{name} {status}" for name, status in line.lanes)
    told = "    " + "  ·  ".join(part for part in (lanes, verdict(line)) if part)
    return [head, told if len(told) <= width else told[: width - 1] + "…"]


def _size(lines: list[RunLine]) -> str:
    from fwtui.view.units import show

    return show(sum(line.size_bytes for line in lines), "bytes")


def age(seconds: float | None) -> str:
    """`3 min ago`."""
    if seconds is None:
        return "n/a"
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {word} ago"
    return f"{seconds:.0f} s ago"


def _remove_named(directory: Path, names: list[str], sure: bool) -> int:
    """Remove runs by name; of a name that was not given whole, a person at a terminal is asked."""
    from fwtui.view.run_list import line_of

    try:
        runs = [find_run(directory, name) for name in names]
    except RunFolderError as error:
        raise UsageError(str(error)) from None
    code = 0
    sure = sure or not sys.stdin.isatty()
    for run in {run.path: run for run in runs}.values():
        line = line_of(run)
        if line.live:
            print(f"fwtui: {run.id} goes on: stop it first (fwtui attach {run.id}, then q)", file=sys.stderr)
            code = 1
            continue
        whole = run.id in (Path(name).name for name in names)
        if not sure and not whole and not _agreed(f"remove {run.id} ({_size([line])})? [y/N] "):
            print(f"kept {run.id}")
            continue
        remove(run)
        print(f"removed {run.id}")
    return code


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def remove(run: RunFolder) -> None:
    """Take a run off the disk; its manifest goes first, so that half a run is none.

    Raises:
        OSError: it cannot be removed.
    """
    run.path.joinpath(MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(run.path)


def thin_out(directory: Path, rule: tuple[str, float]) -> list[RunLine]:
    """Remove the runs that a rule does not keep; a live run is always kept. Returns what was removed."""
    from fwtui.view.run_list import line_of

    kind, limit = rule
    removed = []
    for number, run in enumerate(list_runs(directory)):
        line = line_of(run)
        old = number >= limit if kind == "newest" else (line.age_s or 0.0) > limit * 86400
        if old and not line.live:
            remove(run)
            removed.append(line)
    return removed
