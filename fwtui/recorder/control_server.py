"""The control socket: takes requests in a thread, and leaves them for the recorder's own loop to answer."""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from typing import Any, NamedTuple

from fwtui.recording.control import LONGEST_LINE
from fwtui.recording.run_folder import RunFolder

ANSWER_LIMIT_S = 5.0


class Request(NamedTuple):
    """A request, and where its answer goes."""

    value: dict[str, Any]
    answer: queue.SimpleQueue[dict[str, Any]]


class ControlServer:
    """Listens on the run's socket, which only its owner may use.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, folder: RunFolder) -> None:
        # No SimpleQueue: interrupted by a signal as its time runs out, its get() waits for ever (CPython up to 3.13).
        self.requests: queue.Queue[Request] = queue.Queue()
        self._path = folder.socket_path
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before, mask = os.getcwd(), os.umask(0o177)
        try:
            os.chdir(folder.path)  # the whole path may be longer than a socket's address
            self._socket.bind(self._path.name)
        finally:
            os.umask(mask)
            os.chdir(before)
        self._socket.listen(8)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), name="control client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(ANSWER_LIMIT_S)
            try:
                with client.makefile("rb") as lines:
                    reply = self._ask(lines.readline(LONGEST_LINE))
                client.sendall(json.dumps(reply).encode() + b"\n")
            except OSError:
                return  # the client went away

    def _ask(self, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return {"ok": False, "error": "a request is one line with a JSON object"}
        request = Request(value, queue.SimpleQueue())
        self.requests.put(request)
        try:
            return request.answer.get(timeout=ANSWER_LIMIT_S)
        except queue.Empty:
            return {"ok": False, "error": "the recorder is busy: try again"}

    def close(self) -> None:
        """Stop listening, and take the socket away."""
        self._path.unlink(missing_ok=True)
        self._socket.close()
