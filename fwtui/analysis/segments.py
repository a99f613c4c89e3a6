"""Stretches of a lane's time with their phase, in order: what a timeline shows of the steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fwtui.analysis.steps import StepFolder
from fwtui.recording.vocabulary import PHASE_NAMES, SPANS

NAMES = (*PHASE_NAMES, "waiting for its turn", "evaluation", "profiler")
"""What a stretch may be: a phase, or time that belongs to no step."""
_NO_PHASE = {"wait": len(PHASE_NAMES), "evaluation": len(PHASE_NAMES) + 1}
_OF_SPAN = np.array([_NO_PHASE.get(span, len(PHASE_NAMES) + 2) for span in SPANS] + [len(PHASE_NAMES) + 2])


class Segments(NamedTuple):
    """Columns of stretches, neighbours of one kind joined."""

    start_ns: np.ndarray
    end_ns: np.ndarray
    kind: np.ndarray
    """Index into NAMES."""


class SegmentFolder(StepFolder):
    """Folds events into steps, and keeps the stretches that the steps are made of until they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds = np.empty(0, dtype=np.int64)
        self._taken: list[Segments] = []

    def _phases(self, codes: np.ndarray, spans: np.ndarray) -> np.ndarray:
        phases = super()._phases(codes, spans)
        self._kinds = np.where(phases >= 0, phases, _OF_SPAN[spans])
        return phases

    def _fold(self, times: np.ndarray, codes: np.ndarray, ends: np.ndarray) -> None:
        super()._fold(times, codes, ends)
        kinds = self._kinds
        whole = np.diff(times) > 0
        starts, finishes, kinds = times[:-1][whole], times[1:][whole], kinds[whole]
        if not len(kinds):
            return
        step = np.searchsorted(times[ends], starts, side="right")
        first = np.flatnonzero(np.append(True, (np.diff(kinds) != 0) | (np.diff(step) != 0)))
        last = np.append(first[1:] - 1, len(kinds) - 1)
        self._taken.append(Segments(starts[first], finishes[last], kinds[first]))

    def take(self) -> Segments:
        """The stretches since the last call."""
        taken, self._taken = self._taken, []
        if not taken:
            return Segments(*(np.empty(0, dtype=np.int64) for _ in Segments._fields))
        return Segments(*(np.concatenate([getattr(part, name) for part in taken]) for name in Segments._fields))
