"""`fwtui report`: a run's result as text, JSON, CSV, Markdown, one HTML file, or a trace for Perfetto."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from fwtui.commands.parser import UsageError, add_run_dir, one_of, runs_dir
from fwtui.view.units import show as show_unit

if TYPE_CHECKING:
    from fwtui.view.session import Session

FORMATS = ("text", "json", "csv", "markdown", "html", "trace")
BINARY = ("trace",)
_BAR_WIDTH = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, in which format, to where."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a run's folder, or its name or a part of it; the newest one"
    )
    parser.add_argument("--format", type=one_of("format", *FORMATS), default="text", help="|".join(FORMATS))
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="where to write it; - is the terminal")
    parser.add_argument("--schema", action="store_true", help="print the JSON report's schema, and nothing else")
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Write the report."""
    if arguments.schema:
        from fwtui.reports.schema import SCHEMA

        print(json.dumps(SCHEMA, indent=1))
        return 0
    from fwtui.commands.attach import find
    from fwtui.view.session import Session

    session = Session(find(runs_dir(arguments), arguments.run))
    binary = arguments.format in BINARY
    try:
        if arguments.output != "-":
            bar = Bar(arguments.output)
            with _opened(arguments.output, binary) as file:
                write(session, arguments.format, file, bar.show)
            bar.end()
        elif not binary:
            if arguments.format != "text" and isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")  # a file's encoding is no matter of the terminal's
            write(session, arguments.format, sys.stdout)
        elif sys.stdout.isatty():
            raise UsageError(f"a {arguments.format} is bytes: name a file with -o FILE")
        else:
            write(session, arguments.format, sys.stdout.buffer)
    finally:
        session.close()
    return 0


def _opened(path: str, binary: bool) -> IO[Any]:
    return open(path, "wb") if binary else open(path, "w", encoding="utf-8", newline="")


class Bar:
    """A progress bar on stderr for what takes longer than a moment; nothing where that is no terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = False
        self._began_s = time.monotonic()
        self._next_s = self._began_s + 0.5

    def show(self, share: float) -> None:
        """Draw how much is done, ten times a second at most."""
        now = time.monotonic()
        if now < self._next_s or not sys.stderr.isatty():
            return
        self._next_s = now + 0.1
        done = round(_BAR_WIDTH * share)
        left = f", {show_unit((now - self._began_s) * (1 / share - 1), 's')} left" if share > 0.01 else ""
        drawn = f"{self._name}  {'━' * done}{'╌' * (_BAR_WIDTH - done)} {share:4.0%}{left}"
        print(f"\r\x1b[K{drawn[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)
        self._shown = True

    def end(self) -> None:
        """Take the bar away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def write(
    session: Session, format_name: str, file: Any, progress: Callable[[float], None] = lambda share: None
) -> None:
    """Write a report of the newest moment of a session; `file` takes text, or bytes for the formats in BINARY."""
    if format_name == "csv":
        from fwtui.reports.csv_steps import write_csv

        write_csv(session, file, progress)
    elif format_name == "trace":
        from fwtui.reports.trace import write_trace

        write_trace(session, file, progress)
    elif format_name == "json":
        from fwtui.reports import json_report

        json.dump(json_report.report(session.frame()), file, indent=1, allow_nan=False)
        file.write("\n")
    elif format_name == "html":
        from fwtui.reports import html

        file.write(html.report(session))
    else:
        from fwtui.reports import markdown, text

        file.write(markdown.report(session.frame()) if format_name == "markdown" else text.summary(session.frame()))
