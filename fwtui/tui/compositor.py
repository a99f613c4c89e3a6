"""Partial updates that send changed cells only, in as few bytes as the styles allow.

Textual's compositor sends a row from the start of its widget to the last changed cell, and a whole style before each
segment. Both classes it is made of are private: the minor version of Textual is pinned, and a test reads the terminal
back after many partial frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.geometry import Region
from textual.screen import Screen

from fwtui.tui.cells import CellGrid, Move

_NONE = Style()
Span = tuple[int, int, int]
"""(row, first column, column after the last) of the screen."""
Part = tuple[CellGrid, int, int, Span]
"""(grid, row of it, first column of it, where that is on the screen)"""
Moved = tuple[int, int, Move]
"""(row, column where the grid begins, what moves within its row)"""


class TightUpdate(ChopsUpdate):
    """A partial update, cropped to its spans; cells of grids are written as they are, without strips between."""

    def __init__(
        self, moved: list[Moved], grids: list[Part], chops: list[Any], spans: list[Span], chop_ends: list[list[int]]
    ) -> None:
        super().__init__(chops, spans, chop_ends)
        self._moved, self._grids = moved, grids

    def render_segments(self, console: Console) -> str:
        made = [_move(y, x, move) for y, x, move in self._moved]
        style = _NONE
        for grid, row, left, (y, x, right) in self._grids:
            style = _write(made, y, x, grid.pieces(row, left, left + right - x), console, style)
        for y, left, right in self.spans:
            if y >= len(self.chops):
                continue
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= right or end <= left:
                    continue
                first, last = max(x, left), min(end, right)
                part = strip if (first, last) == (x, end) else strip.crop(first - x, last - x)
                pieces = [(text, own or _NONE) for text, own, control in part if text and not control]
                style = _write(made, y, first, pieces, console, style)
        if style != _NONE:
            made.append("\x1b[0m")
        return "".join(made)


def _move(y: int, x: int, move: Move) -> str:
    """Delete characters at a part's beginning and insert as many at its end: what lies behind it stays in place."""
    first, last = x + move.first, x + move.last - move.by
    return f"\x1b[{y + 1};{first + 1}H\x1b[{move.by}P\x1b[{y + 1};{last + 1}H\x1b[{move.by}@"


def _write(
    made: list[str], y: int, x: int, pieces: Iterable[tuple[str, Style]], console: Console, before: Style
) -> Style:
    """Add runs of letters from a place on, each style told by what differs from the one before; the last one."""
    system = console._color_system
    plain = system is None or console.no_color
    made.append(f"\x1b[{y + 1};{x + 1}H")
    for text, style in pieces:
        if style is not before and style != before:
            made.append(_change(before, style, None if plain else system, console.no_color))
            before = style
        made.append(text)
    return before


@lru_cache(maxsize=4096)
def _change(before: Style, style: Style, system: ColorSystem | None, no_color: bool) -> str:
    """The shortest sequence from one style to another."""
    if before != _NONE and _attributes(before) == _attributes(style) and before.bgcolor == style.bgcolor:
        if system is None:
            return ""
        if style.color is not None:
            return f"\x1b[{';'.join(style.color.downgrade(system).get_ansi_codes())}m"
    if system is None and not no_color:
        return ""
    bare = Style.parse("") + style
    codes = (
        bare.without_color._make_ansi_codes(ColorSystem.STANDARD) if system is None else style._make_ansi_codes(system)
    )
    return f"\x1b[0;{codes}m" if before != _NONE else f"\x1b[{codes}m" if codes else ""


def _attributes(style: Style) -> tuple[Any, ...]:
    return (style.bold, style.dim, style.italic, style.underline, style.reverse, style.strike, style.blink, style.link)


class TightCompositor(Compositor):
    """Textual's compositor with tight partial updates."""

    def __init__(self) -> None:
        super().__init__()
        self.moving: set[CellGrid] = set()
        """Grids of which parts of rows have moved since the last update."""

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        """All cells; nothing needs to be moved for that."""
        self._take_moves(set())
        return super().render_full_update(simplify)

    def render_partial_update(self) -> ChopsUpdate | None:
        """The changed cells. Rows are rendered in groups: in between, nothing is asked to render."""
        regions = {region for region in self._dirty_regions if region.area}
        self._dirty_regions.clear()
        moved = self._take_moves(regions)
        changed = list(self._regions_to_spans(regions)) if regions else []
        if not changed:
            return None
        grids, spans = self._of_grids(changed)
        chops: list[Any] = [{} for _ in self.cuts] if spans else []
        begin = 0
        for number in range(1, len(spans) + 1):
            if number < len(spans) and spans[number][0] <= spans[number - 1][0] + 1:
                continue
            group = spans[begin:number]
            first, last = group[0][0], group[-1][0]
            left, right = min(span[1] for span in group), max(span[2] for span in group)
            crop = Region(left, first, right - left, last - first + 1).intersection(self.size.region)
            rows = {span[0] for span in group}
            rendered = self._render_chops(crop, rows.__contains__)
            for row in rows:
                if row < len(chops):
                    chops[row] = rendered[row]
            begin = number
        return TightUpdate(moved, grids, chops, spans, [cuts[1:] for cuts in self.cuts] if spans else [])

    def _take_moves(self, regions: set[Region]) -> list[Moved]:
        """The moves of all grids; where something lies over a part that moved, it is a changed region instead."""
        taken: list[Moved] = []
        for grid in self.moving:
            region = self.visible_widgets[grid][0] if grid in self.visible_widgets else None
            for row, move in grid.moves.items():
                if region is None:
                    continue
                part = Region(region.x + move.first, region.y + row, move.last - move.first, 1)
                if self._is_alone(grid, part):
                    taken.append((part.y, region.x, move))
                else:
                    regions.add(part)
            grid.moves.clear()
        self.moving.clear()
        return taken

    def _is_alone(self, grid: CellGrid, part: Region) -> bool:
        """Whether a part of a row shows that grid and nothing else."""
        layers = self.layers_visible
        for widget, clip, _ in layers[part.y] if part.y < len(layers) else ():
            if clip.x < part.right and clip.right > part.x:
                return widget is grid and clip.x <= part.x and part.right <= clip.right
        return False

    def _of_grids(self, spans: list[Span]) -> tuple[list[Part], list[Span]]:
        """(what lies wholly in one grid of cells with nothing over it, the other spans)"""
        grids: list[Part] = []
        others: list[Span] = []
        layers = self.layers_visible
        for span in spans:
            y, left, right = span
            for widget, clip, region in layers[y] if y < len(layers) else ():
                if clip.x < right and clip.right > left:
                    if isinstance(widget, CellGrid) and clip.x <= left and right <= clip.right:
                        grids.append((widget, y - region.y, left - region.x, span))
                    else:
                        others.append(span)
                    break
        return grids, others


class TightScreen(Screen[None], inherit_bindings=False):
    """A screen whose partial updates are tight; tab is the lanes', as there is nothing else to focus."""

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._compositor = TightCompositor()
