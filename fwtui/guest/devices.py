"""What the frameworks have asked their devices for: a lane that gives the machine away must leave nothing running."""

from __future__ import annotations

import sys
from typing import Any, Callable, List


def _wait_for_jax(jax: Any) -> None:
    for array in jax.live_arrays():
        if not array.is_deleted():
            array.block_until_ready()


def _wait_for_torch(torch: Any) -> None:
    if not torch.cuda.is_current_stream_capturing():
        torch.cuda.synchronize()


def _wait_for_tensorflow(tensorflow: Any) -> None:
    tensorflow.test.experimental.sync_devices()


def waits() -> List[Callable[[], None]]:
    """A call for each framework that computes while the host goes on; empty where all of them compute at once.

    Nothing is initialised that the program has not initialised itself.
    """
    modules, found = sys.modules, []
    if getattr(modules.get("jax._src.xla_bridge"), "_backends", None):
        found.append(lambda: _wait_for_jax(modules["jax"]))
    cuda = modules.get("torch.cuda")
    if cuda is not None and "torch" in modules and cuda.is_initialized():
        found.append(lambda: _wait_for_torch(modules["torch"]))
    context: Any = getattr(modules.get("tensorflow.python.eager.context"), "_context", None)
    if getattr(context, "_context_handle", None) is not None and context.num_gpus():
        found.append(lambda: _wait_for_tensorflow(modules["tensorflow"]))
    return found
