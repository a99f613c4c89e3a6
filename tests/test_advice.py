"""The advice against reality: each option that a line of advice names exists in the installed framework."""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fwtui.analysis.causes import CAUSES
from fwtui.analysis.rules_ranks import ADVICE, OTHERWISE

LINES = [(cause.code, framework, line) for cause in CAUSES for framework, line in cause.advice.items()]
LINES += [("straggler-rank", phase, line) for phase, line in [*ADVICE.items(), ("*", OTHERWISE)]]

_NAME = re.compile(r"(?<![\w.-])@?([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*|\.[A-Za-z_]\w*)(?=(\(|=)?)")
_QUOTED = re.compile(r"""(['"]).*?\1""")
PACKAGES = ("torch", "tf", "keras", "jax", "optax", "gc")
PLACES = {
    "DataLoader": "torch.utils.data.DataLoader",
    "collate_fn": "torch.utils.data.DataLoader(collate_fn)",
    "Dataset": "tf.data.Dataset",
    "PyDataset": "keras.utils.PyDataset",
    "__getitem__": "keras.utils.PyDataset.__getitem__",
    "ModelCheckpoint": "keras.callbacks.ModelCheckpoint",
    "on_epoch_end": "keras.callbacks.Callback.on_epoch_end",
    "on_train_batch_end": "keras.callbacks.Callback.on_train_batch_end",
    "compile": "keras.Model.compile",
    "fit": "keras.Model.fit",
    "GRU": "keras.layers.GRU",
    "RNN": "keras.layers.RNN",
    "map": "tf.data.Dataset.map",
    "cache": "tf.data.Dataset.cache",
    "set_float32_matmul_precision": "torch.set_float32_matmul_precision",
    "ds": "tf.data.Dataset",
    "loss": "torch.Tensor",
    "batch": "torch.Tensor",
    "model": "torch.nn.Module",
    "optimizer": "keras.optimizers.Optimizer",
    ".item": "torch.Tensor.item",
    ".map": "tf.data.Dataset.map",
    ".numpy": "tf.experimental.numpy.asarray",
    "losses": "builtins.list",
}
"""Where the names are that an advice writes without their package, as a program would."""
OPTIONS = {
    "jit_compile": ("keras.Model.compile", "tf.function"),
    "foreach": ("torch.optim.Adam",),
    "num_workers": ("torch.utils.data.DataLoader",),
}
"""Of which calls an option is that stands alone."""
ARGUMENTS = {"f", "n", "N", "cores", "cell", "device", "dtype", "batch", "loss", "model", "total"}
"""What the program itself would fill in."""
WORDS = {"TensorFlow", "NumPy", "output.log"}
"""Written like code, but names of projects and of a file in the run folder."""


def code_of(line: str) -> Iterator[tuple[str, str | None]]:
    """(name, None) of each name in a line of advice that is code, and (option, call it stands in) of each option."""
    line = _QUOTED.sub("''", line)
    for found in _NAME.finditer(line):
        name, after = found[1], found[2]
        if after == "=":
            yield name, _call_around(line, found.start())
        elif after == "(" or is_code(name):
            yield name, None


def is_code(name: str) -> bool:
    """Whether a word without parentheses is a name of a program's: `a.b`, `a_b`, or `AbCd`."""
    return "." in name.strip(".") or "_" in name or re.search(r"[a-z][A-Z]", name) is not None


def _call_around(line: str, at: int) -> str:
    """The name of the innermost call that is open at a place in a line; '' of none."""
    depth = 0
    for place in range(at - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(line[place], 0)
        if depth < 0:
            names = [found for found in _NAME.finditer(line[:place] + "(") if found.end() == place]
            return names[-1][1] if names else ""
    return ""


def whole(name: str) -> str:
    """A name with its package: `DataLoader` is torch.utils.data.DataLoader."""
    if name in PLACES:
        return PLACES[name]
    first, dot, rest = name.partition(".")
    if first in PACKAGES or first == "builtins":
        return name
    if first in PLACES and dot:
        return f"{PLACES[first]}.{rest}"
    return f"builtins.{name}" if hasattr(builtins, name) else ""


def resolve(path: str) -> Any:
    """The object of a dotted path, or of `path(parameter)`; raises AttributeError where there is none."""
    path, _, parameter = path.rstrip(")").partition("(")
    first, *rest = path.replace("tf.", "tensorflow.", 1).split(".") if path.startswith("tf.") else path.split(".")
    made = pytest.importorskip(first)
    for count, name in enumerate(rest, 1):
        if not hasattr(made, name) and hasattr(made, "__path__"):
            importlib.import_module(".".join((first, *rest[:count])))
        made = getattr(made, name)
    assert not parameter or takes(made, parameter), (path, parameter)
    return made


def takes(call: Any, option: str) -> bool:
    """Whether a callable has a parameter of this name; where its signature does not tell, whether its text names it."""
    try:
        parameters = inspect.signature(call).parameters
    except ValueError:  # written in C
        return option in (call.__doc__ or "")
    if option in parameters:
        return True
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return False
    bases = inspect.getmro(call)[1:-1] if inspect.isclass(call) else ()
    return any(takes(base, option) for base in bases) or f"{option} (" in (call.__doc__ or "")


@pytest.mark.parametrize(("code", "framework", "line"), LINES, ids=lambda value: str(value)[:24])
def test_every_piece_of_code_in_the_advice_has_a_known_place(code: str, framework: str, line: str) -> None:
    """So that the next test looks at all of it; no framework is needed to tell."""
    assert "\n" not in line
    for name, call in code_of(line):
        if call is None:
            assert whole(name) or name in ARGUMENTS | WORDS, f"{name} in {line!r}: where is it?"
        else:
            assert whole(call) if call else name in OPTIONS or name in ARGUMENTS, f"{name}= in {line!r}: of what?"


@pytest.mark.frameworks
@pytest.mark.parametrize(("code", "framework", "line"), LINES, ids=lambda value: str(value)[:24])
def test_every_option_in_the_advice_exists(code: str, framework: str, line: str) -> None:
    for name, call in code_of(line):
        if call is None and name not in ARGUMENTS | WORDS:
            resolve(whole(name))
        elif call is not None and name not in ARGUMENTS:
            calls = (whole(call),) if call else OPTIONS[name]
            assert all(takes(resolve(one), name) for one in calls), f"{name}= is no option of {calls}"


def test_an_option_that_does_not_exist_is_seen() -> None:
    assert list(code_of("use DataLoader(num_workers=2) or ds.batch(n).map(f), jit_compile=True")) == [
        ("DataLoader", None),
        ("num_workers", "DataLoader"),
        ("ds.batch", None),
        (".map", None),
        ("jit_compile", ""),
    ]

    def call(workers: int) -> int:
        return workers

    assert takes(call, "workers")
    assert not takes(call, "num_workers")
    with pytest.raises(AttributeError):
        resolve("gc.melt")
