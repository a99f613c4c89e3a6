"""`--until-decided`: whoever watches the run asks the recorder to finish it once the verdict stands.

The recorder knows no statistics; with nobody watching, the run goes on to its limit.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from fwtui.analysis.decided import decided
from fwtui.recording.control import ControlError, send

if TYPE_CHECKING:
    from fwtui.view.session import Session

LOOK_S = 1.0


class Finisher:
    """Looks at a run now and then, and ends it when all its pairs are decided."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next_s = 0.0
        self._times = 0

    def look(self) -> None:
        """Ask the recorder to finish when two looks in a row found the comparison decided."""
        session, now = self._session, time.monotonic()
        if not session.manifest.get("until_decided") or not session.live or now < self._next_s:
            return
        self._next_s = now + LOOK_S
        self._times = self._times + 1 if decided(session.frame().comparison) else 0
        if self._times >= 2:
            with suppress(ControlError):  # it is over already, or it is asked again
                send(session.folder, {"do": "finish"})
