"""`fwtui attach`: open a run that goes on or is over, here or on another machine; leaving asks before lanes end."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fwtui.commands import follow, report, screen_options
from fwtui.commands.parser import UsageError, add_run_dir, runs_dir
from fwtui.recording.run_folder import RunFolder, RunFolderError, find_run, list_runs

if TYPE_CHECKING:
    from fwtui.remote.ssh import Address
    from fwtui.view.session import Session

STOP_LIMIT_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="a run's folder, or its name or a part of it; user@host[:RUN] over ssh; the newest one that goes on",
    )
    parser.add_argument("--remote-fwtui", metavar="PATH", default="fwtui", help="fwtui on the other machine (fwtui)")
    parser.add_argument("--headless", action="store_true", help="text instead of the screen")
    follow.add_on_quit(parser)
    screen_options.add_arguments(parser)
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Show the run until it is left or over."""
    screen = follow.wants_screen(arguments.headless)
    if follow.in_a_browser():
        follow.end_with_the_server()
    if screen:
        follow.check_terminal()
    if arguments.run is not None and not Path(arguments.run).exists():
        from fwtui.remote import ssh

        address = ssh.parse(arguments.run)
        if address is not None:
            return _attach_remote(arguments, address, screen)
    try:
        folder = find(runs_dir(arguments), arguments.run)
    except UsageError as error:
        elsewhere = f"; of another machine: fwtui attach {arguments.run}:" if _may_be_a_host(arguments.run) else ""
        raise UsageError(f"{error}{elsewhere}") from None
    return _show(lambda later: follow.open_session(folder, later), arguments, screen, folder.id)


def _may_be_a_host(name: str | None) -> bool:
    return name is not None and re.fullmatch(r"[A-Za-z0-9.-]+", name) is not None


def _attach_remote(arguments: argparse.Namespace, address: Address, screen: bool) -> int:
    """Show a run of another machine, mirrored here while it is shown."""
    from fwtui.remote import ssh
    from fwtui.view.session import Session

    printer = follow.Printer(sys.stderr)

    def tell(received: int) -> None:
        if received:
            printer.progress(lambda: f"{address.host}: {received / 1000:,.0f} kB received")

    remote = ssh.RemoteRun(address, arguments.remote_fwtui, arguments.run_dir)
    try:
        remote.open(tell)
        printer.say("")
        mirror = remote.mirror

        def open_mirror(later: bool) -> Session:
            session = Session(mirror.folder, mirror.now_ns, lambda manifest: mirror.live, later=later)
            remote.told = lambda sentence: setattr(session, "notice", sentence)
            return session

        return _show(open_mirror, arguments, screen, f"{address.host}:{mirror.folder.id}")
    except ssh.RemoteError as error:
        raise UsageError(str(error)) from None
    finally:
        remote.close()


def _show(open_it: Callable[[bool], Session], arguments: argparse.Namespace, screen: bool, name: str) -> int:
    """Show an open run on the screen or in text, and its result when it is over."""
    answer = ""
    if screen:
        session = open_it(True)
        answer = follow.show_screen(
            session.folder, attach=True, on_quit=arguments.on_quit, session=session, options=arguments
        )
    session = open_it(False)
    session.read_all()
    try:
        if not screen or answer == "stopped":
            limit_s = STOP_LIMIT_S if screen else None
            follow.until_over(session, follow.Printer(sys.stdout), limit_s)
        if session.live:
            print(f"the run goes on: fwtui attach {name} shows it")
        else:
            report.write(session, "text", sys.stdout)
    except KeyboardInterrupt:
        print(f"\nthe run goes on: fwtui attach {name} shows it")
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
