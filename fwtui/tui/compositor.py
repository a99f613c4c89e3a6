"""Partial updates that send changed cells only, in as few bytes as the styles allow.

Textual's compositor sends a row from the start of its widget to the last changed cell, and a whole style before each
segment. Both classes it is made of are private: the minor version of Textual is pinned, and a test reads the terminal
back after many partial frames.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.screen import Screen

_NONE = Style()


class TightUpdate(ChopsUpdate):
    """A partial update, cropped to its spans."""

    def render_segments(self, console: Console) -> str:
        system = console._color_system
        plain = system is None or console.no_color
        made: list[str] = []
        for y, left, right in self.spans:
            if y >= len(self.chops):
                continue
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= right or end <= left:
                    continue
                first, last = max(x, left), min(end, right)
                part = strip if (first, last) == (x, end) else strip.crop(first - x, last - x)
                made.append(f"\x1b[{y + 1};{first + 1}H")
                before = _NONE
                for text, style, control in part:
                    if control or not text:
                        continue
                    style = style or _NONE
                    if style != before:
                        made.append(_change(before, style, None if plain else system, console.no_color))
                        before = style
                    made.append(text)
                if before != _NONE:
                    made.append("\x1b[0m")
        return "".join(made)


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

    def render_partial_update(self) -> ChopsUpdate | None:
        """The changed cells. Rows are rendered in groups: in between, nothing is asked to render."""
        regions = {region for region in self._dirty_regions if region.area}
        self._dirty_regions.clear()
        spans = list(self._regions_to_spans(regions)) if regions else []
        if not spans:
            return None
        chops: list[Any] = [{} for _ in self.cuts]
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
        return TightUpdate(chops, spans, [cuts[1:] for cuts in self.cuts])


class TightScreen(Screen[None], inherit_bindings=False):
    """A screen whose partial updates are tight; tab is the lanes', as there is nothing else to focus."""

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._compositor = TightCompositor()
