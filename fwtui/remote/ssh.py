"""A run on another machine, over the user's own ssh: a mirror that is kept, and requests that go back.

Nothing listens on a network port: the other side is `fwtui stream`, started by ssh, and ends with the connection.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from fwtui.recorder.control_server import ControlServer, Request
from fwtui.remote.frames import MAGIC_WORD, FrameReader, StreamError
from fwtui.remote.mirror import Mirror

SSH_OPTIONS = ("-T", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
AGAIN_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
"""When the screen is open, ssh must not ask for a password over it."""
SSH_FAILED = 255
NOT_FOUND = 127
RETRY_S = (0.5, 1, 2, 4, 8, 10)
ANSWER_LIMIT_S = 4.0


def _end(process: subprocess.Popen[bytes]) -> int:
    """Its exit code; it gets a moment to end by itself."""
    try:
        return process.wait(1)
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.wait()


class RemoteError(Exception):
    """The run cannot be reached; the message is one sentence."""


class Address(NamedTuple):
    """`user@host[:RUN]`."""

    host: str
    run: str | None


def parse(text: str) -> Address | None:
    """An address, or None when the text is none: a run's name holds neither `@` nor `:`, a path has a `/` first."""
    found = re.fullmatch(r"((?:[^@:/\s]+@)?[^@:/\s\[\]]+|(?:[^@:/\s]+@)?\[[0-9a-fA-F:]+\])(?::([^-].*)?)?", text)
    if not found or ("@" not in text and ":" not in text):
        return None
    return Address(found[1].replace("[", "").replace("]", ""), found[2] or None)


class RemoteRun:
    """Keeps a mirror of a remote run in a temporary folder until it is closed.

    Args:
        address: whose run.
        command: fwtui on the other machine.
        run_dir: the folder that holds the runs there; None: its own choice.
        told: called with a sentence when the connection is lost, with None when it is back.
    """

    def __init__(
        self,
        address: Address,
        command: str = "fwtui",
        run_dir: str | None = None,
        told: Callable[[str | None], None] = lambda sentence: None,
    ) -> None:
        self._address, self._command, self._run_dir = address, command, run_dir
        self.told = told
        self._place = Path(tempfile.mkdtemp(prefix="fwtui-"))
        self.mirror = Mirror(self._place)
        self._closing = threading.Event()
        self._changed = threading.Event()
        self._error: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._number = 0
        self.received_bytes = 0
        self._server: ControlServer | None = None
        self._thread = threading.Thread(target=self._keep, name="remote run", daemon=True)

    def open(self, waiting: Callable[[int], None] = lambda received: None) -> None:
        """Connect, and wait until the run's history is here.

        Args:
            waiting: called now and then with the bytes received so far.

        Raises:
            RemoteError: it cannot be reached, or there is no such run.
        """
        self._thread.start()
        while not (self.mirror.ready and self._changed.is_set()):
            if self._error:
                raise RemoteError(self._error)
            self._changed.wait(0.2)
            waiting(self.received_bytes)
        self._server = ControlServer(self.mirror.folder)
        threading.Thread(target=self._relay, args=(self._server,), name="remote control", daemon=True).start()

    def close(self) -> None:
        """End the connection, and remove the mirror."""
        self._closing.set()
        if self._server is not None:
            self._server.close()
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.terminate()
        self._thread.join(timeout=5)
        shutil.rmtree(self._place, ignore_errors=True)

    def _keep(self) -> None:
        """Stay connected until the run is over or we are closed."""
        failures = 0
        while not self._closing.is_set() and not self.mirror.ended:
            again = self._changed.is_set()
            before = self.received_bytes
            trouble = self._connect(again)
            if self._closing.is_set() or self.mirror.ended:
                return
            if not again and not self._changed.is_set():
                self._error = trouble
                return
            failures = 0 if self.received_bytes > before else failures + 1
            self.told(f"the connection to {self._address.host} is lost ({trouble}): trying again")
            self._closing.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])

    def _connect(self, again: bool) -> str:
        """One connection, from its start to its end; why it ended."""
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    self._argv(again), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0
                )
            except OSError as error:
                return f"ssh cannot be started: {error.strerror}"
            self._process = process
            assert process.stdin is not None
            assert process.stdout is not None
            reader = FrameReader()
            trouble = None
            try:
                process.stdin.write(json.dumps({"have": self.mirror.have}).encode() + b"\n")
                self._receive(process.stdout, reader)
            except (OSError, StreamError) as error:
                trouble = str(error)
            finally:
                code = _end(process)
                with contextlib.suppress(OSError):
                    process.stdin.close()
                process.stdout.close()
            errors.seek(0)
            return trouble or self._reason(code, errors, reader.greeting)

    def _receive(self, stdout: IO[bytes], reader: FrameReader) -> None:
        while data := stdout.read(1 << 16):
            self.received_bytes += len(data)
            for frame in reader.feed(data):
                if frame.head.get("k") == "answer":
                    waiting = self._answers.get(int(frame.head["i"]))
                    if waiting is not None:
                        waiting.put(dict(frame.head["value"]))
                    continue
                self.mirror.apply(frame)
                if frame.head.get("k") == "beat":
                    self._changed.set()
                    self.told(None)

    def _argv(self, again: bool) -> list[str]:
        """The user's own ssh, or what $FWTUI_SSH names."""
        wanted = [self.mirror.folder.id] if again else [self._address.run] if self._address.run else []
        where = ["--run-dir", self._run_dir] if self._run_dir else []
        command = f"{self._command} {shlex.join(['stream', *wanted, *where])}"
        ssh = shlex.split(os.environ.get("FWTUI_SSH", "ssh"))
        return [*ssh, *SSH_OPTIONS, *(AGAIN_OPTIONS if again else ()), "--", self._address.host, command]

    def _reason(self, code: int, errors: IO[bytes], greeting: str) -> str:
        """Why a connection ended, in one sentence that says whose words it repeats."""
        host = self._address.host
        lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
        last = lines[-1] if lines else ""
        if code == NOT_FOUND:
            return (
                f"there is no {self._command!r} on {host}: "
                "install fwtui there, or say where it is with --remote-fwtui PATH"
            )
        if MAGIC_WORD in greeting or "no command 'stream'" in last:
            return f"fwtui on {host} is of another version, which does not understand this one: update both"
        if last.startswith("fwtui: "):
            return f"fwtui on {host} says: {last.removeprefix('fwtui: ')}"
        if greeting and code != SSH_FAILED:
            return f"{host} answered {greeting.splitlines()[-1][:200]!r}, and no run: is its {self._command!r} fwtui?"
        return last or (f"ssh ended with code {code}" if code not in (0, SSH_FAILED) else "it was closed")

    def _relay(self, server: ControlServer) -> None:
        """Send what the screen asks of the recorder to where the recorder is."""
        while not self._closing.is_set():
            try:
                request = server.requests.get(timeout=0.5)
            except queue.Empty:
                continue
            threading.Thread(target=self._ask, args=(request,), daemon=True).start()

    def _ask(self, request: Request) -> None:
        self._number += 1
        number, answer = self._number, queue.SimpleQueue[dict[str, Any]]()
        self._answers[number] = answer
        try:
            process = self._process
            if process is None or process.stdin is None:
                raise OSError
            process.stdin.write(json.dumps({"i": number, "request": request.value}).encode() + b"\n")
            request.answer.put(answer.get(timeout=ANSWER_LIMIT_S))
        except (OSError, ValueError, queue.Empty):
            lost = f"the connection to {self._address.host} does not answer: try again"
            request.answer.put({"ok": False, "error": lost})
        finally:
            del self._answers[number]
