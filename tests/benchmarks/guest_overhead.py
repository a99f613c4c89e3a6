"""What watching costs: microseconds a step, and seconds at start.

    python tests/benchmarks/guest_overhead.py [CASE…] [--processes 8] [--rounds 30] [--pairs 12]

Steps: processes of the same program on one core, of which one runs at a time and the others are stopped: bare, bare
again, bare with a thread that came and went (glibc's locks are free until a process has had a second thread), and
watched as `fwtui` starts it. They take rounds of about 200 ms in random order, which pairs each watched round with a
bare one beside it; new processes several times over, for where a process lies in memory alone makes a per cent. `bare
again` is what the method makes of no difference.

Start: pairs of real processes, `python program.py` bare and watched, in random order.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BOOTSTRAP = ROOT / "fwtui" / "guest" / "bootstrap"
ROUND_NS = 200_000_000
FIRST_STEPS, WARM_STEPS = 600, 10
"""Before anything is timed; and at the beginning of each round, after the others had the caches."""
BARE, AGAIN, THREAD, WATCHED = "bare", "bare again", "bare, had a thread", "watched"
START_PROGRAMS = {
    "torch": "import torch\nm = torch.nn.Linear(4, 1)\nm(torch.ones(2, 4)).sum().backward()\n",
    "keras": "import keras\nkeras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])\n",
}
Tick = Callable[[], bool]


class Rounds:
    """In the program, called once a step: runs as many steps as it is asked for, and tells how long they took."""

    def __init__(self) -> None:
        self.left, self.asked, self.started = FIRST_STEPS, 0, 0

    def tick(self) -> bool:
        """Whether to go on."""
        self.left -= 1
        return bool(self.left) or self._change()

    def _change(self) -> bool:
        now = time.perf_counter_ns()
        if self.asked:
            self.left, self.asked, self.started = self.asked, 0, now
            return True
        print(now - self.started, flush=True)
        line = sys.stdin.readline()
        if not line:
            return False
        self.left, self.asked = WARM_STEPS, int(line)
        return True


class Program:
    """One process of a case, stopped but while it runs a round."""

    def __init__(self, case: str, kind: str, folder: Path) -> None:
        command = [sys.executable, __file__, case, "--here", *(["--thread"] if kind == THREAD else [])]
        core = max(os.sched_getaffinity(0))
        self.process = subprocess.Popen(
            command,
            env=environment(kind == WATCHED, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        self.told()

    def told(self) -> int:
        """What it tells next, in nanoseconds; then it is stopped."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the program ended with {self.process.wait()}")
        self.process.send_signal(signal.SIGSTOP)
        return int(line)

    def round(self, steps: int) -> float:
        """Run steps; microseconds a step."""
        assert self.process.stdin
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self.told() / 1000 / steps

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def environment(watched: bool, folder: Path) -> dict[str, str]:
    """What a lane's process is started with, or the same without the guest."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("FWTUI", "PYTHONPATH"))}
    env |= {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    if watched:
        folder.mkdir()
        env |= {"PYTHONPATH": str(BOOTSTRAP), "FWTUI_RUN": str(folder.parent), "FWTUI_LANE": "lane"}
        env["FWTUI_LANE_DIR"] = str(folder)
    return env


def torch_loop(model: Any, x: Any, y: Any, loss: Any) -> Callable[[Tick], None]:
    import torch

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=32)
    optimizer = torch.optim.Adam(model.parameters())

    def train(tick: Tick) -> None:
        while True:
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss(model(inputs), targets).backward()
                optimizer.step()
                if not tick():
                    return

    return train


def torch_regression() -> Callable[[Tick], None]:
    """regression-mlp: 100-10-1, batch 32."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(100, 10), nn.ReLU(), nn.Linear(10, 1))
    return torch_loop(model, torch.randn(64_000, 100), torch.randn(64_000, 1), nn.functional.mse_loss)


def torch_mlp() -> Callable[[Tick], None]:
    """784-1024-1024-10, batch 32."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    return torch_loop(model, torch.randn(6400, 784), torch.randint(10, (6400,)), nn.functional.cross_entropy)


def torch_cnn() -> Callable[[Tick], None]:
    """Two convolutions (16 and 32) on 28x28, batch 32."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * 12 * 12, 10)),
    )
    return torch_loop(model, torch.randn(6400, 1, 28, 28), torch.randint(10, (6400,)), nn.functional.cross_entropy)


def keras_fit(layers: Callable[[Any], list[Any]], shape: tuple[int, ...], loss: str, classes: int) -> Any:
    import keras
    import numpy
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    model = keras.Sequential([keras.Input(shape), *layers(keras.layers)])
    model.compile(optimizer="adam", loss=loss)
    x = numpy.random.rand(6400, *shape).astype("float32")
    y = numpy.random.randint(classes, size=6400) if classes else numpy.random.rand(6400, 1).astype("float32")

    class Done(Exception):
        """Ends `fit` where it is: hooks may be out at that moment."""

    def train(tick: Tick) -> None:
        class Ticks(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if not tick():
                    raise Done

        try:
            model.fit(x, y, batch_size=32, epochs=100_000, verbose=0, callbacks=[Ticks()])
        except Done:
            return

    return train


def keras_regression() -> Callable[[Tick], None]:
    """regression-mlp: 100-10-1, batch 32, `fit` on TensorFlow with arrays."""
    return keras_fit(lambda k: [k.Dense(10, "relu"), k.Dense(1)], (100,), "mse", 0)


def keras_cnn() -> Callable[[Tick], None]:
    """Two convolutions (16 and 32) on 28x28, batch 32, `fit` on TensorFlow with arrays."""
    return keras_fit(
        lambda k: [
            *(k.Conv2D(16, 3, activation="relu"), k.Conv2D(32, 3, strides=2, activation="relu")),
            *(k.Flatten(), k.Dense(10, "softmax")),
        ],
        (28, 28, 1),
        "sparse_categorical_crossentropy",
        10,
    )


CASES = {
    "torch-regression": torch_regression,
    "torch-mlp": torch_mlp,
    "torch-cnn": torch_cnn,
    "keras-regression": keras_regression,
    "keras-cnn": keras_cnn,
}


def measure(case: str, processes: int, rounds: int) -> None:
    """Run one case and print its rows of the table."""
    groups: list[list[dict[str, float]]] = []
    steps = 0
    for _ in range(processes):
        folder = Path(tempfile.mkdtemp())
        programs = {name: Program(case, name, folder / "lane") for name in (BARE, AGAIN, THREAD, WATCHED)}
        steps = steps or max(4, int(ROUND_NS / 1000 / programs[BARE].round(50)))
        rows = [{name: programs[name].round(steps) for name in random.sample(list(programs), 4)} for _ in range(rounds)]
        groups.append(rows[2:])
        for program in programs.values():
            program.end()
    bare = statistics.median(row[BARE] for rows in groups for row in rows)
    for name in (AGAIN, THREAD, WATCHED):
        middle, low, high = interval(groups, name)
        shape = f"{processes} × {rounds} × {steps}"
        more, ratio = (
            f"{m:+.{p}f} [{lo:+.{p}f}, {hi:+.{p}f}]"
            for m, lo, hi, p in ((middle, low, high, 1), (100 * middle / bare, 100 * low / bare, 100 * high / bare, 2))
        )
        print(f"| {case} | {shape} | {bare:,.0f} | {name} | {more} | {ratio} % |", flush=True)


def interval(groups: list[list[dict[str, float]]], name: str) -> tuple[float, float, float]:
    """The median of the rounds' differences from bare in each group of processes, the groups' mean, and its percentile
    bootstrap interval over groups and the rounds in them (Efron and Tibshirani 1993, chapter 13)."""
    differences = [[row[name] - row[BARE] for row in rows] for rows in groups]

    def mean(some: list[list[float]]) -> float:
        return statistics.fmean(map(statistics.median, some))

    def draw() -> float:
        return mean([random.choices(one, k=len(one)) for one in random.choices(differences, k=len(differences))])

    draws = sorted(draw() for _ in range(2000))
    return mean(differences), draws[50], draws[1949]


def measure_start(name: str, pairs: int) -> None:
    """Pairs of processes; prints the seconds that watching adds."""
    folder = Path(tempfile.mkdtemp())
    program = folder / "program.py"
    program.write_text(START_PROGRAMS[name])

    def seconds(watched: bool, number: int) -> float:
        env = environment(watched, folder / f"lane-{number}")
        started = time.perf_counter()
        subprocess.run([sys.executable, str(program)], env=env, check=True, stdin=subprocess.DEVNULL)
        return time.perf_counter() - started

    seconds(False, -1), seconds(True, -2)  # files into the page cache, bytecode onto the disk
    rows = []
    for number in range(pairs):
        first = random.random() < 0.5
        one, other = seconds(first, number), seconds(not first, number)
        rows.append((one, other) if first else (other, one))
    differences = [watched - bare for watched, bare in rows]
    draws = sorted(statistics.median(random.choices(differences, k=pairs)) for _ in range(2000))
    print(
        f"| start, {name} | {pairs} pairs | {statistics.median(bare for _, bare in rows):.2f} s | watched | "
        f"{statistics.median(differences):+.3f} s [{draws[50]:+.3f}, {draws[1949]:+.3f}] | |",
        flush=True,
    )


def main() -> None:
    everything = [*CASES, *(f"start-{name}" for name in START_PROGRAMS)]
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(everything), default=everything)
    parser.add_argument("--processes", type=int, default=8, help="times that new processes are made")
    parser.add_argument("--rounds", type=int, default=30, help="of each process")
    parser.add_argument("--pairs", type=int, default=12, help="of processes whose start is timed")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--thread", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.thread:
        thread = threading.Thread(target=time.sleep, args=(0.01,))
        thread.start()
        thread.join()
    if args.here:
        CASES[args.cases[0]]()(Rounds().tick)
        return
    print("| case | processes × rounds × steps | µs a step, bare | | µs a step more [95 %] | ratio |")
    print("|---|---|---|---|---|---|")
    for case in args.cases:
        if case.startswith("start-"):
            measure_start(case.removeprefix("start-"), args.pairs)
        else:
            measure(case, args.processes, args.rounds)


if __name__ == "__main__":
    main()
