"""A lane's findings: every rule asked once, the weightiest answer first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fwtui.analysis import rules_device, rules_framework, rules_host, rules_input, rules_machine
from fwtui.analysis.causes import CAUSE
from fwtui.analysis.lane_facts import LaneFacts, finding
from fwtui.analysis.lines import Lines, short
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
LEAST_LOST_S = 0.5
"""Stalls that lost less than this, and less than `STALL_SHARE` without the two longest, may be one burst of another
program: a note, no warning."""


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
    lines = Lines([*facts.lines.stacks, *facts.thread_lines.stacks])
    said = [one for one in best.values() if not _said_already(one, best)]
    return tuple(_with_frames(one, lines) for one in _causes_first(said))


def _said_already(one: Finding, best: Mapping[str, Finding]) -> bool:
    """Whether a note on a few stalls only repeats a line that another finding names by the cause."""
    others = [other.location for other in best.values() if other is not one and other.severity != "note"]
    return one.code == "slow-callback" and one.severity == "note" and one.location in others


def _with_frames(one: Finding, lines: Lines) -> Finding:
    """The finding with the user's function at its line, and the library's frame below it that most stacks show."""
    there = [stack for stack in lines.stacks if stack.location == one.location] if one.location else []
    if not there:
        called = Counter(name for stack in lines.stacks for file, line, name in stack.users if _at(file, line, one))
        return replace(one, function=called.most_common(1)[0][0]) if called else one
    functions = Counter(stack.function for stack in there if stack.function)
    inside = Counter(library[0] for stack in there if (library := _not_ours(stack.below)))
    (file, line, name), _ = inside.most_common(1)[0] if inside else (("", 0, ""), 0)
    return replace(
        one,
        function=functions.most_common(1)[0][0] if functions else None,
        framework=f"{short(file)}:{line} {name}" if file else None,
    )


def _not_ours(frames: Sequence[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Frames but for the guest's: its hooks stand between a program and what it calls."""
    return [frame for frame in frames if "fwtui/guest/" not in frame[0]]


def _at(file: str, line: int, one: Finding) -> bool:
    return f"{file}:{line}" == one.location


def _causes_first(found: Sequence[Finding]) -> list[Finding]:
    """Each symptom behind the finding that explains it, which is at least as severe as what it explains."""
    placed: dict[str, Finding] = {}
    for one in found:
        for cause in found:
            if _explains(cause, one) and one.code not in placed and cause.code not in placed:
                worse = min(cause.severity, one.severity, key=lambda severity: _ORDER[severity])
                placed[cause.code] = replace(cause, severity=worse)
        placed.setdefault(one.code, one)
    return list(placed.values())


def _explains(cause: Finding, one: Finding) -> bool:
    """Whether the second is the first one's symptom: by the table, and at the same line where both have one."""
    return one.code in CAUSE[cause.code].explains and (
        cause.location is None or one.location is None or cause.location == one.location
    )


_NAMED = frozenset(
    ("input-bound", "slow-callback", "gc-pause", "retracing", "checkpoint-stall", "cpu-starved", "worker-startup")
)


def _stalls(facts: LaneFacts) -> list[Finding]:
    """Causes that were caught in single long steps."""
    found = []
    for code, share in facts.lost_by.items():
        if code in _NAMED and share >= STALL_SHARE:
            count = sum(part.stalls for part in facts.lost if part.code == code)
            of_this = "1 stall" if count == 1 else f"{count} stalls"
            evidence = f"{of_this} of this cause lost {share:.0%} of the training, of {facts.stalls} in all"
            few = facts.lost_firmly.get(code, 0.0) < STALL_SHARE and share * facts.training_s < LEAST_LOST_S
            severity = "note" if few else None
            found.append(finding(code, facts, share, evidence, facts.stall_lines.get(code), severity))
    return found
