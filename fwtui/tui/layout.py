"""Where the lanes' panes go on a screen of a given size. Pure: sizes in, places out."""

from __future__ import annotations

from dataclasses import dataclass, replace

PANE_WIDTH = 36
PANE_HEIGHT = 7
"""A narrower or lower pane says too little: fewer lanes are shown then, and one pages through them."""
RACE_WIDTH, RACE_HEIGHT = 60, 8
"""Bars are drawn on a screen of this width, while panes keep this height."""
AIRY_HEIGHT = 24
"""Above panes of this height the bars are set apart by an empty row."""
LEAST_WIDTH, LEAST_HEIGHT = 20, 6
"""Below this the screen only says that it is too small."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How many panes stand side by side and below each other, and which lanes they show."""

    columns: int
    rows: int
    lanes: tuple[int, ...]
    page: int
    pages: int
    race: int = 0
    """Rows of the lanes' bars above the panes."""
    notice: int = 0
    """Rows of the notice below them."""


def place(width: int, height: int, count: int, focused: int, notice: bool) -> Layout:
    """Everything on a screen of `width` x `height`: the top line, bars where panes stay high enough, panes, keys."""
    rows = height - 2 - notice
    with_race = arrange(width, rows - count, count, focused)
    if count > 1 and width >= RACE_WIDTH and with_race.pages == 1 and (rows - count) // with_race.rows >= RACE_HEIGHT:
        apart = int((rows - count) // with_race.rows >= AIRY_HEIGHT)
        return replace(with_race, race=count + apart, notice=int(notice))
    return replace(arrange(width, rows, count, focused), notice=int(notice))


def arrange(width: int, height: int, count: int, focused: int, alone: bool = False) -> Layout:
    """Place `count` lanes on `width` x `height` cells: evenly, as many side by side as are wide enough.

    Args:
        width: cells of the lanes' part of the screen.
        height: likewise.
        count: lanes of the run.
        focused: the lane that is shown in any case.
        alone: show that lane only.
    """
    if count <= 1 or alone:
        return Layout(1, 1, tuple(range(count))[focused : focused + 1], 0, 1)
    across = max(1, min(count, width // PANE_WIDTH))
    down = max(1, height // PANE_HEIGHT)
    shown = min(count, across * down)
    rows = -(-shown // across)
    columns = -(-shown // rows)
    pages = -(-count // shown)
    page = min(focused // shown, pages - 1)
    first = min(page * shown, count - shown)  # the last page is full as well
    return Layout(columns, rows, tuple(range(first, first + shown)), page, pages)
