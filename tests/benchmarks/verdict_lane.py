"""A built-in lane that can be made slower by a known share: what `verdicts.py` compares.

    python tests/benchmarks/verdict_lane.py SHARE --workload mnist-mlp --lane torch

After each update it spins for SHARE of the program's own usual time between two updates, on one core; 0 spins not at
all, along the same code. The time at the turn gate does not count: it is far above the median that is taken.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from typing import Any

from fwtui.workloads.__main__ import main


class Extra:
    """Spins for a share of the usual interval between its calls."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._intervals: deque[int] = deque(maxlen=101)
        self._last_ns = time.perf_counter_ns()
        self._usual_ns = 0.0
        self._calls = 0

    def __call__(self, *_: Any) -> None:
        now = time.perf_counter_ns()
        self._intervals.append(now - self._last_ns)
        self._calls += 1
        if self._calls % 20 == 0 or self._calls < 20:
            self._usual_ns = statistics.median(self._intervals)
        until = now + self._share * self._usual_ns
        while time.perf_counter_ns() < until:
            pass
        self._last_ns = time.perf_counter_ns()


def slow_down(framework: str, extra: Extra) -> None:
    """Put the extra after each update of the framework."""
    if framework == "torch":
        from torch.optim.optimizer import register_optimizer_step_post_hook

        register_optimizer_step_post_hook(extra)
        return
    from keras.src.callbacks.callback_list import CallbackList

    original = CallbackList.on_train_batch_end

    def on_train_batch_end(self: Any, *args: Any, **kwargs: Any) -> Any:
        extra()
        return original(self, *args, **kwargs)

    CallbackList.on_train_batch_end = on_train_batch_end


if __name__ == "__main__":
    share, arguments = float(sys.argv[1]), sys.argv[2:]
    slow_down(arguments[arguments.index("--lane") + 1].partition(":")[0], Extra(share))
    sys.exit(main(arguments))
