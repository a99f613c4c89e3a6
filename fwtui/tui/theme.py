"""Colours and glyphs of the screen, for truecolor, 16-colour, colourless and ASCII terminals.

A cell's style is a small number: `ink + PAPERS * paper`, both indices into the tables below.
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

BACKGROUND = "#121212"

# name: (truecolor, 16 colours, attributes). Colourless screens keep the attributes only.
_INKS: dict[str, tuple[str, str, str]] = {
    "text": ("#d8d8d8", "white", ""),
    "strong": ("#ffffff", "bright_white", "bold"),
    "dim": ("#8a8a8a", "bright_black", "dim"),
    "faint": ("#4e4e4e", "bright_black", "dim"),
    "line": ("#9ad8ff", "bright_cyan", "bold"),
    "band": ("#2f5f80", "blue", "dim"),
    "rest": ("#3c566a", "bright_black", "dim"),
    "stall": ("#ff6a3d", "bright_red", "bold"),
    "good": ("#35c79a", "bright_green", "bold"),
    "warn": ("#f0c040", "bright_yellow", ""),
    "bad": ("#ff5f5f", "bright_red", "bold"),
    "loss": ("#e6d95c", "yellow", ""),
    "system": ("#35c79a", "green", ""),
    "onphase": ("#101010", "black", ""),
}
_PHASE_PAPERS: dict[str, tuple[str, str]] = {
    "data": ("#e69f00", "yellow"),
    "transfer": ("#f2f2f2", "bright_white"),
    "forward": ("#a5714a", "red"),
    "backward": ("#56b4e9", "cyan"),
    "optimizer": ("#cc79a7", "magenta"),
    "compute": ("#56b4e9", "cyan"),
    "sync": ("#d8c84a", "bright_yellow"),
    "compile": ("#9b8be0", "blue"),
    "callbacks": ("#e58a6a", "bright_magenta"),
    "gc": ("#c0c0c0", "white"),
    "unexplained": ("#35c79a", "green"),
}
_SHADES: dict[str, str] = {"startup": "#1b2230", "warmup": "#231d2e", "evaluation": "#262016"}
"""Chart backgrounds; where colours are few, blanks show a dot instead."""

INK = {name: index for index, name in enumerate(_INKS)}
PAPERS = 1 + len(PHASE_NAMES) + len(_SHADES)
PAPER = {name: 1 + index for index, name in enumerate((*PHASE_NAMES, *_SHADES))}
"""Paper 0 is the screen's own."""

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

BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = {
    **dict(zip(BLOCKS[1:], ".:-=+*##", strict=True)),
    **{"▲": "^", "│": "|", "┤": "|", "┼": "+", "─": "-", "▌": ">", "◀": "<", "·": ".", "–": "-", "…": "~", "░": "."},
    **{"━": "=", "╸": "-", "×": "x", "▏": "|", "└": "+", "≤": "<"},
}


def cell(ink: str, paper: str | None = None) -> int:
    """The style number of an ink on a paper."""
    return INK[ink] * PAPERS + (PAPER[paper] if paper else 0)


class Theme:
    """How style numbers and characters reach one kind of terminal.

    Args:
        colours: `truecolor`, `16` or `none`.
        ascii_only: draw without any character outside ASCII.
    """

    def __init__(self, colours: str = "truecolor", ascii_only: bool = False) -> None:
        self.colours = colours
        self.ascii_only = ascii_only
        self.dots = colours != "truecolor"
        """Whether shaded parts of the chart are marked by dots."""
        self.style = lru_cache(maxsize=None)(self._style)

    def _style(self, number: int) -> Style:
        ink, paper = divmod(number, PAPERS)
        truecolor, few, attributes = list(_INKS.values())[ink]
        style = Style.parse(attributes) if attributes and self.colours != "truecolor" else Style()
        if self.colours == "truecolor" and attributes == "bold":
            style = Style(bold=truecolor in ("#ffffff", "#ff6a3d", "#ff5f5f"))
        on = self._paper(paper)
        if self.colours == "none":
            return style + on
        return style + Style(color=truecolor if self.colours == "truecolor" else few) + on

    def _paper(self, paper: int) -> Style:
        if not paper:
            return Style()
        names: Mapping[int, str] = {index: name for name, index in PAPER.items()}
        name = names[paper]
        if name in _SHADES:
            return Style(bgcolor=_SHADES[name]) if self.colours == "truecolor" else Style()
        if self.colours == "none":  # neighbours differ by turns of reverse; letters say the phase
            return Style(reverse=bool(paper % 2), underline=not paper % 2)
        return Style(bgcolor=_PHASE_PAPERS[name][0 if self.colours == "truecolor" else 1])

    def letters(self, codes: np.ndarray) -> str:
        """A row of code points as text that this terminal can show."""
        text = codes.astype("<u4").tobytes().decode("utf-32-le", "replace")
        return "".join(map(_to_ascii, text)) if self.ascii_only else text


def _to_ascii(letter: str) -> str:
    if letter < "\x7f":
        return letter
    if "⠀" <= letter <= "⣿":
        return "*" if letter > "⠀" else " "
    return _ASCII.get(letter, "?")


def detect(environment: Mapping[str, str] | None = None, encoding: str | None = None) -> Theme:
    """The theme for this terminal, from NO_COLOR, COLORTERM, TERM and the encoding."""
    env = os.environ if environment is None else environment
    encoding = encoding or getattr(sys.__stdout__, "encoding", None) or locale.getpreferredencoding(False)
    ascii_only = "utf" not in encoding.lower() or bool(env.get("FWTUI_ASCII"))
    if env.get("NO_COLOR") or env.get("TERM") == "dumb":
        return Theme("none", ascii_only)
    term = env.get("TERM", "")
    rich_colours = env.get("COLORTERM", "").lower() in ("truecolor", "24bit") or "256" in term or "direct" in term
    return Theme("truecolor" if rich_colours else "16", ascii_only)
