"""Causes outside the program: cores, threads, memory, GPU; and lanes that ended badly."""

from __future__ import annotations

from fwtui.analysis.lane_facts import LaneFacts, finding, limit
from fwtui.analysis.results import Finding


def _threads(facts: LaneFacts) -> tuple[int, int] | None:
    """(compute threads, cores), where both are known and there are too many."""
    known = facts.guest.get("threads") or {}
    threads = int(facts.guest.get("threads_set") or known.get("intra") or 0)
    cores = int(facts.guest.get("cores") or 0)
    if not threads or not cores or threads < limit("thread-oversubscription", "times_cores") * cores:
        return None
    return threads, cores


def oversubscription(facts: LaneFacts) -> Finding | None:
    """More threads than cores."""
    found = _threads(facts)
    if found is None or not facts.settled:
        return None
    delay = facts.run_delay_share
    waited = f"; the main thread waited for a core {delay:.0%} of the time" if delay is not None else ""
    evidence = f"{found[0]} compute threads on {found[1]} cores{waited}"
    place = facts.guest.get("threads_at")
    return finding("thread-oversubscription", facts, delay, evidence, str(place) if place else None, "warning")


def starved(facts: LaneFacts) -> Finding | None:
    """Ready to run, and no core: because of others."""
    share = facts.run_delay_share
    if share is None or share < limit("cpu-starved", "share") or _threads(facts) is not None:
        return None
    if share * facts.training_s < limit("cpu-starved", "seconds"):
        return None
    others = facts.host_others_cores
    who = f"; other processes used {others:.1f} cores" if others is not None else ""
    return finding("cpu-starved", facts, share, f"the main thread waited for a core {share:.0%} of the time{who}")


def swap(facts: LaneFacts) -> Finding | None:
    """Swap grows, and the lane waits for pages."""
    grown, faults = facts.swap_growth_bytes, facts.major_faults_s
    if grown is None or faults is None or grown < limit("swap", "bytes") or faults < limit("swap", "faults_s"):
        return None
    return finding("swap", facts, None, f"swap grew by {grown / 1e6:.0f} MB; {faults:.0f} pages a second from storage")


def gpu_idle(facts: LaneFacts) -> Finding | None:
    """A GPU that waits, or that is busy with kernels too small to draw power."""
    util, power = facts.gpu_util, facts.gpu_power_share
    if not facts.settled or util is None or not str(facts.guest.get("device") or "").startswith("cuda"):
        return None
    if util < limit("gpu-idle", "util"):
        return finding("gpu-idle", facts, 1 - util, f"a kernel ran {util:.0%} of the time", severity="warning")
    if util > 0.9 and power is not None and power < limit("gpu-idle", "power"):
        evidence = f"{util:.0%} utilisation, but {power:.0%} of the power limit: kernels too small to fill the GPU"
        return finding("gpu-idle", facts, None, evidence, severity="note")
    return None


def throttled(facts: LaneFacts) -> Finding | None:
    """Clocks lowered for a named reason."""
    if not facts.throttled:
        return None
    reason, share = max(facts.throttled.items(), key=lambda item: item[1])
    if share < limit("gpu-throttled", "share"):
        return None
    return finding("gpu-throttled", facts, share, f"{reason} in {share:.0%} of the samples", severity="warning")


def ended_badly(facts: LaneFacts) -> Finding | None:
    """A lane that crashed or hangs."""
    if facts.state in ("failed", "killed"):
        words = facts.error or f"the lane {facts.state}"
        return finding("lane-crashed", facts, None, words, facts.crash_line, "critical")
    if facts.state == "hung":
        return finding("lane-hung", facts, None, facts.error or "no step for very long", facts.hung_line, "critical")
    return None


RULES = (oversubscription, starved, swap, gpu_idle, throttled, ended_badly)
