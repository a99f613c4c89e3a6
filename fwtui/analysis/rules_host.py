"""What the program's own code does between and around its steps."""

from __future__ import annotations

from fwtui.analysis.lane_facts import LaneFacts, finding, limit
from fwtui.analysis.lines import Lines, Stack, after_update
from fwtui.analysis.results import Finding

_SAVING = (
    "torch/serialization", "torch/distributed/checkpoint", "keras/src/saving", "tf_keras/src/saving",
    "tensorflow/python/checkpoint", "tensorflow/python/saved_model", "tensorflow/python/training/saving", "safetensors",
    "keras/src/callbacks/model_checkpoint", "orbax/checkpoint",
)  # fmt: skip
_NATIVE_CALL = (
    "tensorflow/python/eager",
    "tensorflow/python/util/traceback_utils",
    "jax/_src",
    "keras/src/utils/traceback",
)


PAGE_BYTES = 4096
ENOUGH_STACKS = 3
KNOWN_STACKS = 12
"""So many stacks weigh as much as what is known of fit's cost."""


def saves(stack: Stack) -> bool:
    """Whether a stack stands in the saving of a model."""
    return stack.stands_in(*_SAVING)


def _training(facts: LaneFacts) -> Lines:
    return facts.lines.where(lambda stack: stack.phase not in ("evaluation", None))


def checkpoint(facts: LaneFacts) -> Finding | None:
    """Saving, by the stacks that stand in it."""
    all_lines = facts.lines.where(lambda stack: stack.phase != "evaluation")
    lines = all_lines.where(saves)
    share = lines.share_of(all_lines)
    if not facts.settled or len(lines) < ENOUGH_STACKS or share < limit("checkpoint-stall", "share"):
        return None
    evidence = f"saving the model takes {share:.0%} of the training, as {len(lines)} stacks show"
    return finding("checkpoint-stall", facts, share, evidence, lines.location)


def slow_callback(facts: LaneFacts) -> Finding | None:
    """Code between the steps: in callbacks, after the update in a loop, or in a gap that no hook explains."""
    if not facts.settled:
        return None
    share, lines = _between(facts)
    firm, _ = _between(facts, firmly=True)
    if firm - growth_share(facts, share, lines) < limit("slow-callback", "share"):
        return None
    ms = share * facts.total_ms
    top = lines.top()
    where = f", {top[2]:.0%} of it in {top[1]}()" if top and top[1] != "<module>" else ""
    evidence = f"code between the steps takes {ms:.3g} ms of the mean {facts.total_ms:.3g} ms step ({share:.0%}){where}"
    return finding("slow-callback", facts, share, evidence, lines.location)


def _between(facts: LaneFacts, firmly: bool = False) -> tuple[float, Lines]:
    """(share of the step in the user's own code between the steps, its stacks)

    Args:
        facts: the lane's.
        firmly: leave out what a few long steps alone show.
    """

    def share_of(phase: str) -> float:
        share = facts.share(phase)
        return facts.surely(share, phase) if firmly else share

    callbacks = facts.lines.of("callbacks").where(lambda stack: not saves(stack))
    whole = facts.lines.of("callbacks")
    keras = facts.framework == "keras"
    own = callbacks.where(lambda stack: not keras or _users_callback(stack))
    share = share_of("callbacks") * (own.surely_of(whole) if len(whole) >= ENOUGH_STACKS else 0.0 if keras else 1.0)
    late = after_update(facts.lines, facts.guest.get("update_chain")).where(lambda stack: not saves(stack))
    if facts.framework == "jax":
        late = late.where(lambda stack: not _may_wait(stack))
    for phase in ("forward", "unexplained"):
        part, of_phase = late.of(phase), facts.lines.of(phase)
        if len(part) >= ENOUGH_STACKS:
            share += share_of(phase) * part.surely_of(of_phase)
    return share, Lines([*own.stacks, *late.stacks])


def _may_wait(stack: Stack) -> bool:
    """Whether the loop itself, or JAX called by it, stands there: `block_until_ready` waits for the step's results."""
    return stack.stands_in("jax/_src") or (not stack.below and len(stack.users) == 1)


def _bytes_a_step(facts: LaneFacts) -> float | None:
    """By how much memory grows with each step; None where it does not keep growing."""
    if len(facts.rss) < 4 or not facts.settled:
        return None
    rises = [after - before for before, after in zip(facts.rss, facts.rss[1:], strict=False)]
    rise = facts.rss[-1] - facts.rss[0]
    least = max(limit("memory-growth", "bytes"), limit("memory-growth", "share") * facts.rss[0])
    if rise < least or min(rises) < limit("memory-growth", "steady") * max(rises):
        return None
    return rise / (facts.counted * (len(facts.rss) - 1) / len(facts.rss))


def growth_share(facts: LaneFacts, share: float, lines: Lines) -> float:
    """What of the time between the steps goes into taking fresh memory, at most: a thread that sleeps takes none.

    Args:
        share: of the step that lies between the steps.
        lines: its stacks.
    """
    a_step = _bytes_a_step(facts)
    if a_step is None or not facts.total_ms:
        return 0.0
    running = lines.where(lambda stack: stack.runs is not False).share_of(lines) if len(lines) else 1.0
    touching_ms = a_step / PAGE_BYTES * limit("memory-growth", "us_a_page") / 1e3
    touching_ms /= max(0.1, 1 - (facts.run_delay_share or 0.0))  # a thread that waits for a core takes longer for it
    return min(share * running, touching_ms / facts.total_ms)


def memory_growth(facts: LaneFacts) -> Finding | None:
    """Memory that rises from quarter to quarter, at the line between the steps that is busy with little else."""
    a_step = _bytes_a_step(facts)
    if a_step is None:
        return None
    rise = facts.rss[-1] - facts.rss[0]
    a_step_is = f"{a_step / 1e6:.2g} MB" if a_step >= 1e6 else f"{a_step / 1e3:.0f} kB"
    evidence = f"memory rose in each quarter of the training, by {rise / 1e6:.0f} MB in all, {a_step_is} a step"
    share, lines = _between(facts)
    keeps = share > 0 and growth_share(facts, share, lines) >= share / 2
    if keeps:
        evidence += f"; the line that takes it runs {share * facts.total_ms:.3g} ms a step"
    return finding("memory-growth", facts, share if keeps else None, evidence, lines.location if keeps else None)


def _users_callback(stack: Stack) -> bool:
    """Whether Keras called the user's code: the user's innermost line stands below Keras's callbacks."""
    above = stack.frames[len(stack.below) + 1 :]
    return stack.location is not None and any("keras/src/callbacks" in file for file, _, _ in above)


def sync(facts: LaneFacts) -> Finding | None:
    """Values read by the host. JAX computes while its host waits for them: there it says nothing."""
    share = facts.share("sync")
    if not facts.settled or "jax" in (facts.framework, facts.backend):
        return None
    if facts.surely(share, "sync", steady=True) < limit("sync-every-step", "share"):
        return None
    evidence = (
        f"reading values takes {facts.mean_ms['sync']:.3g} ms of the mean {facts.total_ms:.3g} ms step ({share:.0%})"
    )
    return finding("sync-every-step", facts, share, evidence, facts.lines.of("sync").location)


def gc_pause(facts: LaneFacts) -> Finding | None:
    """Collections of the older generations."""
    share = facts.share("gc")
    if not facts.settled or facts.surely(share, "gc") < limit("gc-pause", "share"):
        return None
    lines = facts.lines.of("gc")
    top = lines.top()
    evidence = (
        f"collecting garbage takes {facts.mean_ms['gc']:.3g} ms of the mean {facts.total_ms:.3g} ms step ({share:.0%})"
    )
    return finding("gc-pause", facts, share, evidence, top[0] if top and top[2] >= 0.5 else None)


def evaluation(facts: LaneFacts) -> Finding | None:
    """Validation against training."""
    share = facts.evaluation_share
    if share is None or share < limit("evaluation-stall", "share") or facts.counted < 20:
        return None
    evidence = f"evaluation takes {share:.0%} of training and evaluation together"
    severity = "note" if share < limit("evaluation-stall", "most") else None
    return finding("evaluation-stall", facts, share, evidence, facts.lines.of("evaluation").location, severity)


def per_execution(facts: LaneFacts) -> Finding | None:
    """Keras's own work around the native call: the usual step's phases, and what the main thread does in `compute`.

    Where the model's work counts, the main thread sleeps until it is done. On JAX the host runs ahead and waits
    anywhere: there it says nothing.
    """
    executions = facts.guest.get("steps_per_execution") or 1
    fits = facts.framework == "keras" and facts.backend == "tensorflow" and not facts.eager
    if not facts.settled or not fits or executions != 1:
        return None
    callbacks = facts.lines.of("callbacks")
    own = callbacks.where(lambda stack: not _users_callback(stack))
    parts = {"sync": 1.0, "unexplained": 1.0, "callbacks": own.share_of(callbacks) if len(callbacks) else 1.0}
    usual = facts.typical_ms or facts.mean_ms
    usual_ms = sum(usual.values())
    parts["compute"] = _own_work(facts, usual_ms)
    own_ms = sum(part * usual.get(phase, 0.0) for phase, part in parts.items())
    if own_ms < limit("per-execution-overhead", "share") * usual_ms:
        return None
    evidence = (
        f"fit's own work keeps the main thread busy for about {own_ms:.3g} ms of the usual {usual_ms:.3g} ms step "
        f"({own_ms / usual_ms:.0%}), with steps_per_execution=1"
    )
    share = own_ms / facts.total_ms
    place = facts.guest.get("compile_at")
    return finding("per-execution-overhead", facts, share, evidence, str(place) if place else None)


def _own_work(facts: LaneFacts, usual_ms: float) -> float:
    """Share of `compute` in which the main thread runs: Python code, or what leads to the native call.

    Of the first fifty short steps there are a few stacks only: what fit is known to cost counts as some more of them.
    """
    compute = facts.lines.of("compute")
    runs = compute.where(lambda stack: bool(stack.frames) and stack.runs is not False)
    python = runs.where(lambda stack: not any(part in stack.frames[0][0] for part in _NATIVE_CALL))
    if python.share_of(compute) < limit("per-execution-overhead", "python"):
        return 0.0
    waited = min(0.9, facts.run_delay_share or 0.0)  # a thread that waits for a core is taken for a running one
    seen = max(0.0, len(runs) / len(compute) - waited) / (1 - waited)
    known = min(1.0, limit("per-execution-overhead", "fit_ms") / usual_ms)
    return (seen * len(compute) + known * KNOWN_STACKS) / (len(compute) + KNOWN_STACKS)


RULES = (checkpoint, memory_growth, slow_callback, sync, gc_pause, evaluation, per_execution)
