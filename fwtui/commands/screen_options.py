"""How the screen is to be drawn: the options that every command with a screen shares."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fwtui.commands.parser import one_of, positive_seconds

if TYPE_CHECKING:
    from fwtui.tui.config import Config

THEMES = ("dark", "light", "high-contrast", "16", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Theme, glyphs, mouse, synchronised updates, frames a second."""
    group = parser.add_argument_group("the screen")
    group.add_argument("--theme", type=one_of("theme", *THEMES), help="|".join(THEMES) + " (as the terminal says)")
    group.add_argument("--ascii", action="store_true", help="draw without braille, blocks and lines")
    group.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    group.add_argument("--no-sync", action="store_true", help="no synchronised updates, which some tmux redraw badly")
    group.add_argument("--fps", type=positive_seconds, metavar="N", help="frames a second while nothing moves fast (4)")


def config(arguments: argparse.Namespace) -> Config:
    """The user's configuration file with what the command line says put over it."""
    from dataclasses import replace

    from fwtui.tui.config import read

    found = read()
    return replace(
        found,
        theme=arguments.theme or found.theme,
        ascii=arguments.ascii or found.ascii,
        mouse=found.mouse and not arguments.no_mouse,
        sync=found.sync and not arguments.no_sync,
        fps=min(arguments.fps, 30.0) if arguments.fps else found.fps,
    )
