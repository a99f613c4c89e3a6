"""Runs what the origin's claims need: all their lanes in turns, one run a workload."""

from __future__ import annotations

from collections.abc import Callable

from fwtui.explain import origin
from fwtui.explain.effects import LEAST_PAIRS
from fwtui.explain.experiment import Launch, Seen, busy_words, conduct, seen
from fwtui.explain.origin import Column, LaneMeasures
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.vocabulary import source_of_lane
from fwtui.view.session import Session

LONGEST_S = 150.0
ENOUGH_TURNS = LEAST_PAIRS + 4


def run(workload: str, launch: Launch, tick: Callable[[RunFolder], None]) -> Column:
    """Train a workload in all the lanes that the claims compare."""
    argv = ["--workload", workload, "--lanes", ",".join(origin.LANES), "--seconds", f"{LONGEST_S:g}"]
    folder = launch(argv)

    def enough(lanes: list[Seen]) -> bool:
        return min(lane.turns.undisturbed() for lane in lanes if not lane.problem) >= ENOUGH_TURNS

    conduct(folder, range(len(origin.LANES)), LONGEST_S, lambda lanes: enough(list(lanes)), lambda: tick(folder), False)
    return read(folder)


def read(folder: RunFolder) -> Column:
    """The answers that a recorded run holds."""
    session = Session(folder)
    try:
        entries, frame = session.manifest["lanes"], session.frame()
        looks = seen(session, range(len(entries)))
        lanes = {}
        for index, (entry, look) in enumerate(zip(entries, looks, strict=True)):
            first = session.logs[index].folder.first_step_ns or 0
            times, values = session.samples.of(source_of_lane(index), "rss_bytes")
            lane = frame.lanes[index]
            lanes[str(entry["name"])] = LaneMeasures(
                look.turns,
                lane.rss_peak_bytes,
                origin.steady(times[times > first], values[times > first]),
                lane.gpu.memory_peak_bytes if lane.gpu else None,
                look.problem,
            )
        on_gpu = any(str(lane.device or "").lower().startswith(("cuda", "gpu")) for lane in frame.lanes)
        workload = str((session.manifest.get("workload") or {}).get("name"))
        return origin.column(workload, lanes, on_gpu, folder.id, busy_words(session))
    finally:
        session.close()
