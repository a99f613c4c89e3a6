"""The client of a recorder's control socket: one JSON line in, one JSON line out."""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Dict

from fwtui.recording.run_folder import RunFolder

LONGEST_SOCKET_PATH = 100
"""`sun_path` holds 104 bytes on macOS and 108 on Linux, the final zero included."""
LONGEST_LINE = 1 << 16


class ControlError(Exception):
    """The recorder did not answer; the message is one sentence for the user."""


def send(folder: RunFolder, request: Dict[str, Any], timeout_s: float = 2.0) -> Dict[str, Any]:
    """Ask the run's recorder for something.

    Args:
        folder: the run.
        request: e.g. `{"do": "stop"}`, `{"do": "pause", "lane": "torch"}`, `{"do": "ping"}`.
        timeout_s: how long to wait for the connection and for the answer.

    Returns:
        `{"ok": True, ...}`, or `{"ok": False, "error": sentence}` when the recorder refused.

    Raises:
        ControlError: there is no recorder, or it does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            _connect(client, folder)
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as answers:
                line = answers.readline(LONGEST_LINE)
        except (FileNotFoundError, ConnectionError):
            raise ControlError(f"the recorder of {folder.id} does not run any more") from None
        except OSError as error:
            raise ControlError(f"the recorder of {folder.id} does not answer: {error}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        raise ControlError(f"the recorder of {folder.id} ended before it answered") from None
    if not isinstance(answer, dict):
        raise ControlError(f"the recorder of {folder.id} gave an answer that is none")
    return answer


def _connect(client: socket.socket, folder: RunFolder) -> None:
    """Connect; a path too long for a socket's address is gone through the folder's descriptor."""
    path = os.fspath(folder.socket_path)
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        client.connect(path)
        return
    descriptor = os.open(folder.path, os.O_RDONLY)
    try:
        client.connect(f"/proc/self/fd/{descriptor}/{folder.socket_path.name}")
    finally:
        os.close(descriptor)
