"""`python -m fwtui.recorder RUN_FOLDER`: record one run to its end."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from types import FrameType

from fwtui.recorder.run import Run
from fwtui.recording.run_folder import RunFolder, RunFolderError

PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Record the run in the folder named; 0 when it came to its end, whatever became of its lanes."""
    asked_to_stop = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        asked_to_stop.set()  # the loop does it: a handler may come in the middle of starting a lane

    # Handlers, not SIG_IGN: what is ignored stays ignored in the lanes.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, lambda number, frame: None)
    _adopt_orphans()
    try:
        Run(RunFolder(arguments[0]), asked_to_stop).execute()
    except (OSError, RunFolderError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _adopt_orphans() -> None:
    """Become the parent of processes whose own parent ends, so that none gets out of sight (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
