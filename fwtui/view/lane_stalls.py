"""The stalls of a lane, each with its cause, its line and its stack; and what all of one cause lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from fwtui.analysis.lines import Lines, Stack
from fwtui.analysis.results import Lost
from fwtui.analysis.rules_host import saves
from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.view import columns as cutting
from fwtui.view.derived import Derived
from fwtui.view.frame import Stall
from fwtui.view.lane_log import LaneLog
from fwtui.view.lane_state import LaneState
from fwtui.view.samples import Samples

STARVED = 0.4
"""A stall in which the main thread waited this share of the time for a core is no fault of the program's."""
PHASE_CODES = {"data": "input-bound", "callbacks": "slow-callback", "gc": "gc-pause", "compile": "retracing"}
_MOST_FRAMES = 40
LEAST_SHARE = 1e-9
UNEXPLAINED = "unexplained"


def stalls_over(log: LaneLog, derived: Derived, samples: Samples, source: int) -> Iterator[Stall]:
    """The stalls that are over, oldest first."""
    where = np.flatnonzero(derived.stalled)
    if not len(where):
        return
    phases = cutting.swelled_phase(derived, where)
    starts, ends = derived.steps.start_ns, derived.steps.end_ns
    times, delays = samples.of(source, "run_delay_share")
    for i, phase in zip(where, phases, strict=True):
        stacks = log.stacks.between(float(starts[i]), float(ends[i]))
        name = PHASE_NAMES[phase]
        code = _cause(name, stacks, _delay(times, delays, float(starts[i]), float(ends[i])))
        typical = _typical_stack(stacks, name)
        yield Stall(
            start_ns=int(starts[i]),
            end_ns=int(ends[i]),
            lost_ms=float(derived.lost_ns[i]) / 1e6,
            phase=name,
            location=typical.location if typical else None,
            in_progress=False,
            code=code,
            function=typical.function if typical else None,
            stack=shown(typical) if typical else (),
        )


def _delay(times: np.ndarray, delays: np.ndarray, start_ns: float, end_ns: float) -> float:
    """Share of an interval that the main thread waited for a core; 0 when it was not measured."""
    first, last = np.searchsorted(times, (start_ns, end_ns))
    inside = delays[first : last + 1]
    inside = inside[~np.isnan(inside)]
    return float(inside.mean()) if len(inside) else 0.0


def _cause(phase: str, stacks: Sequence[Stack], delay: float) -> str | None:
    if sum(saves(stack) for stack in stacks) * 2 > len(stacks):
        return "checkpoint-stall"
    if delay >= STARVED:
        return "cpu-starved"
    inside_keras = [stack for stack in stacks if stack.stands_in("keras/src")]
    if phase == "callbacks" and (not stacks or inside_keras) and not any(len(stack.users) > 1 for stack in stacks):
        return None  # Keras's own callbacks, which may wait for the device
    return PHASE_CODES.get(phase)


def _typical_stack(stacks: Sequence[Stack], phase: str) -> Stack | None:
    """The stack at the line that most of them show, those of the phase that swelled first."""
    with_line = [stack for stack in stacks if stack.location]
    chosen = [stack for stack in with_line if stack.phase == phase] or with_line
    if not chosen:
        return None
    place = Lines(chosen).location
    return next(stack for stack in chosen if stack.location == place)


def shown(stack: Stack) -> tuple[str, ...]:
    """A stack as lines of text, innermost first."""
    return tuple(f"{file}:{line} {function}" for file, line, function in stack.frames[:_MOST_FRAMES])


def current_stall(state: LaneState, log: LaneLog, at_ns: int) -> Stall | None:
    """The stall that goes on at a moment, with the newest stack taken in it."""
    if state.state not in ("stalled", "hung") or state.since_ns is None:
        return None
    taken = [stack for stack in log.stacks.between(state.since_ns, at_ns) if stack.location]
    stack = taken[-1] if taken else None
    saving = stack is not None and saves(stack)
    return Stall(
        start_ns=state.since_ns,
        end_ns=at_ns,
        lost_ms=(at_ns - state.since_ns) / 1e6,
        phase=state.phase,
        location=stack.location if stack else None,
        in_progress=True,
        code="checkpoint-stall" if saving else "lane-hung" if state.state == "hung" else PHASE_CODES.get(state.phase),
        function=stack.function if stack else None,
        stack=shown(stack) if stack else (),
    )


def lost_split(stalls: Sequence[Stall], lost_share: float | None, lost_ms: float) -> tuple[Lost, ...]:
    """A lane's lost time by cause and phase; the shares sum to `lost_share`.

    Args:
        stalls: those that are known one by one; of a very long run the smallest are not.
        lost_share: what all stalls lost, of the training time.
        lost_ms: the same in ms.
    """
    known = sum(stall.lost_ms for stall in stalls)
    scale = (lost_share or 0.0) / max(lost_ms, known) if known else 0.0
    ms: dict[tuple[str | None, str], float] = defaultdict(float)
    count = Counter((stall.code, stall.phase) for stall in stalls)
    for stall in stalls:
        ms[stall.code, stall.phase] += stall.lost_ms
    parts = [Lost(code, phase, value * scale, count[code, phase]) for (code, phase), value in ms.items()]
    rest = (lost_share or 0.0) - sum(part.share for part in parts)
    if rest > LEAST_SHARE:
        parts.append(Lost(None, UNEXPLAINED, rest, 0))
    return tuple(sorted(parts, key=lambda part: -part.share))


def lost_by_cause(stalls: Sequence[Stall], training_ns: float) -> tuple[dict[str, float], dict[str, str]]:
    """(share of the training lost in stalls by cause, else by phase; the line most of each cause's stalls show)"""
    lost: dict[str, float] = defaultdict(float)
    lines: dict[str, Counter[str]] = defaultdict(Counter)
    for stall in stalls:
        cause = stall.code or stall.phase
        lost[cause] += stall.lost_ms * 1e6 / training_ns if training_ns else 0.0
        if stall.location and cause != "cpu-starved":
            lines[cause][stall.location] += 1
    return dict(lost), {cause: count.most_common(1)[0][0] for cause, count in lines.items()}
