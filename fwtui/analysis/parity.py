"""Parity before any verdict: what must be equal between lanes, what may differ if named, and what is not known."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fwtui.analysis.results import ParityItem, UnfairReason

EQUAL, UNFAIR, CONDITION, NOT_KNOWN = "equal", "unfair", "condition", "not known"
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list."""

    name: str
    read: Callable[[Facts], Any]
    """The lane's value; None: not known."""
    fatal: bool
    """Whether a difference is unequal work; else it is a named condition."""
    always: bool = True
    """Shown even when no lane knows it."""
    scaled: bool = False
    """A difference is put right by counting per sample or per update."""


def _fact(path: str) -> Callable[[Facts], Any]:
    def read(facts: Facts) -> Any:
        value: Any = facts
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    return read


_BETAS = ("beta_1", "beta_2")


def _hyper(facts: Facts) -> Any:
    """Betas, momentum and weight decay, under the names that both frameworks' settings come to."""
    settings = _fact("optimizer")(facts)
    if not isinstance(settings, Mapping):
        return None
    values = dict(settings)
    for name, value in zip(_BETAS, values.pop("betas", None) or (), strict=False):
        values[name] = value
    shown = [f"{name} {values[name]:g}" for name in _BETAS if isinstance(values.get(name), (int, float))]
    for name in ("momentum", "weight_decay", "amsgrad", "nesterov"):
        if values.get(name):
            shown.append(f"{name} {float(values[name]):g}")
    return ", ".join(shown) or None


_LOSSES = {
    "mean squared error": ("mse", "meansquarederror", "mseloss"),
    "cross-entropy": (
        "crossentropy",
        "sparsecategoricalcrossentropy",
        "categoricalcrossentropy",
        "sparsecrossentropy",
        "crossentropyloss",
        "nllloss",
        "nllloss2d",
    ),
    "binary cross-entropy": ("binarycrossentropy", "bceloss", "bcewithlogitsloss", "binarycrossentropywithlogits"),
    "mean absolute error": ("mae", "meanabsoluteerror", "l1loss"),
}
_LOSS_NAMES = {word: name for name, words in _LOSSES.items() for word in words}


def _loss(facts: Facts) -> Any:
    name = facts.get("loss")
    if not name:
        return None
    plain = re.sub(r"backward\d*$", "", re.sub(r"[^a-z0-9]", "", str(name).lower()))
    return _LOSS_NAMES.get(plain, str(name))


_PRECISIONS = {"bfloat16": "bf16", "mixed_bfloat16": "mixed_bf16", "float16": "fp16", "mixed_float16": "mixed_fp16"}


def _precision(facts: Facts) -> Any:
    """What is computed in: the dtype, `mixed_…` under autocast or a mixed policy, `tf32` where products are cut."""
    name = facts.get("precision")
    if name is None and facts.get("autocast"):
        name = f"mixed_{str(facts['autocast']).replace('torch.', '')}"
    if name is None:
        name = facts.get("dtype")
    if name == "float32" and facts.get("tf32") and str(facts.get("device", "")).startswith("cuda"):
        name = "tf32"
    return None if name is None else _PRECISIONS.get(str(name), str(name))


def _products(facts: Facts) -> Any:
    """How float32 products are computed where that is the program's choice: `highest`, `high` or `medium`.

    TensorFlow takes fewer bits on GPUs only; there the precision tells it.
    """
    if facts.get("backend") == "tensorflow" or facts.get("framework") == "tensorflow":
        return "highest" if str(facts.get("device", "cpu")).startswith("cpu") else None
    return facts.get("float32_products")


def _input(facts: Facts) -> Any:
    shape = facts.get("batch_shape")
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) < 2:
        return None
    return math.prod(int(extent) for extent in shape[1:] if extent) or None


def _device(facts: Facts) -> Any:
    return str(facts["device"]).split(":")[0].split(" ")[0] if facts.get("device") else None


def _last_batch(facts: Facts) -> Any:
    """`dropped`, `short`, or `whole` where the batches come out even."""
    samples, size, dropped = facts.get("samples_per_epoch"), facts.get("batch_size"), facts.get("drop_last")
    if samples and size and int(samples) % int(size) == 0:
        return "whole"
    if dropped is not None:
        return "dropped" if dropped else "short"
    updates = facts.get("updates_per_epoch")
    if not (samples and size and updates):
        return None
    return {int(samples) // int(size): "dropped", -(-int(samples) // int(size)): "short"}.get(int(updates))


CHECKS = (
    Check("updates in all", _fact("updates_in_all"), True, False, True),
    Check("optimizer updates per epoch", _fact("updates_per_epoch"), True, True, True),
    Check("samples per epoch", _fact("samples_per_epoch"), True, True, True),
    Check("batch size", _fact("batch_size"), True, True, True),
    Check("last batch", _last_batch, False),
    Check("shuffle", _fact("shuffle"), False),
    Check("input values a sample", _input, True),
    Check("parameters", _fact("parameters"), True),
    Check("trainable parameters", _fact("trainable_parameters"), True),
    Check("precision", _precision, True),
    Check("float32 products", _products, False, False),
    Check("optimizer", _fact("optimizer.name"), True),
    Check("learning rate", _fact("optimizer.learning_rate"), False),
    Check("epsilon", _fact("optimizer.epsilon"), False),
    Check("other hyper-parameters", _hyper, False, False),
    Check("loss", _loss, True),
    Check("loss reduction", _fact("reduction"), False, False),
    Check("validation in training", _fact("validates"), False),
    Check("compiling in training", _fact("compiling"), False, False),
    Check("device", _device, True),
    Check("threads", _fact("threads.intra"), False),
    Check("compiled", _fact("compiled"), False),
    Check("XLA", _fact("jit_compile"), False, False),
    Check("steps per execution", _fact("steps_per_execution"), False, False),
    Check("layout", _fact("layout"), False, False),
)


def parity_list(lanes: Sequence[tuple[str, Facts]]) -> tuple[ParityItem, ...]:
    """The list with a mark each.

    Args:
        lanes: (name, facts) of each, at least two.
    """
    items = []
    for check in CHECKS:
        values = [check.read(facts) for _, facts in lanes]
        known = [value for value in values if value is not None]
        if not known and not check.always:
            continue
        equal = _same(known) if len(known) == len(values) else None
        if len(known) > 1 and not _same(known):
            equal = False
        mark = EQUAL if equal else NOT_KNOWN if equal is None else UNFAIR if check.fatal else CONDITION
        shown = tuple((name, _shown(value)) for (name, _), value in zip(lanes, values, strict=True))
        items.append(ParityItem(check.name, shown, equal, check.fatal, mark))
    return tuple(items)


def _same(values: Sequence[Any]) -> bool:
    if all(isinstance(value, (int, float)) for value in values):
        return all(math.isclose(float(value), float(values[0]), rel_tol=1e-5) for value in values)
    return all(str(value).lower() == str(values[0]).lower() for value in values)


def _shown(value: Any) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def unfair_reasons(items: Sequence[ParityItem]) -> tuple[UnfairReason, ...]:
    """Why the lanes do unequal work: one reason for each difference that matters."""
    return tuple(
        UnfairReason(item.name.replace(" ", "-"), ", ".join(f"{lane}: {value}" for lane, value in item.values))
        for item in items
        if item.mark == UNFAIR
    )


_SCALED = frozenset(check.name for check in CHECKS if check.scaled)


def can_be_scaled(items: Sequence[ParityItem]) -> bool:
    """Whether all that is unequal is how much a step holds, so that counting per sample or per update is fair."""
    return all(item.name in _SCALED for item in items if item.mark == UNFAIR)
