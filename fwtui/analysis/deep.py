"""A profiler's operations into phases, by their names: a sampled estimate of what a fused step does inside.

TensorFlow puts gradients under `gradient_tape`, JAX differentiates as `transpose(jvp(…))`, and an optimizer's
operations lie under its name. What has no name of its own (copies that XLA added) is left `unexplained`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

DEEP_PHASES = ("forward", "backward", "optimizer", "data", "unexplained")
OPTIMIZERS = frozenset(
    (
        *("adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion"),
        *("loss_scale_optimizer", "muon", "nadam", "rmsprop", "sgd"),
    )
)
"""Names under which optimizers put their operations; `adam_1` is `adam`."""
_UPDATES = re.compile(r"Resource(Sparse)?Apply\w+|Assign(Add|Sub)?VariableOp|ResourceScatter\w+")
_COLLECTIVE = re.compile(r"Collective(Reduce|Gather|AllToAll|Broadcast)|Nccl|all[-_]reduce|all[-_]gather|psum|c10d::")
_COUNTER = re.compile(r"_\d+$")
_MOST = 8
"""Top operations that are kept."""


def split(
    operations: Sequence[Sequence[Any]],
    rest_ns: float,
    busy_ns: float,
    whole_ns: float | None,
    optimizer: str | None = None,
) -> tuple[dict[str, float], list[tuple[str, float, float]]] | None:
    """(share of the whole by phase, top operations as (name, ns, share)); None of nothing.

    Args:
        operations: rows `[name, kind, group, wall ns, calls]` of `deep.json`.
        rest_ns: wall time of the operations that have no row.
        busy_ns: wall time in which any operation ran.
        whole_ns: what the steps of the window took; the part of it that no operation explains is `unexplained`. None,
            or less than `busy_ns` (a device works on while the host runs ahead): the busy time is the whole.
        optimizer: the name of the program's optimizer, when it is known.
    """
    whole = max(busy_ns, whole_ns or 0.0)
    if whole <= 0:
        return None
    phases = dict.fromkeys(DEEP_PHASES, 0.0)
    by_kind: dict[str, float] = {}
    for name, kind, group, wall_ns, _ in operations:
        phases[phase_of(str(name), str(kind), str(group), optimizer)] += float(wall_ns)
        shown = _shown(str(name), str(kind))
        by_kind[shown] = by_kind.get(shown, 0.0) + float(wall_ns)
    phases["unexplained"] += rest_ns + max(0.0, whole - sum(phases.values()) - rest_ns)
    top = sorted(by_kind.items(), key=lambda item: -item[1])[:_MOST]
    total = sum(phases.values())
    return {name: ns / total for name, ns in phases.items()}, [(name, ns, ns / total) for name, ns in top]


def phase_of(name: str, kind: str, group: str, optimizer: str | None = None) -> str:
    """The phase of an operation."""
    if group in ("forward", "backward", "optimizer"):
        return group
    if group == "input":
        return "data"
    if not name or kind == "kernel" or is_collective(name, kind):
        return "unexplained"
    if "gradient_tape/" in name or "transpose(" in name:
        return "backward"
    scopes = {_COUNTER.sub("", part).lower() for part in re.split(r"[/()]", name)}
    if scopes & OPTIMIZERS or (optimizer and optimizer.lower() in scopes):
        return "optimizer"
    if _UPDATES.fullmatch(kind) and not re.search(r"norm|metric|moving|AssignMovingAvg", name, re.IGNORECASE):
        return "optimizer"
    if name.startswith("jit(") and "jvp(" not in name:
        return "optimizer"  # in a jitted update, what is neither differentiated nor a gradient applies it
    return "forward"


def is_collective(name: str, kind: str) -> bool:
    """Whether an operation waits for other ranks or replicas."""
    return bool(_COLLECTIVE.search(kind) or _COLLECTIVE.search(name))


def collective_ns(operations: Sequence[Sequence[Any]]) -> float:
    """Wall time of the operations that wait for other ranks or replicas."""
    return sum(float(row[3]) for row in operations if is_collective(str(row[0]), str(row[1])))


def _shown(name: str, kind: str) -> str:
    """How an operation is told: its kind and where in the model it is."""
    if kind == "torch" or not name:
        return name or kind
    path = name.removeprefix("jit(").replace("gradient_tape/", "∇").split("/")
    where = [part for part in path[:-1] if part and not part.startswith(("StatefulPartitionedCall", "train_step)"))]
    last = _COUNTER.sub("", path[-1])
    operation = last if re.search(r"[.\d]", kind) or "fusion" in kind else kind.removeprefix("_Mkl")
    return f"{'/'.join(where[-2:])}/{operation}" if where else operation
