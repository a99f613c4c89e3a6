"""A step as a stacked bar of its phases: the phase that swells is the cause."""

from __future__ import annotations

from collections.abc import Mapping

from fwtui.recording.vocabulary import PHASES
from fwtui.tui.cells import Canvas


def draw(canvas: Canvas, row: int, column: int, width: int, phases_ms: Mapping[str, float], full_ms: float) -> None:
    """Draw phases on `width` cells that stand for `full_ms`; each part carries as much of its name as fits."""
    if width < 1 or full_ms <= 0:
        return
    passed = 0.0
    for phase in PHASES:
        ms = phases_ms.get(phase.name) or 0.0
        first = round(min(passed / full_ms, 1) * width)
        passed += ms
        last = round(min(passed / full_ms, 1) * width)
        if last > first:
            text = _label((phase.name, phase.short), phase.letter, ms, last - first)
            canvas.put(row, column + first, text.ljust(last - first), "onphase", phase.name)


def letter(phase: str) -> str:
    """A phase's letter."""
    return next((one.letter for one in PHASES if one.name == phase), "?")


def _label(names: tuple[str, str], letter: str, ms: float, width: int) -> str:
    """The longest wording that fits; whole names before figures, as a reader must know what it is first."""
    name, short = names
    for text in (f" {name} {_ms(ms)}", f"{name} {_ms(ms)}", name, f"{short} {_ms(ms)}", short, letter):
        if len(text) < width or (len(text) == width and len(text) < 4):
            return text
    return ""


def _ms(ms: float) -> str:
    """Figures only: the row's label carries the unit."""
    return f"{ms:.0f}" if ms >= 9.95 else f"{ms:.1f}" if ms >= 0.95 else f"{ms:.2f}"
