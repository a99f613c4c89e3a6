"""The clock of a replay: which moment of a recorded run is shown now."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from fwtui.view.session import Session

SLOWEST, FASTEST = 0.1, 100.0


class Clock:
    """Moves through a recording at `speed` times its own pace, from its beginning to its end.

    Args:
        session: the recording.
        speed: between `SLOWEST` and `FASTEST`.
        at_ns: where it begins; the run's start by default.
        tell_s: the time outside, in seconds; tests give one that they move by hand.
    """

    def __init__(
        self,
        session: Session,
        speed: float = 1.0,
        at_ns: int | None = None,
        tell_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._tell_s = tell_s
        self._speed = speed
        self._at_ns = session.start_ns if at_ns is None else at_ns
        self._since_s = tell_s()
        self.playing = True

    def now_ns(self, session: Session | None = None) -> int:
        """The moment to show, never outside the recording."""
        at_ns = self._at_ns
        if self.playing:
            at_ns += int((self._tell_s() - self._since_s) * self._speed * 1e9)
        return min(max(at_ns, self._session.start_ns), self._session.newest_ns)

    @property
    def ended(self) -> bool:
        """Whether the end of the recording is shown."""
        return self.now_ns() >= self._session.newest_ns

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self.seek(self.now_ns())
        self._speed = min(FASTEST, max(SLOWEST, value))

    def seek(self, at_ns: int) -> None:
        """Go to a moment; playing goes on from there."""
        self._at_ns = min(max(at_ns, self._session.start_ns), self._session.newest_ns)
        self._since_s = self._tell_s()

    def toggle(self) -> None:
        """Hold, or go on; at the end, begin again."""
        if self.playing and self.ended:
            self.seek(self._session.start_ns)
            return
        self.seek(self.now_ns())
        self.playing = not self.playing

    def step(self, count: int = 1) -> None:
        """Hold, and go to the end of the next step of any lane (of the one before, when `count` is -1)."""
        at_ns = self.now_ns()
        self.playing = False
        targets = []
        for lane in range(len(self._session.logs)):
            ends = self._session.steps(lane).end_ns
            index = int(np.searchsorted(ends, at_ns, side="right" if count > 0 else "left"))
            index += count - 1 if count > 0 else count
            if 0 <= index < len(ends):
                targets.append(int(ends[index]))
        if targets:
            self.seek(min(targets) if count > 0 else max(targets))
        else:
            self.seek(self._session.newest_ns if count > 0 else self._session.start_ns)
