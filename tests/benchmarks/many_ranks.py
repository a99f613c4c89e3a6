"""A thousand ranks at ten steps a second: what writing their logs takes, and what a viewer that follows them takes.

    python tests/benchmarks/many_ranks.py [--ranks 1024] [--steps-s 10] [--seconds 30]

One process appends to all logs as their guests would (twice a second each); this one polls and makes frames four times
a second, as the screen does. Rank 7 is slow by half a step from the middle on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from fwtui.recording.event_log import AppendLogWriter
from fwtui.recording.host import host_identity
from fwtui.recording.run_folder import EVENTS, HOST, RunFolder
from fwtui.recording.vocabulary import CODE_BITS, EVENT
from fwtui.view.session import Session

FLUSH_S, FRAME_S, SLOW_RANK = 0.5, 0.25, 7
STEP = (
    *(("data_begin", 0.0), ("data_end", 0.1), ("backward_begin", 0.4), ("communication_begin", 0.5)),
    *(("communication_end", 0.95), ("backward_end", 0.95), ("optimizer_begin", 0.95), ("optimizer_end", 0.99)),
)
"""A step's events, and when in the step they come."""


def write(path: str, ranks: int, steps_s: float, seconds: float, began_ns: int) -> None:
    """Append to all logs in real time; print what that took."""
    folder = RunFolder(path)
    logs = []
    for number in range(ranks):
        rank = folder.lane("train") / f"rank-{number}"
        rank.mkdir(parents=True)
        logs.append(AppendLogWriter(str(rank / EVENTS), began_ns))
        about = {"rank": number, "world_size": ranks, "host": f"host{number // 8}", "identity": host_identity()}
        (rank / HOST).write_text(json.dumps({**about, "pid": 1, "monotonic_ns": began_ns, "unix_ns": 0}))
    step_ns = 1e9 / steps_s
    start_ns, done, spent, appends, late = time.perf_counter_ns(), 0, 0.0, 0, 0.0
    while done < seconds * steps_s:
        due_ns = start_ns + (done + FLUSH_S * steps_s) * step_ns
        late = max(late, (time.perf_counter_ns() - due_ns) / 1e9)
        time.sleep(max(0.0, (due_ns - time.perf_counter_ns()) / 1e9))
        began = time.process_time()
        upto = int((time.perf_counter_ns() - start_ns) / step_ns)
        for number, log in enumerate(logs):
            slow = 0.45 if number == SLOW_RANK and done > seconds * steps_s / 2 else 0.0
            log.append(
                int(start_ns + (step + max(part, min(part + slow, 0.94))) * step_ns) << CODE_BITS | EVENT[name]
                for step in range(done, upto)
                for name, part in STEP
            )
        appends += ranks
        done = upto
        spent += time.process_time() - began
    for log in logs:
        log.close()
    size = sum(file.stat().st_size for file in folder.path.rglob(EVENTS))
    print(
        f"writing: {appends / seconds:,.0f} appends/s, {size / seconds / 1e6:.2f} MB/s, "
        f"{spent / appends * 1e6:.0f} µs of CPU an append, events made included; at most {late:.2f} s late",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=1024)
    parser.add_argument("--steps-s", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place) / "run")
        folder.path.mkdir()
        now = time.perf_counter_ns()
        lane = {"name": "train", "status": "running", "started_ns": now, "ended_ns": None, "paused": False}
        folder.write_manifest(
            {
                "schema": 1, "status": "running", "clock": {"monotonic_ns": now, "unix_ns": 0}, "lanes": [lane],
                "schedule": "together", "ended_ns": None, "recorder": {"pid": os.getpid(), "host": host_identity()},
            }
        )  # fmt: skip
        writer = multiprocessing.Process(
            target=write, args=(str(folder.path), args.ranks, args.steps_s, args.seconds, now)
        )
        writer.start()
        session = Session(folder)
        polls, frames, found_s, behind = [], [], None, 0
        began = time.monotonic()
        while writer.is_alive():
            t0 = time.perf_counter()
            session.poll()
            t1 = time.perf_counter()
            frame = session.frame()
            t2 = time.perf_counter()
            polls.append(t1 - t0)
            frames.append(t2 - t1)
            rows = frame.lanes[0].ranks
            if rows:
                newest = max(row.steps for row in rows)
                behind = max(behind, newest - min(row.steps for row in rows))
            if found_s is None and any(finding.code == "straggler-rank" for finding in frame.lanes[0].findings):
                found_s = time.monotonic() - began
            time.sleep(max(0.0, FRAME_S - (t2 - t0)))
        writer.join()
        lane_frame = session.frame().lanes[0]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        late = [finding.evidence for finding in lane_frame.findings if finding.code == "straggler-rank"]
        busy = (sum(polls) + sum(frames)) / (time.monotonic() - began)
        print(
            f"viewing {len(lane_frame.ranks)} ranks: poll median {np.median(polls) * 1e3:.0f} ms, p95 "
            f"{np.percentile(polls, 95) * 1e3:.0f} ms; frame median {np.median(frames) * 1e3:.1f} ms, p95 "
            f"{np.percentile(frames, 95) * 1e3:.0f} ms, longest {max(frames) * 1e3:.0f} ms; {busy:.0%} of a core; "
            f"{memory:.0f} MiB; a rank's row at most {behind / args.steps_s:.1f} s old; slow rank named "
            f"{'never' if found_s is None else f'{found_s - args.seconds / 2:.0f} s after it became slow'}: {late}"
        )


if __name__ == "__main__":
    main()
