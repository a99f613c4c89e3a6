"""A long lane's fold, saved beside its event log, so that opening the run again need not read every event.

It is derived, never needed, and thrown away when the rules that made it have changed: its key is a digest of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fwtui.analysis.step_store import GrowingColumns

if TYPE_CHECKING:
    from fwtui.view.lane_log import LaneLog

NAME = "fold.npz"
_SOURCES = (
    *("analysis/steps.py", "analysis/step_store.py", "analysis/stalls.py", "analysis/statistics.py"),
    "analysis/run_ahead.py",
    *(
        "recording/vocabulary.py",
        "view/columns.py",
        "view/lane_stacks.py",
        "view/derived.py",
        "view/history.py",
        "view/checkpoint.py",
    ),
)
_FOLDER = ("first_step_ns", "compile_ns", "last_ns", "_in_window", "_in_communication", "_stepped", "_fetches")
_DERIVATION = ("settled", "anchor", "steps_seen", "every", "ahead")
_HISTORY = ("until_ns", "kept", "first_slot", "slot_ns")
_digest: str | None = None


def _key(log: LaneLog) -> str:
    """What must be the same for a saved fold to hold: the rules, and the log's beginning."""
    global _digest
    if _digest is None:
        root = Path(__file__).parents[1]
        rules = b"".join((root / name).read_bytes() for name in _SOURCES)
        _digest = hashlib.sha256(rules).hexdigest()
    return f"{_digest} {log.guest_start_ns} {log.pid}"


def save(log: LaneLog, path: Path, words: int) -> None:
    """Save the fold of a lane's first `words` events; a folder that cannot be written is left as it is."""
    log.derived()
    numbers = [[getattr(part, name) or 0 for name in names] for part, names in _parts(log)]
    arrays: dict[str, Any] = {
        "key": np.array(_key(log)),
        "words": np.array(words),
        "numbers": np.array([float(value) for row in numbers for value in row]),
        "exact": np.array([int(value) for row in numbers for value in row], dtype=np.int64),
        "carry": log.folder._carry,
        "open": log.folder._open,
        "seen": log.folder.seen,
        "stacks": log.stacks.phases(),
        "loader_starts": np.array([log.loader_starts.starts_ns, log.loader_starts.took_ns], dtype=np.int64)
        if len(log.loader_starts.starts_ns) == len(log.loader_starts.took_ns)
        else np.empty((2, 0), dtype=np.int64),
    }
    for name, table in _tables(log).items():
        arrays |= {f"{name}.{column}": values for column, values in table.arrays().items()}
    draft = path.with_suffix(f".{os.getpid()}.npz")
    try:
        with open(draft, "wb") as file:
            np.savez(file, **arrays)
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()


def load(log: LaneLog, path: Path) -> int:
    """Take a saved fold over; the number of events that it holds, 0 when there is none that fits."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            if str(saved["key"]) != _key(log):
                return 0
            numbers, exact = iter(saved["numbers"].tolist()), iter(saved["exact"].tolist())
            for part, names in _parts(log):
                for name in names:
                    value, whole = next(numbers), next(exact)
                    setattr(part, name, value if name == "compile_ns" else whole)
            log.stacks.remember(saved["stacks"])
            log.loader_starts.starts_ns, log.loader_starts.took_ns = saved["loader_starts"].tolist()
            log.folder._carry, log.folder._open, log.folder.seen = saved["carry"], saved["open"], saved["seen"]
            for name, table in _tables(log).items():
                table.append({column: saved[f"{name}.{column}"] for column in table.arrays()})
            return int(saved["words"])
    except (OSError, ValueError, KeyError, EOFError, StopIteration):
        return 0
    finally:
        log.forget()


def _parts(log: LaneLog) -> tuple[tuple[Any, tuple[str, ...]], ...]:
    return (log.folder, _FOLDER), (log.derivation, _DERIVATION), (log.history, _HISTORY)


def _tables(log: LaneLog) -> dict[str, GrowingColumns]:
    history = log.history
    return {"steps": log.folder.store, "flags": log.derivation.flags, "totals": history.totals, "slots": history.slots}
