"""A lane's findings: every rule asked once, the weightiest answer first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fwtui.analysis import rules_device, rules_framework, rules_host, rules_input, rules_machine
from fwtui.analysis.lane_facts import LaneFacts, finding
from fwtui.analysis.results import Comparison, Finding
from fwtui.analysis.rules_pairs import against_others

RULES: tuple[Callable[[LaneFacts], Finding | None], ...] = (
    *rules_machine.RULES,
    *rules_framework.RULES,
    *rules_input.RULES,
    *rules_host.RULES,
    *rules_device.RULES,
)
_ORDER = {"critical": 0, "warning": 1, "note": 2}
STALL_SHARE = 0.05
"""A cause whose stalls alone lose this much of the training is named, however small its share of a usual step."""


def find_all(lanes: Sequence[LaneFacts], comparison: Comparison | None) -> tuple[tuple[Finding, ...], ...]:
    """The findings of each lane: its own, and those that only the other lanes show."""
    return tuple(find(lane, against_others(index, lanes, comparison)) for index, lane in enumerate(lanes))


def find(facts: LaneFacts, more: Sequence[Finding] = ()) -> tuple[Finding, ...]:
    """One lane's findings, the weightiest first; one of each code, the larger share wins."""
    found = [*more, *(one for rule in RULES if (one := rule(facts)) is not None), *_stalls(facts)]
    found.sort(key=lambda one: (_ORDER[one.severity], -(one.share or 0.0)))
    best: dict[str, Finding] = {}
    for one in found:
        best.setdefault(one.code, one)
    return tuple(best.values())


_NAMED = frozenset(
    ("input-bound", "slow-callback", "gc-pause", "retracing", "checkpoint-stall", "cpu-starved", "worker-startup")
)


def _stalls(facts: LaneFacts) -> list[Finding]:
    """Causes that were caught in single long steps."""
    found = []
    for code, share in facts.lost_by.items():
        if code in _NAMED and share >= STALL_SHARE:
            evidence = f"stalls of this cause lost {share:.0%} of the training, {facts.stalls} in all"
            found.append(finding(code, facts, share, evidence, facts.stall_lines.get(code)))
    return found
