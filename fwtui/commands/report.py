"""`fwtui report`: a run's result as text, JSON, Markdown or CSV."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, TextIO

from fwtui.commands.parser import UsageError, add_run_dir, one_of, runs_dir
from fwtui.recording.run_folder import RunFolderError, find_run

if TYPE_CHECKING:
    from fwtui.view.session import Session

FORMATS = ("text", "json", "csv", "markdown", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, in which format, to where."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a run's folder, or its name or a part of it; the newest one"
    )
    parser.add_argument("--format", type=one_of("format", *FORMATS), default="text", help="|".join(FORMATS))
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="where to write it; - is the terminal")
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Write the report."""
    from fwtui.view.session import Session

    try:
        session = Session(find_run(runs_dir(arguments), arguments.run))
    except RunFolderError as error:
        raise UsageError(str(error)) from None
    try:
        if arguments.output == "-":
            write(session, arguments.format, sys.stdout)
        else:
            with open(arguments.output, "w", encoding="utf-8", newline="") as file:
                write(session, arguments.format, file)
    finally:
        session.close()
    return 0


def write(session: Session, format_name: str, file: TextIO) -> None:
    """Write a report of the newest moment of a session."""
    if format_name == "csv":
        from fwtui.reports.csv_steps import write_csv

        write_csv(session, file)
    elif format_name == "json":
        from fwtui.reports import json_report

        json.dump(json_report.report(session.frame()), file, indent=1, allow_nan=False)
        file.write("\n")
    elif format_name == "markdown":
        from fwtui.reports import markdown

        file.write(markdown.report(session.frame()))
    elif format_name == "html":
        from fwtui.reports import html

        file.write(html.report(session))
    else:
        from fwtui.reports import text

        file.write(text.summary(session.frame()))
