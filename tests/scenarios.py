"""Named run folders, written through the real writers, with the truth beside them.

    folder = scenarios.write("healthy", tmp_path / "run")
    folder.truth["torch"].median_ms

Everything is seeded and no clock is read: two calls write the same recording. `cut_s` stops a scenario at a moment, as
a run that is still going on then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from simulated_lane import KERAS, KERAS_ON_TORCH, MS, TENSORFLOW, TORCH, Lane, LaneTruth, SimulatedLane

from fwtui import __version__
from fwtui.recording import event_log, run_folder
from fwtui.recording.event_log import EventLogWriter
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.samples_log import SamplesLogWriter
from fwtui.recording.vocabulary import GATE_GO, SOURCE_GPU, SOURCE_HOST, source_of_lane

START_NS = 1_000_000 * MS
"""The run's first moment, on the clock of `time.perf_counter_ns`."""
UNIX_START_NS = 1_763_931_787_000_000_000
TURN_MS = 500
NO_PID = 2**22 + 1
"""Above any process id that Linux gives: such a process is always dead."""


class ScenarioFolder(RunFolder):
    """A run folder and what a viewer must find in it."""

    truth: dict[str, LaneTruth]
    """By lane name."""
    end_ns: int
    """The newest moment in the recording."""


@dataclass(frozen=True)
class Scenario:
    """A run to be written."""

    lanes: tuple[Lane, ...]
    schedule: str = "turns"
    turns: int = 12
    """How often each lane gets the machine; in `together`, for how many turn lengths it runs."""
    workload: str | None = "mnist-mlp"
    epochs: int = 5


torch = Lane("torch", "torch", TORCH)
keras = Lane(
    "keras", "keras", KERAS, compile_ms=400, startup_ms=(("importing tensorflow", 3600), ("building the model", 300))
)
tensorflow = Lane("tensorflow", "tensorflow", TENSORFLOW, compile_ms=250, startup_ms=(("importing tensorflow", 3500),))
keras_on_torch = replace(keras, name="keras:backend=torch", kind="keras_on_torch", phases=KERAS_ON_TORCH, compile_ms=0)

SCENARIOS: dict[str, Scenario] = {
    "healthy": Scenario((torch, keras)),
    "together": Scenario((torch, keras), schedule="together"),
    "input_starved": Scenario((replace(torch, phases={**TORCH, "data": 17.6}), keras)),
    "slow_callback": Scenario((torch, replace(keras, phases={**KERAS, "callbacks": 8.4}))),
    "stalls": Scenario((replace(torch, stall_every=60), keras)),
    "compiling": Scenario((torch, replace(keras, compile_ms=3000))),
    "importing": Scenario((torch, keras), turns=1),
    "killed_mid_step": Scenario((replace(torch, ending="killed"), keras)),
    "failed": Scenario((replace(torch, ending="failed"), keras)),
    "finished": Scenario(
        (replace(torch, steps=800, evaluation_ms=400), replace(keras, steps=800, evaluation_ms=700)), turns=100
    ),
    "identical": Scenario((torch, replace(torch, name="torch-2")), turns=24),
    "no_steps": Scenario((Lane("train.py", "silent", {}),), workload=None, schedule="together"),
    "gpu": Scenario((replace(torch, cuda=True), replace(keras_on_torch, cuda=True))),
    "unfair": Scenario(
        (
            replace(torch, batch_size=1000, steps=10, phases={name: ms * 4 for name, ms in TORCH.items()}),
            replace(keras, batch_size=32, steps=320),
        ),
        workload=None,
        epochs=10,
    ),
    "six_lanes": Scenario(
        (
            torch,
            replace(torch, name="torch:compile", phases={**TORCH, "backward": 1.4, "forward": 0.8}, compile_ms=2500),
            tensorflow,
            keras,
            keras_on_torch,
            replace(keras, name="keras:jit", phases={**KERAS, "compute": 4.9}, compile_ms=900),
        )
    ),
    "truncated": Scenario((torch, keras)),
}
CUTS_S = {"importing": 0.9}
"""Scenarios that are always a run still going on, and for how long it has been."""
_SIMULATED: dict[str, list[SimulatedLane]] = {}
"""What was simulated, by the whole scenario in words: the same each time, so made once. Copy what is to be changed."""


def write(name: str, path: str | os.PathLike[str], cut_s: float | None = None) -> ScenarioFolder:
    """Write a named scenario as a run folder at `path`, which must not exist.

    Args:
        name: a key of `SCENARIOS`.
        path: where; its parents are made.
        cut_s: stop the recording so many seconds after its start, as a run that is still going on.
    """
    scenario = SCENARIOS[name]
    words = repr(scenario)
    if words not in _SIMULATED:
        _SIMULATED[words] = simulate(scenario)
    lanes = [lane.copy() for lane in _SIMULATED[words]]
    folder = write_lanes(scenario, lanes, path, CUTS_S.get(name, cut_s))
    if name == "truncated":
        cut_log_in_mid_word(folder.lane("torch") / "rank-0" / run_folder.EVENTS)
    return folder


def write_lanes(
    scenario: Scenario, lanes: Sequence[SimulatedLane], path: str | os.PathLike[str], cut_s: float | None = None
) -> ScenarioFolder:
    """Write what `simulate` made of a scenario as a run folder."""
    end_ns = max(lane.now_ns for lane in lanes) + 50 * MS
    if cut_s is not None:
        end_ns = min(end_ns, START_NS + round(cut_s * 1000) * MS)
        for lane in lanes:
            lane.cut(end_ns)
            lane.lane = replace(lane.lane, ending="running")
    folder = ScenarioFolder(path)
    folder.path.mkdir(mode=0o700, parents=True)
    folder.truth = {lane.lane.name: lane.truth for lane in lanes}
    folder.end_ns = end_ns
    for lane in lanes:
        _write_lane(folder, lane)
    _write_samples(folder, lanes, end_ns)
    folder.write_manifest(_manifest(folder, scenario, lanes, end_ns))
    return folder


def cut_log_in_mid_word(path: Path) -> None:
    """Leave the header, two thirds of the words and a half one; the header still promises them all."""
    words = (path.stat().st_size - event_log.HEADER_BYTES) // event_log.WORD_BYTES
    with path.open("r+b") as file:
        file.seek(event_log.SLOT_END * event_log.WORD_BYTES)
        file.write(bytes(event_log.WORD_BYTES))
        file.truncate(event_log.HEADER_BYTES + words * 2 // 3 * event_log.WORD_BYTES + 5)


GARBAGE_MANIFESTS: dict[str, bytes] = {
    "empty": b"",
    "not_json": b"\x00\xff\x13 this is no JSON",
    "half": b'{"schema": 1, "lanes": [{"name": "to',
    "a_list": b"[1, 2, 3]",
    "no_lanes": b'{"schema": 1}',
    "lanes_no_list": b'{"schema": 1, "lanes": "torch"}',
    "later_schema": b'{"schema": 999, "lanes": []}',
}
"""Manifests that must be refused with one sentence."""


def write_garbage_manifest(variant: str, path: str | os.PathLike[str]) -> RunFolder:
    """A folder whose manifest is one of `GARBAGE_MANIFESTS`."""
    folder = RunFolder(path)
    folder.path.mkdir(parents=True)
    folder.manifest_path.write_bytes(GARBAGE_MANIFESTS[variant])
    return folder


def simulate(scenario: Scenario) -> list[SimulatedLane]:
    """Let a scenario's lanes run to their end."""
    lanes = [SimulatedLane(lane, START_NS + 40 * MS, seed) for seed, lane in enumerate(scenario.lanes)]
    for lane in lanes:
        lane.start_up(_plan(scenario, lane.lane))
    run = {"turns": _take_turns, "together": _run_together}[scenario.schedule]
    run(lanes, scenario.turns)
    for lane in lanes:
        if lane.lane.ending == "killed":
            last = lane.truth.steps[-1]
            lane.cut(last.start_ns + (last.end_ns - last.start_ns) // 2)
        else:
            lane.end()
    return lanes


def _take_turns(lanes: Sequence[SimulatedLane], turns: int) -> None:
    """Hand the machine round, as the recorder does, once every lane has reached its first step."""
    now_ns = max(lane.truth.ready_ns for lane in lanes)
    for _ in range(turns):
        for lane in lanes:
            if _done(lane):
                continue
            lane.wait_until(now_ns + 2 * MS)
            _train(lane, lane.now_ns + TURN_MS * MS)
            now_ns = lane.now_ns


def _run_together(lanes: Sequence[SimulatedLane], turns: int) -> None:
    for lane in lanes:
        if lane.lane.kind == "silent":
            lane.stay_silent(turns * TURN_MS)
        else:
            _train(lane, lane.now_ns + turns * TURN_MS * MS)


def _train(lane: SimulatedLane, until_ns: int) -> None:
    while lane.now_ns < until_ns and not _done(lane):
        lane.step()


def _done(lane: SimulatedLane) -> bool:
    return lane.lane.steps is not None and len(lane.truth.steps) >= lane.lane.steps


def _plan(scenario: Scenario, lane: Lane) -> dict[str, int]:
    steps = lane.steps or 4690
    return {
        "steps": steps,
        "epochs": scenario.epochs,
        "samples_per_step": lane.batch_size,
        "steps_per_epoch": steps // scenario.epochs,
    }


def _write_lane(folder: ScenarioFolder, lane: SimulatedLane) -> None:
    rank = folder.lane(lane.lane.name) / "rank-0"
    rank.mkdir(parents=True)
    log = EventLogWriter(str(rank / run_folder.EVENTS), lane.start_ns)
    log.header[event_log.SLOT_PID] = NO_PID
    log.header[event_log.SLOT_GATE] = GATE_GO
    log.append(lane.words)
    if lane.lane.ending in ("finished", "failed"):
        log.close()  # without it there is no trailer, as after a SIGKILL and while the lane runs
    notes = "".join(json.dumps(note) + "\n" for note in lane.notes)
    (rank / run_folder.NOTES).write_text(notes, encoding="utf-8")
    if lane.truth.ready_ns <= lane.now_ns:
        run_folder.write_json(rank / run_folder.FACTS, facts(lane.lane))
    output = f"{lane.lane.name}: training\n"
    if lane.lane.ending == "failed":
        output += f'Traceback (most recent call last):\n  File "train.py", line 42, in <module>\n{_FAILURE}\n'
    folder.output_path(lane.lane.name).write_text(output, encoding="utf-8")


_FAILURE = "ValueError: optimizer got an empty parameter list"
_FRAMEWORKS: dict[str, dict[str, Any]] = {
    "torch": {"framework": "torch", "version": "2.13.0", "backend": None, "backend_version": None},
    "keras": {"framework": "keras", "version": "3.15.1", "backend": "tensorflow", "backend_version": "2.21.0"},
    "keras_on_torch": {"framework": "keras", "version": "3.15.1", "backend": "torch", "backend_version": "2.13.0"},
    "tensorflow": {"framework": "tensorflow", "version": "2.21.0", "backend": None, "backend_version": None},
}


def facts(lane: Lane) -> dict[str, Any]:
    """A lane's facts.json; a program of which nothing is known tells its interpreter only."""
    interpreter = {"python": "3.11.7", "executable": "/usr/bin/python3"}
    if lane.kind == "silent":
        return interpreter
    return {
        **_FRAMEWORKS[lane.kind],
        "device": "cuda:0 NVIDIA H200" if lane.cuda else "cpu",
        "dtype": "float32",
        "precision": "float32",
        "parameters": 101770,
        "trainable_parameters": 101770,
        "optimizer": {"name": "Adam", "learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "loss": "sparse cross-entropy",
        "batch_size": lane.batch_size,
        "samples_per_step": lane.batch_size,
        "batch_shape": [lane.batch_size, 784],
        "threads": {"intra": 2, "inter": 2},
        "compiled": lane.compile_ms > 0,
        "jit_compile": lane.name.endswith(":jit"),
        **interpreter,
        **lane.facts,
    }


def _write_samples(folder: ScenarioFolder, lanes: Sequence[SimulatedLane], end_ns: int) -> None:
    """Hardware five times a second: the lane that has the machine uses 1.8 cores, others none."""
    log = SamplesLogWriter(str(folder.samples_path))
    cuda = any(lane.lane.cuda for lane in lanes)
    for number, now_ns in enumerate(range(START_NS + 100 * MS, end_ns, 200 * MS)):
        wave = (number % 7) / 10
        log.append(
            now_ns,
            SOURCE_HOST,
            {"cpu_cores": 1.2 + wave / 2, "memory_available_bytes": 6e9 - number * 1e6, "swap_used_bytes": 0},
        )
        for index, lane in enumerate(lanes):
            if now_ns <= lane.now_ns:
                log.append(now_ns, source_of_lane(index), _lane_sample(lane.lane, number, wave))
        if cuda:
            log.append(now_ns, SOURCE_GPU, _gpu_sample(wave, 9.1e9))
    log.close()


def _lane_sample(lane: Lane, number: int, wave: float) -> dict[str, float]:
    sample = {
        "cpu_cores": 0.6 + wave,
        "rss_bytes": 4.0e8 + min(number, 40) * 2e6,
        "read_bytes_s": 1.5e5 * wave,
        "write_bytes_s": 2e4,
        "run_delay_share": 0.01,
        "major_faults_s": 0.0,
        "threads": 9.0,
        "involuntary_switches_s": 20.0,
    }
    if lane.cuda:
        sample |= {"gpu_util": 0.55 + wave / 2, "gpu_memory_bytes": 4.2e9 + wave * 1e8}
    return sample


def _gpu_sample(wave: float, memory_bytes: float) -> dict[str, float]:
    return {
        "gpu_util": 0.55 + wave / 2,
        "gpu_memory_bytes": memory_bytes,
        "gpu_power_w": 310.0 + wave * 100,
        "gpu_power_limit_w": 700.0,
        "gpu_sm_clock_mhz": 1980.0,
        "gpu_throttle_reasons": 4.0 if wave > 0.5 else 0.0,  # software power cap
        "gpu_temperature_c": 54.0,
        "gpu_pcie_tx_bytes_s": 2e7,
        "gpu_pcie_rx_bytes_s": 3e8,
    }


def _manifest(folder: RunFolder, scenario: Scenario, lanes: Sequence[SimulatedLane], end_ns: int) -> dict[str, Any]:
    endings = {lane.lane.ending for lane in lanes}
    running = "running" in endings
    status = "running" if running else "failed" if endings & {"failed", "killed"} else "finished"
    process = psutil.Process()
    gpu = {"index": 0, "name": "NVIDIA H200", "memory_bytes": 150_754_820_096, "uuid": "GPU-0", "driver": "570.1"}
    workload = None
    if scenario.workload:
        workload = {
            "name": scenario.workload,
            "batch_size": 64,
            "epochs": scenario.epochs,
            "steps": None,
            "data": "digits",
            "device": "auto",
        }
    return {
        "schema": run_folder.SCHEMA,
        "fwtui": __version__,
        "id": folder.id,
        "name": scenario.workload or "comparison",
        "argv": ["fwtui", "run"],
        "started": "2025-11-23T21:03:07+00:00",
        "clock": {"monotonic_ns": START_NS, "unix_ns": UNIX_START_NS},
        "schedule": scenario.schedule,
        "seed": 0,
        "seconds": None,
        "workload": workload,
        "host": {
            "cpu": "Simulated CPU",
            "cores": 2,
            "memory_bytes": 8 * 2**30,
            "os": "Linux",
            "gpus": [gpu] if any(lane.lane.cuda for lane in lanes) else [],
        },
        # A run that goes on has a recorder that lives; this process will do.
        "recorder": {"pid": process.pid, "create_time": process.create_time()}
        if running
        else {"pid": NO_PID, "create_time": 1.0},
        "status": status,
        "ended_ns": None if running else end_ns,
        "error": None,
        "turn": {"ms": TURN_MS},
        "lanes": [_manifest_lane(scenario, lane) for lane in lanes],
    }


_ENDINGS: dict[str, dict[str, Any]] = {
    "running": {"exit_code": None, "signal": None, "error": None},
    "finished": {"exit_code": 0, "signal": None, "error": None},
    "failed": {"exit_code": 1, "signal": None, "error": f"it ended with exit code 1: {_FAILURE}"},
    "killed": {"exit_code": None, "signal": "SIGKILL", "error": "it was killed by SIGKILL"},
}


def _manifest_lane(scenario: Scenario, lane: SimulatedLane) -> dict[str, Any]:
    built_in = scenario.workload is not None
    argv = ["/usr/bin/python3", "-m", "fwtui.workloads", "--lane", lane.lane.name]
    return {
        "name": lane.lane.name,
        "kind": "workload" if built_in else "command",
        "framework": lane.lane.name.partition(":")[0] if built_in else None,
        "argv": argv if built_in else ["/usr/bin/python3", f"{lane.lane.name.removesuffix('.py')}.py"],
        "python": "/usr/bin/python3",
        "cwd": "/home/someone",
        "env": {},
        "status": lane.lane.ending,
        "pid": NO_PID,
        "started_ns": lane.start_ns,
        "ended_ns": None if lane.lane.ending == "running" else lane.now_ns,
        **_ENDINGS[lane.lane.ending],
        "stop_reason": None,
        "paused": False,
    }
