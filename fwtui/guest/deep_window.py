"""A short profiler window: it opens and closes at step boundaries, and its steps are marked, so that none is counted.

The recorder asks by a bit beside the turn byte. The profiler is the framework's own; what it saw is reduced here to a
table of operations (`deep.json`), in the window's own time, which belongs to no step. Where the program profiles itself
we stand back, and give way at once should it begin in the middle of our window.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

from fwtui.guest import agent, notes
from fwtui.recording.event_log import SLOT_DEEP, SLOT_GATE
from fwtui.recording.run_folder import DEEP, write_json
from fwtui.recording.vocabulary import GATE_BITS

STEPS = 20
LEAST_STEPS = 3
FIRST = 5
"""Updates before a window: the first ones compile."""
LIMIT_NS = 300_000_000
GIVE_UP_NS = 5_000_000_000
TRIES = 3
_OURS = re.compile(rb"profiler_session|save_profile|session_manager\.cc|[Cc]upti|^USDT:|ActivityProfiler")
"""Lines that the profilers write to stderr about themselves."""

_window: Optional["Window"] = None
_tries = 0


class StandsBack(Exception):
    """There can be no window; the message says why."""


class Window:
    """An open window."""

    def __init__(self, profiler: Any) -> None:
        self.profiler = profiler
        self.opened_ns = time.perf_counter_ns()
        self.updates = _updates()
        self.evaluations = agent.count("evaluation_begin")
        self.restore: List[Callable[[], None]] = []

    def complete(self, held: bool) -> bool:
        """Whether enough was seen; a window does not last into the next lane's turn without need."""
        steps, open_ns = _updates() - self.updates, time.perf_counter_ns() - self.opened_ns
        if steps < LEAST_STEPS:
            return open_ns > GIVE_UP_NS
        return steps >= STEPS or held or open_ns > LIMIT_NS


def at_boundary(held: bool) -> None:
    """Open, go on with, or close the window that was asked for."""
    global _window, _tries
    try:
        if _window is not None:
            if _window.complete(held):
                _close(_window)
        elif not held and agent.header[SLOT_DEEP] < agent.header[SLOT_GATE] >> GATE_BITS and _updates() >= FIRST:
            _open()
    except StandsBack as reason:
        _finish({"note": str(reason)})
    except Exception as error:  # the outermost guard: a profiler's trouble must never reach the program
        notes.hook_error("profiler window", error)
        _finish({"note": f"the profiler failed: {type(error).__name__}: {error}"})


def abandon() -> None:
    """End an open window without a result: the program ends, or begins to profile itself."""
    global _window
    window, _window = _window, None
    if window is None:
        return
    begin, end = agent.span("deep_close", "deep_closed")
    begin(time.perf_counter_ns())
    with contextlib.suppress(Exception):  # the outermost guard, as in `at_boundary`
        _give_way(window)
        with quiet_stderr():
            window.profiler.stop()
    end(time.perf_counter_ns())
    _finish({"note": "the program began to profile itself, or ended"})


def _open() -> None:
    global _window
    begin, end = agent.span("deep_open", "deep_opened")
    profiler = _profiler()
    window = Window(profiler)
    begin(time.perf_counter_ns())
    try:
        with quiet_stderr():
            profiler.start()
        _window = window
        for owner, name, replacement in profiler.gives_way(abandon):
            window.restore.append(_replace(owner, name, replacement))
    except BaseException:
        if _window is not None:
            abandon()
        else:
            agent.recorder("deep_closed")(time.perf_counter_ns())
        raise
    finally:
        end(time.perf_counter_ns())


def _close(window: "Window") -> None:
    global _window, _tries
    started = time.perf_counter_ns()
    agent.recorder("deep_close")(started)
    try:
        steps = _updates() - window.updates
        evaluated = agent.count("evaluation_begin") != window.evaluations
        _window = None
        _give_way(window)
        with quiet_stderr():
            window.profiler.stop()
        if evaluated or steps < LEAST_STEPS:
            _tries += 1
            if _tries >= TRIES:
                raise StandsBack("no few steps in a row without an evaluation between them")
            return
        table = window.profiler.table()
        _finish(
            {
                "how": window.profiler.how,
                "begin_ns": window.opened_ns,
                "end_ns": started,
                "steps": steps,
                **table,
                "read_ns": time.perf_counter_ns() - started,
            }
        )
    finally:
        agent.recorder("deep_closed")(time.perf_counter_ns())


def _finish(result: Dict[str, Any]) -> None:
    """Write the result down, and tell the recorder that the request is done with."""
    global _window, _tries
    _window, _tries = None, 0
    folder = agent.rank_dir()
    if folder is not None:
        from pathlib import Path

        with contextlib.suppress(OSError):
            write_json(Path(folder) / DEEP, {"t": time.perf_counter_ns(), **result})
    agent.header[SLOT_DEEP] = agent.header[SLOT_GATE] >> GATE_BITS


def _updates() -> int:
    """Updates so far, by what bounds a step in this program."""
    if agent.count("step_end"):
        return agent.count("step_end")
    if agent.in_keras_fit():
        return agent.count("batch_end_exit")
    return agent.count("optimizer_end") + agent.count("train_call_end")


def _profiler() -> Any:
    """The profiler of the framework that computes the steps."""
    computes = notes.known("framework")
    if computes == "keras":
        computes = notes.known("backend")
    if computes == "torch":
        from fwtui.guest import deep_torch

        return deep_torch.Profiler()
    from fwtui.guest import deep_xla

    if computes == "jax" or (computes is None and "jax" in sys.modules and not agent.count("train_call_end")):
        return deep_xla.JaxProfiler()
    if "tensorflow" in sys.modules:
        return deep_xla.TensorFlowProfiler()
    raise StandsBack("there is no profiler for what this program computes with")


def _replace(owner: Any, name: str, replacement: Any) -> Callable[[], None]:
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    return lambda: setattr(owner, name, original)


def _give_way(window: "Window") -> None:
    while window.restore:
        window.restore.pop()()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep the profilers' words about themselves off the program's stderr; whatever else is written goes there."""
    if sys.stderr is not None:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            kept.seek(0)
            others = b"".join(line for line in kept if not _OURS.search(line))
            if others:
                os.write(2, others)
