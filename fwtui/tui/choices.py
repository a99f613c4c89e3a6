"""Textual's choices with a mark that is there or not: by colour alone, nobody tells what is chosen."""

from __future__ import annotations

from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widgets import RadioButton, SelectionList
from textual.widgets._toggle_button import ToggleButton


class Choice(RadioButton):
    """One of several: `(●)` or `( )`."""

    @property
    def _button(self) -> Content:
        return Content("(●)" if self.value else "( )")


class Choices(SelectionList[str]):
    """Any of several: `[x]` or `[ ]`."""

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        parts = list(strip)
        if len(parts) < 4 or parts[1].text != ToggleButton.BUTTON_INNER:
            return strip
        chosen = self.get_option_at_index(self.scroll_offset.y + y).value in self.selected
        plain = parts[3].style
        meta = parts[1].style.meta if parts[1].style is not None else {}
        style = plain.from_meta(meta) + plain if plain is not None else plain
        return Strip([Segment("[x]" if chosen else "[ ]", style), *parts[3:]], strip.cell_length)
