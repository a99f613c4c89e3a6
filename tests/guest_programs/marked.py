"""A loop that no hook can see, told by `fwtui.mark`; usable without any framework."""

import os
import signal
import sys
import time

from fwtui import mark

how = sys.argv[1] if len(sys.argv) > 1 else "end"
count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
mark.stage("loading data")
mark.plan(steps=count, samples_per_step=4)
done = 0
with mark.finishable():
    for _ in range(count):
        with mark.step(samples=4):
            with mark.phase("data"):
                pass
            with mark.phase("forward"):
                pass
        mark.loss(0.5)
        done += 1
        if how != "many":
            time.sleep(0.002)
mark.result(accuracy=0.5)
print("steps", done, flush=True)
if how == "exit":
    sys.exit(7)
if how == "_exit":
    time.sleep(0.2)
    os._exit(8)
if how == "raise":
    raise RuntimeError("mine")
if how == "kill":
    while True:
        with mark.step():
            time.sleep(0.001)
        if done == count and time.perf_counter() % 1 < 2:
            done += 1
            started = time.perf_counter()
        if time.perf_counter() - started > 0.5:
            print(time.perf_counter_ns(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
if how == "fork":
    child = os.fork()
    with mark.step():
        pass
    if child:
        os.waitpid(child, 0)
    else:
        time.sleep(0.2)
