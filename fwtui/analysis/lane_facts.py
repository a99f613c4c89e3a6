"""What the rules look at: everything that is known of one lane, unknown as None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fwtui.analysis.causes import CAUSE, advice
from fwtui.analysis.lines import Lines
from fwtui.analysis.results import Finding, Lost

LEAST_FREE_CORES = 1.5
"""With fewer, a main thread leaves half of a core at most to its helpers."""
MOST_STARVED = 0.3
"""Where the main thread waited for a core for a larger share of the time, its milliseconds tell little: nothing of
another lane's merits, and not whether a wait is a short one."""


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """One lane at one moment."""

    framework: str
    backend: str | None
    state: str
    error: str | None
    counted: int
    """Steps in the statistics."""
    mean_ms: Mapping[str, float]
    """The mean counted step by phase, stalls included; empty before the first."""
    median_ms: float | None
    firm_ms: Mapping[str, float] = field(default_factory=dict)
    """As `mean_ms`, each phase without its two longest times, which one burst of another program may have made."""
    usual_wait_ms: float | None = None
    """The median wait for data of the counted steps."""
    typical_ms: Mapping[str, float] = field(default_factory=dict)
    """The step between the quartiles by phase: what happens in nearly every step."""
    lost_by: Mapping[str, float] = field(default_factory=dict)
    """Share of the training time lost in stalls, by cause (a finding's code, or a phase's name)."""
    lost_firmly: Mapping[str, float] = field(default_factory=dict)
    """As `lost_by`, without the two longest stalls of each cause."""
    stall_lines: Mapping[str, str] = field(default_factory=dict)
    """Where stalls of a cause were caught, `file:line`."""
    stalls: int = 0
    lost: tuple[Lost, ...] = ()
    """What the stalls lost, by cause and phase."""
    guest: Mapping[str, Any] = field(default_factory=dict)
    """The guest's facts.json."""
    eager: bool = False
    """TensorFlow without a compiled training function."""
    lines: Lines = field(default_factory=lambda: Lines(()))
    """Stacks of the counted steps and of evaluation."""
    thread_lines: Lines = field(default_factory=lambda: Lines(()))
    """Stacks of the user's code in other threads than the main one."""
    thread_share: float | None = None
    """Share of the looks at which the user's code ran in another thread."""
    python_calls_a_step: float | None = None
    """TensorFlow's calls back into Python (`py_function`, generators)."""
    python_call_share: float | None = None
    """Share of the time in such calls."""
    python_rest_share: float | None = None
    """Share of the time without any such call for longer than TensorFlow takes between two of a batch."""
    python_call_at: str | None = None
    """The user's function that they call; None of a generator."""
    training_s: float = 0.0
    """All steps, what was compiled in them left out."""
    compile_s: float = 0.0
    late_compile_share: float | None = None
    """Share of the time of all steps but the first few that went into tracing or compiling."""
    late_compiles: int = 0
    """Steps, but for the first few, in which something was compiled."""
    evaluation_share: float | None = None
    loader_start_share: float | None = None
    """Share of the training time from a loader's start to its first batch, the first start left out."""
    loader_starts: int = 0
    run_delay_share: float | None = None
    """Of the time in which it was its turn, the share for which the main thread was ready and had no core."""
    host_others_cores: float | None = None
    """Cores that others used, on average."""
    threads: float | None = None
    rss: tuple[float, ...] = ()
    """Medians of four equal parts of the training, bytes."""
    swap_growth_bytes: float | None = None
    major_faults_s: float | None = None
    gpu_util: float | None = None
    gpu_power_share: float | None = None
    throttled: Mapping[str, float] = field(default_factory=dict)
    """Share of samples by NVML's reason."""
    compute_data_share: float | None = None
    """Share of a fused step that its profiler window saw waiting for data."""
    crash_line: str | None = None
    hung_line: str | None = None

    @property
    def total_ms(self) -> float:
        return sum(self.mean_ms.values())

    def share(self, *phases: str) -> float:
        """What some phases take of the mean step; 0 before there is one."""
        total = self.total_ms
        return sum(self.mean_ms.get(phase, 0.0) for phase in phases) / total if total else 0.0

    def surely(self, share: float, *phases: str, steady: bool = False) -> float:
        """A share that lies in these phases, as far as it does not rest on a few long steps.

        Args:
            share: of the mean step.
            phases: where it lies.
            steady: whether the cause is one of every step, so that the typical step must show it as well.
        """
        seen = self.share(*phases)
        firm = {**self.mean_ms, **{phase: ms for phase, ms in self.firm_ms.items() if phase in phases}}
        shown = [firm] + ([self.typical_ms] if steady else [])
        for step_ms in shown:
            total = sum(step_ms.values())
            if seen and total:
                share = min(share, share * sum(step_ms.get(phase, 0.0) for phase in phases) / total / seen)
        return share

    def of_step(self, phase: str) -> str:
        """`1.2 ms of the mean 5.0 ms step (24%)`"""
        ms = self.mean_ms.get(phase, 0.0)
        return f"{ms:.3g} ms of the mean {self.total_ms:.3g} ms step ({self.share(phase):.0%})"

    @property
    def starved(self) -> bool:
        """Whether another process of the lane may have waited for a core: the main thread did, or others took them."""
        others, cores = self.host_others_cores, int(self.guest.get("cores") or 0)
        few = others is not None and cores - others < LEAST_FREE_CORES
        return (few and cores > 0) or may_starve(self.run_delay_share)

    @property
    def settled(self) -> bool:
        """Whether there are enough steps to speak of a habit."""
        return self.counted >= 20 and self.total_ms > 0


def finding(
    code: str,
    facts: LaneFacts,
    share: float | None,
    evidence: str,
    location: str | None = None,
    severity: str | None = None,
) -> Finding:
    """A finding with its advice; a share from 60 % up is critical."""
    if severity is None:
        severity = "critical" if share is not None and share >= 0.6 else "warning"
    line = advice(code, facts.framework, facts.backend)
    return Finding(code, severity, share, evidence, location, line, CAUSE[code].letter)


def may_starve(run_delay_share: float | None) -> bool:
    """Whether a wait for another process may be that one's wait for a core."""
    return (run_delay_share or 0.0) >= limit("cpu-starved", "doubt")


def limit(code: str, name: str) -> float:
    """A threshold of the table."""
    return CAUSE[code].limits[name]
