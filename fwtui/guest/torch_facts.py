"""What is learnt once of a torch program: versions, device, parameters, optimizer, threads."""

from __future__ import annotations

import gc
import re
import sys
from typing import Any, List, Tuple

from fwtui.guest import cuda_hooks, notes, parity_facts, sites


def release(torch: Any) -> Tuple[int, int]:
    """Major and minor version; a version that cannot be read counts as new."""
    found = re.match(r"(\d+)\.(\d+)", str(getattr(torch, "__version__", "")))
    return (int(found[1]), int(found[2])) if found else (99, 0)


def learn(optimizer: Any) -> None:
    """Learn from the optimizer, after the first update."""
    import torch

    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if not parameters:
        return
    device = parameters[0].device
    group = optimizer.param_groups[0]
    names = {"lr": "learning_rate", "eps": "epsilon"}
    hyper = {names.get(k, k): v for k, v in group.items() if k != "params" and isinstance(v, (int, float, bool, tuple))}
    values = {
        "dtype": str(parameters[0].dtype).replace("torch.", ""),
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "parameters": sum(p.numel() for p in _whole_models(torch, parameters)),
        "optimizer": {"name": type(optimizer).__name__, **hyper},
        "device": f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device),
    }
    learn_versions()
    notes.learn({"update_chain": sites.chain() or None})
    cuda_hooks.arm_on(device)
    parity_facts.of_torch(torch)
    notes.learn({"compiled": False, **notes.learnt, **values} if "compiled" not in notes.learnt else values)


def _whole_models(torch: Any, parameters: List[Any]) -> List[Any]:
    """All parameters of the models that these belong to: frozen ones need not be in the optimizer.

    Nothing of a foreign object is looked at but its type.
    """
    known = {id(p): p for p in parameters}
    own = frozenset(known)
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.nn.Module) and "_parameters" in vars(thing):
            members = [p for p in torch.nn.Module.parameters(thing) if not torch.nn.parameter.is_lazy(p)]
            if not own.isdisjoint(map(id, members)):
                known.update((id(p), p) for p in members)
    return list(known.values())


def learn_versions() -> None:
    """Learn what needs no optimizer to look at."""
    import torch

    if not ("keras" in sys.modules and notes.learnt.get("framework") == "keras"):
        notes.learn({"framework": "torch", "version": torch.__version__.split("+")[0]})
    notes.learn(
        {
            "python": sys.version.split()[0],
            "executable": sys.executable,
            "threads": {"intra": torch.get_num_threads(), "inter": torch.get_num_interop_threads()},
        }
    )
