"""Profiler windows: asked for by a person, or once in a lane shortly after its training has settled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fwtui.recorder.lane_process import Lane

AFTER_S = {"auto": 4.0, "early": 0.5}
"""Seconds from a lane's first step to its window: past warm-up; with `--deep` soon, so that short runs have one."""


class DeepWindows:
    """Asks each lane's first rank for its one window."""

    def __init__(self, manifest: dict[str, Any], lanes: list[Lane]) -> None:
        self._after_s = AFTER_S.get(str(manifest.get("deep") or "off"))
        self._lanes = lanes
        self._since_s: dict[str, float] = {}
        self._asked: set[str] = set()

    def tick(self) -> None:
        """Ask where it is time."""
        if self._after_s is None:
            return
        now = time.monotonic()
        for lane in self._lanes:
            if lane.name in self._asked or not lane.alive or not lane.ranks.stepped:
                continue
            if now - self._since_s.setdefault(lane.name, now) >= self._after_s:
                self._asked.add(lane.name)
                lane.ranks.ask_deep()
