"""PyTorch's profiler: the autograd profiler's own records on the CPU, Kineto's where a GPU computes.

The phases of a torch step are told by hooks; the window adds the operations, also of compiled code.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Iterator, List, Tuple

from fwtui.guest.deep_shares import Interval, innermost, table
from fwtui.guest.deep_window import StandsBack

_OPTIMIZER = ("Optimizer.step#", "Optimizer.zero_grad#")
_BACKWARD = "autograd::engine::evaluate_function"


class Profiler:
    """Records the operations of the training thread, and the kernels of the GPU."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._gpu = bool(torch.cuda.is_available() and torch.cuda.is_initialized())
        self.how = "torch.profiler (Kineto)" if self._gpu else "torch.autograd profiler"
        self._records: Any = None
        self._kineto: Any = None

    def start(self) -> None:
        """Raises StandsBack when the program profiles itself."""
        torch = self._torch
        if torch.autograd._profiler_enabled():
            raise StandsBack("a profiler of the program's own is running")
        if self._gpu:
            self._kineto = torch.autograd.profiler.profile(use_device="cuda")
            self._kineto._prepare_trace()
            self._kineto._start_trace()
        else:
            torch.autograd._enable_profiler_legacy(_config(torch))

    def stop(self) -> None:
        if self._gpu:
            self._records = self._torch.autograd._disable_profiler()
        else:
            self._records = self._torch.autograd._disable_profiler_legacy()

    def gives_way(self, yield_to: Callable[[], None]) -> Iterator[Tuple[Any, str, Any]]:
        """What to replace while the window is open: the entries of both of torch's profilers."""
        for module, name in (
            ("torch.autograd.profiler", "_prepare_profiler"),
            ("torch.autograd.profiler", "_enable_profiler"),
            ("torch.autograd.profiler_legacy", "_enable_profiler_legacy"),
        ):
            owner = sys.modules.get(module)
            if owner is not None and hasattr(owner, name):
                yield owner, name, _yielding(getattr(owner, name), yield_to)
        keras = sys.modules.get("keras.src.optimizers.base_optimizer")
        if keras is not None:  # its update runs under no name of its own
            yield keras.BaseOptimizer, "apply", _named(self._torch, keras.BaseOptimizer.apply)

    def table(self) -> Dict[str, Any]:
        """The operations of the window."""
        return _from_kineto(self._records.events()) if self._gpu else _from_legacy(self._records)


def _yielding(original: Callable[..., Any], yield_to: Callable[[], None]) -> Callable[..., Any]:
    def entry(*args: Any, **kwargs: Any) -> Any:
        yield_to()
        return original(*args, **kwargs)

    return entry


def _named(torch: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*args: Any, **kwargs: Any) -> Any:
        with torch.autograd.profiler.record_function("Optimizer.step#Keras"):
            return original(*args, **kwargs)

    return apply


def _config(torch: Any) -> Any:
    """Nothing but names and times."""
    arguments: List[Any] = [torch.autograd.ProfilerState.CPU, False, False, False, False, False]
    return torch.autograd.ProfilerConfig(*arguments, torch._C._profiler._ExperimentalConfig())


def _group(name: str, outer: str) -> str:
    """The phase that a range opens; what is inside it belongs to it."""
    if name.startswith(_OPTIMIZER):
        return "optimizer"
    if name.startswith(_BACKWARD):
        return "backward"
    return outer


def _from_legacy(threads: List[List[Any]]) -> Dict[str, Any]:
    """Pushes and pops of each thread into nested intervals, in ns from the first mark."""
    intervals: List[Interval] = []
    for records in threads:
        if not records:
            continue
        first, spans = records[0], []
        stack: List[Tuple[str, str, int]] = []
        for record in records:
            kind = record.kind()
            if kind == "push":
                name = record.name()
                outer = stack[-1][1] if stack else "forward"
                stack.append((name, _group(name, outer), int(first.cpu_elapsed_us(record) * 1000)))
            elif kind == "pop" and stack:
                name, group, start = stack.pop()
                end = int(first.cpu_elapsed_us(record) * 1000)
                spans.append(Interval(start, end, (_short(name), "torch", group)))
        intervals += innermost(spans)
    return table(intervals, 1.0)


def _from_kineto(events: List[Any]) -> Dict[str, Any]:
    """Kineto's events: the kernels of the device where there are any, linked to the host range that launched them."""
    device = [event for event in events if "CUDA" in str(event.device_type())]
    host = [event for event in events if "CUDA" not in str(event.device_type())]
    phases = _host_phases(host)
    if device:
        kernels = [event for event in device if not event.name().startswith(("Optimizer.", "ProfilerStep"))]
        rows = []
        for event in kernels:
            phase = phases.get(event.linked_correlation_id(), "")
            rows.append(Interval(event.start_ns(), event.end_ns(), (event.name(), "kernel", phase)))
        return table(rows, 1.0)
    spans: Dict[int, List[Interval]] = {}
    for event in host:
        key = (_short(event.name()), "torch", phases.get(event.correlation_id(), "forward"))
        spans.setdefault(event.start_thread_id(), []).append(Interval(event.start_ns(), event.end_ns(), key))
    return table([interval for thread in spans.values() for interval in innermost(thread)], 1.0)


def _host_phases(host: List[Any]) -> Dict[int, str]:
    """Phase by correlation id, from the ranges that enclose each host event."""
    found: Dict[int, str] = {}
    stacks: Dict[int, List[Tuple[int, str]]] = {}
    for event in sorted(host, key=lambda event: (event.start_ns(), -event.end_ns())):
        stack = stacks.setdefault(event.start_thread_id(), [])
        while stack and stack[-1][0] <= event.start_ns():
            stack.pop()
        phase = _group(event.name(), stack[-1][1] if stack else "forward")
        stack.append((event.end_ns(), phase))
        found[event.correlation_id()] = phase
    return found


def _short(name: str) -> str:
    """A range that names its node after a colon is known by the node."""
    return name.rpartition(": ")[2] if name.startswith(_BACKWARD) else name
