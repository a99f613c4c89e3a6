"""The command line: finds the command, imports only that one, and turns what goes wrong into one sentence.

Exit codes: 0 all lanes finished; 1 a lane failed; 2 usage; 3 slower, or 5 undecided, under `--fail-if-slower`;
4 unfair under `--strict`; 130 interrupted.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import importlib
import io
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import fwtui
from fwtui.commands.parser import Parser, UsageError, nearest
from fwtui.recording.run_folder import RunFolderError

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

COMMANDS = {
    "run": "train lanes side by side and show them live (the default)",
    "setup": "choose on a screen what to train, see what is missing, and start",
    "explain": "find by experiments why one lane is slower, and prove the fix",
    "attach": "open the screen of a run that goes on, or is over",
    "replay": "show a recorded run again, at any speed",
    "demo": "show a real comparison that was recorded: no framework needed",
    "report": "write a run's result as text, JSON, CSV, Markdown, HTML or a trace",
    "compare": "compare the same lanes in two runs; fail when one became slower",
    "merge": "put ranks of other hosts into a run",
    "runs": "list the recorded runs, or remove some",
    "workloads": "what the built-in lanes can train",
    "findings": "every cause it can name, with its threshold and advice",
    "doctor": "which interpreters here have which frameworks",
    "serve": "show the screen in a browser, on this machine only",
    "stream": "send a run over a pipe: the far end of `fwtui attach user@host`",
    "completion": "a script that completes commands, options and runs in your shell",
}

HELP = """usage: fwtui [COMMAND] [options]

Run PyTorch and Keras/TensorFlow trainings side by side in a terminal, and learn why one is slower.

commands:
{commands}

  fwtui                                  the MNIST classifier in PyTorch and in Keras
  fwtui train.py "other.py --bs 64"      your own scripts, unmodified
  fwtui COMMAND --help                   a command's options
  fwtui --version                        the version"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    _open_what_is_closed()
    _let_no_letter_fail()
    try:
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except (UsageError, RunFolderError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output left: there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _complain("the disk is full: make room, or write to another disk")
        return _complain(f"{error.filename or 'a file'} cannot be used: {error.strerror or error}")


def _dispatch(argv: list[str]) -> int:
    first = argv[0] if argv else ""
    if first in ("-V", "--version"):
        print(f"fwtui {fwtui.__version__}")
        return 0
    if first in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {name:<11}{meaning}" for name, meaning in COMMANDS.items())))
        return 0
    name = first if first in COMMANDS else "run"
    if first and name != first and not first.startswith("-"):
        _check_target(first)
    command = importlib.import_module(f"fwtui.commands.{name}")
    parser = Parser(prog=f"fwtui {name}", description=COMMANDS[name])
    command.add_arguments(parser)
    code: int = command.main(parser.parse(argv[1:] if name == first else argv))
    sys.stdout.flush()
    return code


def _open_what_is_closed() -> None:
    """Where a standard stream was closed, read and write nothing: and no other file takes its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the lowest free number, which is its own, is taken
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _let_no_letter_fail() -> None:
    """Where the locale is not UTF-8, write what it lacks in ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and "utf" not in stream.encoding.lower():
            codecs.register_error("fwtui", _nearest_letters)
            stream.reconfigure(errors="fwtui")


def _nearest_letters(error: UnicodeError) -> tuple[str, int]:
    from fwtui.view.letters import to_ascii

    assert isinstance(error, UnicodeEncodeError)
    return to_ascii(error.object[error.start : error.end]), error.end


def _check_target(word: str) -> None:
    """A first word that is neither a command, nor a script, nor a program, is a mistyped command."""
    if any(sign in word for sign in (" ", "=", os.sep, ".")) or Path(word).exists() or shutil.which(word):
        return
    raise UsageError(
        f"there is no command {word!r}{nearest(word, COMMANDS)}, and no program of that name: see `fwtui --help`"
    )


def _complain(sentence: str) -> int:
    with contextlib.suppress(OSError):  # not even stderr can be written
        print(f"fwtui: {sentence}", file=sys.stderr)
    return EXIT_USAGE
