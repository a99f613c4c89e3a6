"""`fwtui run`: make a run folder, start its recorder, show it on the screen or in text."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import fwtui
from fwtui.commands import follow, lanes, origin, report, screen_options, starts
from fwtui.commands.parser import UsageError, add_run_dir, one_of, positive_seconds, runs_dir, whole_number
from fwtui.commands.runs import keep, thin_out
from fwtui.recording import run_folder
from fwtui.recording.control import ControlError, send
from fwtui.recording.run_folder import RunFolder
from fwtui.workloads import catalogue

SCHEDULES = ("turns", "together", "solo")
TURN_MS = 300
UNTIL_DECIDED_S = 300.0
GONE_LIMIT_S = 2.0
STOP_LIMIT_S = 10.0
KEPT_RUNS = 100
"""The state folder keeps so many runs; a folder that the user named keeps all, unless told otherwise."""
LEAST_ROOM_BYTES = 16 << 20
"""What a short run of two lanes takes on disk, event logs preallocated."""

EXIT_FINISHED, EXIT_FAILED, EXIT_USAGE, EXIT_UNFAIR, EXIT_INTERRUPTED = 0, 1, 2, 4, 130


class Detached(KeyboardInterrupt):
    """The terminal is gone; the run goes on without us. A kind of Ctrl-C: an event loop lets nothing else pass."""


class Terminated(KeyboardInterrupt):
    """Somebody asked us to end by SIGTERM; to all but the run's stop reason it is a Ctrl-C."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All that a run can be told."""
    add = parser.add_argument
    add(
        "targets",
        nargs="*",
        metavar="TARGET",
        help='your script or command: train.py, "train.py --bs 64", name=train.py',
    )
    add(
        "--workload",
        metavar="NAME",
        help=f"what the built-in lanes train ({catalogue.DEFAULT_WORKLOAD}; see fwtui workloads)",
    )
    add("--lanes", metavar="LANE,LANE", help=f"built-in lanes ({','.join(catalogue.DEFAULT_LANES)})")
    add("--steps", type=whole_number(1), metavar="N", help="end after N steps")
    add("--epochs", type=whole_number(1), metavar="N", help="end after N epochs")
    add("--seconds", type=positive_seconds, metavar="S", help="end after S seconds of training")
    add(
        "--until-decided",
        nargs="?",
        type=positive_seconds,
        const=UNTIL_DECIDED_S,
        metavar="S",
        help=f"end once the verdict's interval is narrow, after S seconds at the latest ({UNTIL_DECIDED_S:.0f})",
    )
    add(
        "--starts",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="start the lanes N times, in text, and give the verdict over all starts",
    )
    add("--batch-size", type=whole_number(1), metavar="N")
    add("--seed", type=whole_number(0), default=0, metavar="N", help="for weights, data order and turns (0)")
    add("--schedule", type=one_of("schedule", *SCHEDULES), default="turns", help="|".join(SCHEDULES))
    add("--data", type=one_of("data", *catalogue.DATA_CHOICES), help="|".join(catalogue.DATA_CHOICES))
    add("--device", type=one_of("device", *catalogue.DEVICE_CHOICES), help="|".join(catalogue.DEVICE_CHOICES))
    add(
        "--python",
        action="append",
        default=[],
        metavar="LANE=PATH",
        help="a lane's interpreter, or its environment's folder",
    )
    add("--env", action="append", default=[], metavar="LANE:NAME=VALUE", help="a variable of a lane's environment")
    deep = parser.add_mutually_exclusive_group()
    deep.add_argument(
        "--deep",
        action="store_const",
        const="early",
        default="auto",
        help="look inside fused steps at once: for short runs",
    )
    deep.add_argument(
        "--no-deep", dest="deep", action="store_const", const="off", help="never open a profiler window of a few steps"
    )
    add("--headless", action="store_true", help="text instead of the screen")
    add("--json", metavar="FILE", help="write the report at the end; - is stdout, which then holds nothing else")
    add("--strict", action="store_true", help="exit 4 when the comparison is unfair")
    follow.add_on_quit(parser)
    screen_options.add_arguments(parser)
    add(
        "--keep",
        type=keep,
        metavar="N|DAYSd",
        help=f"first remove all but the newest N runs, or those older than DAYS ({KEPT_RUNS} in the state folder)",
    )
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run to the end and return the exit code."""
    if arguments.starts > 1:
        return starts.several(arguments, _run)
    code = _run(arguments)
    return origin.then_the_fair_one(arguments, _run, code) if origin.is_asked_for(arguments) else code


def _run(arguments: argparse.Namespace) -> int:
    screen = follow.wants_screen(arguments.headless or arguments.json == "-")
    if screen:
        follow.check_terminal()
    previous = [signal.signal(number, action) for number, action in _SIGNALS.items()]
    folder: RunFolder | None = None
    try:
        workload = lanes.workload_facts(arguments)
        entries = lanes.lanes(arguments)
        with follow.uninterrupted():  # a folder that exists is one that we know of
            folder = arguments.folder = _make_folder(arguments, workload, entries)
        return _follow(folder, arguments, screen)
    except Detached:
        return EXIT_FINISHED
    except KeyboardInterrupt:
        if folder is not None and not folder.read_manifest().get("recorder"):
            _note_never_started(folder)
        return EXIT_INTERRUPTED
    finally:
        for number, action in zip(_SIGNALS, previous, strict=True):
            signal.signal(number, action)


def _raise(error: type[BaseException]) -> Callable[[int, FrameType | None], None]:
    def handler(number: int, frame: FrameType | None) -> None:
        raise error

    return handler


def _leave_soon(number: int, frame: FrameType | None) -> None:
    """Leave; a screen that cannot take itself off a terminal that is gone is not waited for."""
    timer = threading.Timer(GONE_LIMIT_S, os._exit, (EXIT_FINISHED,))
    timer.daemon = True
    timer.start()
    raise Detached


_SIGNALS = {signal.SIGTERM: _raise(Terminated), signal.SIGHUP: _leave_soon}


def make_folder(arguments: argparse.Namespace) -> RunFolder:
    """The folder of a run that was asked for, ready for its recorder.

    Raises:
        UsageError: something asked for does not exist, or the folder cannot be made.
    """
    return _make_folder(arguments, lanes.workload_facts(arguments), lanes.lanes(arguments))


def _make_folder(
    arguments: argparse.Namespace, workload: dict[str, Any] | None, entries: list[dict[str, Any]]
) -> RunFolder:
    """The run folder with its manifest.

    Raises:
        UsageError: it cannot be made, or there is no room for it.
    """
    from fwtui.commands import host

    directory = runs_dir(arguments)
    _thin_out(arguments, directory)
    names = [origin.NAME] if origin.is_asked_for(arguments) else [entry["name"] for entry in entries]
    name = workload["name"] if workload else "-vs-".join(names)[:60]
    try:
        folder = run_folder.create(directory, name)
    except OSError as error:
        raise UsageError(_unwritable(directory, error)) from None
    try:
        if shutil.disk_usage(folder.path).free < LEAST_ROOM_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        folder.write_manifest(_manifest(folder, name, arguments, workload, entries, host.describe()))
    except OSError as error:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise UsageError(_unwritable(directory, error)) from None
    return folder


def _thin_out(arguments: argparse.Namespace, directory: Path) -> None:
    """Make room for one more run, by --keep; the state folder never grows without bound."""
    own = arguments.run_dir is None and not os.environ.get("FWTUI_RUN_DIR")
    rule = arguments.keep or (("newest", KEPT_RUNS) if own else None)
    if rule is None:
        return
    kind, limit = rule
    with suppress(OSError):
        for line in thin_out(directory, (kind, max(0.0, limit - 1) if kind == "newest" else limit)):
            print(f"fwtui: removed the old run {line.id} (--keep)", file=sys.stderr)


def _limit_s(arguments: argparse.Namespace) -> float | None:
    """How long lanes train at most; None: as long as they please."""
    limits = [limit for limit in (arguments.seconds, arguments.until_decided) if limit is not None]
    return min(limits) if limits else None


def _unwritable(directory: object, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {directory} is full: make room, or choose another folder with --run-dir"
    return f"runs cannot be written to {directory} ({error.strerror}): choose another folder with --run-dir"


def _manifest(
    folder: RunFolder,
    name: str,
    arguments: argparse.Namespace,
    workload: dict[str, Any] | None,
    entries: list[dict[str, Any]],
    machine: dict[str, Any],
) -> dict[str, Any]:
    return {
        "schema": run_folder.SCHEMA,
        "fwtui": fwtui.__version__,
        "id": folder.id,
        "name": name,
        "argv": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "clock": {"monotonic_ns": time.perf_counter_ns(), "unix_ns": time.time_ns()},
        "schedule": arguments.schedule,
        "seed": arguments.seed,
        "seconds": _limit_s(arguments),
        "until_decided": arguments.until_decided is not None,
        "workload": workload,
        "host": machine,
        "recorder": None,
        "status": "starting",
        "ended_ns": None,
        "error": None,
        "turn": {"ms": TURN_MS},
        "deep": arguments.deep,
        "lanes": entries,
    }


def _follow(folder: RunFolder, arguments: argparse.Namespace, screen: bool) -> int:
    """Start the recorder and stay with the run; whatever ends our stay but a lost terminal ends the run."""
    from fwtui.recorder.launch import LaunchError, start

    printer = follow.Printer(sys.stderr if arguments.json == "-" else sys.stdout)
    interrupted = False
    try:
        printer.say(f"fwtui {fwtui.__version__}: starting {folder.id}\n")
        try:
            start(folder)
        except LaunchError as error:
            raise UsageError(str(error)) from None
        if screen:
            if follow.show_screen(folder, on_quit=arguments.on_quit, options=arguments) == "stopped":
                interrupted = True
                _stop(folder, "stopped by the user")
        else:
            _follow_in_text(folder, printer)
    except Detached:
        printer.silence()
        raise
    except KeyboardInterrupt as error:
        interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stop takes a few seconds at most
        if not folder.read_manifest().get("recorder"):
            _note_never_started(folder)
        elif not _stop(folder, "fwtui was ended by SIGTERM" if isinstance(error, Terminated) else "interrupted"):
            printer.say("the recorder does not end: its lanes may still run\n")
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return _conclude(folder, arguments, printer, interrupted)


def _follow_in_text(folder: RunFolder, printer: follow.Printer) -> None:
    session = follow.open_session(folder)
    try:
        follow.until_over(session, printer)
    finally:
        session.close()


def _note_never_started(folder: RunFolder) -> None:
    """Say in the manifest that the run ended before its recorder began."""
    manifest = folder.read_manifest()
    manifest.update(status="stopped", ended_ns=time.perf_counter_ns(), error="interrupted before it began")
    for lane in manifest["lanes"]:
        lane.update(status="stopped", stop_reason="interrupted")
    with suppress(OSError):
        folder.write_manifest(manifest)


def _stop(folder: RunFolder, reason: str) -> bool:
    """Ask the recorder to end the run and wait until it has; by signal when it does not listen."""
    with suppress(ControlError):
        send(folder, {"do": "stop", "reason": reason})
    if _is_over(folder, STOP_LIMIT_S):
        return True
    for number in (signal.SIGTERM, signal.SIGKILL):  # of a recorder that is killed, the keeper ends the lanes
        with suppress(OSError):
            os.kill(int(folder.read_manifest()["recorder"]["pid"]), number)
        if _is_over(folder, STOP_LIMIT_S / 2):
            return True
    return False


def _is_over(folder: RunFolder, limit_s: float) -> bool:
    """Whether the recorder is gone within the limit."""
    recorder = folder.read_manifest()["recorder"]
    deadline = time.monotonic() + limit_s
    while _lives(recorder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _lives(recorder: dict[str, Any]) -> bool:
    from fwtui.view.liveness import same_process

    return same_process(int(recorder["pid"]), recorder.get("create_time"), recorder.get("start_ticks"))


def _conclude(folder: RunFolder, arguments: argparse.Namespace, printer: follow.Printer, interrupted: bool) -> int:
    """Print the summary, write the report, and say how it went in the exit code."""
    session = follow.open_session(folder)
    try:
        frame = session.frame()
        if session.live:
            printer.say(f"the run goes on: fwtui attach {folder.id} shows it\n")
            return EXIT_FINISHED
        from fwtui.reports.text import summary

        printer.say(summary(frame))
        if arguments.json == "-":
            report.write(session, "json", sys.stdout)
        elif arguments.json:
            with open(arguments.json, "w", encoding="utf-8") as file:
                report.write(session, "json", file)
        unfair = frame.comparison is not None and not frame.comparison.fair
        return exit_code(session.manifest, interrupted, unfair and arguments.strict)
    finally:
        session.close()


def exit_code(manifest: dict[str, Any], interrupted: bool, unfair: bool) -> int:
    """The exit code that a finished run's manifest stands for."""
    from fwtui.recorder.time_limit import GOOD_ENDS

    if interrupted:
        return EXIT_INTERRUPTED
    ends = [(lane["status"], lane.get("stop_reason")) for lane in manifest["lanes"]]
    if any(status not in ("finished", "stopped") for status, _ in ends) or manifest["status"] == "failed":
        return EXIT_FAILED
    if any(status == "stopped" and reason not in GOOD_ENDS for status, reason in ends):
        return EXIT_INTERRUPTED
    return EXIT_UNFAIR if unfair else EXIT_FINISHED
