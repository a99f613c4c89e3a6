"""Interpreters that only help a program that trains: workers, compilers, launchers. The guest leaves them alone."""

from __future__ import annotations

import os
import sys

LAUNCHERS = ("torchrun", "accelerate", "deepspeed")
LAUNCHER_MODULES = ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands", "torch._inductor")
"""Started as a script or by `-m`: they import torch, but the training runs in their children."""


def is_one() -> bool:
    """Whether this interpreter helps another: a worker of multiprocessing or of a compiler, or a launcher of ranks."""
    argv = getattr(sys, "orig_argv", None)
    if argv is None:  # Python 3.9
        try:
            with open("/proc/self/cmdline", "rb") as file:
                argv = file.read().decode("utf-8", "replace").split("\0")
        except OSError:
            argv = sys.argv
    script = next((word for word in argv[1:] if not word.startswith("-")), "")
    return (
        "--multiprocessing-fork" in argv
        or script.startswith(("from multiprocessing", "from joblib", *LAUNCHER_MODULES))
        or "_inductor/compile_worker" in script.replace(os.sep, "/")
        or os.path.basename(script) in LAUNCHERS
    )
