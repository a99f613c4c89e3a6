"""Sends a run folder as it grows: what the other side lacks, then what is new, a few times a second."""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fwtui.recording.event_log import HEADER_BYTES, SLOT_COUNT, SLOT_GATE, WORD_BYTES
from fwtui.recording.run_folder import CONTROL_SOCKET, EVENTS, MANIFEST, OUTPUT, RunFolder
from fwtui.remote.frames import FrameWriter
from fwtui.remote.packing import COARSE_NS, pack

HEAD_BYTES = 9 * WORD_BYTES
GROWING = (".log", ".jsonl", ".txt")
"""Files that are only appended to; others are replaced whole."""
PIECE_BYTES = 1 << 20
LARGEST_FILE = 8 << 20
OUTPUT_TAIL_BYTES = 1 << 16
"""Of what a lane printed before we came, the end."""
OUTPUT_BYTES_S = 3000
"""Of what a lane prints while we watch, so much a second; the rest is left out and said so."""
SPARED_BYTES_S = 15_000
"""Above this, times are sent in whole microseconds."""


class Sender:
    """Knows what was sent of each file.

    Args:
        folder: the run.
        writer: where frames go.
        have: bytes (of event logs: words) that the other side has already, by path.
        lives: whether the run goes on.
    """

    def __init__(self, folder: RunFolder, writer: FrameWriter, have: dict[str, int], lives: Callable[[], bool]) -> None:
        self._folder = folder
        self._writer = writer
        self._have = {str(path): int(count) for path, count in have.items()}
        self._lives = lives
        self._stamps: dict[str, Any] = {}
        self._grain_ns = 1
        self._began_s: float | None = None
        self._rate_s, self._rate_bytes = time.monotonic(), 0
        writer.write("run", id=folder.id)

    def send_new(self) -> bool:
        """Send what is new and a beat; whether the run goes on."""
        live = self._lives()  # asked first: what is written last is then sent
        caught_up = self._began_s is not None
        for path in sorted(self._files(), key=lambda path: path == MANIFEST):  # a manifest never tells too much
            with suppress(FileNotFoundError):
                self._send(path, caught_up)
        self._writer.write("beat", now=time.perf_counter_ns(), live=live)
        self._writer.flush()
        self._spare()
        return live

    def end(self) -> None:
        """Say that this was all."""
        self._writer.write("end")
        self._writer.flush(last=True)

    def _spare(self) -> None:
        """Send times coarsely while the stream is wide, once the past was sent."""
        now = time.monotonic()
        if self._began_s is None:
            self._began_s, self._rate_s, self._rate_bytes = now, now, self._writer.sent_bytes
        elif now - self._rate_s >= 2:
            rate = (self._writer.sent_bytes - self._rate_bytes) / (now - self._rate_s)
            if rate > SPARED_BYTES_S:
                self._grain_ns = COARSE_NS
            self._rate_s, self._rate_bytes = now, self._writer.sent_bytes

    def _files(self) -> Iterator[str]:
        top = os.fspath(self._folder.path)
        for root, _, names in os.walk(top):
            for name in names:
                if not name.startswith(".") and name != CONTROL_SOCKET and not name.endswith((".svg", ".png")):
                    yield os.path.relpath(os.path.join(root, name), top)

    def _send(self, path: str, caught_up: bool) -> None:
        full = self._folder.path / path
        status = full.stat()
        if not stat.S_ISREG(status.st_mode):
            return
        if os.path.basename(path) == EVENTS:
            self._send_words(path, full)
        elif path.endswith(GROWING):
            if status.st_size != self._have.get(path, 0):
                self._send_more(path, full, status.st_size, caught_up)
        else:
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._stamps.get(path) != stamp and status.st_size <= LARGEST_FILE:
                self._writer.write("file", full.read_bytes(), p=path)
                self._stamps[path] = stamp

    def _send_words(self, path: str, full: Path) -> None:
        with full.open("rb") as file:
            head = bytearray(file.read(HEAD_BYTES))
            if len(head) < HEAD_BYTES:
                return
            count = struct.unpack_from("Q", head, SLOT_COUNT * WORD_BYTES)[0]
            first = self._have.get(path, 0)
            while first < count:
                file.seek(HEADER_BYTES + first * WORD_BYTES)
                data = file.read(min(PIECE_BYTES, (count - first) * WORD_BYTES))
                data = data[: len(data) - len(data) % WORD_BYTES]
                if not data:
                    break  # the file is cut short
                self._writer.write("words", pack(data, self._grain_ns), p=path, o=first, g=self._grain_ns)
                first += len(data) // WORD_BYTES
        self._have[path] = first
        struct.pack_into("Q", head, SLOT_COUNT * WORD_BYTES, first)
        shown = bytes(head)
        if self._stamps.get(path) != (known := _but_gate(shown)):
            self._stamps[path] = known
            self._writer.write("head", shown, p=path)

    def _send_more(self, path: str, full: Path, size: int, caught_up: bool) -> None:
        first = self._have.get(path, 0)
        if first > size:
            first = 0  # it was begun anew
        if os.path.basename(path) == OUTPUT:
            first = self._skip_output(path, first, size, caught_up)
        with full.open("rb") as file:
            file.seek(first)
            while data := file.read(PIECE_BYTES):
                self._writer.write("add", data, p=path, o=first)
                first += len(data)
        self._have[path] = first

    def _skip_output(self, path: str, first: int, size: int, caught_up: bool) -> int:
        """Where to go on in what a lane printed, so that a talkative program does not fill the connection."""
        now = time.monotonic()
        before_s = self._stamps.get(path, now - 1)
        self._stamps[path] = now
        room = int(OUTPUT_BYTES_S * min(2.0, max(0.25, now - before_s))) if caught_up else OUTPUT_TAIL_BYTES
        if size - first <= room:
            return first
        self._writer.write("add", b"\n(left out to spare the connection)\n", p=path, o=first)
        return size - room


def _but_gate(head: bytes) -> bytes:
    """A header without its turn byte, which means nothing elsewhere and changes with each turn."""
    return head[: SLOT_GATE * WORD_BYTES] + head[(SLOT_GATE + 1) * WORD_BYTES :]
