"""argparse with errors of one sentence that name the nearest right word."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn


class UsageError(Exception):
    """Something the user can put right; the message is one sentence."""


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'torch'?)`, or nothing when no known word is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""


class Parser(argparse.ArgumentParser):
    """A command's parser."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments.

        Raises:
            UsageError: they make no sense.
        """
        arguments, rest = self.parse_known_intermixed_args(argv)
        if rest:
            options = [option for option in self._option_string_actions if option.startswith("--")]
            unknown = rest[0].partition("=")[0]
            kind = "option" if unknown.startswith("-") else "argument"
            raise UsageError(
                f"{self.prog} has no {kind} {unknown!r}{nearest(unknown, options)}: see `{self.prog} --help`"
            )
        return arguments

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument "))


def one_of(kind: str, *choices: str) -> type[str]:
    """An argument type: one of some words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no {kind}{nearest(text, choices)}: use {', '.join(choices[:-1])} or {choices[-1]}"
            )
        return text

    parse.choices = choices  # type: ignore[attr-defined] # the shell's completion offers them
    return parse  # type: ignore[return-value]


def whole_number(least: int) -> type[int]:
    """An argument type: a whole number from `least` up."""

    def parse(text: str) -> int:
        try:
            value = int(text.replace("_", ""))
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {least} up")
        return value

    return parse  # type: ignore[return-value]


def positive_seconds(text: str) -> float:
    """An argument type: a number of seconds above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds above 0")
    return value


def seconds_from_zero(text: str) -> float:
    """An argument type: a number of seconds, 0 or more."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds from 0 up")


def add_run_dir(parser: argparse.ArgumentParser) -> None:
    """The option that says where runs are kept."""
    parser.add_argument("--run-dir", metavar="DIR", help="the folder that holds the runs ($FWTUI_RUN_DIR)")


def runs_dir(arguments: argparse.Namespace) -> Path:
    """The folder that holds the runs: --run-dir, $FWTUI_RUN_DIR, or the user's state folder."""
    chosen = arguments.run_dir or os.environ.get("FWTUI_RUN_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_state_dir("fwtui")) / "runs"
