"""What the guest costs a step: hooks put in and taken out within one process, in shuffled pairs of rounds.

    python tests/benchmarks/guest_overhead.py [--rounds 60] [--steps 400]

Trains `regression-mlp`'s model (100-10-1, batch 32) on one thread, with a loader. The first column compares two rounds
that both run without hooks: what it shows is noise.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time

os.environ["FWTUI_LANE_DIR"] = tempfile.mkdtemp()

from fwtui.guest import agent

agent.start()

import torch  # noqa: E402 - under the guest's import hooks

from fwtui.guest import torch_hooks  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset = torch.utils.data.TensorDataset(torch.randn(args.steps * 32, 100), torch.randn(args.steps * 32, 1))
    loader = torch.utils.data.DataLoader(dataset, batch_size=32)
    model = torch.nn.Sequential(torch.nn.Linear(100, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
    optimizer = torch.optim.Adam(model.parameters())

    def round_us(watched: bool) -> float:
        """Microseconds a step; the hooks are in only when `watched`."""
        while len(agent.undo) > 1:  # the collector's callback stays
            agent.undo.pop()()
        if watched:
            torch_hooks.arm(torch)
        train()  # specialised bytecode and type caches are made anew after a change of hooks: not part of a step
        agent.due[0] = 0
        agent.drain(time.perf_counter_ns())
        started = time.perf_counter_ns()
        train()
        return (time.perf_counter_ns() - started) / 1000 / args.steps

    def train() -> None:
        for x, y in loader:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()

    for _ in range(3):
        round_us(True)
    rows = []
    for _ in range(args.rounds):
        order = ["bare", "again", "watched"]
        random.shuffle(order)
        rows.append({name: round_us(name == "watched") for name in order})
    bare = statistics.quantiles([row["bare"] for row in rows], n=4)[0]
    print(f"{args.rounds} rounds of {args.steps} steps, {bare:.0f} us a step bare (first quartile)")
    print(f"{'':22}{'us a step':>10}{'95 % interval':>20}{'ratio':>9}")
    for label, name in (("without against without", "again"), ("with against without", "watched")):
        differences = [row[name] - row["bare"] for row in rows]
        middle, low, high = interval(differences)
        print(f"{label:22}{middle:>+10.1f}{f'{low:+.1f} … {high:+.1f}':>20}{1 + middle / bare:>9.3f}")


def interval(values: list[float]) -> tuple[float, float, float]:
    """The median and its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13)."""
    medians = sorted(statistics.median(random.choices(values, k=len(values))) for _ in range(2000))
    return statistics.median(values), medians[50], medians[1949]


if __name__ == "__main__":
    main()
