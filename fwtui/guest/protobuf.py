"""Just enough of protobuf's wire format to read what profilers write.

Source: the encoding guide of Protocol Buffers. A message is a sequence of (field number, value): whole numbers for wire
types 0, 1 and 5, bytes for wire type 2.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Tuple, Union

Value = Union[int, bytes]


def fields(data: bytes) -> Iterator[Tuple[int, Value]]:
    """(field number, value) of a message, in order.

    Raises:
        ValueError: it is no message.
        IndexError: it is cut short.
    """
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        at += 1
        if key > 127:
            key, at = _varint(data, at - 1)
        wire = key & 7
        if wire == 0:
            value = data[at]
            at += 1
            if value > 127:
                value, at = _varint(data, at - 1)
            yield key >> 3, value
        elif wire == 2:
            size = data[at]
            at += 1
            if size > 127:
                size, at = _varint(data, at - 1)
            yield key >> 3, data[at : at + size]
            at += size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield key >> 3, int.from_bytes(data[at : at + size], "little")
            at += size
        else:
            raise ValueError(f"wire type {wire} at byte {at}")


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def grouped(data: bytes) -> Dict[int, List[Value]]:
    """All values of a message by field number."""
    found: Dict[int, List[Value]] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def text(value: Value) -> str:
    """A string field."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def message(value: Value) -> bytes:
    """A field that holds a message; an empty one when the field is a number."""
    return value if isinstance(value, bytes) else b""
