"""The colours of each theme. A stall's orange against the line's blue holds for every kind of colour blindness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from textual.app import App
from textual.theme import Theme


@dataclass(frozen=True, slots=True)
class Palette:
    """One theme's colours; None for a background is the terminal's own."""

    background: str | None
    surface: str
    """Behind panels."""
    border: str
    inks: Mapping[str, str]
    phases: Mapping[str, str]
    shades: Mapping[str, str]
    """Chart backgrounds by the part of a run; empty: dots mark them instead."""
    dark: bool = True


INK_NAMES = (
    *("text", "strong", "dim", "faint", "line", "band", "rest", "stall", "good", "warn", "bad", "loss", "system"),
    *("onphase", "key", "notice", "area"),
)
BOLD = frozenset(("strong", "stall", "bad", "key", "notice"))

DARK = Palette(
    background="#121212",
    surface="#181818",
    border="#5f87af",
    inks={
        "text": "#d8d8d8",
        "strong": "#ffffff",
        "dim": "#8a8a8a",
        "faint": "#4e4e4e",
        "line": "#9ad8ff",
        "band": "#2f5f80",
        "rest": "#3c566a",
        "stall": "#ff6a3d",
        "good": "#35c79a",
        "warn": "#f0c040",
        "bad": "#ff5f5f",
        "loss": "#e6d95c",
        "system": "#35c79a",
        "area": "#1b4f3f",
        "onphase": "#101010",
        "key": "#9ad8ff",
        "notice": "#f0c040",
    },
    phases={
        "data": "#e69f00",
        "transfer": "#f2f2f2",
        "forward": "#a5714a",
        "backward": "#56b4e9",
        "optimizer": "#cc79a7",
        "compute": "#7f9fd8",
        "sync": "#d8c84a",
        "compile": "#9b8be0",
        "callbacks": "#e58a6a",
        "gc": "#c0c0c0",
        "unexplained": "#35c79a",
    },
    shades={"startup": "#1b2230", "warmup": "#231d2e", "evaluation": "#262016"},
)
LIGHT = Palette(
    background="#fafafa",
    surface="#ffffff",
    border="#2f6f9f",
    inks={
        "text": "#2a2a2a",
        "strong": "#000000",
        "dim": "#666666",
        "faint": "#b4b4b4",
        "line": "#00568f",
        "band": "#8fbbd8",
        "rest": "#9fb4c4",
        "stall": "#c73405",
        "good": "#006b47",
        "warn": "#7a5600",
        "bad": "#b3001e",
        "loss": "#6b5d00",
        "system": "#00805a",
        "area": "#a9d9c6",
        "onphase": "#101010",
        "key": "#00568f",
        "notice": "#7a5600",
    },
    phases={**DARK.phases, "transfer": "#cfcfcf", "gc": "#a8a8a8"},
    shades={"startup": "#e6ecf6", "warmup": "#efe6f6", "evaluation": "#f6f0dc"},
    dark=False,
)
HIGH_CONTRAST = replace(
    DARK,
    background="#000000",
    surface="#000000",
    border="#ffffff",
    inks={
        **DARK.inks,
        **{"text": "#ffffff", "dim": "#d0d0d0", "faint": "#9a9a9a", "line": "#5fe1ff", "band": "#3f8fff"},
        **{"rest": "#8fb0c8", "stall": "#ff8a3d", "good": "#3fffb0", "warn": "#ffe04d", "bad": "#ff7070"},
        **{
            "loss": "#fff04d",
            "system": "#3fffb0",
            "area": "#1f7a58",
            "onphase": "#000000",
            "key": "#5fe1ff",
            "notice": "#ffe04d",
        },
    },
    phases={**DARK.phases, "forward": "#d08a5a", "backward": "#6fcfff", "gc": "#e0e0e0"},
    shades={},
)
FEW = Palette(
    background=None,
    surface="ansi_black",
    border="ansi_cyan",
    inks={
        "text": "default",
        "strong": "bright_white",
        "dim": "white",
        "faint": "bright_black",
        "line": "bright_cyan",
        "band": "blue",
        "rest": "bright_black",
        "stall": "bright_red",
        "good": "bright_green",
        "warn": "bright_yellow",
        "bad": "bright_red",
        "loss": "yellow",
        "system": "bright_green",
        "area": "green",
        "onphase": "black",
        "key": "bright_cyan",
        "notice": "bright_yellow",
    },
    phases={
        "data": "yellow",
        "transfer": "bright_white",
        "forward": "red",
        "backward": "cyan",
        "optimizer": "magenta",
        "compute": "bright_blue",
        "sync": "bright_yellow",
        "compile": "blue",
        "callbacks": "bright_magenta",
        "gc": "white",
        "unexplained": "green",
    },
    shades={},
)
"""The sixteen colours that every terminal has, on its own background."""

PALETTES: Mapping[str, Palette] = {
    "dark": DARK,
    "light": LIGHT,
    "high-contrast": HIGH_CONTRAST,
    "16": FEW,
    "none": replace(FEW, inks=dict.fromkeys(FEW.inks, "default"), phases={}),
}


def textual_name(name: str) -> str:
    """Textual's theme of the same colours, for panels and dialogs."""
    return "ansi-dark" if PALETTES[name].background is None else f"fwtui-{name}"


def register(app: App[Any]) -> None:
    """Make the themes known to Textual."""
    for name, palette in PALETTES.items():
        if palette.background is None:
            continue
        app.register_theme(
            Theme(
                name=f"fwtui-{name}",
                primary=palette.border,
                secondary=palette.inks["line"],
                warning=palette.inks["warn"],
                error=palette.inks["bad"],
                success=palette.inks["good"],
                accent=palette.inks["key"],
                foreground=palette.inks["text"],
                background=palette.background,
                surface=palette.surface,
                panel=palette.surface,
                dark=palette.dark,
            )
        )
