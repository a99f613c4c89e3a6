"""How a value with a unit is written, in one table for every surface. Unknown (`None`, NaN) reads `n/a`, never 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from fwtui.analysis.results import Lost

NOT_KNOWN = "n/a"
LEAST_TOLD = 0.001


def show(value: float | None, unit: str) -> str:
    """`show(5.013, "ms")` is `5.01 ms`; `unit` is a key of `UNITS`."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    return UNITS[unit](value)


def digits(value: float) -> str:
    """Three significant digits, never an exponent: `0.031`, `5.01`, `128`, `12,400`."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude >= 2:
        return f"{value:,.0f}"
    return f"{value:.{min(2 - magnitude, 6)}f}"


def _ms(value: float) -> str:
    if 0 < abs(value) < 0.0005:
        return "<0.001 ms"
    if abs(value) < 0.1:
        return f"{value:.3f} ms" if value else "0 ms"
    return f"{digits(value)} ms" if abs(value) < 10_000 else _seconds(value / 1000)


def _seconds(value: float) -> str:
    if abs(value) < 59.5:
        return f"{digits(value)} s" if abs(value) < 10 else f"{value:.0f} s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1000:
            return f"{digits(value) if unit != 'B' else f'{value:.0f}'} {unit}"
        value /= 1024
    return f"{digits(value)} TiB"


def _share(value: float) -> str:
    if value == 0:
        return "0 %"
    return f"{value * 100:.0f} %" if abs(value) >= 0.01 else f"{value * 100:.1f} %"


def _suffixed(unit: str) -> Callable[[float], str]:
    return lambda value: f"{digits(value)} {unit}"


UNITS: dict[str, Callable[[float], str]] = {
    "ms": _ms,
    "s": _seconds,
    "it/s": _suffixed("it/s"),
    "samples/s": _suffixed("samples/s"),
    "bytes": _bytes,
    "bytes/s": lambda value: f"{_bytes(value)}/s",
    "share": _share,
    "cores": lambda value: f"{value:.2f} cores",
    "x": lambda value: f"{value:.2f}x",
    "count": lambda value: f"{value:,.0f}",
    "number": lambda value: f"{value:.4g}",
    "W": lambda value: f"{value:.0f} W",
    "MHz": lambda value: f"{value:.0f} MHz",
    "°C": lambda value: f"{value:.0f} °C",
}
"""Unit → how a known value in it is written."""


def lost_words(lost: Sequence[Lost]) -> str:
    """`slow-callback 12 %, forward 1 %`: lost time by cause, or by the phase that swelled where no cause is known."""
    parts = [f"{part.code or part.phase} {show(part.share, 'share')}" for part in lost if part.share >= LEAST_TOLD]
    return ", ".join(parts) or NOT_KNOWN
