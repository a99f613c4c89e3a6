"""What the HTML report's charts draw, as plain JSON: each lane's history cut into slots."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fwtui.view.frame import Frame, LaneFrame
from fwtui.view.session import Session

SLOTS = 480
MOST_STALLS = 400
STATE_NAMES = ("", "starting", "warming up", "training", "waiting for its turn", "evaluating")
"""By the COLUMN_* values of `view.frame`."""


def series(session: Session, frame: Frame) -> dict[str, Any]:
    """The slots that all lanes share."""
    return {"slot_s": max(frame.elapsed_s, 0.001) / SLOTS, "count": SLOTS}


def lane_series(session: Session, frame: Frame, lane: LaneFrame) -> dict[str, Any]:
    """A lane's step times, states, loss and hardware in slots; None where there is nothing."""
    slot_ns = max(frame.elapsed_s, 0.001) * 1e9 / SLOTS
    cut = session.columns(lane.index, slot_ns, 0, SLOTS, frame.time_ns)
    gpu = session.series(lane.index, "gpu_util", slot_ns, 0, SLOTS)
    return {
        "mean": _plain(cut.mean_ms),
        "low": _plain(cut.low_ms),
        "high": _plain(cut.high_ms),
        "state": cut.state.tolist(),
        "states": _stretches(cut.state),
        "loss": _plain(session.loss(lane.index, slot_ns, 0, SLOTS)),
        "cpu": _plain(session.series(lane.index, "cpu_cores", slot_ns, 0, SLOTS)),
        "memory": _plain(session.series(lane.index, "rss_bytes", slot_ns, 0, SLOTS) / 2**30),
        "gpu": _plain(gpu),
    }


def stall_list(session: Session, lane: LaneFrame) -> list[dict[str, Any]]:
    """A lane's stalls, the longest ones where there are very many."""
    stalls = sorted(session.stalls(lane.index), key=lambda stall: -stall.lost_ms)[:MOST_STALLS]
    return [
        {
            "at": (stall.end_ns - session.start_ns) / 1e9,
            "lost": round(stall.lost_ms, 3),
            "phase": stall.phase,
            "location": stall.location,
        }
        for stall in stalls
    ]


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if value != value else float(f"{value:.4g}") for value in values.tolist()]


def _stretches(state: np.ndarray) -> list[list[int]]:
    """[first slot, slot after the last, state] of each stretch of one state."""
    edges = [0, *(np.flatnonzero(np.diff(state)) + 1).tolist(), len(state)]
    return [[a, b, int(state[a])] for a, b in pairwise(edges)]
