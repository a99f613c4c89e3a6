"""The thread that writes the samples log: the host, each lane, each GPU, five times a second or more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from fwtui.recorder.gpus import Gpus, share_of
from fwtui.recorder.lane_process import Lane
from fwtui.recorder.process_tree import HostMeter, TreeMeter
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.samples_log import SamplesLogWriter
from fwtui.recording.vocabulary import SOURCE_GPU, SOURCE_HOST, source_of_lane

PERIOD_S = 0.15
EARLY_S, EARLY_PERIOD_S = 3.0, 0.01
"""Until so long after a lane's first steps its memory is read often: fifty short steps are over in a blink."""
LOADING_S = 60.0
"""A lane that makes no step for so long is no longer about to train: each look is a row on disk."""


class Sampler:
    """Samples until `stop`.

    Args:
        folder: the run.
        lanes: its lanes; those that run are measured.
        trouble: called with a sentence when the log can no longer be written.

    Raises:
        OSError: the log cannot be made.
    """

    def __init__(self, folder: RunFolder, lanes: Sequence[Lane], trouble: Callable[[str], None]) -> None:
        self._log = SamplesLogWriter(str(folder.samples_path))
        self._lanes = lanes
        self._trouble = trouble
        self._meters: dict[int, TreeMeter] = {}
        self._host = HostMeter()
        self._lost = 0
        self._early: dict[tuple[int, bool], float] = {}
        """By process and whether it has stepped, until when its memory is read often."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and close the log."""
        self._over.set()
        self._thread.join(timeout=5)
        self._log.close()

    def _run(self) -> None:
        gpus = Gpus()
        due = time.monotonic()
        try:
            while not self._over.is_set():
                self._sample(gpus)
                due = max(due + PERIOD_S, time.monotonic() + PERIOD_S / 3)
                while (left := due - time.monotonic()) > 0 and not self._over.wait(min(left, EARLY_PERIOD_S)):
                    self._sample_memory()
        except OSError as error:
            self._trouble(f"the hardware is not recorded any more: {error.strerror}")
        finally:
            gpus.close()

    def _sample_memory(self) -> None:
        """A row with nothing but the memory of each lane that is about to train or began to a moment ago."""
        for lane in self._lanes:
            meter = self._meters.get(lane.index)
            if meter is None or meter.root != lane.pid or not lane.alive or not lane.ranks.known:
                continue
            now, stepped = time.monotonic(), lane.ranks.stepped
            until_s = self._early.setdefault((meter.root, stepped), now + (EARLY_S if stepped else LOADING_S))
            memory = meter.memory() if now < until_s else None
            if memory is not None:
                self._log.append(time.perf_counter_ns(), source_of_lane(lane.index), {"rss_bytes": memory})

    def _sample(self, gpus: Gpus) -> None:
        self._log.append(time.perf_counter_ns(), SOURCE_HOST, self._host.sample())
        on_gpus = gpus.processes()
        for lane in self._lanes:
            pid = lane.pid
            if pid is None or not lane.alive:
                continue
            meter = self._meters.get(lane.index)
            if meter is None or meter.root != pid:
                meter = self._meters[lane.index] = TreeMeter(pid)
            values = meter.sample(lane.ranks.thread or pid)
            row = {**values, **share_of(on_gpus, meter.pids)}
            self._log.append(time.perf_counter_ns(), source_of_lane(lane.index), row)
        for index, row_of_gpu in enumerate(gpus.sample()):
            self._log.append(time.perf_counter_ns(), SOURCE_GPU + index, row_of_gpu)
        if len(gpus.lost) > self._lost:
            self._lost = len(gpus.lost)
            names = ", ".join(map(str, gpus.lost))
            self._trouble(f"GPU {names} fell off the bus: it reads n/a from here on (nvidia-smi and dmesg tell more)")
