"""The gap between two lanes by cause, conserved: what experiments proved, and the rest as unexplained.

Effects of single changes may overlap, so only those are added up that were tried together; what they do to each other
is a part of its own. Everything else that was proven alone stays in the table of experiments.
"""

from __future__ import annotations

from dataclasses import dataclass

from fwtui.analysis.explanation import Experiment, Explanation, Measured, negative, total

UNEXPLAINED = "unexplained"
INTERACTION = "interaction"


@dataclass(frozen=True, slots=True)
class CausePart:
    """One part of a gap."""

    code: str
    """A finding's code, `interaction` or `unexplained`."""
    cause: str
    """In words."""
    ms: Measured
    share: float
    """Of the gap; the shares sum to 1."""
    experiment: Experiment | None = None
    """What proved it."""


def split(explanation: Explanation) -> tuple[CausePart, ...]:
    """The parts of the gap, which sum to it; none before anything is proven."""
    gap = explanation.gap_ms
    proven = [item for item in explanation.experiments if is_cause(item)]
    if gap is None or not gap.value or not proven:
        return ()
    joint = explanation.together
    both = [item for item in proven if joint is not None and item.factor in joint.factors]
    if joint is None or joint.effect_ms is None or len(both) < 2 or proven[0] not in both:
        both, whole = proven[:1], proven[0].effect_ms
    else:
        alone = total([item.effect_ms for item in both if item.effect_ms])
        whole = joint.effect_ms if joint.additive is False else alone
    parts = [
        CausePart(item.code, item.cause, item.effect_ms, item.effect_ms.value / gap.value, item)
        for item in both
        if item.effect_ms is not None
    ]
    if whole is None:
        return ()
    if len(parts) > 1 and joint is not None and joint.additive is False:
        more = total([whole, *(negative(part.ms) for part in parts)])
        parts.append(CausePart(INTERACTION, "what they do to each other", more, more.value / gap.value))
    rest = total([gap, negative(whole)])
    return (*parts, CausePart(UNEXPLAINED, "the rest, not explained", rest, rest.value / gap.value))


def is_cause(item: Experiment) -> bool:
    """Whether an experiment proved a cause by changing it; the line over batch sizes tells a cost, not a cause."""
    return item.verdict == "proven" and item.effect_ms is not None and item.kind != "batch sizes"
