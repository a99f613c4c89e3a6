"""A run as a trace that Perfetto opens: lanes are processes, phases are slices, the hardware is counters."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from fwtui.analysis.segments import NAMES
from fwtui.recording.vocabulary import METRICS, SOURCE_GPU, SOURCE_HOST, source_of_lane
from fwtui.reports.trace_writer import TraceWriter
from fwtui.view.session import Session
from fwtui.view.step_stream import Progress, pieces

STEP, STALLED_STEP, UNCOUNTED_STEP, START_UP = (len(NAMES) + i for i in range(4))
SLICE_NAMES = (*NAMES, "step", "stalled step", "uncounted step", "start-up")


def write_trace(session: Session, file: BinaryIO, progress: Progress = lambda share: None) -> None:
    """Write the run recorded so far.

    Raises:
        OSError: the file cannot be written.
    """
    frame = session.frame()
    trace = TraceWriter(file, SLICE_NAMES)
    count = len(frame.lanes)
    for lane in frame.lanes:
        pid = lane.index + 1
        process = trace.process(pid, f"{lane.name} ({lane.title})" if lane.title != lane.name else lane.name)
        steps = trace.thread(pid, pid * 10 + 1, "steps")
        phases = trace.thread(pid, pid * 10 + 2, "phases")
        _write_start(session, trace, lane.index, steps)
        first, log = lane.index / count, session.logs[lane.index]
        for piece in pieces(log.events_path, lambda share, first=first: progress(first + share / count)):  # type: ignore[misc]
            rows = piece.steps
            kind = np.where(rows.stalled, STALLED_STEP, np.where(rows.counted, STEP, UNCOUNTED_STEP))
            begin = rows.steps.start_ns + (rows.steps.wait_ns + rows.steps.evaluation_ns).astype(np.int64)
            begin = np.minimum(begin, rows.steps.end_ns)
            trace.slices(steps, begin, rows.steps.end_ns, kind, rows.number + 1)
            trace.slices(phases, *piece.segments)
        _write_counters(session, trace, process, source_of_lane(lane.index))
    _write_counters(session, trace, trace.process(count + 1, "machine"), SOURCE_HOST)
    for number, gpu in enumerate(frame.host.gpus):
        process = trace.process(count + 2 + number, f"GPU {number} ({gpu.get('name', 'GPU')})")
        _write_counters(session, trace, process, SOURCE_GPU + number)
    progress(1.0)


def _write_start(session: Session, trace: TraceWriter, lane: int, track: int) -> None:
    """The time before the first step."""
    log, manifest = session.logs[lane], session.manifest["lanes"][lane]
    end = log.folder.first_step_ns
    if end is None or not manifest.get("started_ns"):
        return
    trace.slices(track, np.array([manifest["started_ns"]]), np.array([end]), np.array([START_UP]))


def _write_counters(session: Session, trace: TraceWriter, parent: int, source: int) -> None:
    """Every metric that was measured."""
    for metric in METRICS:
        times, values = session.samples.of(source, metric.name)
        known = ~np.isnan(values)
        if known.any():
            track = trace.counter(parent, metric.name, metric.unit)
            trace.values(track, times[known].astype(np.int64), values[known])
