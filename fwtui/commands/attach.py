"""`fwtui attach`: open a run that goes on or is over, here or on another machine; leaving asks before lanes end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fwtui.commands import follow, report
from fwtui.commands.parser import UsageError, add_run_dir, runs_dir
from fwtui.recording.run_folder import RunFolder, RunFolderError, find_run, list_runs

STOP_LIMIT_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="a run's folder, or its name or a part of it; user@host[:RUN] over ssh; the newest one that goes on",
    )
    parser.add_argument("--headless", action="store_true", help="text instead of the screen")
    follow.add_on_quit(parser)
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Show the run until it is left or over."""
    folder = find(runs_dir(arguments), arguments.run)
    screen = follow.wants_screen(arguments.headless)
    answer = ""
    if screen:
        follow.check_terminal()
        answer = follow.show_screen(folder, attach=True, on_quit=arguments.on_quit)
    session = follow.open_session(folder)
    try:
        if not screen or answer == "stopped":
            limit_s = STOP_LIMIT_S if screen else None
            follow.until_over(session, follow.Printer(sys.stdout), limit_s)
        if session.live:
            print(f"the run goes on: fwtui attach {folder.id} shows it")
        else:
            report.write(session, "text", sys.stdout)
    except KeyboardInterrupt:
        print(f"\nthe run goes on: fwtui attach {folder.id} shows it")
    finally:
        session.close()
    return 0


def find(directory: Path, wanted: str | None) -> RunFolder:
    """The run that is meant: by name, else the newest that goes on, else the newest.

    Raises:
        UsageError: there is none, or more than one fits.
    """
    from fwtui.view.run_list import newest_live

    try:
        return (newest_live(list_runs(directory)) if wanted is None else None) or find_run(directory, wanted)
    except RunFolderError as error:
        raise UsageError(str(error)) from None
