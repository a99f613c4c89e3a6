"""`fwtui explain`: experiments that take a gap apart, one factor at a time, and prove the fix."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fwtui.commands import follow, report, run
from fwtui.commands.parser import Parser, UsageError, runs_dir
from fwtui.recording.control import ControlError, send
from fwtui.recording.run_folder import RunFolder, RunFolderError, find_run
from fwtui.workloads import catalogue

if TYPE_CHECKING:
    from fwtui.analysis.explanation import Explanation
    from fwtui.explain.subjects import Setting
    from fwtui.view.session import Session

BUDGET_S = 180.0
BASELINE_S = 24.0
"""The longest that the comparison itself trains, unless told otherwise."""
BASELINE_PAIRS = 10
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
_UNIT_S = {"s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_WORKLOAD_OPTIONS = ("batch_size", "data", "device")


def budget(text: str) -> float:
    """An argument type: `3m`, `90s`, `1h`; a bare number is seconds."""
    found = _BUDGET.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 3m, 90s or 1h")
    return float(found[1]) * _UNIT_S[found[2]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All that `run` takes, and what is explain's own."""
    run.add_arguments(parser)
    parser.add_argument("--budget", type=budget, default=BUDGET_S, metavar="TIME", help="for all experiments (3m)")
    parser.add_argument("--origin", action="store_true", help="test the usual four claims about the frameworks")
    parser.add_argument("--run", metavar="RUN", dest="of", help="explain this recorded run; with --origin RUN,RUN")


def main(arguments: argparse.Namespace) -> int:
    """Explain the widest gap of a comparison; 130 when it was interrupted, with what was found."""
    printer = follow.Printer(sys.stderr if arguments.json == "-" else sys.stdout)
    began = time.monotonic()
    previous = [signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        if arguments.origin:
            return _origin(arguments, printer)
        if arguments.of is not None:
            folder = _recorded(arguments)
            began = time.monotonic()
        else:
            folder = _compare(arguments, printer)
        with _held(folder):
            result = _explain(folder, arguments, printer, time.monotonic() - began)
    finally:
        for number, action in zip((signal.SIGTERM, signal.SIGHUP), previous, strict=True):
            signal.signal(number, action)
    _conclude(folder, result, arguments, printer)
    return run.EXIT_INTERRUPTED if result.status == "stopped" else run.EXIT_FINISHED


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _recorded(arguments: argparse.Namespace) -> RunFolder:
    from fwtui.commands import host

    try:
        folder = find_run(runs_dir(arguments), arguments.of)
        there = folder.read_manifest().get("host") or {}
    except RunFolderError as error:
        raise UsageError(str(error)) from None
    here = host.describe()
    if any(there.get(name) not in (None, here[name]) for name in ("cpu", "cores")):
        where = f"{there.get('cpu')}, {there.get('cores')} cores"
        raise UsageError(f"this run was recorded on another machine ({where}): its gap can only be explained there")
    return folder


def _compare(arguments: argparse.Namespace, printer: follow.Printer) -> RunFolder:
    """Train the lanes as they are, until their ratio is known."""
    from fwtui.explain import effects
    from fwtui.explain.experiment import Seen, conduct
    from fwtui.reports.text import progress_line
    from fwtui.view.session import Session

    timed = arguments.seconds is None and arguments.steps is None and arguments.epochs is None
    if timed:
        arguments.seconds = min(BASELINE_S, arguments.budget / 3)
    if arguments.schedule != "turns":
        raise UsageError("fwtui explain compares lanes in turns: leave --schedule away")
    folder = run.make_folder(arguments)
    if len(folder.read_manifest()["lanes"]) < 2:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise UsageError("there is no gap to explain with one lane: name two, such as --lanes torch,keras")
    printer.say(f"comparing first: {folder.id}\n")
    _start(folder)
    viewer = Session(folder)

    def enough(lanes: Sequence[Seen]) -> bool:
        if not timed or min(lane.turns.undisturbed() for lane in lanes) < BASELINE_PAIRS:
            return False
        return all(effects.narrow(effects.pairs(lane.turns, lanes[0].turns, ended=False)) for lane in lanes[1:])

    def tick() -> None:
        viewer.poll()
        printer.progress(lambda: f"comparing | {progress_line(viewer.frame())}")

    try:
        places = range(len(viewer.logs))
        lanes = conduct(folder, places, arguments.seconds or 1e9, enough, tick)
    except KeyboardInterrupt:
        printer.say(f"interrupted; the comparison is kept: {folder.path}\n")
        raise
    finally:
        viewer.close()
    problem = next((lane.problem for lane in lanes if lane.problem), None)
    if problem:
        raise UsageError(f"the comparison failed, so there is no gap to explain: {problem} (fwtui report {folder.id})")
    return folder


def _start(folder: RunFolder) -> None:
    from fwtui.recorder.launch import LaunchError, start

    try:
        start(folder)
    except LaunchError as error:
        raise UsageError(str(error)) from None


@contextmanager
def _held(folder: RunFolder) -> Iterator[None]:
    """Hold the lanes of a run that goes on: experiments need the machine."""
    held: list[str] = []
    for lane in folder.read_manifest()["lanes"]:
        if lane["status"] == "running" and not lane["paused"]:
            with suppress(ControlError):
                if send(folder, {"do": "pause", "lane": lane["name"]}).get("ok"):
                    held.append(lane["name"])
    try:
        yield
    finally:
        for name in held:
            with suppress(ControlError):
                send(folder, {"do": "resume", "lane": name})


def _explain(folder: RunFolder, arguments: argparse.Namespace, printer: follow.Printer, spent_s: float) -> Explanation:
    from fwtui.explain.engine import Engine
    from fwtui.explain.opening import NothingToExplain
    from fwtui.reports.explanation import progress

    manifest = folder.read_manifest()
    with suppress(OSError):
        os.chdir(manifest["lanes"][0]["cwd"])  # commands are relative to the folder they were given in

    def launch(argv: Sequence[str]) -> RunFolder:
        return _experiment(argv, folder)

    def show(explanation: Explanation) -> None:
        printer.progress(lambda: progress(explanation))

    try:
        engine = Engine(folder, setting(manifest), launch, arguments.budget, show, spent_s)
    except NothingToExplain as error:
        raise UsageError(f"{error} (fwtui report {folder.id} shows the run)") from None
    printer.say(f"{_pair(engine.result)}; experiments follow, for {arguments.budget - spent_s:.0f} s at most\n")
    return engine.explain()


def _pair(explanation: Explanation) -> str:
    from fwtui.reports.explanation import measured

    return f"{explanation.slower} takes {measured(explanation.ratio, 'x')} as long as {explanation.faster}"


def _experiment(argv: Sequence[str], baseline: RunFolder) -> RunFolder:
    """Start one experiment beside the run that it explains."""
    return _begin(argv, baseline.path.parent, {"explains": baseline.id})


def _begin(argv: Sequence[str], directory: Path, more: dict[str, Any]) -> RunFolder:
    """Start `fwtui run ARGV`, with more in its manifest."""
    from fwtui.explain.experiment import ExperimentError

    parser = Parser(prog="fwtui run", description="")
    run.add_arguments(parser)
    try:
        folder = run.make_folder(parser.parse([*argv, "--run-dir", str(directory)]))
    except UsageError as error:
        raise ExperimentError(str(error)) from None
    manifest = folder.read_manifest()
    manifest.update(argv=["fwtui", "run", *argv], **more)
    folder.write_manifest(manifest)
    _start(folder)
    return folder


def setting(manifest: dict[str, Any]) -> Setting:
    """What all experiments share with the comparison that a manifest describes."""
    from fwtui.explain.subjects import Setting

    workload, machine = manifest.get("workload"), manifest.get("host") or {}
    common: list[str] = []
    if workload:
        common += ["--workload", workload["name"]]
        for option in _WORKLOAD_OPTIONS:
            common += ["--" + option.replace("_", "-"), str(workload[option])]
        common += ["--seed", str(manifest.get("seed") or 0)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Setting(
        common=tuple(common),
        cores=cores,
        workload=workload and str(workload["name"]),
        valid=lambda spec: _is_lane(spec, workload and str(workload["name"])),
        gpu=bool(machine.get("gpus")) and (workload or {}).get("device") != "cpu",
        pythons="--python" in " ".join(map(str, manifest.get("argv") or ())),
    )


def _is_lane(spec: str, workload: str | None) -> bool:
    try:
        lane = catalogue.parse_lane(spec)
        if workload:
            catalogue.check(lane, catalogue.workload(workload))
    except ValueError:
        return False
    return True


def _origin(arguments: argparse.Namespace, printer: follow.Printer) -> int:
    """The origin's claims: one run a workload, or runs that were made before."""
    from fwtui.commands import host
    from fwtui.explain import origin, origin_run
    from fwtui.reports.explanation import starting

    machine = host.describe()
    if arguments.of is not None:
        folders = [find_run(runs_dir(arguments), name) for name in arguments.of.split(",")]
        columns = [origin_run.read(folder) for folder in folders]
        printer.say(origin.markdown(columns, _machine(machine)))
        return run.EXIT_FINISHED
    directory = runs_dir(arguments)
    directory.mkdir(parents=True, exist_ok=True)

    def tick(folder: RunFolder) -> None:
        printer.progress(lambda: f"{folder.id} | {starting(folder.read_manifest()['lanes'])}")

    columns = []
    code = run.EXIT_FINISHED
    for workload in [arguments.workload] if arguments.workload else origin.WORKLOADS:
        try:
            columns.append(origin_run.run(workload, lambda argv: _begin(argv, directory, {}), tick))
        except KeyboardInterrupt:
            code = run.EXIT_INTERRUPTED
            break
    if columns:
        printer.say("\n" + origin.markdown(columns, _machine(machine)))
    return code


def _machine(facts: dict[str, Any]) -> str:
    gpus = ", ".join(str(gpu["name"]) for gpu in facts["gpus"]) or "no GPU"
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_bytes'] / 2**30:.0f} GiB memory, {gpus}"


def _conclude(folder: RunFolder, result: Explanation, arguments: argparse.Namespace, printer: follow.Printer) -> None:
    from fwtui.reports.explanation import lines
    from fwtui.view import waterfall

    session: Session = follow.open_session(folder)
    try:
        for gap in waterfall.by_phase(session.frame()):
            printer.say("\n" + "\n".join(["the gap by phase: " + gap.title, *waterfall.lines(gap)]) + "\n")
    finally:
        session.close()
    printer.say("\n" + "\n".join(lines(result)) + "\n")
    if result.status == "stopped":
        printer.say("\ninterrupted: what was found is kept\n")
    printer.say(f"\nrun folder  {folder.path}\nreport      fwtui report {shlex.quote(folder.id)}\n")
    if not arguments.json:
        return
    session = follow.open_session(folder)
    try:
        if arguments.json == "-":
            report.write(session, "json", sys.stdout)
        else:
            with open(arguments.json, "w", encoding="utf-8") as file:
                report.write(session, "json", file)
    finally:
        session.close()
