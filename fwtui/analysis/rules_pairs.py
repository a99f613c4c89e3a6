"""Causes that only a second lane shows: what it does and this one does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from fwtui.analysis.lane_facts import MOST_STARVED, LaneFacts, finding, limit
from fwtui.analysis.results import Comparison, Finding

_BITS = {"float64": 64, "float32": 32, "tf32": 19, "bfloat16": 16, "float16": 16, "bf16": 16, "mixed_bf16": 16}


def against_others(index: int, lanes: Sequence[LaneFacts], comparison: Comparison | None) -> list[Finding]:
    """What a lane's findings gain by the other lanes; a lane is held against each faster one."""
    found: list[Finding] = []
    lane = lanes[index]
    for other in lanes:
        ratio = _ratio(lane, other)
        if other is lane or ratio is None:
            continue
        found += [one for rule in (_compiled, _precision, _layout, _wrapper) if (one := rule(lane, other, ratio))]
    return found + _unequal(lane, comparison, {one.code for one in found})


def _ratio(lane: LaneFacts, other: LaneFacts) -> float | None:
    """This lane's median step over the other's, per sample where both are known."""
    if not lane.median_ms or not other.median_ms or not (lane.settled and other.settled):
        return None
    if max(lane.run_delay_share or 0.0, other.run_delay_share or 0.0) > MOST_STARVED:
        return None
    mine, others = lane.guest.get("samples_per_step"), other.guest.get("samples_per_step")
    scale = float(others) / float(mine) if mine and others else 1.0
    return lane.median_ms / other.median_ms * scale


_NAMED_BY = {"precision": "precision-mismatch", "layout": "layout-mismatch"}
"""Reasons for which a comparison is unfair that have a finding of their own, which says the same and by how much."""


def _unequal(facts: LaneFacts, comparison: Comparison | None, named: Set[str]) -> list[Finding]:
    """What is unequal, but for what findings of this lane name already."""
    if comparison is None or comparison.fair:
        return []
    reasons = [one for one in comparison.unfair_reasons if _NAMED_BY.get(one.code) not in named]
    if not reasons:
        return []
    evidence = "; ".join(f"{reason.code.replace('-', ' ')}: {reason.detail}" for reason in reasons)
    return [finding("unequal-work", facts, None, evidence, severity="critical")]


def _compiled(lane: LaneFacts, other: LaneFacts, ratio: float) -> Finding | None:
    mine, others = lane.guest.get("compiled"), other.guest.get("compiled")
    if mine is not False or not others or ratio < limit("compiled-on-one-side", "ratio"):
        return None
    evidence = f"it runs eagerly and takes {ratio:.2f}x the step time of the compiled {other.framework} lane"
    return finding("compiled-on-one-side", lane, 1 - 1 / ratio, evidence, severity="warning")


def _precision_of(facts: Mapping[str, Any]) -> str | None:
    value = facts.get("autocast") or facts.get("precision") or facts.get("dtype")
    return str(value).replace("torch.", "") if value else None


def _precision(lane: LaneFacts, other: LaneFacts, ratio: float) -> Finding | None:
    mine, others = _precision_of(lane.guest), _precision_of(other.guest)
    if not mine or not others or mine == others or ratio < limit("precision-mismatch", "ratio"):
        return None
    evidence = f"it computes in {mine}, the other lane in {others}, and takes {ratio:.2f}x its step time"
    wider = _BITS.get(mine, 32) >= _BITS.get(others, 32)
    return finding("precision-mismatch", lane, 1 - 1 / ratio, evidence, severity="warning" if wider else "note")


def _layout(lane: LaneFacts, other: LaneFacts, ratio: float) -> Finding | None:
    mine, others = lane.guest.get("layout"), other.guest.get("layout")
    if not mine or not others or mine == others or ratio < limit("layout-mismatch", "ratio"):
        return None
    same = lane.framework == other.framework and lane.backend == other.backend
    evidence = f"its convolutions read {mine}, the other lane's {others}; it takes {ratio:.2f}x the step time"
    return finding("layout-mismatch", lane, 1 - 1 / ratio, evidence, severity="warning" if same else "note")


def _wrapper(lane: LaneFacts, other: LaneFacts, ratio: float) -> Finding | None:
    if lane.framework != "keras" or other.framework == "keras" or other.framework != lane.backend:
        return None
    same = lane.guest.get("parameters") and lane.guest.get("parameters") == other.guest.get("parameters")
    if not same or ratio < limit("backend-wrapper", "ratio"):
        return None
    evidence = (
        f"the same {lane.guest['parameters']} parameters in plain {other.framework} take {1 / ratio:.0%} of the time"
    )
    return finding("backend-wrapper", lane, 1 - 1 / ratio, evidence, severity="warning")
