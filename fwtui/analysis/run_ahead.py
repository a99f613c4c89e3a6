"""Lanes whose host runs ahead of the computing: what a step takes there is known of a whole turn, not of one step.

JAX, and every framework on a GPU, returns from a call before its work is done. The host fills a queue (32 programs in
JAX on a CPU, about a thousand kernels in CUDA) at the speed of dispatching, and waits where the queue is full or where
a value is asked for. So the median step may tell the dispatch only, while a turn's steps and the wait for the device at
its end (`drain_ns`) are all that the turn computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fwtui.analysis.steps import Steps
from fwtui.recording.vocabulary import PHASE_INDEX

AHEAD = 1.25
"""The host ran ahead where the mean step is this many times the median one, stalls left out."""
_COMPUTE, _SYNC = PHASE_INDEX["compute"], PHASE_INDEX["sync"]
_LEAST = 10
_DRAINED = 0.05
"""Of a turn: a shorter wait for the device at its end is no running ahead."""


def may_run_ahead(facts: Mapping[str, Any]) -> bool:
    """Whether what the lane's framework is asked for is computed while the host goes on."""
    if "jax" in (facts.get("framework"), facts.get("backend")):
        return True
    return str(facts.get("device") or "cpu").lower() != "cpu"


def drained(steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """(steps,) own time and (steps, phases) phases, ns: the waits for the device in the turns that they end."""
    own, phases = steps.step_ns.copy(), steps.phases.copy()
    late = np.flatnonzero((steps.drain_ns > 0) & (steps.wait_ns > 0))
    moved = np.minimum(steps.drain_ns[late], phases[late, _COMPUTE])
    own[late] -= moved
    phases[late, _COMPUTE] -= moved
    within = late > 0
    own[late[within] - 1] += moved[within]
    phases[late[within] - 1, _COMPUTE] += moved[within]
    return own, phases


def _blocks_ahead(steps: Steps, own_ns: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(number of each step's block, whether the host ran ahead in each block); the last turn's end is not known yet."""
    number = np.unique(block, return_inverse=True)[1]
    waited = np.bincount(number, weights=np.append(steps.drain_ns[1:], 0))  # a turn's drain lies in the next one's step
    ahead = waited > _DRAINED * np.bincount(number, weights=own_ns)
    ahead[-1:] |= bool(ahead.any())
    return number, ahead


def host_ns(steps: Steps, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(steps,) own time to tell stalls by, and whether the host ran ahead in the step's turn.

    There the computing is spread evenly.
    """
    own, phases = drained(steps)
    if not (steps.drain_ns > 0).any():
        return own, np.zeros(len(own), dtype=bool)
    number, ahead = _blocks_ahead(steps, own, block)
    device = phases[:, _COMPUTE] + phases[:, _SYNC]
    mean = np.bincount(number, weights=device) / np.bincount(number)
    return own + np.where(ahead[number], mean[number] - device, 0.0), ahead[number]


def evened(steps: Steps, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(steps,) own time and (steps, phases) phases, ns: of a turn in which the host ran ahead, its mean."""
    own, phases = drained(steps)
    number, ahead = _blocks_ahead(steps, own, block)
    of_block = block_means(own, phases, np.zeros(len(own)), block)
    rows = ahead[number]
    own[rows], phases[rows] = of_block[0][rows], of_block[1][rows]
    return own, phases


def whole_blocks(counted: np.ndarray, wait_ns: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Which counted steps lie in blocks that are known from beginning to end.

    The first block is cut where warm-up ends; the last turn's work may not be done yet.
    """
    whole = counted.copy()
    places = np.flatnonzero(counted)
    if len(places):
        first = places[0]
        if first > 0 and block[first - 1] == block[first]:
            whole &= block != block[first]
        if (wait_ns > 0).sum() > 1:
            whole &= block != block[-1]
    return whole


def ran_ahead(own_ns: np.ndarray, phases_ns: np.ndarray, lost_ns: np.ndarray) -> bool:
    """Whether the median of counted steps tells less than a step takes, for waits for the device come now and then.

    Args:
        own_ns: (steps,) as `drained` gives them.
        phases_ns: (steps, phases) the same.
        lost_ns: (steps,) what each lost to a stall.
    """
    if len(own_ns) < _LEAST:
        return False
    calm, usual = own_ns - lost_ns, float(np.median(own_ns))
    device = phases_ns[:, _COMPUTE] + phases_ns[:, _SYNC]
    more, of_device = float(calm.mean()) - usual, float(np.minimum(device, calm).mean() - np.median(device))
    return more > (AHEAD - 1) * usual and of_device > more / 2


def block_means(own_ns: np.ndarray, phases_ns: np.ndarray, lost_ns: np.ndarray, block: np.ndarray) -> tuple[
    np.ndarray, np.ndarray
]:  # fmt: skip
    """(steps,) own time and (steps, phases) phases: of each step the mean of its block, stalls left out."""
    number = np.unique(block, return_inverse=True)[1]
    size = np.bincount(number)
    calm = (own_ns - lost_ns) / np.maximum(own_ns, 1.0)
    means = [np.bincount(number, weights=column) / size for column in (phases_ns * calm[:, None]).T]
    phases = np.stack(means, axis=1)[number]
    return phases.sum(axis=1), phases
