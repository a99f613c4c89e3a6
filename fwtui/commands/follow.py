"""Follow a run in text, or hand it to the screen: what `run` and `attach` share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from fwtui.commands import screen_options
from fwtui.commands.parser import UsageError, one_of

if TYPE_CHECKING:
    import argparse

    from fwtui.recording.run_folder import RunFolder
    from fwtui.view.clock import Clock
    from fwtui.view.session import Session

ON_QUIT = ("stop", "detach", "ask")
SERVER_PID = "FWTUI_SERVER_PID"
"""Tells a screen in a browser which process serves it: a shell stands between the two."""
SMALLEST_TERMINAL = (40, 12)
LOOK_S = 0.25
TERMINAL_LINE_S = 0.5
FILE_LINE_S = 5.0
"""How often progress is written to something that keeps every line."""


class Printer:
    """Writes progress to a stream; a reader that leaves is no error, and nothing more is written then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._next_s = 0.0
        self._open_line = False
        self.broken = False

    def progress(self, make_line: Callable[[], str]) -> None:
        """Show the line when one is due: in place on a terminal, else below the last."""
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + (TERMINAL_LINE_S if self._terminal else FILE_LINE_S)
        line = make_line()
        if self._terminal:
            width = shutil.get_terminal_size().columns
            self._write(f"\r\x1b[K{line[: width - 1]}")
            self._open_line = True
        else:
            self._write(line + "\n")

    def say(self, text: str) -> None:
        """Write a text below the progress."""
        self._write(("\n" if self._open_line else "") + text)
        self._open_line = False

    def _write(self, text: str) -> None:
        if self.broken:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            self.silence()

    def silence(self) -> None:
        """Write nothing more; Python's own flush at the exit finds an open file."""
        self.broken = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals wait: an import of numpy that was cut short cannot be made again, say."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def open_session(folder: RunFolder, later: bool = False) -> Session:
    """Open a run for reading, whatever signals arrive meanwhile; `later`: the screen reads it once it is there."""
    with uninterrupted():
        import fwtui.reports.text  # noqa: F401 - with all that it needs
        from fwtui.view.session import Session
    return Session(folder, later=later)


def show_screen(
    folder: RunFolder,
    attach: bool = False,
    on_quit: str = "ask",
    session: Session | None = None,
    clock: Clock | None = None,
    options: argparse.Namespace | None = None,
) -> str:
    """Hand the run to the screen; `left`, `stopped` or `detached`, by how it was left."""
    with uninterrupted():
        from fwtui.tui.app import run_app
    config = None if options is None else screen_options.config(options)
    return run_app(folder, attach=attach, on_quit=on_quit, session=session, clock=clock, config=config)


def add_on_quit(parser: argparse.ArgumentParser) -> None:
    """The option that says what `q` does to lanes that train."""
    parser.add_argument(
        "--on-quit",
        type=one_of("answer", *ON_QUIT),
        default="ask",
        help="what q does while lanes train: " + "|".join(ON_QUIT),
    )


def until_over(session: Session, printer: Printer, limit_s: float | None = None) -> None:
    """Print the run's progress until it is over, or for so long."""
    from fwtui.reports.text import progress_line
    from fwtui.view.until_decided import Finisher

    finisher = Finisher(session)
    deadline = time.monotonic() + (limit_s or float("inf"))
    while time.monotonic() < deadline:
        session.poll()
        if not session.live:
            return
        printer.progress(lambda: progress_line(session.frame()))
        finisher.look()
        time.sleep(LOOK_S)


def wants_screen(headless: bool) -> bool:
    """Whether the run is to be shown on the screen."""
    if in_a_browser():
        return not headless
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws to stderr
    return not headless and all(stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"


def in_a_browser() -> bool:
    """Whether `fwtui serve` shows this process in a browser; its stdout is then the browser's only."""
    return "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")


def end_with_the_server() -> None:
    """Let a screen in a browser end when its server is gone, however that ended: nobody sees it any more."""
    server = int(os.environ.get(SERVER_PID, os.getppid()))

    def watch() -> None:
        from fwtui.view.liveness import same_process

        while same_process(server, None):
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, name="server watch", daemon=True).start()


def check_terminal() -> None:
    """Raises UsageError when the terminal is too small to show anything."""
    columns, lines = shutil.get_terminal_size()
    least_columns, least_lines = SMALLEST_TERMINAL
    if columns < least_columns or lines < least_lines:
        raise UsageError(
            f"the terminal is {columns}×{lines} and the screen needs {least_columns}×{least_lines} at least: "
            "enlarge it, or use --headless"
        )
