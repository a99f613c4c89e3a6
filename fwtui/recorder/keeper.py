"""A second process that ends the lanes when the recorder vanishes, by `kill -9` or by the kernel.

It is forked before the recorder has any thread, and reads a pipe that only the recorder holds open: the process group
of each lane as it starts, then `done`. An end of the pipe without `done` says that the recorder is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal

from fwtui.recorder.processes import end_run
from fwtui.recording.run_folder import RunFolder

DONE = b"done"
GRACE_S = 1.0


class Keeper:
    """Forks the keeper. Call it while the process has one thread only."""

    def __init__(self, folder: RunFolder) -> None:
        read_end, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _keep(read_end, folder)
        os.close(read_end)

    def watch(self, group: int) -> None:
        """Tell it of a new lane's process group."""
        self._say(b"%d\n" % group)

    def dismiss(self) -> None:
        """Let it go: the lanes have ended."""
        self._say(DONE + b"\n")
        os.close(self._pipe)

    def _say(self, line: bytes) -> None:
        # Without a keeper, lanes still end with the run: only a kill -9 of the recorder would leave them.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, line)


def _keep(read_end: int, folder: RunFolder) -> None:
    """The keeper's whole life; never returns."""
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with os.fdopen(read_end, "rb") as pipe:
            words = pipe.read().split()
        if DONE not in words:
            end_run(str(folder.path), [int(word) for word in words], GRACE_S)
            folder.socket_path.unlink(missing_ok=True)
    finally:
        os._exit(0)
