"""The lanes of an experiment: what they are, what they become by a change, and the command line that runs them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fwtui.explain.factor import Factor, Value
from fwtui.recording.run_folder import folder_name

CHANGE_VARIABLE = "FWTUI_CHANGE"
"""Tells the guest which hooks of `fwtui.guest.changes` to arm."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One lane as it can be run again."""

    name: str
    kind: str
    """`workload` or `command`."""
    framework: str
    backend: str | None
    options: Mapping[str, Value]
    """Of a built-in lane."""
    words: tuple[str, ...]
    """The command of a command lane."""
    python: str | None
    """The interpreter of a built-in lane."""
    env: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the guest learnt in the baseline comparison."""

    @property
    def spec(self) -> str:
        """A built-in lane as `--lanes` takes it."""
        words = [f"{name}" if value is True else f"{name}={value}" for name, value in self.options.items()]
        return ":".join([self.framework, *words])

    @property
    def samples(self) -> float | None:
        """Samples of an update."""
        size = self.facts.get("batch_size") or self.facts.get("samples_per_step")
        return float(size) if size else None


@dataclass(frozen=True, slots=True)
class Setting:
    """What all experiments of an explanation share."""

    common: tuple[str, ...]
    """Options of `fwtui run`: the workload, its data, device and seed."""
    cores: int
    workload: str | None
    valid: Callable[[str], bool]
    """Whether a built-in lane of that spec exists."""
    gpu: bool = False
    pythons: bool = False
    """Whether interpreters were chosen by hand, so that they must be named again."""


def subject(entry: Mapping[str, Any], framework: str, facts: Mapping[str, Any]) -> Subject:
    """The lane of a run's manifest.

    Args:
        entry: its part of the manifest.
        framework: what the guest found, or the manifest's word.
        facts: what the guest learnt.
    """
    workload = entry["kind"] == "workload"
    spec = entry["argv"][entry["argv"].index("--lane") + 1] if workload else ""
    head, *parts = spec.split(":")
    options: dict[str, Value] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        options[name] = value if equals else True
    backend = options.get("backend", "tensorflow") if workload and head == "keras" else facts.get("backend")
    return Subject(
        name=str(entry["name"]),
        kind=str(entry["kind"]),
        framework=head if workload else framework,
        backend=None if backend is None else str(backend),
        options=options,
        words=() if workload else tuple(entry["argv"]),
        python=str(entry["python"]) if workload else None,
        env=dict(entry.get("env") or {}),
        facts=dict(facts),
    )


def changed(
    lane: Subject, factor: Factor, setting: Setting, values: Mapping[str, Value] | None = None
) -> Subject | None:
    """The lane with a factor's change; None when the change does not apply to it or changes nothing.

    Args:
        lane: the unchanged lane.
        factor: the row of the table.
        setting: what the experiments share.
        values: other values for the options that the factor sets.
    """
    if factor.hook:
        told = [lane.env[CHANGE_VARIABLE]] if lane.env.get(CHANGE_VARIABLE) else []
        return _renamed(replace(lane, env={**lane.env, CHANGE_VARIABLE: ",".join([*told, factor.hook])}), factor)
    if factor.env:
        env = {name: value.format(cores=setting.cores) for name, value in factor.env.items()}
        new = {**lane.env, **env}
        return None if new == dict(lane.env) else _renamed(replace(lane, env=new), factor)
    if lane.kind != "workload" or (factor.drops and not any(name in lane.options for name in factor.drops)):
        return None
    options = {name: value for name, value in lane.options.items() if name not in factor.drops}
    options.update({**factor.sets, **(values or {})})
    new_lane = replace(lane, options=options)
    if {key: str(value) for key, value in options.items()} == {key: str(v) for key, v in lane.options.items()}:
        return None
    if not setting.valid(new_lane.spec):
        return None
    return replace(new_lane, name=new_lane.spec, backend=str(options.get("backend", "tensorflow")))


def _renamed(lane: Subject, factor: Factor) -> Subject:
    """A lane whose spec stays is told apart by its name."""
    name = lane.name if lane.kind == "workload" else f"{lane.name}+{factor.name.removeprefix('hook-')}"
    return replace(lane, name=name)


def run_argv(setting: Setting, lanes: Sequence[Subject], seconds: float) -> tuple[list[str], list[int]]:
    """The arguments of `fwtui run` that train these lanes in turns, and each lane's place in that run."""
    built_in = [lane for lane in lanes if lane.kind == "workload"]
    commands = [lane for lane in lanes if lane.kind == "command"]
    order = [*built_in, *commands]
    names = _names(order)
    argv: list[str] = []
    if built_in:
        argv += [*setting.common, "--lanes", ",".join(lane.spec for lane in built_in)]
    argv += [f"{lane.name}={shlex.join(lane.words)}" for lane in commands]
    argv += ["--seconds", f"{seconds:g}"]
    for lane, name in zip(order, names, strict=True):
        if lane.python and setting.pythons:
            argv += ["--python", f"{name}={lane.python}"]
        for variable, value in lane.env.items():
            argv += ["--env", f"{name}:{variable}={value}"]
    places = [next(place for place, other in enumerate(order) if other is lane) for lane in lanes]
    return argv, places


def _names(lanes: Sequence[Subject]) -> list[str]:
    """The names that the lanes get in a run: a second lane of a name becomes `name#2`."""
    taken: list[str] = []
    for lane in lanes:
        first = lane.spec if lane.kind == "workload" else lane.name
        name, number = first, 1
        while folder_name(name) in map(folder_name, taken):
            number += 1
            name = f"{first}#{number}"
        taken.append(name)
    return taken
