"""Which steps count at a moment: those made under the schedule in force then, and only while it held for all lanes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fwtui.view.session import Session

SETTLE_NS = 250e6
"""After a change of schedule, cores and caches need about this long."""

AT_ONCE_NS = 50e6
"""Lanes that begin or end no farther apart than this do so together."""


def schedule_at(manifest: Mapping[str, Any], at_ns: float) -> str:
    """The schedule in force at a moment."""
    changes = manifest.get("schedule_changes") or []
    for change in changes:
        if at_ns < change["t"]:
            return str(change.get("from") or manifest.get("schedule", "turns"))
    return str(changes[-1]["value"] if changes else manifest.get("schedule", "turns"))


def periods(manifest: Mapping[str, Any], schedule: str, at_ns: float) -> list[tuple[float, float]]:
    """When, up to a moment, the run took this schedule: (from, to) in ns."""
    changes = [change for change in manifest.get("schedule_changes") or [] if change["t"] <= at_ns]
    edges = [-np.inf, *(change["t"] + SETTLE_NS for change in changes)]
    ends = [*(float(change["t"]) for change in changes), np.inf]
    names = [schedule_at(manifest, change["t"] - 1) for change in changes] + [schedule_at(manifest, at_ns)]
    return [(begin, end) for begin, end, name in zip(edges, ends, names, strict=True) if name == schedule]


def counts(session: Session, start_ns: np.ndarray, end_ns: np.ndarray, at_ns: int) -> np.ndarray:
    """(steps,) whether a step lies in a time that the statistics at this moment are about."""
    manifest = session.manifest
    schedule = schedule_at(manifest, at_ns)
    inside = np.ones(len(end_ns), dtype=bool)
    if manifest.get("schedule_changes"):
        inside[:] = False
        for begin, end in periods(manifest, schedule, at_ns):
            inside |= (start_ns >= begin) & (end_ns <= end)
    if schedule == "together" and len(session.logs) > 1:
        inside &= _all_train(session, start_ns)
    return inside


def _all_train(session: Session, start_ns: np.ndarray) -> np.ndarray:
    """While lanes share the machine, only the time counts in which all of them train."""
    trains = [log.folder for log in session.logs if len(log.folder.steps)]
    if len(trains) < 2:
        return np.ones(len(start_ns), dtype=bool)
    begin = max(float(folder.steps.end_ns[0]) for folder in trains) - AT_ONCE_NS
    ended = [lane.get("ended_ns") for lane in session.manifest["lanes"]]
    last = min(
        (
            float(log.folder.steps.end_ns[-1])
            for log, moment in zip(session.logs, ended, strict=False)
            if moment is not None and len(log.folder.steps)
        ),
        default=np.inf,
    )
    inside: np.ndarray = (start_ns >= begin) & (start_ns < last + AT_ONCE_NS)
    return inside
