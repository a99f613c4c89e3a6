"""Which rank of which job this process is, and on which host: what launchers tell by the environment."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any, Dict, Optional

from fwtui.recording.host import host_identity, pid_identity

RANK_VARIABLES = (
    ("RANK", "WORLD_SIZE"),  # torchrun, accelerate, deepspeed
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMIX_RANK", "PMIX_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES"),
)
"""(this process's number, how many there are) by launcher, the most particular first."""


def rank_and_size() -> "tuple[int, int]":
    """This process's rank and how many there are; (0, 1) of a program that runs alone."""
    for rank, size in RANK_VARIABLES:
        found = _number(os.environ.get(rank))
        if found is not None:
            return found, max(_number(os.environ.get(size)) or 1, found + 1)
    return _of_tensorflow() or (0, 1)


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and text.isdigit() else None


def _of_tensorflow() -> "Optional[tuple[int, int]]":
    """TF_CONFIG: a chief, where there is one, comes before the workers."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]
        chiefs, workers = len(cluster.get("chief", ())), len(cluster.get("worker", ()))
        index = int(task["index"]) + (chiefs if task["type"] == "worker" else 0)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    return (index, max(1, chiefs + workers)) if task["type"] in ("chief", "worker", "master") else None


def is_elsewhere() -> bool:
    """Whether the recorder, if there is one, runs on another host: its files are reached by a shared file system."""
    recorder = os.environ.get("FWTUI_HOST")
    return bool(recorder) and recorder != host_identity()


def describe(rank: int, size: int) -> Dict[str, Any]:
    """`host.json`: who and where this rank is, and its two clocks at one moment."""
    monotonic_ns, unix_ns = clocks()
    return {
        "rank": rank,
        "world_size": size,
        "host": socket.gethostname(),
        "identity": host_identity(),
        "processes": pid_identity(),
        "pid": os.getpid(),
        "monotonic_ns": monotonic_ns,
        "unix_ns": unix_ns,
    }


def clocks() -> "tuple[int, int]":
    """(`perf_counter_ns`, `time_ns`) of the same moment: the best of a few tries."""
    best = None
    for _ in range(5):
        before = time.perf_counter_ns()
        unix = time.time_ns()
        after = time.perf_counter_ns()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, unix)
    assert best is not None
    return best[1], best[2]
