"""What the frameworks do: tracing, graph breaks, dispatching, updating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwtui.analysis.lane_facts import LaneFacts, finding, limit
from fwtui.analysis.results import Finding


def _place(row: Mapping[str, Any] | None, name: str = "at") -> str | None:
    value = (row or {}).get(name)
    return str(value) if value else None


def retracing(facts: LaneFacts) -> Finding | None:
    """Compilation that goes on after the first steps, with the argument that changed where it is known."""
    share = facts.late_compile_share
    if share is None or share < limit("retracing", "share"):
        return None
    traces = list(facts.guest.get("retraces") or ())
    recompiles = list(facts.guest.get("recompiles") or ())
    count = max(facts.guest.get("retrace_count") or 0, facts.guest.get("recompile_count") or 0, facts.late_compiles)
    if count < limit("retracing", "traces"):
        return None
    evidence = f"{share:.0%} of the time after warm-up went into compiling"
    location = facts.lines.of("compile").location
    if traces:
        most = max(traces, key=lambda row: row.get("count", 0))
        evidence += (
            f"; {most.get('function')}() was traced {count} more times: its argument {most.get('argument')} "
            f"changed from {most.get('before')} to {most.get('after')}"
        )
        location = location or _place(most)
    elif recompiles:
        evidence += (
            f"; {recompiles[-1].get('function')}() was compiled {count} more times: {recompiles[-1].get('reason')}"
        )
        location = location or _place(recompiles[-1])
    return finding("retracing", facts, share, evidence, location)


def graph_breaks(facts: LaneFacts) -> Finding | None:
    """Dynamo's breaks in the user's own code."""
    breaks = [
        row for row in facts.guest.get("graph_breaks") or () if row.get("at") and "site-packages" not in row["at"]
    ]
    if len(breaks) < limit("graph-breaks", "breaks"):
        return None
    evidence = f"{len(breaks)} graph break{'s' if len(breaks) > 1 else ''}: {breaks[0].get('reason')}"
    return finding("graph-breaks", facts, None, evidence, _place(breaks[0]))


def compile_in_timing(facts: LaneFacts) -> Finding | None:
    """The one-time compilation against the whole run."""
    whole = facts.compile_s + facts.training_s
    if facts.counted < 20 or facts.compile_s < limit("compile-in-timing", "seconds"):
        return None
    share = facts.compile_s / whole
    if share < limit("compile-in-timing", "share"):
        return None
    evidence = f"compiling took {facts.compile_s:.3g} s, all training steps {facts.training_s:.3g} s"
    return finding("compile-in-timing", facts, share, evidence, severity="note")


def _unfused(facts: LaneFacts) -> Finding | None:
    layers = facts.guest.get("unfused_layers")
    share = facts.share("forward", "backward", "compute")
    if not layers or share < limit("unfused-kernel", "share"):
        return None
    evidence = f"{', '.join(layers)}: cell by cell; forward and backward take {share:.0%} of the step"
    place = _place(facts.guest, "unfused_at") or _place(facts.guest, "compile_at")
    return finding("unfused-kernel", facts, share, evidence, place)


def _many_operations(facts: LaneFacts) -> Finding | None:
    nodes = facts.guest.get("grad_nodes")
    share = facts.surely(facts.share("forward", "backward"), "forward", "backward", steady=True)
    if not nodes or nodes < limit("dispatch-bound", "operations") or facts.guest.get("compiled"):
        return None
    us = share * facts.total_ms * 1e3 / nodes
    if share < limit("dispatch-bound", "share") or us > limit("dispatch-bound", "us_an_operation"):
        return None
    evidence = f"forward and backward run about {nodes} operations with their gradients, {us:.3g} us each"
    return finding("dispatch-bound", facts, share, evidence, _forward_at(facts))


def _forward_at(facts: LaneFacts) -> str | None:
    """The statement that runs the model forward."""
    forward = facts.lines.of("forward")
    if forward.location is None:
        return facts.lines.of("backward", "unexplained").location
    return forward.statement(facts.lines.of("optimizer", "data", "callbacks"))


def _eager_graph(facts: LaneFacts) -> Finding | None:
    eager = facts.guest.get("run_eagerly") or facts.eager
    if not eager or facts.backend == "torch" or facts.framework not in ("keras", "tensorflow"):
        return None
    share = facts.share("forward", "backward", "optimizer", "compute", "unexplained")
    if share < limit("dispatch-bound", "share"):
        return None
    evidence = f"TensorFlow runs eagerly, operation by operation: {share:.0%} of the {facts.total_ms:.3g} ms step"
    place = _place(facts.guest, "compile_at") or _forward_at(facts)
    return finding("dispatch-bound", facts, share, evidence, place)


def small_operations(facts: LaneFacts) -> Finding | None:
    """Unfused recurrent layers, many small operations, or a whole step run eagerly: the most exact of them."""
    if not facts.settled:
        return None
    return _unfused(facts) or _many_operations(facts) or _eager_graph(facts)


def slow_optimizer(facts: LaneFacts) -> Finding | None:
    """An update that costs much beside the work, by an implementation that has a faster sister."""
    share, work = facts.share("optimizer"), facts.share("forward", "backward", "compute")
    implementation = facts.guest.get("optimizer_impl")
    slow = implementation == "loop" or (facts.framework != "torch" and not facts.guest.get("run_eagerly"))
    if not facts.settled or not slow or facts.eager:
        return None
    firm = facts.surely(share, "optimizer", steady=True)
    if firm < limit("slow-optimizer", "share") or firm < limit("slow-optimizer", "of_work") * work:
        return None
    tensors = facts.guest.get("optimizer_tensors")
    how = (
        f", tensor by tensor ({tensors} of them)"
        if implementation == "loop" and tensors
        else ", by Keras's own optimizer"
        if facts.backend == "torch"
        else ", outside the compiled step"
    )
    evidence = f"the update takes {facts.mean_ms['optimizer']:.3g} ms of the mean {facts.total_ms:.3g} ms step{how}"
    place = _place(facts.guest, "optimizer_at") if implementation else None
    return finding("slow-optimizer", facts, share, evidence, place or facts.lines.of("optimizer").location)


RULES = (retracing, graph_breaks, compile_in_timing, small_operations, slow_optimizer)
