"""How often and how long TensorFlow calls back into Python (`py_function`, generators), and into which code.

Such a call holds the GIL for less than a switch interval: no other thread of the program would ever see it run.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from fwtui.guest import agent, notes, sites
from fwtui.recording.code_lines import is_users

NOTE_EVERY_NS = 500_000_000
EARLY_NS = 3_000_000_000
"""At first the sums are written down five times as often: fifty steps may be over in a second."""
_now = time.perf_counter_ns
_totals: Dict[Any, List[Any]] = {}
"""By TensorFlow's token: calls, ns, where the function stands."""
_noted = [0, 0]
_first = [0]
_rest = [0, 0]
"""When the last call ended, and how long there was none: a pipeline that is ahead of the training waits for it."""
REST_NS = 2_000_000
"""TensorFlow's own work between two calls for samples of a batch takes less."""


def arm(module: Any) -> None:
    """Watch the one place through which all such calls go."""

    def make(original: Any) -> Any:
        def __call__(self: Any, token: Any, *args: Any, **kwargs: Any) -> Any:
            began = _now()
            gap = began - _rest[0]
            if gap > REST_NS and _rest[0]:
                _rest[1] += gap
            try:
                return original(self, token, *args, **kwargs)
            finally:
                row = _totals.get(token)
                if row is None:
                    row = _totals[token] = [0, 0, _place(self, token)]
                row[0] += 1
                _rest[0] = ended = _now()
                row[1] += ended - began

        return __call__

    agent.patch(module.FuncRegistry, "__call__", make)


def _place(registry: Any, token: Any) -> Optional[str]:
    """Where the user's function stands; None of TensorFlow's own, which call a generator."""
    try:
        function = registry.get(token)
        for _ in range(10):
            inner = getattr(function, "_func", None) or getattr(function, "__wrapped__", None)
            if inner is None:
                break
            function = inner
        code = getattr(function, "__code__", None)
        if code is not None and is_users(code.co_filename):
            return sites.shown(code.co_filename, code.co_firstlineno)
    except Exception as error:  # the outermost guard: the program goes on
        notes.hook_error("py_function", error)
    return None


def note(now_ns: int) -> None:
    """Write the sums down, twice a second while they grow."""
    if not _totals:
        return
    _first[0] = _first[0] or now_ns
    if now_ns - _noted[0] < (NOTE_EVERY_NS if now_ns - _first[0] > EARLY_NS else NOTE_EVERY_NS // 5):
        return
    rows = list(_totals.values())
    calls = sum(row[0] for row in rows)
    if calls != _noted[1]:
        _noted[:] = [now_ns, calls]
        most = max(rows, key=lambda row: row[1])
        notes.note("python_calls", calls=calls, ns=sum(row[1] for row in rows), at=most[2], rest_ns=_rest[1])
