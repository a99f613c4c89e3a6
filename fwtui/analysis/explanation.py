"""What experiments said about a gap, as frozen values: the content of a run's `explain.json`.

Unknown is `None`; a zero was measured.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = 1
VERDICTS = (
    "proven",  # the change closes a part of the gap, and the interval says so
    "no effect",  # the interval lies within 5 % of the gap around zero
    "makes it worse",
    "undecided",  # the time was too short for this much noise
    "failed",  # a lane ended with an error
    "not tried",  # the budget was spent before
    "running",  # what is seen of it so far
)
STATUSES = ("running", "done", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class Measured:
    """A quantity with its 95 % interval; without one it is an estimate that decides nothing."""

    value: float
    ci95: tuple[float, float] | None = None


def half_width(measured: Measured) -> float:
    """Half of the interval; infinite without one."""
    return (measured.ci95[1] - measured.ci95[0]) / 2 if measured.ci95 else math.inf


def negative(measured: Measured) -> Measured:
    """Its opposite."""
    return Measured(-measured.value, measured.ci95 and (-measured.ci95[1], -measured.ci95[0]))


def total(parts: Sequence[Measured]) -> Measured:
    """The sum, the errors taken as independent."""
    value = sum(part.value for part in parts)
    half = math.hypot(*(half_width(part) for part in parts))
    return Measured(value, (value - half, value + half) if math.isfinite(half) else None)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One candidate cause: what was changed, what came of it, and how to do it again."""

    code: str
    """A finding's code."""
    factor: str
    """The row of the table of factors."""
    cause: str
    """What it tests, in words."""
    lane: str
    """The lane that was changed."""
    changed: str
    """Its name with the change."""
    kind: str
    """`option`, `environment`, `hook` or `batch sizes`: by what means the lane was changed."""
    tested: str
    """How it was tested, in words."""
    change: str
    """What to change in the user's code."""
    fix: bool
    """Whether the change is one to keep; else it takes something away only to measure its cost."""
    verdict: str
    """One of VERDICTS."""
    reason: str | None = None
    """Why it failed, or is not decided."""
    effect_ms: Measured | None = None
    """What the change saves in a step of the slower lane; per sample-equivalent step."""
    share_of_gap: Measured | None = None
    speedup: Measured | None = None
    """The unchanged lane's step time over the changed one's."""
    turns: int = 0
    """Pairs of turns that were compared."""
    left_out: int = 0
    """Pairs that were not, since other programs disturbed them."""
    run: str | None = None
    """The experiment's own run."""
    command: str | None = None
    """Reruns exactly this experiment."""


@dataclass(frozen=True, slots=True)
class Together:
    """The largest proven changes at once, against the unchanged lane and against the faster one."""

    factors: tuple[str, ...]
    changed: str
    effect_ms: Measured | None = None
    sum_ms: Measured | None = None
    """The effects of the single changes added up."""
    additive: bool | None = None
    share_of_gap: Measured | None = None
    speedup: Measured | None = None
    ratio: Measured | None = None
    """The changed lane's step time over the faster lane's."""
    reason: str | None = None
    turns: int = 0
    run: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class StepCost:
    """A lane's step time as a line over the batch size: `fixed_ms + per_sample_us / 1000 * samples`."""

    lane: str
    sizes: tuple[int, ...]
    fixed_ms: Measured
    per_sample_us: Measured


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole of it: how far it is, what was found, and the one sentence."""

    status: str
    """One of STATUSES."""
    slower: str
    faster: str
    baseline: str
    """The comparison's baseline: one of the two."""
    gap_ms: Measured | None = None
    ratio: Measured | None = None
    """The slower lane's step time over the faster one's, per sample when batch sizes differ."""
    experiments: tuple[Experiment, ...] = ()
    """Largest proven effect first."""
    together: Together | None = None
    step_costs: tuple[StepCost, ...] = ()
    sentence: str = ""
    now: str | None = None
    """What is being tried at the moment."""
    running: Experiment | None = None
    """The experiment that is being made, with what is seen of it so far."""
    budget_s: float = 0.0
    spent_s: float = 0.0
    left_s: float | None = None
    done: int = 0
    planned: int = 0
    problem: str | None = None
    """What stood in the way: other programs that used the machine, say."""
    pid: int | None = None
    """The process that makes the experiments."""


def to_json(explanation: Explanation) -> dict[str, Any]:
    """What `explain.json` holds."""
    return {"schema": SCHEMA, **dataclasses.asdict(explanation)}


def from_json(value: Any) -> Explanation | None:
    """The explanation in a file's content; None of anything else."""
    if not isinstance(value, Mapping) or value.get("schema") != SCHEMA:
        return None
    try:
        return Explanation(
            **{
                **_known(Explanation, value),
                "experiments": tuple(_experiment(item) for item in value.get("experiments", ())),
                "running": _experiment(value["running"]) if value.get("running") else None,
                "together": _together(value.get("together")),
                "step_costs": tuple(_step_cost(item) for item in value.get("step_costs", ())),
            }
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _known(kind: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that the dataclass has, measured ones made whole; a later version may write more."""
    known = {field.name: value[field.name] for field in dataclasses.fields(kind) if field.name in value}
    return {key: _measured(item) if key in _MEASURED else item for key, item in known.items()}


def _measured(value: Any) -> Measured | None:
    if value is None:
        return None
    interval = value.get("ci95")
    number = float(value["value"])
    if not math.isfinite(number):
        return None
    return Measured(number, (float(interval[0]), float(interval[1])) if interval else None)


_MEASURED = ("gap_ms", "effect_ms", "share_of_gap", "speedup", "sum_ms", "ratio")


def _experiment(value: Mapping[str, Any]) -> Experiment:
    return Experiment(**_known(Experiment, value))


def _together(value: Any) -> Together | None:
    if value is None:
        return None
    known = _known(Together, value)
    return Together(**{**known, "factors": tuple(known["factors"])})


def _step_cost(value: Mapping[str, Any]) -> StepCost:
    fixed, per_sample = _measured(value["fixed_ms"]), _measured(value["per_sample_us"])
    if fixed is None or per_sample is None:
        raise ValueError("a fitted line needs both of its numbers")
    return StepCost(str(value["lane"]), tuple(int(size) for size in value["sizes"]), fixed, per_sample)
