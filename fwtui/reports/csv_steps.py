"""Every step of a run as CSV, written a piece at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TextIO

import numpy as np

from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.view.counting import counts
from fwtui.view.derived import Derived
from fwtui.view.session import Session
from fwtui.view.step_stream import Progress, pieces

_NS_PER_MS = 1e6

COLUMNS = (
    "lane",
    "step",  # 1-based
    "start_s",  # since the run began
    "end_s",
    "step_ms",  # the step's own time: the sum of its phases
    "wait_ms",  # held at the turn gate between start and end
    "evaluation_ms",
    "updates",
    *(f"{name}_ms" for name in PHASE_NAMES),  # empty where the lane's hooks do not see the phase
    "counted",  # 1: in the statistics
    "stalled",
)


def write_csv(session: Session, file: TextIO, progress: Progress = lambda share: None) -> None:
    """Write the whole steps recorded so far, lane by lane, straight from their event logs.

    Raises:
        OSError: the file cannot be written.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    lanes = session.frame().lanes
    for lane in lanes:
        measured = np.array([lane.phases.get(name) is not None for name in PHASE_NAMES])
        first, log = lane.index / len(lanes), session.logs[lane.index]
        for piece in pieces(log.events_path, lambda share, first=first: progress(first + share / len(lanes))):  # type: ignore[misc]
            steps = piece.steps.steps
            inside = counts(session, steps.start_ns, steps.end_ns, session.newest_ns)
            writer.writerows(_rows(piece.steps.counting(inside), session.start_ns, lane.name, measured))
    progress(1.0)


def _rows(derived: Derived, start_ns: int, name: str, measured: np.ndarray) -> Iterator[list[object]]:
    steps = derived.steps
    seconds = ((np.column_stack((steps.start_ns, steps.end_ns)) - start_ns) / 1e9).round(9)
    whole = (np.column_stack((steps.step_ns, steps.wait_ns, steps.evaluation_ns)) / _NS_PER_MS).round(6)
    phases = (steps.phases / _NS_PER_MS).round(6)
    flags = np.column_stack((derived.counted, derived.stalled)).astype(int)
    numbers, updates = derived.number + 1, steps.updates.astype(int)
    known = measured | (phases > 0)  # a phase that no hook watches is unknown, unless time was put into it all the same
    for number, times, own, update, spent, seen, flag in zip(
        *(column.tolist() for column in (numbers, seconds, whole, updates, phases, known, flags)), strict=True
    ):
        cells = [value if there else "" for value, there in zip(spent, seen, strict=True)]
        yield [name, number, *times, *own, update, *cells, *flag]
