"""Cell styles and glyphs for truecolor, 16-colour, colourless and ASCII terminals.

A cell's style is a small number: `ink + PAPERS * paper`, both indices into the tables below. Every phase is an ink and
a paper.
"""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from rich.style import Style

from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.tui.palettes import BOLD, INK_NAMES, PALETTES
from fwtui.view.letters import to_ascii

THEMES = tuple(PALETTES)
SHADES = ("startup", "warmup", "evaluation")
_INKS = (*INK_NAMES, *PHASE_NAMES)
_PAPERS = ("", *PHASE_NAMES, *SHADES)
"""The first paper is the screen's own."""
INK = {name: index for index, name in enumerate(_INKS)}
PAPER = {name: index for index, name in enumerate(_PAPERS)}
PAPERS = len(_PAPERS)

STATE_INK = {
    "pending": "dim",
    "starting": "warn",
    "compiling": "warn",
    "training": "text",
    "waiting": "dim",
    "evaluating": "text",
    "stalled": "stall",
    "hung": "bad",
    "finished": "good",
    "failed": "bad",
    "killed": "bad",
    "stopped": "warn",
    "lost": "bad",
}
SEVERITY_INK = {"critical": "bad", "warning": "stall", "note": "dim"}

_NO_COLOUR_ATTRIBUTES = {"dim": "dim", "faint": "dim", "band": "dim", "rest": "dim"}


@lru_cache(maxsize=512)
def cell(ink: str, paper: str | None = None) -> int:
    """The style number of an ink on a paper."""
    return INK[ink] * PAPERS + (PAPER[paper] if paper else 0)


class Theme:
    """How style numbers and characters reach one kind of terminal.

    Args:
        name: one of `THEMES`.
        ascii_only: draw without any character outside ASCII.
    """

    def __init__(self, name: str = "dark", ascii_only: bool = False) -> None:
        self.name = name
        self.ascii_only = ascii_only
        self.palette = PALETTES[name]
        self.plain = name == "none"
        self.few = self.palette.background is None
        """Whether the terminal's own sixteen colours, or none, are used."""
        self.dots = not self.palette.shades
        """Whether shaded parts of the chart are marked by dots."""
        self.style = lru_cache(maxsize=None)(self._style)

    def _style(self, number: int) -> Style:
        ink, paper = divmod(number, PAPERS)
        name, on = _INKS[ink], self._paper(_PAPERS[paper])
        if self.plain:
            attributes = "bold" if name in BOLD or name == "line" else _NO_COLOUR_ATTRIBUTES.get(name, "")
            return (Style.parse(attributes) if attributes else Style()) + on
        colour = self.palette.inks.get(name) or self.palette.phases[name]
        bold = name in BOLD and not paper
        return Style(color=colour, bold=bold or None) + on

    def _paper(self, name: str) -> Style:
        if name in SHADES:
            colour = self.palette.shades.get(name)
            return Style(bgcolor=colour) if colour else Style()
        if not name:
            return Style()
        if self.plain:  # neighbours differ by turns of reverse; letters say the phase
            odd = PHASE_NAMES.index(name) % 2
            return Style(reverse=not odd, underline=bool(odd))
        return Style(bgcolor=self.palette.phases[name])

    def letters(self, codes: np.ndarray) -> str:
        """A row of code points as text that this terminal can show."""
        text = codes.astype("<u4").tobytes().decode("utf-32-le", "replace")
        return self.words(text) if self.ascii_only else text

    def words(self, text: str) -> str:
        """Text in letters that this terminal can show."""
        return to_ascii(text) if self.ascii_only else text


def detect(environment: Mapping[str, str] | None = None, encoding: str | None = None) -> Theme:
    """The theme for this terminal, from NO_COLOR, COLORTERM, TERM and the encoding."""
    env = os.environ if environment is None else environment
    encoding = encoding or getattr(sys.__stdout__, "encoding", None) or locale.getpreferredencoding(False)
    ascii_only = "utf" not in encoding.lower() or bool(env.get("FWTUI_ASCII"))
    if env.get("NO_COLOR") or env.get("TERM") == "dumb":
        return Theme("none", ascii_only)
    term = env.get("TERM", "")
    many = env.get("COLORTERM", "").lower() in ("truecolor", "24bit") or "256" in term or "direct" in term
    return Theme("dark" if many else "16", ascii_only)
