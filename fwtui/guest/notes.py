"""What is written beside the events, rarely and never on the hot path: notes, a line each, and the facts, one file.

Hooks only put them down here; the agent writes them when it writes the events.
"""

from __future__ import annotations

import json
import os
import pathlib
import time
from typing import Any, Dict, List

from fwtui.recording.run_folder import FACTS, NOTES, write_json

pending: List[Dict[str, Any]] = []
"""Notes that are not written yet."""
learnt: Dict[str, Any] = {}
"""The facts of the program so far."""
_told: Dict[str, Any] = {}
_changed = [False]


def note(kind: str, **values: Any) -> None:
    """Note something with its time."""
    pending.append({"t": time.perf_counter_ns(), "kind": kind, **values})


def learn(values: Dict[str, Any]) -> None:
    """Add what was learnt about the program; unknown values (None) are left out, and what it told itself stays."""
    learnt.update({key: value for key, value in values.items() if value is not None})
    learnt.update(_told)
    _changed[0] = True


def tell(values: Dict[str, Any]) -> None:
    """Add what the program tells of itself: it wins over what is learnt."""
    _told.update(values)
    learn(values)


def known(fact: str) -> Any:
    """A fact that was learnt, or None."""
    return learnt.get(fact)


def learn_batch(batch: Any) -> None:
    """Learn the batch size from a batch: the first dimension of its first tensor."""
    if isinstance(batch, dict):
        batch = list(batch.values())
    while isinstance(batch, (list, tuple)) and batch:
        batch = batch[0]
    shape = getattr(batch, "shape", None)
    if shape:
        sizes = [int(extent) for extent in shape]
        learn({"samples_per_step": sizes[0], "batch_size": sizes[0], "batch_shape": sizes})


def hook_error(hook: str, error: BaseException) -> None:
    """Note that a hook failed and was disarmed."""
    note("hook_error", hook=hook, error=f"{type(error).__name__}: {error}")


def too_old(found: str, oldest: str) -> None:
    """Say that a framework's version is older than what the hooks know."""
    note("too_old", value=f"{found} is older than {oldest}, the oldest version that fwtui can watch")


def write(folder: str) -> None:
    """Write down what is new. Raises OSError where there is no room."""
    number = len(pending)
    if number:
        text = "".join(json.dumps(row, default=str, skipkeys=True) + "\n" for row in pending[:number])
        del pending[:number]
        descriptor = os.open(os.path.join(folder, NOTES), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    if _changed[0]:
        _changed[0] = False
        write_json(pathlib.Path(folder) / FACTS, json.loads(json.dumps(learnt, default=str, skipkeys=True)))
