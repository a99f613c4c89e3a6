"""`fwtui attach`: open a run that goes on or is over; leaving it leaves the training alone."""

from __future__ import annotations

import argparse
import sys

from fwtui.commands import follow, report
from fwtui.commands.parser import UsageError, add_run_dir, runs_dir
from fwtui.recording.run_folder import RunFolderError, find_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a run's folder, or its name or a part of it; the newest one"
    )
    parser.add_argument("--headless", action="store_true", help="text instead of the screen")
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Show the run until it is left or over."""
    try:
        folder = find_run(runs_dir(arguments), arguments.run)
    except RunFolderError as error:
        raise UsageError(str(error)) from None
    screen = follow.wants_screen(arguments.headless)
    if screen:
        follow.check_terminal()
        follow.show_screen(folder, attach=True)
    session = follow.open_session(folder)
    try:
        if not screen:
            follow.until_over(session, follow.Printer(sys.stdout))
        elif session.live:
            return 0  # there is no result yet
        report.write(session, "text", sys.stdout)
    finally:
        session.close()
    return 0
