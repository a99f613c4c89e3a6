"""Runs for the screen's benchmark, written through the real writers: a very long one, and one that goes on.

python tests/benchmarks/simulated_runs.py live FOLDER --lanes 2 --seconds 60 --past 60
python tests/benchmarks/simulated_runs.py long FOLDER --steps 10000000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

import scenarios
from simulated_lane import KERAS, MS, TORCH, Lane, SimulatedLane

from fwtui.recording import run_folder
from fwtui.recording.event_log import EventLogWriter
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.samples_log import SamplesLogWriter
from fwtui.recording.vocabulary import CODE_BITS, EVENT, SOURCE_HOST, source_of_lane

CHUNK = 200_000
"""Steps written at a time."""
TORCH_LANE = Lane("torch", "torch", TORCH, stall_every=900, stall_ms=(60, 250), startup_ms=(("importing torch", 100),))
KERAS_LANE = Lane("keras", "keras", KERAS, stall_every=1200, stall_phase="callbacks", stall_ms=(60, 250),
                  startup_ms=(("importing tensorflow", 150),))  # fmt: skip


def lanes(count: int) -> list[Lane]:
    """The lanes of a benchmark's run, alternately torch and Keras."""
    pair = (TORCH_LANE, KERAS_LANE)
    return [replace(pair[i % 2], name=pair[i % 2].name + (f"#{i // 2 + 1}" if i > 1 else "")) for i in range(count)]


def manifest(folder: RunFolder, chosen: list[Lane], start_ns: int, running: bool, end_ns: int | None) -> dict[str, Any]:
    """A manifest whose recorder is this process while the run goes on."""
    process = psutil.Process()
    entry = {
        **{"kind": "workload", "argv": ["/usr/bin/python3"], "python": "/usr/bin/python3", "cwd": "/", "env": {}},
        **{"status": "running" if running else "finished", "pid": process.pid, "started_ns": start_ns},
        **{"ended_ns": end_ns, "exit_code": None if running else 0, "signal": None, "error": None},
        **{"stop_reason": None, "paused": False},
    }
    return {
        **{"schema": run_folder.SCHEMA, "fwtui": "0", "id": folder.id, "name": "benchmark", "argv": ["fwtui"]},
        **{"started": "2025-11-23T21:03:07+00:00", "clock": {"monotonic_ns": start_ns, "unix_ns": time.time_ns()}},
        **{"schedule": "together", "seed": 0, "seconds": None, "workload": None, "error": None, "turn": {"ms": 500}},
        "host": {"cpu": "Simulated CPU", "cores": 2, "memory_bytes": 8 << 30, "os": "Linux", "gpus": []},
        "recorder": {"pid": process.pid, "create_time": process.create_time()} if running else None,
        **{"status": "running" if running else "finished", "ended_ns": end_ns},
        "lanes": [{**entry, "name": lane.name, "framework": lane.name.partition("#")[0]} for lane in chosen],
    }


def _open(folder: RunFolder, lane: Lane, start_ns: int) -> tuple[EventLogWriter, Path]:
    rank = folder.lane(lane.name) / "rank-0"
    rank.mkdir(parents=True)
    run_folder.write_json(rank / run_folder.FACTS, scenarios.facts(lane))
    folder.output_path(lane.name).write_text(f"{lane.name}: training\n", encoding="utf-8")
    return EventLogWriter(str(rank / run_folder.EVENTS), start_ns), rank


def write_live(path: str, count: int, seconds: float, past_s: float = 0.0) -> None:
    """A run that goes on in real time, twenty writes a second and five samples a second, as the recorder makes them.

    Args:
        path: the folder to make.
        count: lanes.
        seconds: how long it goes on.
        past_s: how long it has gone on already; that part is written at once.
    """
    folder = RunFolder(path)
    folder.path.mkdir(mode=0o700, parents=True)
    start_ns = time.perf_counter_ns() - int(past_s * 1e9)
    chosen = lanes(count)
    running = [SimulatedLane(lane, start_ns, seed) for seed, lane in enumerate(chosen)]
    logs = []
    for lane in running:
        lane.start_up({"steps": 100_000, "epochs": 5, "samples_per_step": 64, "steps_per_epoch": 938})
        logs.append(_open(folder, lane.lane, start_ns))
    samples = SamplesLogWriter(str(folder.samples_path))
    folder.write_manifest(manifest(folder, chosen, start_ns, True, None))
    tick, now_ns = 0, start_ns
    end_ns = time.perf_counter_ns() + int(seconds * 1e9)
    while now_ns < end_ns:
        now_ns = min(now_ns + 50_000_000, time.perf_counter_ns())
        for lane, (log, rank) in zip(running, logs, strict=True):
            while lane.now_ns < now_ns:
                lane.step()
            log.append([word for word in lane.words if word >> CODE_BITS <= now_ns])
            lane.words = [word for word in lane.words if word >> CODE_BITS > now_ns]
            with (rank / run_folder.NOTES).open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(note) + "\n" for note in lane.notes)
            lane.notes.clear()
        if tick % 4 == 0:
            _sample(samples, now_ns, count, tick)
        tick += 1
        if time.perf_counter_ns() - now_ns < 50_000_000:
            time.sleep(0.05)


def _sample(log: SamplesLogWriter, now_ns: int, count: int, tick: int) -> None:
    log.append(now_ns, SOURCE_HOST, {"cpu_cores": 1.9, "memory_available_bytes": 4e9})
    for index in range(count):
        wave = 0.3 * math.sin(tick / 40 + index) + random.random() * 0.05
        log.append(now_ns, source_of_lane(index), {"cpu_cores": 0.9 + wave, "rss_bytes": 4e8 + tick * 1e4})


def write_long(path: str, steps: int, count: int = 2) -> None:
    """A finished run of `steps` steps in all, about a millisecond each; a stall in ten thousand."""
    folder = RunFolder(path)
    folder.path.mkdir(mode=0o700, parents=True)
    start_ns, chosen, end_ns = 1_000_000 * MS, lanes(count), 0
    for number, lane in enumerate(chosen):
        log, rank = _open(folder, lane, start_ns)
        chance = np.random.default_rng(number)
        now = start_ns + 200 * MS
        log.append([start_ns << CODE_BITS | EVENT["program_begin"]])
        for first in range(0, steps // count, CHUNK):
            words, now = _chunk(chance, min(CHUNK, steps // count - first), now, 1.0 + 0.5 * (number % 2))
            log.append(words)  # type: ignore[arg-type]
        log.append([now << CODE_BITS | EVENT["program_end"]])
        log.close()
        end_ns = max(end_ns, now)
        (rank / run_folder.NOTES).write_text("", encoding="utf-8")
    samples = SamplesLogWriter(str(folder.samples_path))
    for tick, now in enumerate(range(start_ns, end_ns, 1000 * MS)):
        _sample(samples, now, count, tick)
    samples.close()
    folder.write_manifest({**manifest(folder, chosen, start_ns, False, end_ns), "schedule": "solo"})


_STEP = ("data_begin", "data_end", "backward_begin", "backward_end", "optimizer_begin", "optimizer_end")


def _chunk(chance: np.random.Generator, steps: int, now: int, slower: float) -> tuple[bytes, int]:
    """The words of some steps as bytes, and the moment after them."""
    gaps = chance.lognormal(0, 0.08, (steps, 6)) * np.array([0.1, 0.25, 0.4, 0.05, 0.15, 0.05]) * 1e6 * slower
    stalled = chance.random(steps) < 1e-4
    gaps[stalled, 0] += chance.uniform(50e6, 400e6, int(stalled.sum()))
    ends = now + np.cumsum(gaps.ravel()).astype(np.int64)
    times = np.concatenate(([now], ends[:-1])).astype(np.uint64)
    codes = np.tile(np.array([EVENT[name] for name in _STEP], dtype=np.uint64), steps)
    return (times << np.uint64(CODE_BITS) | codes).tobytes(), int(ends[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("live", "long"))
    parser.add_argument("folder")
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--past", type=float, default=0.0, help="how long a live run has gone on already")
    parser.add_argument("--steps", type=int, default=10_000_000)
    options = parser.parse_args()
    if options.kind == "live":
        write_live(os.path.abspath(options.folder), options.lanes, options.seconds, options.past)
    else:
        write_long(os.path.abspath(options.folder), options.steps, options.lanes)
