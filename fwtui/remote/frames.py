"""The stream's grammar: a magic line, then one zlib stream of frames, each a JSON line and as many bytes as it says.

Kinds of frame (`k`); `p` is a path within the run folder, `n` the number of bytes that follow:

    run     the run's name, first of all
    file    the whole of a small file                words   packed event words, from word number `o` on
    add     bytes of a growing file, from `o` on     head    the header slots of an event log
    beat    the sender's clock and whether the run goes on
    answer  a recorder's answer to the request numbered `i`
    end     nothing more will come: the run is over and all of it was sent
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

MAGIC_WORD = "fwtui-stream"
MAGIC = f"{MAGIC_WORD} 1\n".encode()
LONGEST_GREETING = 1 << 16
"""What a login shell may print before the stream begins."""
LONGEST_HEAD = 1 << 16
LONGEST_BODY = 1 << 26


class Frame(NamedTuple):
    """One frame: its head, and the bytes that follow it."""

    head: dict[str, Any]
    body: bytes


class StreamError(Exception):
    """The stream is no stream of fwtui, or broken; the message is one sentence."""


class FrameWriter:
    """Writes frames to a stream; `flush` sends what was written. Not thread-safe."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._deflate = zlib.compressobj(9)
        self.sent_bytes = len(MAGIC)
        stream.write(MAGIC)

    def write(self, kind: str, body: bytes = b"", **head: Any) -> None:
        line = json.dumps({"k": kind, "n": len(body), **head}, separators=(",", ":")).encode() + b"\n"
        self._put(self._deflate.compress(line + body))

    def flush(self, last: bool = False) -> None:
        """Send all that was written."""
        self._put(self._deflate.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH))
        self._stream.flush()

    def _put(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        self._stream.write(data)


class FrameReader:
    """Turns the stream's bytes, in whatever pieces they come, into frames."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj()
        self._greeting: bytearray | None = bytearray()
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now.

        Raises:
            StreamError: what comes is no stream of fwtui.
        """
        if self._greeting is not None:
            self._greeting += data
            where = self._greeting.find(MAGIC)
            if where < 0:
                if len(self._greeting) > LONGEST_GREETING:
                    raise StreamError("the other side does not speak fwtui's stream")
                return
            data, self._greeting = bytes(self._greeting[where + len(MAGIC) :]), None
        try:
            self._buffer += self._inflate.decompress(data)
        except zlib.error as error:
            raise StreamError(f"the stream is broken: {error}") from None
        yield from self._whole()

    @property
    def greeting(self) -> str:
        """What came before the stream began, when it never did."""
        return bytes(self._greeting or b"").decode(errors="replace").strip()

    def _whole(self) -> Iterator[Frame]:
        while (end := self._buffer.find(b"\n", 0, LONGEST_HEAD)) >= 0:
            try:
                head = json.loads(self._buffer[:end])
                size = int(head["n"])
            except (ValueError, KeyError, TypeError):
                raise StreamError("the stream is broken: a frame has no head") from None
            if not 0 <= size <= LONGEST_BODY:
                raise StreamError(f"the stream is broken: a frame of {size} bytes")
            if len(self._buffer) < end + 1 + size:
                return
            body = bytes(self._buffer[end + 1 : end + 1 + size])
            del self._buffer[: end + 1 + size]
            yield Frame(head, body)
        if len(self._buffer) >= LONGEST_HEAD:
            raise StreamError("the stream is broken: a frame has no head")
