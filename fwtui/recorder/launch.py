"""Start the recorder of a run folder, detached from the terminal."""

from __future__ import annotations

import subprocess
import sys
import time

from fwtui.recording.control import ControlError, send
from fwtui.recording.run_folder import RunFolder

START_LIMIT_S = 30.0


class LaunchError(Exception):
    """The recorder did not start; the message is one sentence for the user."""


def start(folder: RunFolder) -> None:
    """Start the recorder of a run whose manifest is written, and wait until it answers.

    It gets a session of its own, so that neither Ctrl-C nor a dropped connection reaches it.

    Raises:
        LaunchError: it ended at once.
        OSError: its log cannot be written, or the process cannot be made.
    """
    with folder.recorder_log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fwtui.recorder", str(folder.path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(folder, process)
    except KeyboardInterrupt:
        process.terminate()  # the recorder takes it for a stop at any moment of its life
        process.wait()
        raise


def _wait(folder: RunFolder, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            if folder.read_manifest().get("ended_ns") is not None and process.returncode == 0:
                return  # a short run is over before the first answer
            raise LaunchError(f"the recorder did not start: {_last_line(folder)}")
        try:
            send(folder, {"do": "ping"})
            return
        except ControlError:
            time.sleep(0.02)
    process.terminate()
    raise LaunchError(f"the recorder did not answer for {START_LIMIT_S:.0f} s; see {folder.recorder_log_path}")


def _last_line(folder: RunFolder) -> str:
    lines = folder.recorder_log_path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
