"""The frame: a frozen value that holds all a viewer may show at one moment.

The screen, the text, the JSON and every report read their figures from here; none of them computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwtui.analysis.explanation import Explanation
from fwtui.analysis.results import Comparison, Finding, Lost, PhaseTime, StepTimes

LANE_STATES = (
    "pending",  # not started yet
    "starting",  # the process exists; its stage says what it does (importing, loading data, ...)
    "compiling",  # tracing or compiling before the first step
    "training",
    "waiting",  # its turn is not now
    "evaluating",
    "stalled",  # no step for much longer than its habit
    "hung",  # no step for so long that it looks dead; also of one that was ended while it stood so
    "finished",
    "failed",  # ended with a non-zero exit code of its own
    "killed",  # ended by a signal
    "stopped",  # ended because somebody asked
    "lost",  # the recorder died; nobody knows
)
ENDED_STATES = frozenset(("finished", "failed", "killed", "stopped", "lost"))


@dataclass(frozen=True, slots=True)
class Stall:
    """One stall, over or still in progress."""

    start_ns: int
    end_ns: int
    lost_ms: float
    """Above the lane's typical step."""
    phase: str
    """The phase that swelled most."""
    location: str | None
    """`file:line`, when a stack was taken while it lasted."""
    in_progress: bool
    code: str | None = None
    """The finding code of its cause, when one is known."""
    function: str | None = None
    """The user's function at `location`."""
    stack: tuple[str, ...] = ()
    """The stack taken while it lasted, innermost first: `file:line function`."""


@dataclass(frozen=True, slots=True)
class DeepSplit:
    """What a short profiler window said about the inside of a fused step: a sampled estimate, never counted."""

    how: str
    """The profiler that was used: `TensorFlow profiler`, `torch.profiler`, ..."""
    steps: int
    """Steps in the window."""
    phases: Mapping[str, float]
    """Share of `compute` by phase name (`forward`, `backward`, `optimizer`, `data`, `unexplained`); sums to 1. Where
    hooks tell the phases of a step apart already, of all those together."""
    operations: tuple[tuple[str, float, float], ...]
    """The top operations: (name, ms a step, share of `compute`)."""
    cost_ms: float
    """What the window took from the lane beyond its usual steps."""
    note: str | None = None
    """Why there is no split, or what limits it."""


@dataclass(frozen=True, slots=True)
class RankFrame:
    """One rank of a lane that has several."""

    rank: int
    host: str
    pid: int | None
    state: str
    """One of LANE_STATES."""
    steps: int
    step_ms: StepTimes | None
    communication_ms: float | None
    """Median time a step waits for the other ranks."""
    own_ms: float | None
    """Median step without that wait: what tells a straggler from those that wait for it."""
    clock_offset_ms: float | None
    """Of its host's clock against the first host's; None on the recorder's own host."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A lane's use of its GPU now, and its peak."""

    util: float | None
    memory_bytes: float | None
    memory_peak_bytes: float | None
    power_w: float | None
    power_limit_w: float | None
    sm_clock_mhz: float | None
    temperature_c: float | None
    throttle_reasons: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class LaneFrame:
    """All that is known of one lane at one moment."""

    index: int
    name: str
    title: str
    """`torch 2.13.0 · cpu`, `keras 3.15.1 on tensorflow 2.21.0 · cpu`; the name until the facts are known."""
    framework: str
    version: str | None
    backend: str | None
    device: str | None
    python: str
    state: str
    """One of LANE_STATES."""
    stage: str
    """What it is doing, in words: `importing torch`, `epoch 2/5`, `killed by SIGKILL`, ..."""
    stage_s: float | None
    """For how long, seconds."""
    exit_code: int | None
    signal: str | None
    """`SIGKILL`, ..., when a signal ended it."""
    error: str | None
    """One sentence, when something is wrong with the lane."""
    steps: int
    steps_total: int | None
    steps_counted: int
    epoch: int | None
    """1-based."""
    epochs: int | None
    time_left_s: float | None
    samples_per_step: float | None
    rate: float | None
    """Steps per second of the lane's own time (waits for a turn left out), over the steady steps."""
    throughput_samples_s: float | None
    step_ms: StepTimes | None
    phases: Mapping[str, PhaseTime | None]
    """Mean step over the counted steps, by phase name, in vocabulary order; None: not measured in this lane."""
    typical_ms: Mapping[str, float] | None
    """The typical step (stalls left out) by phase."""
    stalled_ms: Mapping[str, float] | None
    """The mean stalled step by phase; None: no stall seen."""
    stalls: int
    lost_share: float | None
    """Share of training time lost in stalls."""
    current_stall: Stall | None
    loss_first: float | None
    loss_last: float | None
    results: Mapping[str, float]
    """Named results of the program: `test_accuracy`, ..."""
    startup_s: float | None
    compile_s: float | None
    wall_s: float | None
    attributed_s: float | None
    evaluation_s: float | None
    waiting_s: float | None
    cpu_cores: float | None
    """Now; `cpu_cores_mean` over training."""
    cpu_cores_mean: float | None
    rss_bytes: float | None
    rss_peak_bytes: float | None
    read_bytes_s: float | None
    write_bytes_s: float | None
    gpu: Gpu | None
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]
    """What the guest learnt: parameters, optimizer, dtype, threads, ..."""
    ratio: float | None
    """Step time over the *fastest* lane's, for the ranking line; 1.0 for the fastest."""
    ratio_ci95: tuple[float, float] | None
    output_tail: tuple[str, ...]
    """The last lines that the program printed."""
    why_no_steps: str | None = None
    """Why no step is seen, and what it would need; None while there is nothing to explain."""
    lost: tuple[Lost, ...] = ()
    """`lost_share` by cause and phase, largest first."""
    deep: DeepSplit | None = None
    ranks: tuple[RankFrame, ...] = ()
    """Empty for a lane with one rank."""


@dataclass(frozen=True, slots=True)
class Host:
    """The machine, and how busy it is now."""

    cpu: str
    cores: int
    memory_bytes: int
    cpu_cores: float | None
    memory_available_bytes: float | None
    gpus: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A run at one moment."""

    run_id: str
    name: str
    status: str
    """One of recording.run_folder.RUN_STATUSES."""
    live: bool
    """Whether lanes are still running under a living recorder."""
    time_ns: int
    start_ns: int
    started: str
    """ISO 8601, local time."""
    elapsed_s: float
    schedule: str
    seed: int | None
    workload: str | None
    path: str
    host: Host
    lanes: tuple[LaneFrame, ...]
    ranking: tuple[int, ...]
    """Indices of `lanes`, fastest first; lanes without a rate last."""
    comparison: Comparison | None
    headline: str
    """The verdict in one line of words: `keras takes 2.3x as long as torch [2.2, 2.4]`, `no difference`, ..."""
    notice: str | None
    """Something the user must know now: the recorder died, the disk is full, ..."""
    explanation: Explanation | None = None
    """What experiments said about the gap; None when none were made."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A lane's history cut into slots of absolute time: slot i covers start + [i, i+1) * slot_ns."""

    mean_ms: np.ndarray
    """(count,) mean time of the unstalled steps that ended in the slot; NaN: none."""
    low_ms: np.ndarray
    high_ms: np.ndarray
    """(count,) 5th and 95th percentile of the same steps; least and most of fewer than 20."""
    stalls: np.ndarray
    """(count,) stalled steps that ended in the slot."""
    lost: np.ndarray
    """(count,) share of the slot lost in stalls, 0 to 1; a stall's time is spread over the slots it covers."""
    why: np.ndarray
    """(count,) str: the letter of the phase that swelled, or ''."""
    state: np.ndarray
    """(count,) uint8, one of the COLUMN_* values below: what the lane did for most of the slot."""


COLUMN_NOTHING, COLUMN_STARTUP, COLUMN_WARMUP, COLUMN_STEADY, COLUMN_WAITING, COLUMN_EVALUATION = range(6)
