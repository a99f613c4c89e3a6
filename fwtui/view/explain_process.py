"""The process that explains a run's gap: started beside the viewer, and asked to end; what it found stays."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace

from fwtui.analysis.explanation import Explanation
from fwtui.recording.run_folder import RunFolder

LOG = "explain.log"


def start(folder: RunFolder) -> None:
    """Start `fwtui explain` on a run, detached from the terminal; its words go to a log in the run's folder.

    Raises:
        OSError: its log cannot be written, or the process cannot be made.
    """
    with (folder.path / LOG).open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "fwtui", "explain", "--run", str(folder.path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def stop(explanation: Explanation) -> None:
    """Ask it to end; it ends the experiment that runs and keeps what was found."""
    if explanation.status == "running" and explanation.pid:
        with contextlib.suppress(OSError):
            os.kill(explanation.pid, signal.SIGTERM)


def seen_alive(explanation: Explanation) -> Explanation:
    """The explanation; `stopped` when the process that wrote it is gone without a word."""
    if explanation.status != "running" or not explanation.pid:
        return explanation
    try:
        os.kill(explanation.pid, 0)
    except ProcessLookupError:
        return replace(explanation, status="stopped", now=None)
    except OSError:
        pass
    return explanation


def last_words(folder: RunFolder) -> str:
    """The last line that it printed: why it did not come to an explanation."""
    try:
        text = (folder.path / LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
