"""All steps of a lane from its event log, a piece at a time: what exports read, however long the run was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fwtui.analysis.segments import SegmentFolder, Segments
from fwtui.recording.event_log import EventLogReader
from fwtui.view.derived import Derivation, Derived

PIECE_WORDS = 1 << 18
Progress = Callable[[float], None]
"""Told the share that is done, 0 to 1."""


class Piece(NamedTuple):
    """Successive steps whose flags are final, and the stretches of time read meanwhile (of these or later steps)."""

    steps: Derived
    segments: Segments


def pieces(path: Path | None, progress: Progress = lambda share: None) -> Iterator[Piece]:
    """The steps recorded so far, in order; nothing where there is no log.

    The flags are those that deriving all steps at once gives: steps are handed out once nothing that comes later can
    change them.

    Raises:
        EventLogError: the file is no event log.
        OSError: it cannot be read.
    """
    if path is None:
        return
    reader = EventLogReader(str(path))
    try:
        yield from _pieces(reader, progress)
    finally:
        reader.close()


def _pieces(reader: EventLogReader, progress: Progress) -> Iterator[Piece]:
    folder = SegmentFolder()
    derivation = Derivation(folder.store)
    total, done, told = reader.waiting_words, 0, 0
    while done < total:
        words = np.frombuffer(reader.read_new(min(PIECE_WORDS, total - done)), dtype=np.uint64)
        if not len(words):
            break  # it is cut short
        folder.feed(words)
        done += len(words)
        progress(done / total)
        derived = derivation.derived()
        ready = max(told, derivation.settled)
        yield Piece(derived.rows(slice(told, ready)), folder.take())
        told = ready - _forget(derivation, folder)
    yield Piece(derivation.derived().rows(slice(told, None)), folder.take())


def _forget(derivation: Derivation, folder: SegmentFolder) -> int:
    """Drop the steps that nothing to come depends on; how many."""
    count = derivation.anchor
    if count:
        rows = np.arange(count, len(folder.store))
        folder.store.keep(rows)
        derivation.flags.keep(rows)
        derivation.settled -= count
        derivation.anchor = 0
        derivation.forget()
    return count
