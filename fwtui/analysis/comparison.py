"""Lanes against a baseline: the parity list, the fairness verdict, ratios with intervals, and the gap by phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fwtui.analysis import gap
from fwtui.analysis.bootstrap import MIN_BLOCKS, Blocks, Rivals
from fwtui.analysis.numeric_parity import unequal_losses
from fwtui.analysis.parity import can_be_scaled, parity_list, unfair_reasons
from fwtui.analysis.ratio import Ratio, ratio
from fwtui.analysis.results import Alternative, Comparison, Finding, Pair, Parity
from fwtui.analysis.statistics import UNDECIDED_HALF_WIDTH, verdict


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
    compiling_share: float | None = None
    """Share of the steps of the later half in which something was traced or compiled."""


def _scale(lane: LaneSteps, baseline: LaneSteps) -> float:
    """Factor that brings the lane's steps to the baseline's batch size."""
    if lane.samples_per_step and baseline.samples_per_step:
        return baseline.samples_per_step / lane.samples_per_step
    return 1.0


def compare(
    lanes: Sequence[LaneSteps],
    parity: Parity | None = None,
    disturbance: str | None = None,
    rivals: Rivals | None = None,
) -> Comparison | None:
    """All lanes against the first one; None with fewer than two lanes.

    Args:
        lanes: the baseline first.
        parity: whether they computed the same losses.
        disturbance: what else used the machine, in words, to be named where nothing can be decided.
        rivals: the same, sample by sample: blocks in which it crowded the machine are left out.
    """
    if len(lanes) < 2:
        return None
    items = parity_list([(lane.name, lane.facts) for lane in lanes])
    losses = unequal_losses(parity)
    reasons = unfair_reasons(items) + losses
    pairs = tuple(_pair(lane, lanes[0], bool(losses), disturbance, rivals) for lane in lanes[1:])
    return Comparison(lanes[0].name, not reasons, reasons, items, parity, pairs)


def _pair(
    lane: LaneSteps, baseline: LaneSteps, other_losses: bool, disturbance: str | None, rivals: Rivals | None
) -> Pair:
    """One lane against the baseline: unfair only for what these two do unequally."""
    items = parity_list([(baseline.name, baseline.facts), (lane.name, lane.facts)])
    unequal = [reason.code for reason in unfair_reasons(items)] + (["losses"] if other_losses else [])
    unfair, alike = bool(unequal), can_be_scaled(items) and not other_losses
    scale = _scale(lane, baseline)
    blocks = Blocks(lane.block, lane.end_ns, baseline.block, baseline.end_ns, rivals)
    made_of = gap.split(lane.step_ms * scale, lane.phases_ms * scale, baseline.step_ms, baseline.phases_ms, blocks)
    if made_of is None:
        few = _few(lane, baseline)
        return Pair(
            lane.name,
            None,
            None,
            "unfair" if unfair else "undecided",
            None,
            reason=_unequal_words(unequal) if unfair else few,
        )
    measured = made_of.ratio
    if unfair:
        alternatives = _alternatives(lane, baseline, blocks) if alike else ()
        return Pair(
            lane.name,
            measured.value,
            measured.ci95,
            "unfair",
            made_of.ms,
            made_of.causes,
            reason=_unequal_words(unequal),
            gap_ci95=made_of.ci95,
            alternatives=alternatives,
            turns=blocks.count,
            left_out=blocks.left_out,
        )
    why = _why_undecided(lane, baseline, measured, blocks, disturbance)
    word = "undecided" if why else verdict(measured.ci95)
    return Pair(
        lane.name,
        measured.value,
        measured.ci95,
        word,
        made_of.ms,
        made_of.causes,
        why,
        made_of.ci95,
        turns=blocks.count,
        left_out=blocks.left_out,
    )


def _unequal_words(codes: Sequence[str]) -> str:
    return "unequal " + ", ".join(code.replace("-", " ") for code in codes)


def _few(*lanes: LaneSteps) -> str:
    never = [words for words in map(_never_steady, lanes) if words]
    words = never or [f"{lane.name} has no steady step yet" for lane in lanes if not len(lane.step_ms)]
    return " and ".join(words) or "a step takes no time"


MOST_CROWDED = 0.5
"""Where other programs crowded the machine in more of the turns than this, they are what was measured."""
MOST_COMPILING = 0.2
"""A lane in which more of the later steps than this were traced or compiled has no steady state."""


def _never_steady(lane: LaneSteps) -> str | None:
    """In words that a lane goes on compiling; None when it does not."""
    if lane.compiling_share is None or lane.compiling_share <= MOST_COMPILING:
        return None
    return f"{lane.name} never gets steady: {lane.compiling_share:.0%} of its later steps are traced or compiled"


def _why_undecided(
    lane: LaneSteps, baseline: LaneSteps, measured: Ratio, blocks: Blocks, disturbance: str | None
) -> str | None:
    """In words why a ratio decides nothing; None when it decides."""
    never = _never_steady(lane) or _never_steady(baseline)
    if never:
        return never
    if measured.ci95 is None:
        pairs = "1 pair" if blocks.count == 1 else f"{blocks.count} pairs"
        return f"too few turns yet ({pairs} of blocks with steady steps, {MIN_BLOCKS} are needed)"
    if measured.drift is not None:
        return f"it is not steady: the ratio moved by {math.expm1(measured.drift):+.0%} over the run"
    if verdict(measured.ci95) == "undecided":
        low, high = measured.ci95
        half = (high - low) / (high + low)
        digits = 0 if half > 1.05 * UNDECIDED_HALF_WIDTH else 1
        why = f"the interval reaches ±{half:.{digits}%}, farther than ±{UNDECIDED_HALF_WIDTH:.0%}"
        return f"{why}; {disturbance}" if disturbance else why
    if blocks.crowded > MOST_CROWDED * blocks.count:
        return f"other programs crowded the machine in {blocks.crowded} of the {blocks.count} pairs of turns"
    return None


def _alternatives(lane: LaneSteps, baseline: LaneSteps, blocks: Blocks) -> tuple[Alternative, ...]:
    """Per update, and per sample where the batch sizes are known: both are fair to unequal batches."""
    scales = {"per-update": 1.0}
    if lane.samples_per_step and baseline.samples_per_step:
        scales = {"per-sample": _scale(lane, baseline), **scales}
    found = []
    for code, scale in scales.items():
        measured = ratio(lane.step_ms * scale, baseline.step_ms, blocks)
        if measured is not None:
            found.append(Alternative(code, measured.value, measured.ci95, verdict(measured.ci95)))
    return tuple(found)


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
    if all(pair.verdict == "unfair" for pair in comparison.pairs):
        unequal = ", ".join(reason.code.replace("-", " ") for reason in comparison.unfair_reasons)
        instead = [alternative_words(pair, comparison.baseline)[:1] for pair in comparison.pairs]
        return " · ".join([f"UNFAIR: unequal {unequal}", *(line for lines in instead for line in lines)])
    return " · ".join(_sentence(pair, comparison.baseline) for pair in comparison.pairs)


def alternative_words(pair: Pair, baseline: str) -> list[str]:
    """What is fair to say of an unfair pair, a sentence each."""
    return [
        f"{one.code.replace('-', ' ')}, {_ratio_words(pair.lane, baseline, one.verdict, one.ratio, one.ci95)}"
        for one in pair.alternatives
    ]


def _sentence(pair: Pair, baseline: str) -> str:
    if pair.verdict == "unfair":
        return f"{pair.lane}: UNFAIR, {pair.reason}"
    if pair.ratio is None:
        return f"{pair.lane}: undecided, {pair.reason}"
    if pair.verdict == "undecided":
        return f"{pair.lane} about {pair.ratio:.2f}x {baseline}'s step time, undecided: {pair.reason}"
    return _ratio_words(pair.lane, baseline, pair.verdict, pair.ratio, pair.ci95)


def _ratio_words(lane: str, baseline: str, word: str, ratio: float, interval: tuple[float, float] | None) -> str:
    low, high = interval or (ratio, ratio)
    if word == "undecided":
        return f"{lane} about {ratio:.3g}x {baseline}'s time, undecided"
    if word == "no difference":
        return f"no difference between {lane} and {baseline} [{low:.2f}, {high:.2f}]"
    if word == "slower":
        return f"{lane} takes {ratio:.2f}x as long as {baseline} [{low:.2f}, {high:.2f}]"
    return f"{lane} is {1 / ratio:.2f}x as fast as {baseline} [{1 / high:.2f}, {1 / low:.2f}]"
