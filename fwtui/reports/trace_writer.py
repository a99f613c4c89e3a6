"""Perfetto's own binary trace: tracks, slices and counters as protobuf, many packets at a time.

The field numbers are those of Perfetto's `trace_packet.proto`, `track_event.proto` and `track_descriptor.proto`.
Numbers that vary are written as varints of a fixed length (padded with continuation bits, which every decoder accepts),
so that a packet is a row of bytes and a million of them are one array.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

SEQUENCE = 1
_PACKET, _TIMESTAMP, _TRACK_EVENT, _INTERNED, _TRACK_DESCRIPTOR = 1, 8, 11, 12, 60
_SEQUENCE_ID, _SEQUENCE_FLAGS = 10, 13
_CLEARED, _NEEDED = 1, 2
_SLICE_BEGIN, _SLICE_END, _COUNTER = 1, 2, 4
_TIME_BYTES, _NUMBER_BYTES = 9, 5


def varint(value: int) -> bytes:
    """A base-128 varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def message(field: int, body: bytes) -> bytes:
    """A field that holds bytes, a text or a message."""
    return varint(field << 3 | 2) + varint(len(body)) + body


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    """(count, length) bytes: each value as a varint of that length."""
    shifts = np.arange(length, dtype=np.uint64) * np.uint64(7)
    parts = (values.astype(np.uint64)[:, None] >> shifts) & np.uint64(0x7F)
    parts[:, :-1] |= np.uint64(0x80)
    return parts.astype(np.uint8)


class TraceWriter:
    """Writes a trace to a binary stream.

    Args:
        stream: where to.
        names: of slices, by their number.
        annotation: the name of the number that a slice may carry.
    """

    def __init__(self, stream: BinaryIO, names: Sequence[str], annotation: str = "step") -> None:
        self._stream = stream
        self._tracks = 0
        interned = b"".join(message(2, number(1, i + 1) + message(2, name.encode())) for i, name in enumerate(names))
        interned += message(3, number(1, 1) + message(2, annotation.encode()))
        head = number(_SEQUENCE_ID, SEQUENCE) + number(_SEQUENCE_FLAGS, _CLEARED)
        self._packet(head + message(_INTERNED, interned))

    def _packet(self, body: bytes) -> None:
        self._stream.write(message(_PACKET, body))

    def _track(self, body: bytes) -> int:
        self._tracks += 1
        described = number(1, self._tracks) + body
        self._packet(number(_SEQUENCE_ID, SEQUENCE) + message(_TRACK_DESCRIPTOR, described))
        return self._tracks

    def process(self, pid: int, name: str) -> int:
        """A process; its track's number."""
        return self._track(message(3, number(1, pid) + message(6, name.encode())))

    def thread(self, pid: int, tid: int, name: str) -> int:
        """A track of slices in a process."""
        return self._track(message(4, number(1, pid) + number(2, tid) + message(5, name.encode())))

    def counter(self, parent: int, name: str, unit: str) -> int:
        """A track of a figure over time."""
        return self._track(message(2, name.encode()) + number(5, parent) + message(8, message(6, unit.encode())))

    def slices(
        self, track: int, start_ns: np.ndarray, end_ns: np.ndarray, name: np.ndarray, numbers: np.ndarray | None = None
    ) -> None:
        """Slices of one track, in order and without overlap; `name` are indices, `numbers` what each carries."""
        count = len(start_ns)
        if not count:
            return
        note = b"" if numbers is None else message(4, number(1, 1) + varint(3 << 3) + bytes(_NUMBER_BYTES))
        begin, begin_at = self._row(number(9, _SLICE_BEGIN) + number(11, track) + note + varint(10 << 3) + bytes(2))
        end, end_at = self._row(number(9, _SLICE_END) + number(11, track))
        rows = np.empty((count, len(begin) + len(end)), dtype=np.uint8)
        rows[:] = np.frombuffer(begin + end, dtype=np.uint8)
        rows[:, begin_at : begin_at + _TIME_BYTES] = _padded(start_ns, _TIME_BYTES)
        rows[:, len(begin) - 2 : len(begin)] = _padded(name + 1, 2)
        if numbers is not None:
            last = len(begin) - 3
            rows[:, last - _NUMBER_BYTES : last] = _padded(numbers, _NUMBER_BYTES)
        rows[:, len(begin) + end_at : len(begin) + end_at + _TIME_BYTES] = _padded(end_ns, _TIME_BYTES)
        self._stream.write(rows.tobytes())

    def values(self, track: int, time_ns: np.ndarray, value: np.ndarray) -> None:
        """Values of a counter."""
        if not len(time_ns):
            return
        event = number(9, _COUNTER) + number(11, track) + varint(44 << 3 | 1) + bytes(8)
        row, at = self._row(event)
        rows = np.empty((len(time_ns), len(row)), dtype=np.uint8)
        rows[:] = np.frombuffer(row, dtype=np.uint8)
        rows[:, at : at + _TIME_BYTES] = _padded(time_ns, _TIME_BYTES)
        rows[:, -8:] = np.ascontiguousarray(value, dtype="<f8").view(np.uint8).reshape(-1, 8)
        self._stream.write(rows.tobytes())

    @staticmethod
    def _row(event: bytes) -> tuple[bytes, int]:
        """A packet with room for its time, and where that is."""
        head = number(_SEQUENCE_ID, SEQUENCE) + number(_SEQUENCE_FLAGS, _NEEDED) + varint(_TIMESTAMP << 3)
        body = head + bytes(_TIME_BYTES) + message(_TRACK_EVENT, event)
        frame = struct.pack("B", _PACKET << 3 | 2) + varint(len(body))
        return frame + body, len(frame) + len(head)
