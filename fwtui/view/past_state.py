"""What a lane did at a moment in the middle of its history, from the step that the moment falls into.

A turn and an evaluation end a step where they begin (see `analysis.steps`), so a step's record opens with its wait,
then its evaluation; the step's own time follows.
"""

from __future__ import annotations

import numpy as np

from fwtui.analysis.stalls import threshold_ns
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES
from fwtui.view.lane_log import LaneLog

_HABIT = 256
"""Steps before the moment that tell the lane's habit."""


def past_state(
    log: LaneLog, step: int, at_ns: int, stall_least_ns: float, stall_times: float
) -> tuple[str, str, int, str]:
    """(state, stage in words, since when, phase of a stall) at a moment within step number `step`."""
    steps = log.folder.steps
    start = int(steps.start_ns[step])
    wait_end = start + int(steps.wait_ns[step])
    if steps.wait_ns[step]:
        wait_end += int(steps.drain_ns[step])  # it gives the machine away first
    own_start = wait_end + int(steps.evaluation_ns[step])
    if at_ns < start:
        return "training", "training", start, ""  # the steps of that moment are summed up
    if at_ns < wait_end:
        return "waiting", "waiting for its turn", start, ""
    if at_ns < own_start:
        return "evaluating", "evaluating", wait_end, ""
    phases = steps.phases[step]
    if phases[PHASE_INDEX["compile"]] > phases.sum() / 2:
        return "compiling", "tracing or compiling", own_start, "compile"
    habit = steps.step_ns[max(0, step - _HABIT) : step]
    if step == 0 or not len(habit):
        return "training", "first step", own_start, ""
    limit, median = threshold_ns(habit)
    if at_ns - own_start > max(stall_least_ns, stall_times * median, limit):
        typical = steps.phases[max(0, step - _HABIT) : step]
        phase = PHASE_NAMES[int(np.argmax(phases - np.median(typical, axis=0)))]
        return "stalled", f"stalled in {phase}", own_start, phase
    return "training", "training", own_start, ""
