"""`fwtui stream`: send a run's folder over a pipe as it grows, and take requests for its recorder back.

`fwtui attach user@host` starts it at the other end of an ssh connection.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from fwtui.commands.parser import UsageError, add_run_dir, runs_dir

if TYPE_CHECKING:
    from fwtui.recording.run_folder import RunFolder

PERIOD_S = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="the run; the newest one that goes on")
    parser.add_argument("--once", action="store_true", help="send what is there now, and end")
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Send until the run is over or the other side is gone."""
    from fwtui.commands.attach import find
    from fwtui.remote.frames import FrameWriter
    from fwtui.remote.sender import Sender
    from fwtui.view import liveness

    if sys.stdout.isatty():
        raise UsageError("fwtui stream writes bytes for another fwtui: send them to a file or a pipe")
    folder = find(runs_dir(arguments), arguments.run)
    have = {} if arguments.once else _greeting(sys.stdin.buffer)
    out: BinaryIO = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 16)
    writer = FrameWriter(out)
    answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
    try:
        sender = Sender(folder, writer, have, lambda: liveness.is_live(folder.read_manifest(), folder))
        if not arguments.once:
            threading.Thread(target=_take_requests, args=(folder, answers), daemon=True).start()
        while sender.send_new() and not arguments.once:
            with contextlib.suppress(queue.Empty):
                answer = answers.get(timeout=PERIOD_S)
                if answer is None:
                    return 0  # the viewer is gone
                writer.write("answer", **answer)
        sender.end()
        out.close()
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            out.close()
    return 0


def _greeting(stdin: BinaryIO) -> dict[str, int]:
    """What the viewer has already; it says so in its first line."""
    try:
        return dict(json.loads(stdin.readline() or b"{}").get("have", {}))
    except (ValueError, AttributeError, TypeError):
        raise UsageError("fwtui stream takes its first line from `fwtui attach user@host`; see --once") from None


def _take_requests(folder: RunFolder, answers: queue.Queue[dict[str, Any] | None]) -> None:
    """Hand each line of stdin to the recorder, until stdin ends."""
    from fwtui.recording.control import ControlError, send

    for line in sys.stdin.buffer:
        try:
            asked = json.loads(line)
            number, request = int(asked["i"]), dict(asked["request"])
        except (ValueError, KeyError, TypeError):
            continue
        try:
            value = send(folder, request)
        except ControlError as error:
            value = {"ok": False, "error": str(error)}
        answers.put({"i": number, "value": value})
    answers.put(None)
