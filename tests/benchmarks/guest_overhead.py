"""What watching costs a step: the guest's hooks put in and taken out in random order within one process.

    python tests/benchmarks/guest_overhead.py [--rounds 120] [--steps 60]

Prints, for the origin's tiny regression MLP and for a network whose step takes several ms, the median step with and
without hooks, the paired difference in microseconds and the ratio with a 95 % interval (percentile bootstrap over
pairs of rounds). One thread; quote ratios, not times: the machine is noisy.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MODELS = {"regression-mlp": (100, 10, 32), "1024-wide MLP": (1024, 1024, 64)}


def inside(width: int, hidden: int, batch: int, rounds: int, steps: int) -> None:
    """Runs in the lane: alternates rounds with and without hooks and prints `on off` times per step in µs."""
    import torch

    from fwtui.guest import agent, torch_hooks

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(width, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(batch * steps, width), torch.randn(batch * steps, 1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=batch)

    def train() -> float:
        began = time.perf_counter_ns()
        for a, b in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(a), b)
            loss.backward()
            optimizer.step()
        return (time.perf_counter_ns() - began) / steps / 1000

    def with_hooks() -> float:
        agent.arm("torch", torch_hooks.arm, torch)
        return train()

    def without() -> float:
        agent._disarm()
        return train()

    with_hooks(), without()
    for _ in range(rounds):
        times = {}
        for run in random.sample((with_hooks, without), 2):
            times[run] = run()
        print(times[with_hooks], times[without], flush=True)


def measure(name: str, rounds: int, steps: int) -> None:
    """Runs one model as a lane and prints its row."""
    import numpy as np

    import fwtui

    with tempfile.TemporaryDirectory() as folder:
        lane = Path(folder) / "lanes" / "lane"
        lane.mkdir(parents=True)
        bootstrap = Path(fwtui.__file__).parent / "guest" / "bootstrap"
        env = dict(os.environ, PYTHONPATH=str(bootstrap), FWTUI_LANE_DIR=str(lane), FWTUI_RUN=folder)
        argv = [
            sys.executable,
            __file__,
            "--inside",
            *map(str, MODELS[name]),
            "--rounds",
            str(rounds),
            "--steps",
            str(steps),
        ]
        output = subprocess.run(argv, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
    pairs = np.array([line.split() for line in output.splitlines()], dtype=float)
    on, off = pairs.T
    draws = np.random.default_rng(0).integers(0, len(pairs), (2000, len(pairs)))
    ratio = np.median(on / off)
    low, high = np.percentile(np.median((on / off)[draws], axis=1), (2.5, 97.5))
    cost = np.median(on - off)
    print(f"{name:16s} {np.median(off):10.1f} {np.median(on):10.1f} {cost:+9.1f}   {ratio:.4f} [{low:.4f}, {high:.4f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--inside", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(*options.inside, options.rounds, options.steps)
        return
    print(f"{'model':16s} {'bare µs':>10s} {'watched µs':>10s} {'µs/step':>9s}   ratio [95 % interval]")
    for name in MODELS:
        measure(name, options.rounds, options.steps)


if __name__ == "__main__":
    main()
