"""Why a step waits for its data."""

from __future__ import annotations

from fwtui.analysis.lane_facts import MOST_STARVED, LaneFacts, finding, limit
from fwtui.analysis.lines import Lines
from fwtui.analysis.results import Finding

_LOADING = ("torch/utils/data", "keras/src/trainers/data_adapters", "tensorflow/python/data")
ENOUGH_STACKS = 3
NEVER_RESTS = 0.8
"""Of the time; in turn a pipeline that waits for the training rests for a good part of it."""
RESTS = 0.3


def data_wait(facts: LaneFacts) -> Finding | None:
    """One finding for the wait: the most exact one that the stacks and the pipeline's set-up allow."""
    if not facts.settled:
        return None
    share, lines = _wait(facts)
    if share is None:
        return None
    firm = facts.surely(share, "data") if "data" in facts.mean_ms else share
    again = _starting_anew(facts, share, lines)
    if again is not None and again >= limit("worker-startup", "of_data") * share:
        evidence = (
            f"{_workers(facts)} workers were started {facts.loader_starts} times: that and their ends took {again:.0%} "
            "of the time"
        )
        return finding("worker-startup", facts, again, evidence, _set_up_at(facts))
    ms = share * facts.total_ms
    seen = "data" in facts.mean_ms or facts.compute_data_share is not None
    what = "waiting for data takes" if seen else "the step waits while the pipeline's Python code runs,"
    evidence = f"{what} {ms:.3g} ms of the mean {facts.total_ms:.3g} ms step ({share:.0%})"
    per_sample = _per_sample(facts, lines)
    if per_sample is not None and firm >= limit("per-sample-transform", "share"):
        part = f"{per_sample[1]:.0%} of it in" if seen else "it is"
        evidence += f"; {part} Python code called for each sample"
        return finding("per-sample-transform", facts, share, evidence, per_sample[0])
    ahead = _prefetches(facts)
    worth = not facts.guest.get("loader") or _own_ms(facts, ms) >= limit("no-prefetch", "worker_ms")
    if ahead is False and worth and limit("no-prefetch", "share") <= firm and share < limit("no-prefetch", "most"):
        return finding("no-prefetch", facts, share, f"{evidence}; nothing is loaded ahead", _set_up_at(facts))
    if firm >= limit("input-bound", "share" if worth else "of_short"):
        evidence += {True: "; though it loads ahead", False: "; nothing is loaded ahead", None: ""}[ahead]
        severity = None
        if ahead and facts.starved and firm < limit("input-bound", "most"):
            severity = "note"
            taken = "" if facts.host_others_cores is None else f", on {facts.host_others_cores:.1f} cores,"
            evidence += f"; other processes{taken} may have kept its loaders waiting"
        inside = lines.where(lambda stack: stack.stands_in(*_LOADING))
        location = (inside or lines).location if not facts.thread_lines.stacks else facts.thread_lines.location
        return finding("input-bound", facts, share, evidence, location or _set_up_at(facts), severity)
    return None


def _own_ms(facts: LaneFacts, ms: float) -> float:
    """How long a wait for data would take with nothing else on the machine, as far as that can be told."""
    delay = facts.run_delay_share or 0.0
    usual_ms = ms if facts.usual_wait_ms is None else min(ms, facts.usual_wait_ms)
    return usual_ms * (1 - delay) if delay < MOST_STARVED else 0.0


def _wait(facts: LaneFacts) -> tuple[float | None, Lines]:
    """(share of the step that waits for data, the stacks in that wait)"""
    lines = facts.lines.of("data")
    if "data" in facts.mean_ms:
        return facts.share("data"), lines
    if facts.compute_data_share is not None:
        return facts.compute_data_share * facts.share("compute"), facts.thread_lines
    running = facts.python_call_share if facts.python_call_share is not None else facts.thread_share
    if running is not None and facts.framework in ("keras", "tensorflow"):
        # Without loading ahead the step stands while the pipeline's Python code runs; else only if that never rests.
        if not _prefetches(facts):
            return running * facts.share("compute"), facts.thread_lines
        rest = facts.python_rest_share
        if running > NEVER_RESTS or (rest is not None and rest < RESTS):
            return running * facts.share("compute"), facts.thread_lines
    return None, lines


def _starting_anew(facts: LaneFacts, share: float, lines: Lines) -> float | None:
    """Share of the time in which workers started, but for the first time, or were waited for at their end."""
    started = facts.loader_start_share
    few = facts.loader_starts < limit("worker-startup", "starts")
    if few or started is None or not _workers(facts) or started < limit("worker-startup", "share"):
        return None
    ending = lines.where(lambda stack: any(name == "_shutdown_workers" for _, _, name in stack.frames))
    return min(share, started + share * ending.share_of(lines)) if len(lines) >= ENOUGH_STACKS else started


def _per_sample(facts: LaneFacts, lines: Lines) -> tuple[str, float] | None:
    """(line, share of the wait) of Python code of the user's that computes for each sample."""
    if facts.guest.get("pipeline"):  # its Python code runs in threads of TensorFlow's
        many = (facts.python_calls_a_step or 0.0) >= limit("per-sample-transform", "calls_a_step")
        if facts.python_call_at and many and (facts.python_call_share or 0.0) >= limit("per-sample-transform", "share"):
            return facts.python_call_at, min(1.0, facts.python_call_share or 0.0)
        return None
    if len(lines) < ENOUGH_STACKS:
        return None
    own = lines.where(
        lambda stack: stack.runs is not False and bool(stack.users) and _called_by_loader(stack.users, stack.frames)
    )
    part = own.share_of(lines)
    location = own.location
    if part < limit("per-sample-transform", "of_data") or location is None:
        return None
    return location, part


def _called_by_loader(users: tuple[tuple[str, int, str], ...], frames: tuple[tuple[str, int, str], ...]) -> bool:
    """Whether the user's innermost frame was called from inside a loader: above it (later in the list) stands one."""
    at = frames.index(users[-1])
    return any(part in file for file, _, _ in frames[at:] for part in _LOADING)


def _workers(facts: LaneFacts) -> int:
    return int((facts.guest.get("loader") or {}).get("workers") or 0)


def _set_up_at(facts: LaneFacts) -> str | None:
    place = (facts.guest.get("loader") or {}).get("at") or facts.guest.get("pipeline_at")
    return str(place) if place else None


def _prefetches(facts: LaneFacts) -> bool | None:
    """Whether batches are made ahead; None: not known."""
    loader, pipeline = facts.guest.get("loader"), facts.guest.get("pipeline")
    if loader:
        return bool(loader.get("workers"))
    if pipeline:
        return any("Prefetch" in kind for kind in pipeline)
    return None


def slow_transfer(facts: LaneFacts) -> Finding | None:
    """Copies to the device."""
    share = facts.share("transfer")
    if not facts.settled or share < limit("slow-transfer", "share"):
        return None
    evidence = f"copies take {facts.of_step('transfer')}"
    return finding("slow-transfer", facts, share, evidence, facts.lines.of("transfer").location)


RULES = (data_wait, slow_transfer)
