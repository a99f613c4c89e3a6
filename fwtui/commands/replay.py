"""`fwtui replay`: a recorded run on the screen again, as it was seen, at any speed."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from fwtui.commands import attach, follow, report, screen_options
from fwtui.commands.parser import add_run_dir, runs_dir, seconds_from_zero

if TYPE_CHECKING:
    from fwtui.recording.run_folder import RunFolder

SLOWEST, FASTEST = 0.1, 100.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, how fast, from where."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a run's folder, or its name or a part of it; the newest one"
    )
    add_replay_options(parser)
    add_run_dir(parser)


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    """What `replay` and `demo` share."""
    parser.add_argument(
        "--speed", type=speed, default=1.0, metavar="X", help=f"times its own pace, {SLOWEST:g} to {FASTEST:g} (1)"
    )
    parser.add_argument(
        "--at", type=seconds_from_zero, default=0.0, metavar="S", help="begin so many seconds after its start"
    )
    parser.add_argument("--headless", action="store_true", help="text instead of the screen")
    screen_options.add_arguments(parser)


def speed(text: str) -> float:
    """An argument type: a speed within the limits."""
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not SLOWEST <= value <= FASTEST:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from {SLOWEST:g} to {FASTEST:g}")
    return value


def main(arguments: argparse.Namespace) -> int:
    """Show it again."""
    return show_again(attach.find(runs_dir(arguments), arguments.run), arguments)


def show_again(folder: RunFolder, arguments: argparse.Namespace) -> int:
    """Replay a run on the screen, or its progress in text; then its result."""
    from fwtui.view.clock import Clock

    screen = follow.wants_screen(arguments.headless)
    if screen:
        follow.check_terminal()
    session = follow.open_session(folder)
    clock = Clock(session, arguments.speed, session.start_ns + int(arguments.at * 1e9))
    if screen:
        follow.show_screen(folder, session=session, clock=clock, options=arguments)
        return 0
    from fwtui.reports.text import progress_line

    printer = follow.Printer(sys.stdout)
    try:
        while not clock.ended:
            printer.progress(lambda: progress_line(session.frame(clock.now_ns())))
            time.sleep(follow.LOOK_S)
        printer.say("")
        report.write(session, "text", sys.stdout)
    finally:
        session.close()
    return 0
