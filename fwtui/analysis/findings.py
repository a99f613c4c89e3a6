"""The product's vocabulary of causes: codes, thresholds with their sources, advice, and the rules that find them.

A rule takes facts and returns one finding or None. Codes are a contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fwtui.analysis.results import Finding


class Cause(NamedTuple):
    """One named cause."""

    code: str
    letter: str
    meaning: str
    advice: Mapping[str, str]
    """One line by framework; `*` for any other."""


CAUSES = (
    Cause(
        "input-bound",
        "D",
        "the step waits for its data",
        {
            "torch": "load ahead: DataLoader(num_workers=2, persistent_workers=True), or slice in-memory batches whole",
            "keras": "load ahead: Dataset.prefetch(tf.data.AUTOTUNE) and map(..., num_parallel_calls=tf.data.AUTOTUNE)",
            "*": "load ahead: Dataset.prefetch(tf.data.AUTOTUNE) and map(..., num_parallel_calls=tf.data.AUTOTUNE)",
        },
    ),
    Cause(
        "slow-callback",
        "C",
        "callbacks and logging take a large part of the step",
        {"*": "do the callback's work every N batches, or at the epoch's end"},
    ),
    Cause(
        "sync-every-step",
        "S",
        "the host waits for a value in every step",
        {
            "torch": "keep losses as tensors (total += loss.detach()) and call .item() once in many steps",
            "*": "keep metrics on the device and read them once in many steps; compile(steps_per_execution=…) in Keras",
        },
    ),
    Cause(
        "slow-optimizer",
        "O",
        "the update takes longer than forward and backward together",
        {"torch": "Adam(..., fused=True), or foreach=True", "*": "compile the update into the training function"},
    ),
    Cause(
        "retracing",
        "J",
        "tracing or compiling goes on after the first steps",
        {
            "torch": "mark the changing dimension: torch.compile(dynamic=True) or mark_dynamic",
            "*": "tf.function(reduce_retracing=True), or pad batches to one shape (drop_remainder=True)",
        },
    ),
    Cause(
        "gc-pause",
        "G",
        "Python's garbage collector stops the step",
        {"*": "gc.freeze() after start-up, and gc.collect() at epoch ends only"},
    ),
    Cause(
        "cpu-starved",
        "U",
        "the main thread is runnable and waits for a core",
        {"*": "stop what else runs on this machine, or give the lane cores of its own (--schedule turns)"},
    ),
    Cause("lane-crashed", "!", "the lane ended with an error", {"*": "read the lane's output (key o)"}),
    Cause(
        "lane-hung",
        "!",
        "no step for very long",
        {"*": "look at the stack of the lane and at its output (key o)"},
    ),
    Cause(
        "straggler-rank",
        "R",
        "the other ranks wait for one",
        {"*": "look at what is different on that rank: its input, its cores or device, its share of work"},
    ),
    Cause(
        "unequal-work",
        "≠",
        "the lanes do not do the same work",
        {"*": "make the named settings equal, or compare per sample"},
    ),
)
CAUSE = {cause.code: cause for cause in CAUSES}


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """What the rules look at."""

    framework: str
    state: str
    error: str | None
    counted: int
    typical_ms: Mapping[str, float] | None
    """The typical step by phase."""
    stalled_ms: Mapping[str, float] | None
    lost_share: float | None
    stalls: int
    late_compile_share: float | None
    """Share of the training time, after warm-up, that went into tracing or compiling."""
    run_delay_share: float | None
    location: str | None
    """Where stalls were caught, `file:line`."""


def _finding(code: str, facts: LaneFacts, severity: str, share: float | None, evidence: str) -> Finding:
    cause = CAUSE[code]
    advice = cause.advice.get(facts.framework, cause.advice["*"])
    return Finding(code, severity, share, evidence, None, advice, cause.letter)


PHASE_RULES = (
    # phase, code, share of the typical step from which it is named, and why that much
    ("data", "input-bound", 0.30),  # an input pipeline is fine when fetching returns at once (TF's data guide)
    ("callbacks", "slow-callback", 0.25),
    ("sync", "sync-every-step", 0.25),
    ("gc", "gc-pause", 0.10),
)


def _phase_findings(facts: LaneFacts) -> list[Finding]:
    typical = facts.typical_ms
    if not typical or facts.counted < 20:
        return []
    total = sum(typical.values())
    found = []
    for phase, code, least in PHASE_RULES:
        ms = typical.get(phase, 0.0)
        if total and ms / total >= least:
            severity = "critical" if ms / total >= 0.6 else "warning"
            evidence = f"{phase} takes {ms:.3g} ms of the typical {total:.3g} ms step ({ms / total:.0%})"
            found.append(_finding(code, facts, severity, ms / total, evidence))
    work = typical.get("forward", 0.0) + typical.get("backward", 0.0)
    update = typical.get("optimizer", 0.0)
    if work and update > work and update / total >= 0.3:
        evidence = f"the update takes {update:.3g} ms, forward and backward {work:.3g} ms"
        found.append(_finding("slow-optimizer", facts, "note", update / total, evidence))
    return found


STALL_CODES = {"data": "input-bound", "callbacks": "slow-callback", "gc": "gc-pause", "compile": "retracing"}


def _stall_finding(facts: LaneFacts) -> Finding | None:
    if not facts.stalled_ms or not facts.typical_ms or (facts.lost_share or 0.0) < 0.02:
        return None
    swelled = {name: ms - facts.typical_ms.get(name, 0.0) for name, ms in facts.stalled_ms.items()}
    phase = max(swelled, key=lambda name: swelled[name])
    code = STALL_CODES.get(phase)
    if code is None:
        return None
    evidence = (
        f"{facts.stalls} stalls lost {facts.lost_share:.0%} of the time; {phase} swells by {swelled[phase]:.3g} ms"
    )
    return _finding(code, facts, "warning", facts.lost_share, evidence)


def _retracing(facts: LaneFacts) -> Finding | None:
    share = facts.late_compile_share
    if share is None or share < 0.05:
        return None
    return _finding("retracing", facts, "warning", share, f"{share:.0%} of the time after warm-up went into compiling")


def _starved(facts: LaneFacts) -> Finding | None:
    share = facts.run_delay_share
    if share is None or share < 0.15:
        return None
    evidence = f"the main thread waited for a core {share:.0%} of the time"
    return _finding("cpu-starved", facts, "warning", share, evidence)


def _ended_badly(facts: LaneFacts) -> Finding | None:
    if facts.state in ("failed", "killed"):
        return _finding("lane-crashed", facts, "critical", None, facts.error or f"the lane {facts.state}")
    if facts.state == "hung":
        return _finding("lane-hung", facts, "critical", None, facts.error or "no step for very long")
    return None


RULES: tuple[Callable[[LaneFacts], Finding | None], ...] = (_ended_badly, _stall_finding, _retracing, _starved)
_ORDER = {"critical": 0, "warning": 1, "note": 2}


def find(facts: LaneFacts) -> tuple[Finding, ...]:
    """The lane's findings, the weightiest first; one of each code, the larger share wins."""
    found = [finding for rule in RULES if (finding := rule(facts)) is not None] + _phase_findings(facts)
    found.sort(key=lambda finding: (_ORDER[finding.severity], -(finding.share or 0.0)))
    best: dict[str, Any] = {}
    for finding in found:
        best.setdefault(finding.code, finding)
    return tuple(best.values())
