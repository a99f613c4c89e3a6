"""When to draw, and what drawing costs: frames only as often as something moves, none while the terminal is behind."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

FPS = 4.0
FAST_FPS = 10.0
"""While a stall grows, or a key is held."""
_KEY_S = 0.5
_WINDOW_S = 5.0


class Pace:
    """Keeps the rate of frames, and measures what the screen itself costs.

    Args:
        fps: frames a second while nothing moves fast.
    """

    def __init__(self, fps: float = FPS) -> None:
        self.fps = fps
        self.bytes_out = 0
        self.frames = 0
        self.skipped = 0
        self._last_key_s = float("-inf")
        self._told_s = float("-inf")
        self._told: tuple[float, float, float] | None = None
        self._marks: deque[tuple[float, float, int, int]] = deque(maxlen=64)

    def key(self) -> None:
        """A key was pressed."""
        self._last_key_s = time.monotonic()

    def watch(self, driver: Any) -> None:
        """Count what is written to the terminal."""
        if driver is None:
            return
        write = driver.write

        def counted(data: str) -> None:
            self.bytes_out += len(data.encode("utf-8", "replace"))
            write(data)

        driver.write = counted

    def hurries(self, stall_grows: bool) -> bool:
        """Whether something moves fast: a stall grows, or a key is held."""
        return stall_grows or time.monotonic() - self._last_key_s < _KEY_S

    @property
    def fast_interval_s(self) -> float:
        """Seconds between frames while something moves fast."""
        return 1 / max(self.fps, FAST_FPS)

    def drew(self) -> None:
        """A frame was drawn."""
        self.frames += 1
        self._marks.append((time.monotonic(), time.process_time(), self.bytes_out, self.frames))

    def cost_now_and_then(self) -> tuple[float, float, float] | None:
        """The cost as of a second ago at most: a figure that changes with each frame cannot be read."""
        now = time.monotonic()
        if now - self._told_s >= 1.0:
            self._told_s, self._told = now, self.cost()
        return self._told

    def cost(self) -> tuple[float, float, float] | None:
        """(share of a core, bytes a second, frames a second) over the last seconds; None before there are any."""
        while len(self._marks) > 2 and self._marks[-1][0] - self._marks[0][0] > _WINDOW_S:
            self._marks.popleft()
        if len(self._marks) < 2 or self._marks[-1][0] - self._marks[0][0] < 1:
            return None
        first, last = self._marks[0], self._marks[-1]
        passed = last[0] - first[0]
        return (last[1] - first[1]) / passed, (last[2] - first[2]) / passed, (last[3] - first[3]) / passed


def is_behind(driver: Any) -> bool:
    """Whether output is still queued for the terminal.

    Textual's writer thread takes 30 writes and then blocks the event loop, so its queue is looked at before drawing.
    It is private: an unknown driver is never behind.
    """
    queue = getattr(getattr(driver, "_writer_thread", None), "_queue", None)
    return queue is not None and queue.qsize() > 0
