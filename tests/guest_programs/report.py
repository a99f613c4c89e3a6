"""What the programs beside this file print of themselves: their own clock, the number of updates, the exact weights."""

import hashlib
import time

_began = 0


def start():
    global _began
    _began = time.perf_counter_ns()


def end(updates, arrays, loss=None):
    print("clock", _began, time.perf_counter_ns())
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    print("updates", updates, "loss", "none" if loss is None else float(loss).hex(), "weights", digest, flush=True)
