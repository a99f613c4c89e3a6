"""Every step of a run as CSV, written a piece at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

import numpy as np

from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.view.session import Session

_NS_PER_MS = 1e6
_PIECE = 20_000
"""Steps turned into text at a time."""

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


def write_csv(session: Session, file: TextIO) -> None:
    """Write the whole steps recorded so far, lane by lane.

    Raises:
        OSError: the file cannot be written.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for lane in session.frame().lanes:
        measured = [lane.phases.get(name) is not None for name in PHASE_NAMES]
        writer.writerows(_rows(session, lane.index, lane.name, measured))


def _rows(session: Session, index: int, name: str, measured: Iterable[bool]) -> Iterator[list[object]]:
    derived = session.logs[index].derived()
    steps = derived.steps
    known = np.array(list(measured))
    for first in range(0, len(steps), _PIECE):
        part = slice(first, first + _PIECE)
        seconds = (np.column_stack((steps.start_ns[part], steps.end_ns[part])) - session.start_ns) / 1e9
        whole = np.column_stack((steps.step_ns[part], steps.wait_ns[part], steps.evaluation_ns[part])) / _NS_PER_MS
        phases = (steps.phases[part] / _NS_PER_MS).round(6)
        flags = np.column_stack((derived.counted[part], derived.stalled[part])).astype(int)
        for row, (times, own, updates, spent, flag) in enumerate(
            zip(seconds.round(9), whole.round(6), steps.updates[part], phases, flags, strict=True)
        ):
            # A phase that no hook watches is unknown, unless time was put into it all the same.
            cells = [value if seen or value else "" for value, seen in zip(spent.tolist(), known, strict=True)]
            yield [name, first + row + 1, *times.tolist(), *own.tolist(), int(updates), *cells, *flag.tolist()]
