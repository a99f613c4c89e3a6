"""Reads a run's `explain.json` as it is replaced."""

from __future__ import annotations

import json

from fwtui.analysis.explanation import Explanation, from_json
from fwtui.recording.run_folder import EXPLAIN, RunFolder
from fwtui.view.explain_process import seen_alive

Stamp = tuple[int, int, int]


class ExplanationFile:
    """The newest explanation of a run; `value` is None when none was made, or the file is none of ours."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.path / EXPLAIN
        self._stamp: Stamp | None = None
        self.value: Explanation | None = None

    def poll(self) -> bool:
        """Read what is new; whether anything was."""
        if self.value is not None:
            self.value = seen_alive(self.value)
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return False
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        self._stamp, self.value = stamp, from_json(content)
        return True
