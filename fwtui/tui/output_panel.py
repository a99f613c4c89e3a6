"""A lane's own output: colours kept, control sequences harmless, searchable, following while the lane prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, RichLog

from fwtui.tui.panels import CLOSE
from fwtui.tui.printed import styled

MOST_BYTES = 400_000
"""Of the end of the output; the file is named in the title."""


class OutputPanel(ModalScreen[None]):
    """The end of what a lane printed; `/` searches it, `n` and `N` go from hit to hit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *CLOSE,
        Binding("o", "dismiss", "close"),
        Binding("slash", "search", "search"),
        Binding("n", "hit(1)", "next"),
        Binding("N", "hit(-1)", "previous"),
    ]

    def __init__(self, name: str, path: Path, follow: bool = False) -> None:
        super().__init__()
        self._name, self._path, self._follows = name, path, follow
        self._seen_bytes = -1
        self._lines: list[Text] = []
        self._hits: list[int] = []
        self._hit = -1
        self._wanted = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="panel") as panel:
            panel.border_title = f"output of {self._name} · / searches · esc closes"
            panel.border_subtitle = str(self._path)
            yield RichLog(wrap=False, markup=False, highlight=False, auto_scroll=False, classes="whole")
            yield Input(placeholder="search", classes="search")

    def on_mount(self) -> None:
        self.query_one(RichLog).focus()
        self.call_after_refresh(self._fill)

    def follow(self) -> None:
        """Show what was printed since."""
        if self._follows:
            self._fill()

    def _fill(self) -> None:
        try:
            size = os.stat(self._path).st_size
        except OSError:
            size = 0
        if size == self._seen_bytes:
            return
        self._seen_bytes = size
        self._lines = [styled(line) for line in tail(self._path, MOST_BYTES).split("\n")]
        while self._lines and not self._lines[-1].plain.strip():
            self._lines.pop()
        self._show()
        log = self.query_one(RichLog)
        if not self._wanted:
            log.scroll_end(animate=False)

    def _show(self) -> None:
        log = self.query_one(RichLog)
        log.clear()
        self._hits = []
        for number, line in enumerate(self._lines or [Text("(nothing printed yet)")]):
            shown = line.copy()
            if self._wanted and shown.highlight_words([self._wanted], "reverse bold", case_sensitive=False):
                self._hits.append(number)
            log.write(shown)

    def action_search(self) -> None:
        field = self.query_one(Input)
        field.display = True
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._wanted = event.value.strip()
        event.input.display = False
        self.query_one(RichLog).focus()
        self._show()
        self._hit = -1
        if self._wanted and not self._hits:
            self.notify(f"{self._wanted!r} does not occur", markup=False)
        self.action_hit(1)

    def action_hit(self, direction: int) -> None:
        """Scroll to the next or the previous hit."""
        if not self._hits:
            return
        self._hit = (self._hit + direction) % len(self._hits)
        self.query_one(RichLog).scroll_to(y=max(0, self._hits[self._hit] - 3), animate=False)
        subtitle = f"{self._hit + 1} of {len(self._hits)} lines with {self._wanted!r}"
        self.query_one(".panel").border_subtitle = subtitle


def tail(path: Path, most_bytes: int) -> str:
    """The end of a file, from the beginning of a line; empty when there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most_bytes))
            data = file.read()
    except OSError:
        return ""
    if size > most_bytes:
        data = data[data.find(b"\n") + 1 :]
    return data.decode("utf-8", "replace")
