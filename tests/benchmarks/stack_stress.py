"""Stacks taken of real programs a hundred times as often as the recorder does: none of them may be harmed.

    python tests/benchmarks/stack_stress.py [--seconds 60] [--python PYTHON] [PROGRAM…]

Each program runs under the real guest; the recorder's own `RankWatch` asks it for a stack as soon as the last one has
come, with its patience cut to a fifteenth, so that it also asks the guest's thread, and dumps where native code holds
the interpreter's lock. A program is harmed when it ends otherwise than by itself with 0.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fwtui.recorder import stacks
from fwtui.recording.event_log import EventLogError

BOOTSTRAP = Path(stacks.__file__).parents[1] / "guest" / "bootstrap"
HEAD = "import os, random, time\nend = time.monotonic() + float(os.environ['STRESS_SECONDS'])\n"
TORCH = """
import torch
model = torch.nn.LSTM(16, 32)
optimizer = torch.optim.Adam(model.parameters())
while time.monotonic() < end:
    out, _ = model(torch.randn(20, 8, 16))
    out.square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    if random.random() < 0.02:
        time.sleep(random.random() * 0.05)
"""
LOCKED = """
import re, torch
p = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.SGD([p])
def deep(n):
    return n and deep(n - 1)
while time.monotonic() < end:
    p.square().sum().backward()
    optimizer.step()
    sorted(range(random.randrange(1_000_000), 0, -1))  # native code that holds the lock, for a random while
    re.match(r"(a?){22}a{22}", "a" * 22)
    for _ in range(random.randrange(300)):
        deep(50)
"""
KERAS = """
import {keras} as keras, numpy
model = keras.Sequential([keras.layers.Input((10, 8)), keras.layers.LSTM(16), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse", run_eagerly={eager})
x, y = numpy.random.rand(256, 10, 8).astype("float32"), numpy.random.rand(256, 1).astype("float32")
while time.monotonic() < end:
    model.fit(x, y, batch_size=16, verbose=0)
"""
TAPE = """
import tensorflow as tf
w = tf.Variable(tf.ones((64, 64)))
@tf.function
def step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(x @ w))
    w.assign_sub(1e-6 * tape.gradient(loss, w))
    return loss
while time.monotonic() < end:
    step(tf.random.normal((random.randrange(1, 6), 64)))
    if random.random() < 0.01:
        step = tf.function(step.python_function)  # traced again
"""
PROGRAMS = {
    "torch": TORCH,
    "lock-held": LOCKED,
    "keras-eager": KERAS.format(keras="keras", eager=True),
    "keras": KERAS.format(keras="keras", eager=False),
    "keras-torch": KERAS.format(keras="keras", eager=False),
    "tf_keras": KERAS.format(keras="tf_keras", eager=True),
    "tf.function": TAPE,
}


def stress(name: str, python: str, seconds: float) -> bool:
    """Run one program and take its stacks; whether it was unharmed."""
    folder = Path(tempfile.mkdtemp())
    lane = folder / "lane"
    lane.mkdir()
    program = folder / "program.py"
    program.write_text(HEAD + PROGRAMS[name])
    env = {key: value for key, value in os.environ.items() if not key.startswith(("FWTUI", "PYTHONPATH"))}
    env |= {"PYTHONPATH": str(BOOTSTRAP), "FWTUI_RUN": str(folder), "FWTUI_LANE": "lane", "FWTUI_LANE_DIR": str(lane)}
    env |= {"STRESS_SECONDS": str(seconds), "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1"}
    env["KERAS_BACKEND"] = "torch" if name == "keras-torch" else "tensorflow"
    process = subprocess.Popen([python, str(program)], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    counts = take_stacks(process, lane / "rank-0")
    _, errors = process.communicate()
    how = signal.Signals(-process.returncode).name if process.returncode < 0 else f"exit {process.returncode}"
    answers = ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
    print(f"| {name} | {seconds:.0f} s | {how} | {answers} |", flush=True)
    if process.returncode:
        print(errors.decode("utf-8", "replace")[-2000:])
    return process.returncode == 0


def take_stacks(process: subprocess.Popen[bytes], rank: Path) -> Counter[str]:
    """Ask without pause until the program ends; how often was asked, and who answered."""
    counts: Counter[str] = Counter()
    watch = None
    while process.poll() is None:
        time.sleep(0.002)
        try:
            watch = watch or stacks.RankWatch(rank, 0)
            wanted, dumped = watch._wanted, watch._dumped
            if watch._asked is not None and watch._collect() is not None:
                counts["dumped" if dumped else "by the guest's thread" if wanted else "by the main thread"] += 1
            if watch._asked is None and watch._ask("stress"):
                counts["asked"] += 1
        except (OSError, EventLogError):
            continue
    return counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("programs", nargs="*", default=list(PROGRAMS), metavar="PROGRAM")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    stacks.WANT_NS, stacks.DUMP_NS, stacks.GIVE_UP_NS = 10_000_000, 133_000_000, 200_000_000
    print("| program | trained | ended by | stacks |\n|---|---|---|---|")
    unharmed = [stress(name, args.python, args.seconds) for name in args.programs]
    sys.exit(0 if all(unharmed) else 1)


if __name__ == "__main__":
    main()
