"""Writer and reader of one rank's event log.

The file is a header page followed by native 64-bit words, `time_ns << 6 | code`. The space is preallocated in chunks,
so a full disk is an `OSError` now and never a SIGBUS in the trainer; words are written first and the count is published
after them; a clean end sets a trailer flag, so that its absence is the evidence of a crash. Readers trust nothing.

Header (one page of native 64-bit slots):

    slot 0  magic             slot 4  count of published words
    slot 1  schema            slot 5  1 when the writer ended cleanly (the trailer)
    slot 2  pid               slot 6  turn byte, written by the recorder (low byte)
    slot 3  start, ns         slot 7  1 while the guest waits for its turn
                              slot 8  1 when the writer gave up (disk full); what was published stays valid
                              slot 9  the signal that makes the process write its stack down; 0: none does
                              slot 10 number of the last profiler window that was asked for and is over
                              slot 11 the signal that dumps the stack at any moment; 0: none does
                              slot 12 the kernel's number of the thread that trains; 0: the main one
                              slot 13 the core to begin the next turn on, plus one, by the recorder; 0: any
                              slot 14 1 while the recorder wants the guest's thread to write the stack
"""

from __future__ import annotations

import array
import contextlib
import errno
import mmap
import os
import struct
import sys
from typing import Iterable, Optional, Tuple

from fwtui.recording.vocabulary import GATE_BITS, GATE_DEEP, GATE_GO, GATE_MASK

MAGIC = int.from_bytes(b"fwtuiev1", sys.byteorder)
SCHEMA = 1
HEADER_BYTES = 4096
CHUNK_BYTES = 1 << 20
WORD_BYTES = 8

SLOT_MAGIC, SLOT_SCHEMA, SLOT_PID, SLOT_START, SLOT_COUNT, SLOT_END, SLOT_GATE, SLOT_WAITING, SLOT_GAVE_UP = range(9)
SLOT_STACK_SIGNAL = 9
SLOT_DEEP = 10
SLOT_DUMP_SIGNAL = 11
SLOT_THREAD = 12
SLOT_CORE = 13
SLOT_STACK_WANTED = 14
_SLOTS_READ = 14
AS_LONG_AS_THE_FILE = TRAILER = (1 << 64) - 1
"""In a log that is only appended to: the count, and the last word of one that ended cleanly."""


class EventLogError(ValueError):
    """The file is no event log, or not one that this version can read."""


def _reserve(fd: int, offset: int, size: int) -> None:
    """Reserve room in the file now; a filesystem that cannot do so is written to without it."""
    try:
        os.posix_fallocate(fd, offset, size)
    except AttributeError:  # macOS
        os.ftruncate(fd, offset + size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        os.ftruncate(fd, offset + size)


class NoGateError(EventLogError):
    """The log is only appended to: nobody looks at a gate in it."""


class EventLogWriter:
    """Appends words to a new event log. One writer a file; not thread-safe.

    Args:
        path: the file to create; it must not exist.
        start_ns: `time.perf_counter_ns()` at the moment the guest was armed.

    Raises:
        FileExistsError: another process already owns this rank.
        OSError: the file cannot be made, or the disk is full.
    """

    def __init__(self, path: str, start_ns: int) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            self._capacity = CHUNK_BYTES
            _reserve(self._fd, 0, HEADER_BYTES + self._capacity)
            self._map = mmap.mmap(self._fd, HEADER_BYTES)
        except OSError:
            os.close(self._fd)
            os.unlink(path)
            raise
        self.header = memoryview(self._map).cast("Q")
        """The header's slots. The turn gate reads `header[SLOT_GATE]`."""
        self.header[SLOT_SCHEMA] = SCHEMA
        self.header[SLOT_PID] = os.getpid()
        self.header[SLOT_START] = start_ns
        self.header[SLOT_MAGIC] = MAGIC
        self._count = 0

    def append(self, words: Iterable[int]) -> None:
        """Write words and publish them.

        Raises:
            OSError: no room on the disk. What was published before stays readable.
        """
        data = array.array("Q", words)
        if not data:
            return
        offset = self._count * WORD_BYTES
        size = len(data) * WORD_BYTES
        while offset + size > self._capacity:
            _reserve(self._fd, HEADER_BYTES + self._capacity, CHUNK_BYTES)
            self._capacity += CHUNK_BYTES
        view = memoryview(data).cast("B")
        written = 0
        while written < size:
            written += os.pwrite(self._fd, view[written:], HEADER_BYTES + offset + written)
        self._count += len(data)
        self.header[SLOT_COUNT] = self._count

    def give_up(self) -> None:
        """Say in the header that nothing more will be recorded."""
        self.header[SLOT_GAVE_UP] = 1

    def close(self) -> None:
        """Set the trailer and cut the file to what was written."""
        self.header[SLOT_END] = 1
        with contextlib.suppress(OSError):  # a longer file reads the same
            os.ftruncate(self._fd, HEADER_BYTES + self._count * WORD_BYTES)
        os.close(self._fd)


class AppendLogWriter:
    """Writes a log by appends alone, for a file system that other hosts share: nothing is mapped, nothing rewritten.

    Its count says that the file's length counts, its end is a trailing word, and it has no gate: `header` is a list.

    Args:
        path: the file to create; it must not exist.
        start_ns: `time.perf_counter_ns()` at the moment the guest was armed.

    Raises:
        FileExistsError: another process already owns this rank.
        OSError: the file cannot be made, or the disk is full.
    """

    def __init__(self, path: str, start_ns: int) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self._fd = os.open(path, flags, 0o600)
        self.header = [0] * 16
        """Zeros: the gate is open, and nobody looks at what is written here."""
        slots = [MAGIC, SCHEMA, os.getpid(), start_ns, AS_LONG_AS_THE_FILE]
        self._write(struct.pack(f"{len(slots)}Q", *slots).ljust(HEADER_BYTES, b"\0"))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def append(self, words: Iterable[int]) -> None:
        """Write words; a file's length publishes them.

        Raises:
            OSError: no room on the disk, or the file system is gone.
        """
        self._write(array.array("Q", words).tobytes())

    def give_up(self) -> None:
        """Nothing can be said in a file that cannot be written."""

    def close(self) -> None:
        """Write the trailer."""
        with contextlib.suppress(OSError):
            self.append([TRAILER])
        os.close(self._fd)


class EventLogReader:
    """Reads what has been published so far; call `read_new` again for more.

    Raises:
        EventLogError: the file is foreign, broken or of a later schema.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._read = 0
        try:
            self._slots()
        except EventLogError:
            self.close()
            raise

    def _slots(self) -> Tuple[int, ...]:
        page = os.pread(self._fd, _SLOTS_READ * WORD_BYTES, 0)
        if len(page) < _SLOTS_READ * WORD_BYTES:
            raise EventLogError(f"{self.path} is cut short: it has no header")
        slots = struct.unpack(f"{_SLOTS_READ}Q", page)
        if slots[SLOT_MAGIC] != MAGIC:
            raise EventLogError(f"{self.path} is no event log of fwtui")
        if slots[SLOT_SCHEMA] != SCHEMA:
            raise EventLogError(f"{self.path} has schema {slots[SLOT_SCHEMA]}; this fwtui reads schema {SCHEMA}")
        return slots

    @property
    def pid(self) -> int:
        """The process that wrote the log."""
        return self._slots()[SLOT_PID]

    @property
    def start_ns(self) -> int:
        """When the guest was armed, `perf_counter_ns`."""
        return self._slots()[SLOT_START]

    @property
    def ended(self) -> bool:
        """Whether the writer ended cleanly."""
        slots = self._slots()
        return self._has_trailer() if slots[SLOT_COUNT] == AS_LONG_AS_THE_FILE else bool(slots[SLOT_END])

    def _has_trailer(self) -> bool:
        words = (os.fstat(self._fd).st_size - HEADER_BYTES) // WORD_BYTES
        last = os.pread(self._fd, WORD_BYTES, HEADER_BYTES + (words - 1) * WORD_BYTES) if words > 0 else b""
        return last == TRAILER.to_bytes(WORD_BYTES, sys.byteorder)

    @property
    def waiting(self) -> bool:
        """Whether the guest is held at the turn gate at this moment."""
        return bool(self._slots()[SLOT_WAITING])

    @property
    def stack_signal(self) -> int:
        """The signal that has the training thread's stack written down, between two bytecodes; 0: none does."""
        return self._slots()[SLOT_STACK_SIGNAL]

    @property
    def dump_signal(self) -> int:
        """The signal that dumps the stack of the thread that it reaches at once, whatever it does; 0: none does."""
        return self._slots()[SLOT_DUMP_SIGNAL]

    def want_stack(self) -> None:
        """Ask the guest's own thread for the training thread's stack.

        Raises:
            OSError: the log cannot be written to.
        """
        fd = os.open(self.path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            os.pwrite(fd, struct.pack("Q", 1), SLOT_STACK_WANTED * WORD_BYTES)
        finally:
            os.close(fd)

    @property
    def thread(self) -> int:
        """The kernel's number of the thread that trains: the process's own is that of its main thread."""
        slots = self._slots()
        return slots[SLOT_THREAD] or slots[SLOT_PID]

    @property
    def gave_up(self) -> bool:
        """Whether the writer stopped recording (disk full)."""
        return bool(self._slots()[SLOT_GAVE_UP])

    def read_new(self, limit_words: Optional[int] = None) -> bytes:
        """The words published since the last call, as native bytes; at most `limit_words` of them."""
        wanted = self._published() - self._read
        if limit_words is not None:
            wanted = min(wanted, limit_words)
        if wanted <= 0:
            return b""
        data = os.pread(self._fd, wanted * WORD_BYTES, HEADER_BYTES + self._read * WORD_BYTES)
        data = data[: len(data) - len(data) % WORD_BYTES]
        self._read += len(data) // WORD_BYTES
        return data

    @property
    def waiting_words(self) -> int:
        """Published words that `read_new` has not given yet."""
        return self._published() - self._read

    def _published(self) -> int:
        """Words that the log holds; a file may be shorter than its header says."""
        count = self._slots()[SLOT_COUNT]
        available = max(0, (os.fstat(self._fd).st_size - HEADER_BYTES) // WORD_BYTES)
        if count == AS_LONG_AS_THE_FILE and self._has_trailer():
            available -= 1
        return min(count, available)

    def skip(self, words: int) -> bool:
        """Pass over words that are known already; False, and nothing done, when there are not so many."""
        if words > self.waiting_words:
            return False
        self._read += words
        return True

    def close(self) -> None:
        os.close(self._fd)


class TurnGate:
    """The recorder's hand on a lane's turn byte.

    Raises:
        EventLogError: the file is no event log.
        OSError: the file cannot be opened for writing.
    """

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        try:
            if os.fstat(fd).st_size < HEADER_BYTES:
                raise EventLogError(f"{path} is cut short: it has no header")
            self._map = mmap.mmap(fd, HEADER_BYTES)
        finally:
            os.close(fd)
        self._slots = memoryview(self._map).cast("Q")
        if self._slots[SLOT_MAGIC] != MAGIC:
            raise EventLogError(f"{path} is no event log of fwtui")
        if self._slots[SLOT_COUNT] == AS_LONG_AS_THE_FILE:
            self.close()
            raise NoGateError(f"{path} is written on another host")
        self._gate = self._slots[SLOT_GATE] & GATE_MASK
        self._asked = 0

    def set(self, gate: int = GATE_GO) -> None:
        """Publish GATE_GO, GATE_HOLD or GATE_FINISH."""
        self._gate = gate
        self._publish()

    def begin_on(self, core: int | None) -> None:
        """Tell on which core the next turn begins; None: wherever the kernel likes."""
        self._slots[SLOT_CORE] = 0 if core is None else core + 1

    def ask_deep(self) -> None:
        """Ask for a profiler window; `tick` takes the request back once it is done with."""
        self._asked = self._slots[SLOT_DEEP] + 1
        self._publish()

    def tick(self) -> None:
        """Look whether the window that was asked for is over."""
        if self._asked and self._slots[SLOT_DEEP] >= self._asked:
            self._asked = 0
            self._publish()

    @property
    def asked_deep(self) -> bool:
        """Whether a profiler window was asked for and is not over."""
        return bool(self._asked)

    def _publish(self) -> None:
        self._slots[SLOT_GATE] = self._gate | (GATE_DEEP | self._asked << GATE_BITS if self._asked else 0)

    @property
    def waiting(self) -> bool:
        """Whether the guest stands at the gate: the machine is free of it."""
        return bool(self._slots[SLOT_WAITING])

    @property
    def thread(self) -> int:
        """The kernel's number of the thread that trains; 0 where that is the main one."""
        return self._slots[SLOT_THREAD]

    def close(self) -> None:
        self._slots.release()
        self._map.close()
