"""Causes on a GPU that only device time beside host time tells."""

from __future__ import annotations

from collections.abc import Callable

from fwtui.analysis.lane_facts import LaneFacts, finding
from fwtui.analysis.results import Finding

LEAST_SAMPLES = 20
KEEPS_UP = 0.8
"""A device that is through with all that was asked of it, this often, waits for the host."""
HOST_PHASES = ("data", "sync", "callbacks", "transfer", "compile", "gc")
"""Where the host is busy with something else than asking for operations; such a step has other causes."""


def host_late(facts: LaneFacts) -> Finding | None:
    """The device has done what was asked of it before the host asks for more: many small operations."""
    keeps_up, samples = facts.guest.get("device_keeps_up"), facts.guest.get("device_samples")
    if not facts.settled or not isinstance(keeps_up, (int, float)) or not isinstance(samples, int):
        return None
    share = facts.share("forward", "backward", "optimizer", "compute", "unexplained")
    if samples < LEAST_SAMPLES or keeps_up < KEEPS_UP or facts.share(*HOST_PHASES) > share:
        return None
    evidence = f"the GPU had caught up with the host at the end of {keeps_up:.0%} of {samples} sampled steps"
    return finding("dispatch-bound", facts, share, evidence, facts.lines.of("forward").location)


RULES: tuple[Callable[[LaneFacts], Finding | None], ...] = (host_late,)
