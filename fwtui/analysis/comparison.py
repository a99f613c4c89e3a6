"""Lanes against a baseline: the parity list, the fairness verdict, ratios with intervals, and the gap by phase."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fwtui.analysis import gap
from fwtui.analysis.bootstrap import Blocks
from fwtui.analysis.numeric_parity import unequal_losses
from fwtui.analysis.results import Comparison, Finding, Pair, Parity, ParityItem, UnfairReason
from fwtui.analysis.statistics import verdict

PARITY = (
    ("batch_size", "batch size", True),
    ("updates_per_epoch", "optimizer updates per epoch", True),
    ("samples_per_epoch", "samples per epoch", True),
    ("parameters", "parameters", True),
    ("trainable_parameters", "trainable parameters", True),
    ("dtype", "dtype", True),
    ("optimizer.name", "optimizer", True),
    ("optimizer.learning_rate", "learning rate", True),
    ("optimizer.epsilon", "optimizer's epsilon", False),
    ("loss", "loss", False),
    ("device_kind", "device", True),
    ("threads.intra", "threads", False),
    ("compiled", "compiled", False),
    ("jit_compile", "XLA", False),
    ("steps_per_execution", "steps per execution", False),
)
"""(fact, name on screen, whether a difference makes the comparison unfair)."""


@dataclass(frozen=True, slots=True)
class LaneSteps:
    """What the comparison needs of a lane."""

    name: str
    step_ms: np.ndarray
    """(counted,) ms per update."""
    block: np.ndarray
    """(counted,) block number."""
    end_ns: np.ndarray
    """(counted,) when the step ended."""
    phases_ms: np.ndarray
    """(counted, phases) what each step is made of, per update."""
    samples_per_step: float | None
    facts: Mapping[str, Any]


def _fact(facts: Mapping[str, Any], path: str) -> Any:
    value: Any = facts
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _same(values: Sequence[Any]) -> bool:
    if all(isinstance(value, (int, float)) for value in values):
        return all(np.isclose(float(value), float(values[0]), rtol=1e-5, atol=0.0) for value in values)
    return all(str(value).lower() == str(values[0]).lower() for value in values)


def parity_list(lanes: Sequence[LaneSteps]) -> tuple[ParityItem, ...]:
    """What was compared before any verdict; an item of which no lane knows anything is left out."""
    items = []
    for path, name, fatal in PARITY:
        values = [_fact(lane.facts, path) for lane in lanes]
        known = [value for value in values if value is not None]
        if not known:
            continue
        equal = _same(values) if len(known) == len(values) else None
        shown = tuple(
            (lane.name, "n/a" if value is None else value if isinstance(value, str) else json.dumps(value))
            for lane, value in zip(lanes, values, strict=True)
        )
        items.append(ParityItem(name, shown, equal, fatal))
    return tuple(items)


def _scale(lane: LaneSteps, baseline: LaneSteps) -> float:
    """Factor that brings the lane's steps to the baseline's batch size."""
    if lane.samples_per_step and baseline.samples_per_step:
        return baseline.samples_per_step / lane.samples_per_step
    return 1.0


def compare(lanes: Sequence[LaneSteps], parity: Parity | None = None) -> Comparison | None:
    """All lanes against the first one; None with fewer than two lanes."""
    if len(lanes) < 2:
        return None
    baseline = lanes[0]
    items = parity_list(lanes)
    reasons = tuple(
        UnfairReason(item.name.replace(" ", "-"), ", ".join(f"{lane}: {value}" for lane, value in item.values))
        for item in items
        if item.fatal and item.equal is False
    )
    reasons += unequal_losses(parity)
    pairs = []
    for lane in lanes[1:]:
        scale = _scale(lane, baseline)
        blocks = blocks_of(lane, baseline)
        made_of = gap.split(lane.step_ms * scale, lane.phases_ms * scale, baseline.step_ms, baseline.phases_ms, blocks)
        if made_of is None:
            pairs.append(Pair(lane.name, None, None, "undecided", None, reason="too few steady steps"))
            continue
        interval = made_of.ratio.ci95
        word = "unfair" if reasons else verdict(interval)
        why = None
        if word == "undecided":
            why = "too few turns yet" if interval is None else "the interval is wider than ±10 %"
        pairs.append(
            Pair(lane.name, made_of.ratio.value, interval, word, made_of.ms, made_of.causes, why, made_of.ci95)
        )
    return Comparison(baseline.name, not reasons, reasons, items, parity, tuple(pairs))


def blocks_of(lane: LaneSteps, baseline: LaneSteps) -> Blocks:
    """The blocks of two lanes, paired by time."""
    return Blocks(lane.block, lane.end_ns, baseline.block, baseline.end_ns)


def with_findings(comparison: Comparison | None, findings: Mapping[str, Sequence[Finding]]) -> Comparison | None:
    """The comparison with the parts of each gap called by the finding that explains them.

    Args:
        comparison: of the lanes.
        findings: by lane name.
    """
    if comparison is None:
        return None
    baseline = findings.get(comparison.baseline, ())
    pairs = tuple(
        replace(pair, causes=gap.named(pair.causes, findings.get(pair.lane, ()), baseline)) for pair in comparison.pairs
    )
    return replace(comparison, pairs=pairs)


def headline(comparison: Comparison | None) -> str:
    """The verdict in one line of words."""
    if comparison is None or (comparison.fair and all(pair.ratio is None for pair in comparison.pairs)):
        return ""
    if not comparison.fair:
        return "UNFAIR: unequal " + ", ".join(reason.code.replace("-", " ") for reason in comparison.unfair_reasons)
    return " · ".join(_sentence(pair, comparison.baseline) for pair in comparison.pairs)


def _sentence(pair: Pair, baseline: str) -> str:
    if pair.ratio is None:
        return f"{pair.lane}: undecided, {pair.reason}"
    if pair.verdict == "undecided":
        return f"{pair.lane} about {pair.ratio:.2f}x {baseline}'s step time, undecided: {pair.reason}"
    low, high = pair.ci95 or (pair.ratio, pair.ratio)
    if pair.verdict == "no difference":
        return f"no difference between {pair.lane} and {baseline} [{low:.2f}, {high:.2f}]"
    if pair.verdict == "slower":
        return f"{pair.lane} takes {pair.ratio:.2f}x as long as {baseline} [{low:.2f}, {high:.2f}]"
    return f"{pair.lane} is {1 / pair.ratio:.2f}x as fast as {baseline} [{1 / high:.2f}, {1 / low:.2f}]"
