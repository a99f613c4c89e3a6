"""A local copy of a run folder, kept by the frames of a stream."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fwtui.recording.event_log import HEADER_BYTES, WORD_BYTES
from fwtui.recording.run_folder import MANIFEST, RunFolder, folder_name
from fwtui.remote.frames import Frame, StreamError
from fwtui.remote.packing import unpack

_LONGEST_SILENCE_NS = 300_000_000
"""So long after the last beat the moment stands still: what happened since is not known here."""
_DRIFT_NS = 100_000
"""What the two clocks may drift apart between two beats."""


class Mirror:
    """Applies frames to a folder.

    Args:
        parent: where the run's folder is made, under the run's own name.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self.folder = RunFolder(parent / "run")
        self.have: dict[str, int] = {}
        """Bytes (of event logs: words) of each growing file of the original that were received."""
        self.live = True
        """Whether the original went on at the last beat."""
        self.ended = False
        self._clock_offset_ns: int | None = None
        self._beat_ns = 0

    @property
    def ready(self) -> bool:
        """Whether there is a run to open: the manifest comes after all that it tells of."""
        return (self.folder.path / MANIFEST).exists()

    def now_ns(self) -> int:
        """The original machine's clock."""
        return min(time.perf_counter_ns() + (self._clock_offset_ns or 0), self._beat_ns + _LONGEST_SILENCE_NS)

    def apply(self, frame: Frame) -> None:
        """Take one frame.

        Raises:
            StreamError: the frame makes no sense here.
            OSError: the folder cannot be written.
        """
        kind = frame.head.get("k")
        if kind == "beat":
            self._beat_ns = int(frame.head["now"])
            offset, known = self._beat_ns - time.perf_counter_ns(), self._clock_offset_ns
            # The least delay is the best clock: a beat that was held up must not pull the moment back.
            self._clock_offset_ns = offset if known is None else max(offset, known - _DRIFT_NS)
            self.live = bool(frame.head["live"])
        elif kind == "run":
            self._name(str(frame.head["id"]))
        elif kind == "end":
            self.ended = True
        elif kind in _APPLY:
            _APPLY[kind](self, self._path(frame), frame)

    def _name(self, run_id: str) -> None:
        """Give the folder the run's name."""
        path = self._parent / folder_name(run_id)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = RunFolder(path)

    def _path(self, frame: Frame) -> Path:
        """Where a file lies; never outside the folder."""
        name = str(frame.head.get("p"))
        path = (self.folder.path / name).resolve()
        if not path.is_relative_to(self.folder.path.resolve()) or path == self.folder.path.resolve():
            raise StreamError(f"the stream names a file outside the run: {name!r}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _file(self, path: Path, frame: Frame) -> None:
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(frame.body)
        os.replace(part, path)

    def _add(self, path: Path, frame: Frame) -> None:
        name, first = str(frame.head["p"]), int(frame.head["o"])
        mode = "wb" if first == 0 or name not in self.have else "ab"
        with path.open(mode) as file:
            file.write(frame.body)
        self.have[name] = first + len(frame.body)

    def _words(self, path: Path, frame: Frame) -> None:
        first = int(frame.head["o"])
        try:
            data = unpack(frame.body, int(frame.head.get("g", 1)))
        except ValueError as error:
            raise StreamError(f"the stream is broken: {error}") from None
        _write_at(path, HEADER_BYTES + first * WORD_BYTES, data)
        self.have[str(frame.head["p"])] = first + len(data) // WORD_BYTES

    def _head(self, path: Path, frame: Frame) -> None:
        _write_at(path, 0, frame.body)


_APPLY = {"file": Mirror._file, "add": Mirror._add, "words": Mirror._words, "head": Mirror._head}


def _write_at(path: Path, offset: int, data: bytes) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        os.pwrite(fd, data, offset)
        if os.fstat(fd).st_size < HEADER_BYTES:
            os.ftruncate(fd, HEADER_BYTES)
    finally:
        os.close(fd)
