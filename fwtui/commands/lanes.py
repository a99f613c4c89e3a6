"""From what was asked for to the manifest's lanes: built-in ones and the user's scripts and commands."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fwtui.commands import interpreters, origin
from fwtui.commands.parser import UsageError, nearest
from fwtui.recording.run_folder import folder_name
from fwtui.workloads import catalogue

ENDLESS_EPOCHS = 100_000
"""With `--seconds` alone the time ends a built-in lane, not its epochs."""
_NAMED = re.compile(r"([A-Za-z0-9][\w.+-]*)=(.+)", re.DOTALL)


def lanes(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The manifest's lanes.

    Raises:
        UsageError: something asked for does not exist here.
    """
    entries = [_workload_lane(spec) for spec in _specs(arguments)]
    entries += _origin_lanes(arguments)
    entries += [_command_lane(target) for target in arguments.targets]
    _name_apart(entries)
    pythons = _pythons(arguments.python, [entry["name"] for entry in entries])
    for entry in entries:
        spec, needs = entry.pop("spec"), entry.pop("needs", None)
        chosen = pythons.get(entry["name"]) or pythons.get("")
        if needs is not None:
            entry["python"] = _with_packages(entry["name"], needs, chosen)
            entry["argv"] = [entry["python"], *entry["argv"]]
        elif spec is not None:
            entry["python"] = _with_packages(entry["name"], spec.packages, chosen)
            entry["argv"] = [entry["python"], *_workload_argv(arguments, spec)]
        else:
            _complete_command(entry, chosen)
    for text in arguments.env:
        entry, name, value = _variable(text, entries)
        entry["env"][name] = value
    return entries


def workload_facts(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The manifest's workload; None without a built-in lane.

    Raises:
        UsageError: a value makes no sense for the workload.
    """
    if origin.is_asked_for(arguments):
        origin.check(arguments)
        return None
    if not _specs(arguments):
        given = [option for option in _WORKLOAD_OPTIONS if getattr(arguments, option) is not None]
        if given:
            option = "--" + given[0].replace("_", "-")
            raise UsageError(
                f"{option} is for built-in lanes: give it to your script in its own words, or use --seconds"
            )
        return None
    try:
        workload = catalogue.workload(arguments.workload or catalogue.DEFAULT_WORKLOAD)
        plan = catalogue.plan(workload, arguments.batch_size, _epochs(arguments), arguments.steps)
        for spec in _specs(arguments):
            catalogue.check(spec, workload)
            catalogue.plan(workload, catalogue.batch_size(spec, plan.batch_size))
    except ValueError as error:
        raise UsageError(str(error)) from None
    data = arguments.data or "auto"
    if data not in workload.data:
        raise UsageError(f"{workload.name} has no data {data!r}: use {' or '.join(workload.data)}")
    return {
        "name": workload.name,
        "batch_size": plan.batch_size,
        "epochs": _epochs(arguments) or workload.epochs,
        "steps": arguments.steps,
        "data": data,
        "device": arguments.device or "auto",
    }


_WORKLOAD_OPTIONS = ("workload", "batch_size", "epochs", "steps", "data", "device")


def _epochs(arguments: argparse.Namespace) -> int | None:
    timed = arguments.seconds is not None or arguments.until_decided is not None
    if arguments.epochs is None and arguments.steps is None and timed:
        return ENDLESS_EPOCHS
    epochs: int | None = arguments.epochs
    return epochs


def _specs(arguments: argparse.Namespace) -> list[catalogue.LaneSpec]:
    if origin.is_asked_for(arguments):
        return []
    if arguments.lanes is None:
        names: Sequence[str] = () if arguments.targets else catalogue.DEFAULT_LANES
    else:
        names = [name for name in arguments.lanes.split(",") if name.strip()]
        if not names:
            raise UsageError(f"--lanes needs at least one lane, such as {','.join(catalogue.DEFAULT_LANES)}")
    try:
        return [catalogue.parse_lane(name) for name in names]
    except ValueError as error:
        raise UsageError(str(error)) from None


def _entry(name: str, kind: str, framework: str | None, spec: catalogue.LaneSpec | None) -> dict[str, Any]:
    nothing = ("pid", "started_ns", "ended_ns", "exit_code", "signal", "error", "stop_reason")
    return {
        "name": name,
        "kind": kind,
        "framework": framework,
        "argv": [],
        "python": "",
        "cwd": os.getcwd(),
        "env": {},
        "status": "pending",
        **dict.fromkeys(nothing),
        "paused": False,
        "spec": spec,
    }


def _workload_lane(spec: catalogue.LaneSpec) -> dict[str, Any]:
    return _entry(spec.name, "workload", spec.framework, spec)


def _origin_lanes(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The two scripts that the project began with, each in an interpreter that has what it needs."""
    if not origin.is_asked_for(arguments):
        return []
    entries = []
    for name, script, packages in origin.SCRIPTS:
        entries.append({**_entry(name, "command", None, None), "argv": [str(script)], "needs": packages})
    return entries


def _workload_argv(arguments: argparse.Namespace, spec: catalogue.LaneSpec) -> list[str]:
    facts = workload_facts(arguments)
    assert facts is not None
    argv = ["-m", "fwtui.workloads", "--workload", facts["name"], "--lane", spec.name]
    for name in ("batch_size", "epochs", "data", "device"):
        argv += ["--" + name.replace("_", "-"), str(facts[name])]
    argv += ["--seed", str(arguments.seed)]
    return argv + (["--steps", str(arguments.steps)] if arguments.steps is not None else [])


def _command_lane(target: str) -> dict[str, Any]:
    named = _NAMED.fullmatch(target)
    text = named[2] if named else target
    try:
        words = [text] if Path(text).is_file() else shlex.split(text)
    except ValueError as error:
        raise UsageError(f"the target {target!r} cannot be read as a command: {error}") from None
    if not words:
        raise UsageError("a target is empty: give a script or a whole command")
    script = next((word for word in words if word.endswith(".py")), words[0])
    entry = _entry(named[1] if named else Path(script).stem or "lane", "command", None, None)
    entry["argv"] = words
    return entry


def _complete_command(entry: dict[str, Any], chosen: str | None) -> None:
    """Put the interpreter before a script; check that what is to run exists."""
    first = entry["argv"][0]
    if first.endswith(".py"):
        if not Path(first).is_file():
            near = nearest(first, (str(path) for path in Path(first).parent.glob("*.py")))
            raise UsageError(f"there is no script {first}{near}")
        entry["python"] = chosen or interpreters.active()[-1]
        entry["argv"] = [entry["python"], *entry["argv"]]
        return
    program = chosen if chosen and re.fullmatch(r"python[\d.]*", first) else shutil.which(first)
    if program is None:
        raise UsageError(f"there is no program {first!r} to run: name a script (train.py) or a whole command")
    entry["argv"] = [os.path.abspath(program), *entry["argv"][1:]]
    entry["python"] = entry["argv"][0]


def _name_apart(entries: Iterable[dict[str, Any]]) -> None:
    """A second lane of a name becomes `name#2`; their folders differ as well."""
    taken: set[str] = set()
    for entry in entries:
        name, number = entry["name"], 1
        while folder_name(entry["name"]) in taken:
            number += 1
            entry["name"] = f"{name}#{number}"
        taken.add(folder_name(entry["name"]))


def _pythons(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Interpreter by lane name; under the empty name the one for all."""
    found: dict[str, str] = {}
    for text in given:
        lane, equals, path = text.rpartition("=")
        if equals and lane not in names:
            raise UsageError(f"--python {text}: there is no lane {lane!r}{nearest(lane, names)}")
        python = interpreters.python_in(path)
        if python is None:
            what = f"{path} is neither an interpreter nor an environment with one" if path else "name a path"
            raise UsageError(f"--python {text}: {what}")
        problem = interpreters.probe(python).problem
        if problem:
            raise UsageError(f"--python {text}: {python} {problem}")
        found[lane] = python
    return found


def _variable(text: str, entries: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], str, str]:
    """(lane, variable, value) of `LANE:NAME=VALUE`; a lane's name may hold colons itself."""
    for entry in sorted(entries, key=lambda entry: -len(entry["name"])):
        if text.startswith(entry["name"] + ":"):
            name, equals, value = text[len(entry["name"]) + 1 :].partition("=")
            if equals and re.fullmatch(r"[A-Za-z_]\w*", name):
                return entry, name, value
    names = ", ".join(entry["name"] for entry in entries)
    raise UsageError(f"--env {text}: write LANE:NAME=VALUE with one of the lanes {names}")


def _with_packages(lane: str, packages: Sequence[str], chosen: str | None) -> str:
    """The lane's interpreter: the chosen one, else the first active one that has what the lane needs."""
    first_problem = None
    for python in [chosen] if chosen else interpreters.active():
        found = interpreters.probe(python)
        if found.problem:
            first_problem = first_problem or UsageError(f"lane {lane}: {python} {found.problem}")
            continue
        missing = [package for package in packages if package not in found.packages]
        if not missing:
            return python
        first_problem = first_problem or UsageError(
            f"lane {lane}: {python} has no {' and no '.join(missing)}; install with "
            f"`{shlex.quote(python)} -m pip install {' '.join(map(_wheel, missing))}` "
            "(fwtui doctor shows what each interpreter has)"
        )
    assert first_problem is not None
    raise first_problem


def _wheel(package: str) -> str:
    """The package to install: TensorFlow's CPU build on Linux x86-64 without an NVIDIA driver."""
    if package != "tensorflow" or sys.platform != "linux" or platform.machine() != "x86_64":
        return package
    return package if Path("/proc/driver/nvidia").exists() else "tensorflow-cpu"
