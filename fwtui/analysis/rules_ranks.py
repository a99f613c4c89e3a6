"""Findings about a lane's ranks: the one that all others wait for, one that died, one that hangs."""

from __future__ import annotations

from fwtui.analysis.lane_facts import may_starve
from fwtui.analysis.ranks import Compared, Straggler
from fwtui.analysis.results import Finding

CODE, LETTER = "straggler-rank", "R"
ADVICE = {
    "data": "give every rank the same storage and as many loader workers, and let no rank prepare more than the others",
    "callbacks": "log, save and evaluate on all ranks alike, or apart from the steps",
    "gc": "gc.freeze() after start-up on every rank, and gc.collect() on all at the same step",
}
OTHERWISE = "look at what else that rank's cores or device do, at their clock and temperature, and at its share of work"
_TROUBLE = "read what the lane printed (key o); its launcher ends the other ranks, or they wait until a timeout"
CRITICAL_SHARE = 0.3


def rank_findings(
    compared: Compared | None,
    trouble: str | None = None,
    since: str | None = None,
    location: str | None = None,
    run_delay_share: float | None = None,
) -> tuple[Finding, ...]:
    """What is to be said of a lane's ranks, the weightiest first.

    Args:
        compared: the ranks against each other.
        trouble: a sentence about a rank that died or hangs; it comes before any that is slow.
        since: when the straggler began, in words.
        location: `file:line` where that rank was seen, when a stack of it was taken.
        run_delay_share: of the time, for which the lane's main thread waited for a core; the ranks may have as well.
    """
    if trouble is not None:
        return (Finding(CODE, "critical", None, trouble, location, _TROUBLE, LETTER),)
    straggler = compared.straggler if compared is not None else None
    if compared is None or straggler is None:
        return ()
    severity = "critical" if straggler.share >= CRITICAL_SHARE else "warning"
    evidence = _evidence(straggler, compared.estimated, since)
    if severity == "warning" and may_starve(run_delay_share):
        severity = "note"
        evidence += f"; the main thread waited for a core {run_delay_share:.0%} of the time, as that rank may"
    advice = ADVICE.get(straggler.phase, OTHERWISE)
    return (Finding(CODE, severity, straggler.share, evidence, location, advice, LETTER),)


def _evidence(straggler: Straggler, estimated: bool, since: str | None) -> str:
    s = straggler
    parts = [
        f"rank {s.rank} takes {s.own_ms:.3g} ms of its own a step, the others {s.others_ms:.3g} ms and wait for it",
        f"mostly in {s.phase} ({s.phase_ms:+.3g} ms)",
        f"since step {s.since_step:,}" + (f" ({since})" if since else ""),
    ]
    return ", ".join(parts) + (" (waits estimated from the ranks' phases)" if estimated else "")
