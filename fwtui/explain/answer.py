"""What the experiments say: verdicts, shares of the gap, whether effects add up, and the one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fwtui.analysis.cause_split import is_cause, split
from fwtui.analysis.explanation import (
    Experiment,
    Explanation,
    Measured,
    StepCost,
    Together,
    half_width,
    negative,
    total,
)
from fwtui.explain.effects import quotient
from fwtui.explain.factors import FACTORS
from fwtui.explain.script_factors import SCRIPT_FACTORS

_CONTAINS = {factor.name: factor.contains for factor in (*FACTORS, *SCRIPT_FACTORS) if factor.contains}

SMALL_SHARE = 0.05
"""What is smaller than this share of the gap explains nothing; no experiment is run on to see it."""
FINE = 0.15
"""An effect is measured well enough when half of its interval is less than this share of it, or of the gap."""


def judge(effect: Measured | None, gap: Measured) -> str:
    """`proven`, `no effect`, `makes it worse` or `undecided`, for an effect in the unit of the gap."""
    if effect is None or effect.ci95 is None:
        return "undecided"
    low, high = effect.ci95
    small = SMALL_SHARE * abs(gap.value)
    if -small <= low and high <= small:
        return "no effect"
    if low > 0 and effect.value > small:
        return "proven"
    if high < 0 and effect.value < -small:
        return "makes it worse"
    return "undecided"


def decided(effect: Measured | None, gap: Measured) -> bool:
    """Whether measuring on would change nothing that matters."""
    word = judge(effect, gap)
    if effect is None or word == "undecided":
        return False
    return word == "no effect" or half_width(effect) <= FINE * max(abs(effect.value), abs(gap.value) / 2)


def order(experiments: Sequence[Experiment]) -> tuple[Experiment, ...]:
    """Proven ones first, the largest effect before the others; one that has others' in it stands behind them.

    What was not tried comes last.
    """
    rank = ("proven", "undecided", "no effect", "makes it worse", "failed", "not tried")

    def key(experiment: Experiment) -> tuple[int, float]:
        return rank.index(experiment.verdict), -(experiment.effect_ms.value if experiment.effect_ms else -math.inf)

    ordered = sorted(experiments, key=key)
    for item in tuple(ordered):
        behind = [ordered.index(one) for one in contained(item, ordered)]
        if behind and ordered.index(item) < max(behind):
            ordered.remove(item)
            ordered.insert(max(behind), item)
    return tuple(ordered)


def contained(item: Experiment, experiments: Sequence[Experiment]) -> list[Experiment]:
    """Proven causes that a proven change does away with as well."""
    inside = _CONTAINS.get(item.factor, ()) if item.verdict == "proven" else ()
    return [one for one in experiments if one.factor in inside and one.verdict == "proven"]


def add_up(joint: Measured | None, parts: Sequence[Measured], gap: Measured) -> tuple[Measured | None, bool | None]:
    """(the parts' sum, whether the joint effect is that sum); None where it is not known."""
    if not parts:
        return None, None
    added = total(parts)
    if joint is None or joint.ci95 is None or added.ci95 is None:
        return added, None
    apart = abs(joint.value - added.value)
    return added, apart <= max(math.hypot(half_width(joint), half_width(added)), SMALL_SHARE * abs(gap.value))


def fixed_cost_effect(slower: StepCost, faster: StepCost) -> Measured:
    """How much more a step of the slower lane costs whatever its batch size, ms."""
    return total([slower.fixed_ms, negative(faster.fixed_ms)])


def concluded(explanation: Explanation) -> Explanation:
    """The explanation with its experiments in order, their shares of the gap, and its sentence."""
    gap = explanation.gap_ms
    shared = [
        replace(item, share_of_gap=quotient(item.effect_ms, gap) if item.effect_ms and gap else None)
        for item in explanation.experiments
    ]
    whole = replace(explanation, experiments=order(shared))
    return replace(whole, sentence=sentence(whole))


def sentence(explanation: Explanation) -> str:
    """The answer in words."""
    ratio, gap = explanation.ratio, explanation.gap_ms
    if ratio is None or gap is None:
        return ""
    head = f"{explanation.slower} takes {_times(ratio)} as long as {explanation.faster}"
    if gap.ci95 is None:
        return f"{head}, about: too few turns yet to say how much, so compare for longer first"
    if gap.ci95[0] <= 0:
        return f"no difference between {explanation.slower} and {explanation.faster} was measured: nothing to explain"
    proven = [item for item in explanation.experiments if is_cause(item) and item.share_of_gap]
    if not proven:
        return (
            f"{head}: no cause is proven yet" if explanation.status == "running" else f"{head}: {_nothing(explanation)}"
        )
    parts = [_part(item, explanation) for item in proven[:3]]
    return f"{head}: {'; '.join(parts)}{_rest(proven, explanation)}{_fixed(explanation)}"


def _nothing(explanation: Explanation) -> str:
    tried = [item for item in explanation.experiments if item.verdict not in ("not tried", "failed")]
    if not tried and any(item.verdict == "not tried" for item in explanation.experiments):
        return "the budget was too short to try anything"
    if not tried:
        return "nothing that can be changed from outside applies to it"
    return f"none of the {len(tried)} changes that were tried is proven to close it"


def _part(item: Experiment, explanation: Explanation) -> str:
    """`71 % of the gap is …`; what costs more than the gap is said to, and what is left with the change."""
    share = item.share_of_gap
    assert share is not None
    cause = " and ".join([item.cause, *(one.cause for one in contained(item, explanation.experiments))])
    text = f"{_share(share)} of the gap is {cause}"
    if share.value > 1 + SMALL_SHARE:
        text = f"{cause} costs {_share(share)} of the gap, more than all of it"
        if share.ci95 and share.ci95[0] <= 1 + SMALL_SHARE:
            text = f"all of the gap is {cause} ({_share(share)})"
    after = after_change(explanation.ratio, item.speedup)
    how = "gone with" if item.fix else "measured with"
    return f"{text}, {how} `{item.changed}`" + (f": {_times(after)}" if after else "")


def after_change(before: Measured | None, speedup: Measured | None) -> Measured | None:
    """The ratio that is left when one lane runs `speedup` times as fast; errors independent, on the logarithm."""
    if before is None or speedup is None:
        return None
    value = before.value / speedup.value
    if before.ci95 is None or speedup.ci95 is None:
        return Measured(value)
    wide = math.hypot(*(math.log(item.ci95[1] / item.ci95[0]) / 2 for item in (before, speedup) if item.ci95))
    return Measured(value, (value * math.exp(-wide), value * math.exp(wide)))


def _rest(proven: Sequence[Experiment], explanation: Explanation) -> str:
    """What the two largest do together, and what is left."""
    joint, parts = explanation.together, split(explanation)
    text = ""
    if joint is not None and joint.share_of_gap is not None and len(joint.factors) > 1:
        adds = {True: "they add up", False: "they do not add up", None: "whether they add up is not decided"}
        ratio = f" ({_times(joint.ratio)} {explanation.faster}'s time is left)" if joint.ratio else ""
        text = f"; the two largest together close {_share(joint.share_of_gap)}{ratio}: {adds[joint.additive]}"
    elif len(proven) > 1:
        return "; whether these add up was not tried"
    left = parts[-1]
    if left.share > SMALL_SHARE and left.ms.ci95 and left.ms.ci95[0] > 0:
        text += f"; {left.share * 100:.0f} % is not explained"
    return text


def _fixed(explanation: Explanation) -> str:
    """What the line over the batch sizes says."""
    row = next((item for item in explanation.experiments if item.kind == "batch sizes"), None)
    if row is None or row.verdict != "proven" or row.share_of_gap is None:
        return ""
    return f"; {_share(row.share_of_gap)} of the gap comes with every step, whatever its batch size"


def _share(share: Measured) -> str:
    text = f"{share.value * 100:.0f} %"
    return f"{text} [{share.ci95[0] * 100:.0f}, {share.ci95[1] * 100:.0f}]" if share.ci95 else text


def _times(ratio: Measured) -> str:
    text = f"{ratio.value:.2f}x"
    return f"{text} [{ratio.ci95[0]:.2f}, {ratio.ci95[1]:.2f}]" if ratio.ci95 else text


def joined(joint: Together, parts: Sequence[Experiment], gap: Measured) -> Together:
    """The joint experiment with what it says about its parts."""
    effects = [item.effect_ms for item in parts if item.effect_ms]
    added, additive = add_up(joint.effect_ms, effects, gap)
    return replace(
        joint,
        sum_ms=added,
        additive=additive if len(effects) > 1 else None,
        share_of_gap=quotient(joint.effect_ms, gap) if joint.effect_ms else None,
    )
