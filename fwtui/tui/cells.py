"""A grid of cells, and the widget that shows one and refreshes only what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from unicodedata import combining

import numpy as np
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from fwtui.tui.theme import PAPERS, Theme, cell

_BLANK = 32
_GAP = 8
"""So many unchanged cells between two changed ones are skipped; fewer are sent again, as a jump costs as much."""


_MOVE_CELLS = 8
"""Moving a part of a row costs about as much as writing so many cells."""


@dataclass(frozen=True, slots=True)
class Move:
    """Cells of a row that went to the left: what stands from `first` + `by` on stands from `first` on, up to `last`."""

    first: int
    last: int
    by: int


class Canvas:
    """Characters and styles of `height` x `width` cells; writing outside is clipped."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = max(0, height), max(0, width)
        self.codes = np.full((self.height, self.width), _BLANK, dtype=np.uint32)
        self.styles = np.full((self.height, self.width), cell("text"), dtype=np.uint16)
        self.links: dict[int, str] = {}
        """By row: the action that a click on it runs."""

    def put(self, row: int, column: int, text: str, ink: str = "text", paper: str | None = None) -> int:
        """Write text; returns the column after it. Control and wide characters become `?`."""
        end = column + len(text)
        if not 0 <= row < self.height or column >= self.width or end <= 0:
            return end
        first, last = max(0, column), min(self.width, end)
        self.codes[row, first:last] = _codes_of(text)[first - column : last - column]
        self.styles[row, first:last] = cell(ink, paper)
        return end

    def right(self, row: int, end: int, text: str, ink: str = "text") -> int:
        """Write text that ends before column `end`; returns where it starts."""
        self.put(row, end - len(text), text, ink)
        return end - len(text)

    def paste(self, other: Canvas, row: int, column: int) -> None:
        """Copy another canvas onto this one; what lies outside is left out."""
        height, width = min(other.height, self.height - row), min(other.width, self.width - column)
        if height > 0 and width > 0:
            self.codes[row : row + height, column : column + width] = other.codes[:height, :width]
            self.styles[row : row + height, column : column + width] = other.styles[:height, :width]
            self.links |= {row + line: action for line, action in other.links.items() if line < height}

    def copy(self) -> Canvas:
        """The same cells in memory of their own."""
        made = Canvas(0, 0)
        made.height, made.width = self.height, self.width
        made.codes, made.styles, made.links = self.codes.copy(), self.styles.copy(), dict(self.links)
        return made

    def top(self, rows: int) -> Canvas:
        """The first rows as a canvas of their own."""
        made = Canvas(rows, self.width)
        made.paste(self, 0, 0)
        return made


def _joined(codes: np.ndarray, styles: np.ndarray) -> np.ndarray:
    """Styles with each blank in the style of the cell before it, where both have the screen's own paper."""
    blank = (codes == _BLANK) & (styles % PAPERS == 0)
    source = np.maximum.accumulate(np.where(blank, 0, np.arange(len(codes))))
    before = styles[source]
    result: np.ndarray = np.where(blank & (before % PAPERS == 0), before, styles)
    return result


@lru_cache(maxsize=4096)
def _codes_of(text: str) -> np.ndarray:
    """Code points of a text whose every letter takes one cell; the same words are written again and again."""
    if not text.isascii() or not text.isprintable():
        text = "".join(map(_one_cell, text))
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _one_cell(letter: str) -> str:
    return letter if letter.isprintable() and not combining(letter) and cell_len(letter) == 1 else "?"


def clip(text: str, width: int) -> str:
    """Text cut to a width, with `…` where something is missing."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…" * (width > 0)


class CellGrid(Widget, can_focus=False):
    """Shows a canvas by the line API."""

    def __init__(self, theme: Theme, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.cell_theme = theme
        self.canvas = Canvas(0, 0)
        self._strips: dict[int, Strip] = {}
        """Rows as they were rendered, until they change."""
        self._strips_of: tuple[object, ...] = ()
        self._styles: dict[int, Style] = {}
        """Styles by their number, on the widget's own background."""
        self.cells_sent = 0
        """Cells refreshed so far: what the invariant tests look at."""
        self.moves: dict[int, Move] = {}
        """By row: what the terminal is told to move before changed cells are written. The compositor takes them."""

    def show(self, canvas: Canvas, move: Move | None = None) -> None:
        """Take a new canvas; refresh the changed part of each changed row.

        Args:
            canvas: what is shown from now on.
            move: what happened to most rows, if it is known.
        """
        old, self.canvas = self.canvas, canvas
        if old.codes.shape != canvas.codes.shape:
            self._strips.clear()
            self.refresh()
            return
        changed = (old.codes != canvas.codes) | (old.styles != canvas.styles)
        if move is not None and 0 < move.by < move.last - move.first and self._moves_reach_the_terminal():
            changed = self._moved(old, changed, move)
        self._refresh_changed(changed)

    def _moves_reach_the_terminal(self) -> bool:
        """Whether the next partial update comes from this very grid's screen, and knows moves."""
        moving: set[CellGrid] | None = getattr(self.screen._compositor, "moving", None)
        if moving is None or self.moves or not self.screen.is_current:
            return False
        moving.add(self)
        return True

    def _moved(self, old: Canvas, changed: np.ndarray, move: Move) -> np.ndarray:
        """Which cells change besides the move, in rows where that is less than all that changes."""
        now, part = self.canvas, slice(move.first, move.last)
        source, target = slice(move.first + move.by, move.last), slice(move.first, move.last - move.by)
        after = changed.copy()
        after[:, part] = True
        after[:, target] = old.codes[:, source] != now.codes[:, target]
        after[:, target] |= old.styles[:, source] != now.styles[:, target]
        rows = np.flatnonzero(after[:, part].sum(axis=1) + _MOVE_CELLS < changed[:, part].sum(axis=1))
        self.moves = dict.fromkeys(rows.tolist(), move)
        changed[rows] = after[rows]
        return changed

    def show_top(self, top: Canvas) -> None:
        """Take new cells for the first rows alone."""
        codes, styles = self.canvas.codes[: top.height], self.canvas.styles[: top.height]
        changed = (codes != top.codes) | (styles != top.styles)
        codes[:], styles[:] = top.codes, top.styles
        self._refresh_changed(changed)

    def _refresh_changed(self, changed: np.ndarray) -> None:
        """Refresh the cells of the first rows that changed, those that lie near each other as one."""
        rows, columns = (axis.tolist() for axis in np.nonzero(changed))
        if not rows:
            return
        regions = []
        first = 0
        for place in range(1, len(rows) + 1):
            if place < len(rows) and rows[place] == rows[first] and columns[place] - columns[place - 1] <= _GAP:
                continue
            width = columns[place - 1] - columns[first] + 1
            regions.append(Region(columns[first], rows[first], width, 1))
            self._strips.pop(rows[first], None)
            self.cells_sent += width
            first = place
        self._dirty_regions.clear()  # Textual leaves them to grow where render_line is overridden
        self.refresh(*regions)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some rows; without Textual's cache of borders and paddings, as there are none."""
        whole = crop.x == 0 and crop.right >= self.size.width
        lines = (self.render_line(y) for y in range(crop.y, crop.bottom))
        return [line if whole else line.crop(crop.x, crop.right) for line in lines]

    def render_line(self, y: int) -> Strip:
        self._forget_other_themes()
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._render_row(y)
        return strip

    def pieces(self, row: int, left: int, right: int) -> Iterator[tuple[str, Style]]:
        """Some cells of a row as runs of one style: what a partial update writes."""
        self._forget_other_themes()
        canvas = self.canvas
        last = min(right, canvas.width) if row < canvas.height else left
        if last > left:
            codes = canvas.codes[row, left:last]
            text, first = self.cell_theme.letters(codes), 0
            numbers = canvas.styles[row, left:last].tolist()
            before = now = numbers[0]
            for place, (code, number) in enumerate(zip(codes.tolist(), numbers, strict=True)):
                if code != _BLANK or number % PAPERS:
                    before = number
                elif not before % PAPERS:  # a blank on the screen's own paper is written in any ink
                    number = before
                if number != now:
                    yield text[first:place], self._style(now)
                    first, now = place, number
            yield text[first:], self._style(now)
        if last < right:
            yield " " * (right - max(left, last)), self.rich_style

    def _style(self, number: int) -> Style:
        style = self._styles.get(number)
        if style is None:
            style = self._styles[number] = self.rich_style + self.cell_theme.style(number)
        return style

    def _forget_other_themes(self) -> None:
        made_for = (self.cell_theme, self.size.width)
        if made_for != self._strips_of:
            self._strips.clear()
            self._styles.clear()
            self._strips_of = made_for

    def notify_style_update(self) -> None:
        """The theme's background is part of every row."""
        self._strips.clear()
        self._styles.clear()
        super().notify_style_update()

    def _render_row(self, y: int) -> Strip:
        canvas, width = self.canvas, self.size.width
        if y >= canvas.height:
            return Strip.blank(width, self.rich_style)
        styles = _joined(canvas.codes[y], canvas.styles[y])
        edges = [0, *(np.flatnonzero(np.diff(styles)) + 1).tolist(), canvas.width]
        text = self.cell_theme.letters(canvas.codes[y])
        segments = [
            Segment(text[first:last], self._style(int(styles[first])))
            for first, last in pairwise(edges)
            if last > first
        ]
        strip = Strip(segments, canvas.width)
        return strip if canvas.width == width else strip.adjust_cell_length(width, self.rich_style)
