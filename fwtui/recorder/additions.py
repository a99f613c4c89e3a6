"""Lanes that join a run while it goes on: one with another option beside the rest."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from fwtui.recorder.lane_process import Lane
from fwtui.recording.run_folder import folder_name

if TYPE_CHECKING:
    from fwtui.recorder.run import Run

_NOTHING = ("pid", "started_ns", "ended_ns", "exit_code", "signal", "error", "stop_reason")


def add_lane(run: Run, like: Lane, spec: str) -> Lane:
    """A lane like another one, waiting for the schedule to start it.

    Args:
        run: the run.
        like: the lane whose interpreter, settings and environment it takes.
        spec: what the built-in lane trains instead, `torch:workers=2`.

    Raises:
        ValueError: one sentence, when there can be no such lane.
    """
    entry: dict[str, Any] = copy.deepcopy(like.entry)
    entry.update(dict.fromkeys(_NOTHING), status="pending", paused=False)
    argv = entry["argv"]
    if "--lane" not in argv:
        raise ValueError(f"{like.name} is no built-in lane: what it trains stands in its own script")
    argv[argv.index("--lane") + 1] = spec
    entry["name"] = _free_name(run, spec)
    run.manifest["lanes"].append(entry)
    lane = Lane(run.folder, entry, len(run.lanes))
    run.lanes.append(lane)
    return lane


def _free_name(run: Run, name: str) -> str:
    taken = {folder_name(lane.name) for lane in run.lanes}
    number, free = 1, name
    while folder_name(free) in taken:
        number += 1
        free = f"{name}#{number}"
    return free
