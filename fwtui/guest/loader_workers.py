"""The worker processes of PyTorch's loaders, which stop while their lane waits for its turn.

Else they would go on filling the queue on the cores of the lane that trains, and their own lane would begin its turn
with batches that cost it nothing.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any, List
from weakref import WeakSet

_iterators: "WeakSet[Any]" = WeakSet()


def note(iterator: Any) -> None:
    """An iterator of a loader was made; one without workers is none of ours."""
    if getattr(iterator, "_workers", None):
        _iterators.add(iterator)


def hold(held: List[int]) -> None:
    """Stop all workers of this process; their pids are added to those held, each before it is stopped."""
    for iterator in list(_iterators):
        for worker in iterator._workers:
            if worker.is_alive() and worker.pid is not None:
                held.append(worker.pid)
                _signal(worker.pid, signal.SIGSTOP)


def let_go(held: List[int]) -> None:
    """Let those that were stopped go on."""
    for pid in held:
        _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: int) -> None:
    with suppress(OSError):
        os.kill(pid, number)
