"""Hooks for PyTorch on a GPU: device time by events, and the allocator. Nothing here ever synchronises.

Armed at the first update of parameters that lie on a GPU, so that a program that forks before it uses CUDA is left
alone. One stream is seen, the current one; while a CUDA graph is being captured nothing is recorded.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Dict

from fwtui.guest import agent, notes, trainer
from fwtui.guest.device_events import DeviceTimes

FACTS_EVERY_NS = 2_000_000_000
_ALLOCATOR = {
    "allocated_bytes": "allocated_bytes.all.current",
    "allocated_peak_bytes": "allocated_bytes.all.peak",
    "reserved_bytes": "reserved_bytes.all.current",
    "inactive_split_bytes": "inactive_split_bytes.all.current",
    "retries": "num_alloc_retries",
    "out_of_memory": "num_ooms",
}
"""What is told of the caching allocator → torch's own name for it."""
_armed = [False]


def arm_on(device: Any) -> None:
    """Arm the hooks when a model is trained on a GPU. Call it after the first update."""
    if getattr(device, "type", "") == "cuda" and not _armed[0]:
        _armed[0] = True
        agent.arm("torch device times", _arm, sys.modules["torch"])


def _arm(torch: Any) -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

    capturing = getattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    times = DeviceTimes(lambda: torch.cuda.Event(enable_timing=True), lambda: not capturing())
    compiling = torch.compiler.is_compiling if hasattr(torch, "compiler") else bool
    last = [time.perf_counter_ns()]

    def mark(name: str) -> None:
        if trainer.elsewhere():
            return
        try:
            times.mark(name)
            now = time.perf_counter_ns()
            if name == "end" and now - last[0] > FACTS_EVERY_NS:
                last[0] = now
                notes.learn({**times.facts(), "allocator": _allocator(torch)})
        except Exception as error:  # the outermost guard: a driver's trouble is not the program's
            notes.hook_error("torch device times", error)
            take_out()

    def before(optimizer: Any, args: Any, kwargs: Any) -> None:
        if not compiling():
            mark("optimizer_begin")

    def after(optimizer: Any, args: Any, kwargs: Any) -> None:
        if not compiling():
            mark("end")

    restore = _around_backward(torch, mark)
    handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]

    def take_out() -> None:
        while handles:
            handles.pop().remove()
        restore()

    agent.undo.append(take_out)


def _around_backward(torch: Any, mark: Any) -> Any:
    """Put marks around autograd's engine, under both of its names; returns how to take them back."""
    import torch.autograd.graph as graph

    name = "_engine_run_backward"
    places = [place for place in (graph, torch.autograd) if hasattr(place, name)]
    originals: Dict[Any, Any] = {place: getattr(place, name) for place in places}

    def make(original: Any) -> Any:
        def run_backward(*args: Any, **kwargs: Any) -> Any:
            mark("backward_begin")
            try:
                return original(*args, **kwargs)
            finally:
                mark("backward_end")

        return run_backward

    for place, original in originals.items():
        setattr(place, name, make(original))

    def restore() -> None:
        for place, original in originals.items():
            setattr(place, name, original)

    return restore


def _allocator(torch: Any) -> Dict[str, int]:
    """The caching allocator's figures for the current device."""
    known = torch.cuda.memory_stats()
    return {ours: int(known[theirs]) for ours, theirs in _ALLOCATOR.items() if theirs in known}
