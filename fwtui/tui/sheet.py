"""A screen over the main one that holds one tall grid of cells and follows the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from fwtui.tui.cells import Canvas, CellGrid
from fwtui.tui.compositor import TightScreen
from fwtui.tui.footer import FooterLine

if TYPE_CHECKING:
    from fwtui.tui.app import FwtuiApp

MOST_ROWS = 400


class SheetScreen(TightScreen):
    """Subclasses draw the sheet; it scrolls where the screen is too low for it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "back"),
        Binding("up", "scroll(-3)", show=False),
        Binding("down", "scroll(3)", show=False),
        Binding("pageup", "scroll(-20)", show=False),
        Binding("pagedown", "scroll(20)", show=False),
    ]

    def draw(self, width: int, height: int) -> Canvas:
        """The sheet, `width` cells wide; `height` rows of it are seen at once."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        theme = self.fwtui.cell_theme
        with VerticalScroll(classes="whole", can_focus=False):
            yield CellGrid(theme, classes="sheet")
        yield FooterLine(theme, id="keys")

    def on_mount(self) -> None:
        self.call_after_refresh(self.follow)

    def on_resize(self) -> None:
        self.call_after_refresh(self.follow)

    @property
    def fwtui(self) -> FwtuiApp:
        """The app."""
        return cast("FwtuiApp", self.app)

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)

    def follow(self) -> None:
        """Draw the app's frame; a screen that was pushed just now, or goes, has nothing to draw on."""
        if not self.query(FooterLine):
            return
        scroll, grid = self.query_one(VerticalScroll), self.query_one(".sheet", CellGrid)
        width, height = (
            scroll.container_size.width - scroll.styles.scrollbar_size_vertical,
            scroll.container_size.height,
        )
        if width < 20 or height < 4:
            return
        canvas = self.draw(width, height)
        if grid.styles.height is None or grid.styles.height.value != canvas.height:
            grid.styles.height = canvas.height
        grid.show(canvas)
        self.query_one(FooterLine).draw(self.fwtui.config.commands, self.fwtui.cost_words())
