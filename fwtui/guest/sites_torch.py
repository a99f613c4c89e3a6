"""What a PyTorch program set up, and where: its loader, its optimizer, its threads; and how many operations it runs."""

from __future__ import annotations

import weakref
from typing import Any, Dict, List, Set

from fwtui.guest import agent, notes, parity_facts, sites

MOST_NODES = 4_000
_optimizers: Dict[int, Any] = {}
_loaders: Dict[int, str] = {}


def arm(torch: Any) -> None:
    """Watch the constructors."""
    import torch.utils.data.dataloader as dataloader

    sites.after(dataloader.DataLoader, "__init__", _made_loader)
    sites.after(dataloader.DataLoader, "__iter__", _started_loader)
    sites.after(torch.optim.Optimizer, "__init__", _made_optimizer)
    sites.after(torch, "set_num_threads", _set_threads)
    sites.after(torch.nn.modules.rnn.RNNCellBase, "__init__", _made_cell)
    _arm_first_backward(torch)


def _made_loader(loader: Any, *_: Any, **__: Any) -> None:
    place = sites.here()
    if place:
        _loaders[id(loader)] = place


def _started_loader(loader: Any) -> None:
    import torch

    if not torch.is_grad_enabled() or notes.learnt.get("loader", {}).get("at") == _loaders.get(id(loader), ""):
        return
    parity_facts.of_loader(loader)
    notes.learn(
        {
            "loader": {
                "workers": int(loader.num_workers),
                "pin_memory": bool(loader.pin_memory),
                "persistent": bool(loader.persistent_workers),
                "prefetch": loader.prefetch_factor,
                "iterable": hasattr(loader.dataset, "__iter__") and not hasattr(loader.dataset, "__getitem__"),
                "at": _loaders.get(id(loader)),
            }
        }
    )


def _made_optimizer(optimizer: Any, *_: Any, **__: Any) -> None:
    place = sites.here()
    if place:
        _optimizers[id(optimizer)] = (weakref.ref(optimizer), place)


def _made_cell(cell: Any, *_: Any, **__: Any) -> None:
    if "unfused_layers" not in notes.learnt:
        notes.learn({"unfused_layers": [type(cell).__name__], "unfused_at": sites.here()})


def _set_threads(number: int) -> None:
    notes.learn({"threads_at": sites.here(), "threads_set": int(number), "cores": sites.cores()})


def _arm_first_backward(torch: Any) -> None:
    """At the first backward pass, while its graph still stands: count its nodes, and look at the optimizer."""
    undo: List[Any] = []

    def first(original: Any) -> Any:
        def backward(self: Any, *args: Any, **kwargs: Any) -> Any:
            if undo:
                undo.pop()()
                agent.arm("torch graph", _learn, self)
            return original(self, *args, **kwargs)

        return backward

    undo.append(agent.patch(torch.Tensor, "backward", first))


def _learn(loss: Any) -> None:
    import torch

    notes.learn({"grad_nodes": _count_nodes(loss), "cores": sites.cores()})
    kind = _autocast(torch)
    if kind is not None:
        notes.learn({"autocast": str(kind).replace("torch.", "")})
    for reference, place in list(_optimizers.values()):
        optimizer = reference()
        if optimizer is not None:
            _look_at(optimizer, place)
            return


def _autocast(torch: Any) -> Any:
    """The type that autocast computes in; None while it is off. Before torch 2.4 the calls took no device."""
    if not hasattr(torch, "get_autocast_dtype"):
        if torch.is_autocast_enabled():
            return torch.get_autocast_gpu_dtype()
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    for kind in ("cuda", "cpu"):
        if torch.is_autocast_enabled(kind):
            return torch.get_autocast_dtype(kind)
    return None


def _count_nodes(loss: Any) -> int:
    """Operations that autograd noted for a loss, about; at most `MOST_NODES`."""
    open_nodes = [loss.grad_fn] if getattr(loss, "grad_fn", None) is not None else []
    seen: Set[int] = set()
    while open_nodes and len(seen) < MOST_NODES:
        node = open_nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        open_nodes.extend(parent for parent, _ in node.next_functions if parent is not None)
    return len(seen)


def _look_at(optimizer: Any, place: str) -> None:
    """Which of its implementations an optimizer uses, and over how many tensors; and how convolutions lie in memory."""
    import torch

    group = optimizer.param_groups[0]
    parameters = [p for g in optimizer.param_groups for p in g["params"]]
    implementation = "fused" if group.get("fused") else "foreach" if group.get("foreach") else "loop"
    if implementation == "loop" and group.get("foreach") is None and parameters and parameters[0].is_cuda:
        implementation = "foreach"  # its default on CUDA
    kernels = [p for p in parameters if p.dim() == 4 and p.shape[-1] > 1 and p.shape[1] > 1]  # others lie either way
    last = bool(kernels) and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    notes.learn(
        {
            "optimizer_impl": implementation,
            "optimizer_tensors": len(parameters),
            "optimizer_at": place,
            "layout": None if not kernels else "nhwc" if last else "nchw",
        }
    )
