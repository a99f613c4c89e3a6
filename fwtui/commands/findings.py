"""`fwtui findings`: every cause it can name, with threshold and advice; the same table in Markdown."""

from __future__ import annotations

import argparse

from fwtui.analysis.causes import CAUSES, Cause

_PARTS = ("share", "most", "util", "power", "late", "python", "steady", "doubt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which one, and how."""
    parser.add_argument("code", nargs="?", metavar="CODE", help="one finding, with all of its advice")
    parser.add_argument("--markdown", action="store_true", help="the table in Markdown")


def main(arguments: argparse.Namespace) -> int:
    """Print the table."""
    if arguments.markdown:
        print(markdown())
        return 0
    chosen = [cause for cause in CAUSES if arguments.code in (None, cause.code)]
    if not chosen:
        from fwtui.commands.parser import UsageError, nearest

        codes = [cause.code for cause in CAUSES]
        raise UsageError(
            f"there is no finding {arguments.code!r}{nearest(arguments.code, codes)}: see `fwtui findings`"
        )
    for cause in chosen:
        print("\n".join(_lines(cause, whole=len(chosen) == 1)))
    return 0


def _lines(cause: Cause, whole: bool) -> list[str]:
    lines = [f"{cause.letter}  {cause.code:<24}{cause.meaning}"]
    if whole:
        lines += [f"   {'named from':<24}{limits(cause) or 'n/a'}", f"   {'because':<24}{cause.source}"]
        lines += [f"   {framework.replace('*', 'any'):<24}{line}" for framework, line in cause.advice.items()]
    return lines


def limits(cause: Cause) -> str:
    """`share 25 %, traces 3`"""
    return ", ".join(f"{name.replace('_', ' ')} {_number(name, value)}" for name, value in cause.limits.items())


def _number(name: str, value: float) -> str:
    if name == "bytes":
        return f"{value / 1e6:.0f} MB"
    return f"{value:.0%}" if name in _PARTS or name.startswith("of_") else f"{value:g}"


def markdown() -> str:
    """The table of causes for the README."""
    rows = ["| finding | what it means | named from |", "|---|---|---|"]
    rows += [f"| `{cause.code}` | {cause.meaning} | {limits(cause) or '—'} |" for cause in CAUSES]
    return "\n".join(rows)
