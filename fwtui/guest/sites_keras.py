"""How a Keras model was compiled, and where; and its recurrent layers that cannot be fused."""

from __future__ import annotations

from typing import Any, List

from fwtui.guest import notes, sites


def arm(module: Any) -> None:
    """Watch `compile` and the beginning of `fit`."""
    sites.after(module.Trainer, "compile", _compiled)


def _compiled(model: Any, *_: Any, **__: Any) -> None:
    notes.learn(
        {
            "compile_at": sites.here(),
            "run_eagerly": bool(getattr(model, "run_eagerly", False)),
            "cores": sites.cores(),
            "unfused_layers": _unfused(model) or None,
            "layout": _layout(model),
        }
    )


def _layers(model: Any) -> List[Any]:
    flatten = getattr(model, "_flatten_layers", None)
    return list(flatten()) if flatten is not None else []


def _unfused(model: Any) -> List[str]:
    """Recurrent layers without a fused kernel: a bare `RNN` over a cell, unrolled, or with recurrent dropout."""
    found = []
    for layer in _layers(model):
        name = type(layer).__name__
        if name == "RNN" or (
            name in ("LSTM", "GRU") and (getattr(layer, "unroll", False) or getattr(layer, "recurrent_dropout", 0))
        ):
            found.append(f"{layer.name} ({name}{', unroll=True' if getattr(layer, 'unroll', False) else ''})")
    return found[:5]


def _layout(model: Any) -> Any:
    """How convolutions lie in memory; None of a model without."""
    formats = {getattr(layer, "data_format", None) for layer in _layers(model) if "Conv" in type(layer).__name__}
    names = {"channels_last": "nhwc", "channels_first": "nchw"}
    return names.get(str(formats.pop())) if len(formats) == 1 else None
