"""The loss of a torch loop, and the batch it was computed from: read without ever waiting for a device."""

from __future__ import annotations

from collections import deque
from typing import Any, List, Optional, Sequence, Set

from fwtui.guest import agent, notes, torch_optimizer_hooks

EVERY_NS = 200_000_000
NODES = 4000
unscaled: List[Any] = []
"""The loss that `GradScaler` scaled last; empty without one."""
_copy: List[Any] = []
"""A loss on its way from a device: (pinned tensor, event that tells its arrival, step)."""


def note(tensors: Any) -> None:
    """Note the loss; one that lies on a CUDA device is copied aside, and noted once it has arrived."""
    loss = tensors[0] if isinstance(tensors, (list, tuple)) and tensors else tensors
    if unscaled:
        loss = unscaled.pop()
    if agent.fitting[0] or not hasattr(loss, "numel") or loss.numel() != 1:
        return
    step = torch_optimizer_hooks.updates[0] + 1
    if getattr(loss, "is_cpu", False):
        notes.note("loss", value=float(loss.detach()), step=step)
    elif getattr(loss, "is_cuda", False):
        _note_later(loss.detach(), step)


def _note_later(loss: Any, step: int) -> None:
    import torch

    if _copy:
        pinned, arrived, of_step = _copy[0]
        if not arrived.query():
            return
        notes.note("loss", value=float(pinned), step=of_step)
        _copy.clear()
    if torch.cuda.is_current_stream_capturing():
        return
    pinned = torch.empty((), dtype=loss.dtype, pin_memory=True)
    pinned.copy_(loss.reshape(()), non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    _copy.append((pinned, arrived, step))


def learn_batch(tensors: Any) -> None:
    """Learn the batch size of hand-made batches, once: the first dimension of what the first layers computed.

    Only shapes in the graph are looked at; nothing that was saved for the backward pass is unpacked.
    """
    if "batch_size" in notes.learnt or agent.fitting[0]:
        return
    loss = tensors[0] if isinstance(tensors, (list, tuple)) and tensors else tensors
    size = _batch_size(_layers(getattr(loss, "grad_fn", None)))
    if size:
        notes.learn({"batch_size": size, "samples_per_step": size})


def learn_precision(tensors: Any) -> None:
    """Learn whether layers compute in fewer bits than the loss is told in: then autocast did so, around them only."""
    loss = tensors[0] if isinstance(tensors, (list, tuple)) and tensors else tensors
    outputs = [getattr(node, "_input_metadata", None) for node in _layers(getattr(loss, "grad_fn", None))]
    kinds = {str(output[0].dtype).replace("torch.", "") for output in outputs if output}
    whole = str(getattr(loss, "dtype", "")).replace("torch.", "")
    fewer = sorted(kinds & {"bfloat16", "float16"} - {whole})
    if fewer and not agent.fitting[0]:
        notes.learn({"autocast": fewer[0]})


_RESHAPES = tuple(
    f"{name}Backward" for name in ("T", "Transpose", "Permute", "View", "Expand", "ToCopy", "Reshape", "Unsqueeze")
)
"""Operations that prepare a weight rather than compute with it."""


def _batch_size(layers: List[Any]) -> Optional[int]:
    """The first dimension on which the first layers' outputs agree; None: they don't."""
    sizes: Set[int] = {int(shape[0]) for shape in map(_shape, layers) if len(shape) > 1}
    return sizes.pop() if len(sizes) == 1 else None


def _layers(node: Any) -> List[Any]:
    """The operations that use a weight and no earlier result, as nodes of the graph."""
    queue, known = deque([node]), {node}
    found: List[Any] = []
    while queue and len(known) < NODES:
        node = queue.popleft()
        following = [after for after, _ in node.next_functions if after is not None] if node is not None else []
        if following and all(map(_is_weight, following)) and not _is_weight(node):
            found.append(node)
        for after in following:
            if after not in known:
                known.add(after)
                queue.append(after)
    return found


def _shape(node: Any) -> Sequence[int]:
    """The shape of what an operation computed, or, before torch 2.5, of what a matrix product was given; else ()."""
    outputs = getattr(node, "_input_metadata", None)  # of its backward pass: what its forward pass gave
    if outputs:
        shape: Sequence[int] = outputs[0].shape
        return shape
    return getattr(node, "_saved_mat1_sym_sizes", None) or getattr(node, "_saved_self_sym_sizes", None) or ()


def _is_weight(node: Any) -> bool:
    """Whether a node is a weight, as it is or prepared."""
    for _ in range(8):
        if type(node).__name__ == "AccumulateGrad":
            return True
        following = [after for after, _ in node.next_functions if after is not None]
        if len(following) != 1 or not type(node).__name__.startswith(_RESHAPES):
            return False
        node = following[0]
    return False
