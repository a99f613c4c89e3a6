"""What lanes must have in common to be compared: samples and batches of an epoch, order, loss, precision, threads.

Read once from the live objects; nothing here runs an operation on a device or consumes a batch.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Optional

from fwtui.guest import agent, notes

_LOSS = re.compile(r"(mse|nll|l1|huber|bce|loss|entropy)", re.IGNORECASE)
_REDUCTIONS = {0: "none", 1: "mean", 2: "sum"}
"""Autograd's numbers of them."""


def of_loader(loader: Any) -> None:
    """A PyTorch loader: samples and batches of an epoch, their order, the last batch."""
    sampler = type(getattr(loader, "sampler", None)).__name__
    values: Dict[str, Any] = {
        "batches_per_epoch": _length(loader),
        "samples_per_epoch": _length(getattr(loader, "sampler", None)),
        "shuffle": {"RandomSampler": True, "SequentialSampler": False}.get(sampler),
    }
    if loader.batch_size is not None:
        values["drop_last"] = bool(loader.drop_last)
    _add(values)


def of_adapter(adapter: Any) -> None:
    """What `fit` trains from, where it is arrays: samples and their order. Keras never drops the last batch."""
    samples = getattr(adapter, "_num_samples", None)
    shuffle = getattr(adapter, "_shuffle", None)
    if isinstance(samples, int):
        _add({"samples_per_epoch": samples, "drop_last": False})
    if isinstance(shuffle, (bool, str)):
        _add({"shuffle": bool(shuffle)})


def of_dataset(dataset: Any, kinds: Any) -> None:
    """A `tf.data` pipeline that Python iterates: its batches, and whether it shuffles."""
    count = int(dataset.cardinality())
    _add({"batches_per_epoch": count if count > 0 else None, "shuffle": "Shuffle" in kinds})


def of_torch_loss(tensors: Any) -> None:
    """The loss's name and reduction, from the operation that made it."""
    if "loss" in notes.learnt or agent.fitting[0]:
        return
    loss = tensors[0] if isinstance(tensors, (list, tuple)) and tensors else tensors
    made_by = getattr(loss, "grad_fn", None)
    name = type(made_by).__name__
    if made_by is not None and _LOSS.search(name):
        _add({"loss": name, "reduction": _REDUCTIONS.get(getattr(made_by, "_saved_reduction", -1))})
    elif name.startswith(("MeanBackward", "SumBackward")):
        _add({"loss": _by_hand(made_by), "reduction": name[: name.index("B")].lower()})


def _by_hand(reduced: Any) -> Optional[str]:
    """A loss of elementary operations, as `L1Loss` is one too: the mean or sum of what, of a difference."""
    node = reduced.next_functions[0][0]
    name = type(node).__name__
    if name.startswith("AbsBackward"):
        return "L1Loss"
    if name.startswith("PowBackward") and getattr(node, "_saved_exponent", None) == 2:
        return "MSELoss"
    factors = [after for after, _ in node.next_functions] if name.startswith("MulBackward") else []
    return "MSELoss" if len(factors) == 2 and factors[0] is not None and factors[0] is factors[1] else None


def of_torch(torch: Any) -> None:
    """Whether products may be cut to TF32, or on CPUs to bfloat16."""
    ask = getattr(torch, "get_float32_matmul_precision", None)
    if ask is not None:
        _add({"tf32": ask() != "highest", "float32_products": ask()})


def of_keras(model: Any, backend: str) -> None:
    """A model's precision, input and loss reduction, and the threads of its backend."""
    policy = getattr(getattr(model, "dtype_policy", None), "name", None)
    shape = getattr(model, "input_shape", None)
    loss = getattr(model, "loss", None)
    reduction = "mean" if isinstance(loss, str) else getattr(loss, "reduction", None)
    _add(
        {
            "precision": policy if isinstance(policy, str) else None,
            "batch_shape": list(shape) if isinstance(shape, tuple) and shape[1:] and None not in shape[1:] else None,
            "reduction": {"sum_over_batch_size": "mean"}.get(str(reduction), reduction),
            "threads": of_tensorflow() if backend == "tensorflow" else _torch_threads() if backend == "torch" else None,
        }
    )


def of_tensorflow() -> Dict[str, int]:
    """TensorFlow's threads; what was not set is one for each core that the process may use."""
    import tensorflow

    threading = tensorflow.config.threading
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "intra": threading.get_intra_op_parallelism_threads() or cores,
        "inter": threading.get_inter_op_parallelism_threads() or cores,
    }


def _torch_threads() -> Dict[str, int]:
    import torch

    return {"intra": torch.get_num_threads(), "inter": torch.get_num_interop_threads()}


def _length(thing: Any) -> Optional[int]:
    try:
        return len(thing)
    except TypeError:  # a stream has none
        return None


def _add(values: Dict[str, Any]) -> None:
    """Add what is not known yet: the first answer is the training's, later ones may be an evaluation's."""
    notes.learn({name: value for name, value in values.items() if name not in notes.learnt})
