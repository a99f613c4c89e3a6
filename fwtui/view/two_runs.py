"""Two runs lane by lane: what became slower or faster, which findings came and went, which facts changed.

Sessions of two runs have no turns in common, so nothing is paired: each lane's blocks are drawn for themselves, and the
interval holds what differs between two starts of a program (see `analysis.ratio`). What differs between two machines,
or between two days of one machine, no interval can tell: `facts` names what is known to have changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fwtui.analysis.comparison import LaneSteps, compare
from fwtui.analysis.results import Finding, Pair, UnfairReason
from fwtui.view.comparing import lane_steps, others_since
from fwtui.view.frame import Frame
from fwtui.view.lane_statistics import lane_statistics
from fwtui.view.session import Session

APART_NS = 10**18
"""Put between two runs, so that no block of the one is next to a block of the other."""
BEFORE, AFTER = "A", "B"
BAD_ENDS = frozenset(("failed", "killed", "hung", "lost"))
VOLATILE = ("executable", "pid", "samples_per_step", "batch_shape")
"""Facts that say nothing, or nothing more, about why a run is slower."""


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that differs."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LaneChange:
    """One lane in both runs."""

    lane: str
    before_ms: float | None
    after_ms: float | None
    """Median steps."""
    ended_badly: str | None
    """`failed`, `killed`, `hung` or `lost`: how the lane of run B ended, when not well."""
    pair: Pair
    """Run B's lane against run A's: above 1 is slower now."""
    unequal: tuple[UnfairReason, ...]
    """Why the two do not do the same work."""
    appeared: tuple[Finding, ...]
    vanished: tuple[Finding, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class TwoRuns:
    """Run B against run A."""

    before: str
    after: str
    lanes: tuple[LaneChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    changes: tuple[Change, ...]
    """Of the machine and of how it was run."""
    disturbed: tuple[str, ...]
    """Where other programs used the machine meanwhile: a difference may be theirs."""


def compare_runs(before: Session, after: Session) -> TwoRuns:
    """Compare all lanes of one name."""
    first, second = before.frame(), after.frame()
    names = [lane.name for lane in first.lanes]
    others = [lane.name for lane in second.lanes]
    return TwoRuns(
        before=first.run_id,
        after=second.run_id,
        lanes=tuple(_lane(before, first, after, second, name) for name in names if name in others),
        only_before=tuple(name for name in names if name not in others),
        only_after=tuple(name for name in others if name not in names),
        changes=tuple(_changes(_run_facts(before, first), _run_facts(after, second))),
        disturbed=tuple(_disturbed(before, first, BEFORE)) + tuple(_disturbed(after, second, AFTER)),
    )


def _disturbed(session: Session, frame: Frame, name: str) -> Iterator[str]:
    starts = [log.folder.first_step_ns for log in session.logs if log.folder.first_step_ns]
    words = others_since(session, min(starts), frame.time_ns) if starts else None
    if words:
        yield f"{name}: {words}"


def _lane(before: Session, first: Frame, after: Session, second: Frame, name: str) -> LaneChange:
    old = next(lane for lane in first.lanes if lane.name == name)
    new = next(lane for lane in second.lanes if lane.name == name)
    base = replace(_steps(before, first, old.index), name=BEFORE)
    now = _steps(after, second, new.index)
    result = compare([base, replace(now, name=AFTER, end_ns=now.end_ns + APART_NS)])
    assert result is not None
    known, found = {finding.code for finding in old.findings}, {finding.code for finding in new.findings}
    return LaneChange(
        lane=name,
        before_ms=old.step_ms.median if old.step_ms else None,
        after_ms=new.step_ms.median if new.step_ms else None,
        ended_badly=new.state if new.state in BAD_ENDS else None,
        pair=result.pairs[0],
        unequal=result.unfair_reasons,
        appeared=tuple(finding for finding in new.findings if finding.code not in known),
        vanished=tuple(finding for finding in old.findings if finding.code not in found),
        changes=tuple(_changes(_flat(old.facts), _flat(new.facts))),
    )


def _steps(session: Session, frame: Frame, index: int) -> LaneSteps:
    return lane_steps(session, index, lane_statistics(session, index, frame.time_ns, True))


def _run_facts(session: Session, frame: Frame) -> dict[str, str]:
    host = session.manifest.get("host") or {}
    gpus = ", ".join(str(gpu.get("name")) for gpu in frame.host.gpus)
    known = {
        "schedule": frame.schedule,
        "workload": frame.workload,
        "seed": frame.seed,
        "fwtui": session.manifest.get("fwtui"),
        "CPU": frame.host.cpu,
        "cores": frame.host.cores,
        "memory bytes": frame.host.memory_bytes,
        "GPUs": gpus,
        "system": host.get("os"),
    }
    return {name: str(value) for name, value in known.items() if value not in (None, "")}


def _flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Facts by dotted name."""
    flat: dict[str, str] = {}
    for name, value in facts.items():
        if name in VOLATILE:
            continue
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = "n/a" if value is None else str(value)
    return flat


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, "n/a"), after.get(name, "n/a")
        if old != new:
            yield Change(name, old, new)
