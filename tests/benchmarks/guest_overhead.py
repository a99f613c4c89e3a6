"""What watching costs: microseconds a step, and seconds at start.

    python tests/benchmarks/guest_overhead.py [CASE…] [--seconds 120] [--pairs 12] [--without HOOK…]

Steps: one process a case, in which all hooks, the guest's thread and its collector's callback are switched on and off
between short rounds; a row of rounds (bare, bare again, watched) comes in random order. A round is about 100 ms and
holds one write of the log; some steps before it warm up caches. Compared are the lower
quartiles of the rounds, which an interrupted round does not move. `bare against bare` is what the method makes of no
difference; `--without item` adds rounds with all hooks but that one.

Start: pairs of real processes, `python program.py` bare and watched, in random order.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BOOTSTRAP = ROOT / "fwtui" / "guest" / "bootstrap"
ROUND_NS, WARM_NS = 100_000_000, 60_000_000
BARE, AGAIN = "bare", "bare against bare"
WATCHED = "watched"
START_PROGRAMS = {
    "torch": "import torch\nm = torch.nn.Linear(4, 1)\nm(torch.ones(2, 4)).sum().backward()\n",
    "keras": "import keras\nkeras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])\n",
}
Tick = Callable[[], bool]


class Hooks:
    """All of the guest's hooks in this process, put in once, as in a watched program, with a switch before each.

    They are not taken out between rounds: each change of a class throws away what the interpreter has specialised for
    it, and it specialises the more slowly the more often that happens. A switch that is off costs some 0.1 µs a call.
    """

    def __init__(self) -> None:
        from fwtui.guest import agent

        self.agent = agent
        self.switches: dict[str, list[bool]] = {}
        self.optimizer_hooks: list[tuple[Any, dict[Any, Any]]] = []
        patch = agent.patch

        def switched(owner: Any, name: str, make: Any) -> Any:
            on = self.switches.setdefault(name, [True])

            def made(original: Any) -> Any:
                hooked = make(original)

                def switch(*args: Any, **kwargs: Any) -> Any:
                    return hooked(*args, **kwargs) if on[0] else original(*args, **kwargs)

                return switch

            return patch(owner, name, made)

        agent.patch = switched
        agent.start()

    def imported(self) -> None:
        """Once everything is imported."""
        torch_optimizers = sys.modules.get("torch.optim.optimizer")
        if torch_optimizers is not None:
            for hooks in (torch_optimizers._global_optimizer_pre_hooks, torch_optimizers._global_optimizer_post_hooks):
                self.optimizer_hooks.append((hooks, dict(hooks)))
        gc.collect()
        gc.freeze()  # so that a collection between rounds is short

    def switch(self, on: bool, without: str = "") -> None:
        """Switch all of them on or off; on, all but one: an attribute's name, `optimizer`, `gc` or `thread`."""
        for name, switch in self.switches.items():
            switch[0] = on and name != without
        for hooks, own in self.optimizer_hooks:
            hooks.clear()
            hooks.update(own if on and without != "optimizer" else {})
        self.agent._pause()
        while self.agent._on_gc in gc.callbacks:
            gc.callbacks.remove(self.agent._on_gc)
        if on and without != "gc":
            gc.callbacks.append(self.agent._on_gc)
        if on and without != "thread":
            self.agent._go_on()


class Rounds:
    """Called once a step: changes the condition, and notes how long a step took."""

    def __init__(self, hooks: Hooks, seconds: float, without: list[str]) -> None:
        self.hooks = hooks
        self.left = 50
        self.calibrated = self.timed = False
        self.started = 0
        self.steps = self.warm = 50
        self.todo: list[str] = []
        self.rows: list[dict[str, float]] = []
        self.until = time.monotonic() + seconds
        self.conditions = {BARE: None, AGAIN: None, WATCHED: "", **{f"watched without {one}": one for one in without}}

    def tick(self) -> bool:
        """Whether to go on."""
        self.left -= 1
        return bool(self.left) or self._change()

    def _change(self) -> bool:
        now = time.perf_counter_ns()
        if not self.calibrated:
            if not self.started:
                self.started, self.left = now, 100
                return True
            step_ns = (now - self.started) / 100
            self.steps, self.warm = max(4, int(ROUND_NS / step_ns)), max(3, int(WARM_NS / step_ns))
            self.calibrated = self.timed = True
        elif self.timed:
            self.rows[-1][self.todo.pop()] = (now - self.started) / 1000 / self.steps
        if self.timed:
            if not self.todo:
                if time.monotonic() > self.until:
                    return False
                self.todo = random.sample(list(self.conditions), len(self.conditions))
                self.rows.append({})
            gc.collect()
            without = self.conditions[self.todo[-1]]
            self.hooks.switch(without is not None, without or "")
            self.hooks.agent.drain(time.perf_counter_ns())
            self.hooks.agent.due[0] = now + (1 << 50)
            self.timed, self.left = False, self.warm
        else:
            self.timed, self.left = True, self.steps
            if self.conditions[self.todo[-1]] != "drain":
                self.hooks.agent.due[0] = now + ROUND_NS // 2
            self.started = time.perf_counter_ns()
        return True


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


def measure(case: str, seconds: float, without: list[str]) -> None:
    """Run one case in this process and print its rows of the table."""
    os.environ.update(FWTUI_LANE_DIR=tempfile.mkdtemp(), TF_CPP_MIN_LOG_LEVEL="2", KERAS_BACKEND="tensorflow")
    sys.path.insert(0, str(ROOT))
    hooks = Hooks()
    train = CASES[case]()
    hooks.imported()
    pace = Rounds(hooks, seconds, without)
    train(pace.tick)
    rows = pace.rows[1:]  # the first one compiles
    bare = quartile([row[BARE] for row in rows])
    for name in list(pace.conditions)[1:]:
        middle, low, high = interval(rows, name)
        print(
            f"| {case} | {len(rows)} × {pace.steps} | {bare:,.0f} | {name} | {middle:+.1f} [{low:+.1f}, {high:+.1f}] | "
            f"{100 * middle / bare:+.2f} % [{100 * low / bare:+.2f}, {100 * high / bare:+.2f}] |",
            flush=True,
        )


def quartile(values: list[float]) -> float:
    """The lower quartile."""
    return statistics.quantiles(values, n=4)[0]


def interval(rows: list[dict[str, float]], name: str) -> tuple[float, float, float]:
    """The difference of lower quartiles from bare, and its percentile bootstrap interval over rows
    (Efron and Tibshirani 1993, chapter 13)."""

    def difference(some: list[dict[str, float]]) -> float:
        return quartile([row[name] for row in some]) - quartile([row[BARE] for row in some])

    draws = sorted(difference(random.choices(rows, k=len(rows))) for _ in range(2000))
    return difference(rows), draws[50], draws[1949]


def measure_start(name: str, pairs: int) -> None:
    """Pairs of processes; prints the seconds that watching adds."""
    folder = Path(tempfile.mkdtemp())
    program = folder / "program.py"
    program.write_text(START_PROGRAMS[name])
    bare_env = {key: value for key, value in os.environ.items() if not key.startswith(("FWTUI", "PYTHONPATH"))}
    bare_env |= {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}

    def seconds(watched: bool, number: int) -> float:
        env = dict(bare_env)
        if watched:
            lane = folder / f"lane-{number}"
            lane.mkdir()
            env |= {"PYTHONPATH": str(BOOTSTRAP), "FWTUI_RUN": str(folder), "FWTUI_LANE": "lane"}
            env["FWTUI_LANE_DIR"] = str(lane)
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
    parser.add_argument("--seconds", type=float, default=120, help="for each case of steps")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument(
        "--without",
        nargs="*",
        default=[],
        help="a hook to leave out in rounds of its own: its attribute; optimizer, gc, thread, drain",
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        measure(args.cases[0], args.seconds, args.without)
        return
    print("| case | rounds × steps | µs a step, bare | | µs a step more [95 %] | ratio |\n|---|---|---|---|---|---|")
    for case in args.cases:
        if case.startswith("start-"):
            measure_start(case.removeprefix("start-"), args.pairs)
        else:
            more = ["--seconds", str(args.seconds), *(["--without", *args.without] if args.without else [])]
            subprocess.run([sys.executable, __file__, case, "--here", *more], check=True)


if __name__ == "__main__":
    main()
