"""The bottom line: the most useful keys that fit, and what the screen itself costs."""

from __future__ import annotations

from textual.events import Click

from fwtui.tui.cells import Canvas, CellGrid
from fwtui.tui.commands import Command


class FooterLine(CellGrid):
    """Keys and their names from the table of commands; a click does what the key does."""

    _drawn: tuple[tuple[Command, ...], str, int] | None = None

    def draw(self, commands: tuple[Command, ...], cost: str) -> None:
        """Show as many commands as fit, whole, in the order of the table; the cost where there is room for it."""
        width = self.size.width
        if (commands, cost, width) == self._drawn:
            return
        self._drawn = (commands, cost, width)
        canvas = Canvas(1, width)
        room = width - (len(cost) + 2 if cost and width >= 100 else 0)
        self._places: list[tuple[int, int, str]] = []
        column = 1
        for command in sorted(commands, key=lambda one: one.footer):
            if not command.footer:
                continue
            length = len(command.shown_first) + 1 + len(command.name)
            if column + length > room:
                continue
            self._places.append((column, column + length, command.action))
            column = canvas.put(0, column, command.shown_first, "key")
            column = canvas.put(0, column + 1, command.name, "dim") + 2
        if room < width:
            canvas.right(0, width - 1, cost, "faint")
        self.show(canvas)

    async def on_click(self, event: Click) -> None:
        for first, last, action in getattr(self, "_places", ()):
            if first <= event.x < last:
                await self.app.run_action(action)
                return
