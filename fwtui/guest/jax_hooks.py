"""Hooks for JAX: what it tells of its compilations. Raw JAX loops have no step boundary that could be hooked."""

from __future__ import annotations

import time
from typing import Any

from fwtui.guest import agent


def arm(module: Any) -> None:
    """Listen to the durations that JAX reports after the fact."""
    begin, end = agent.span("compile_begin", "compile_end")

    def on_duration(event: str, duration_s: float, **_: Any) -> None:
        if "compile" in event or "trace" in event:
            now = time.perf_counter_ns()
            begin(now - int(duration_s * 1e9))
            end(now)

    module.register_event_duration_secs_listener(on_duration)
