"""The screen on a terminal: partial frames add up to a full paint, and a person's session in tmux."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
import uuid

import pyte
import pytest
import scenarios

from fwtui.tui.app import FwtuiApp
from fwtui.tui.theme import Theme
from fwtui.view.session import Session

SIZE = (120, 40)


def painted(app, pieces):
    """The cells of a terminal that was sent these pieces: letter, paper, and a letter's ink and weight."""
    screen = pyte.Screen(*SIZE)
    stream = pyte.Stream(screen)
    for piece in pieces:
        stream.feed(piece)
    cells = [screen.buffer[y][x] for y in range(SIZE[1]) for x in range(SIZE[0])]
    return [(cell.data, cell.bg, *((cell.fg, cell.bold) if cell.data != " " else ())) for cell in cells]


def full_paint(app):
    """What the whole screen is as a terminal's bytes."""
    update = app.screen._compositor.render_update(full=True)
    return update.render_segments(app.console)


async def test_partial_frames_are_one_full_paint(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    folder = scenarios.write("stalls", tmp_path / "run")
    session = Session(folder)
    app = FwtuiApp(session, at_ns=session.start_ns + int(6e9), theme=Theme())
    sent = []
    display = app._display

    def record(screen, update):
        if screen is app.screen and hasattr(update, "render_segments"):
            sent.append(update.render_segments(app.console))
        display(screen, update)

    async with app.run_test(size=SIZE) as pilot:
        app.console._color_system = app.console._detect_color_system() or app.console._color_system
        await pilot.pause()
        sent.append(full_paint(app))
        app._display = record
        before = sum(grid.cells_sent for grid in app.query("CellGrid"))
        for number in range(40):
            app.fixed_ns += 350_000_000
            app.tick()
            await pilot.pause()
            if number == 20:
                await pilot.press("tab", "l", "y")
        await pilot.pause()
        cells = sum(grid.cells_sent for grid in app.query("CellGrid")) - before
        expected = painted(app, [full_paint(app)])
    assert len(sent) > 30
    assert cells / 40 < SIZE[0] * SIZE[1] / 4, "only changed cells are sent"
    got = painted(app, sent)
    wrong = [
        (divmod(place, SIZE[0]), *pair)
        for place, pair in enumerate(zip(got, expected, strict=True))
        if len(set(pair)) > 1
    ]
    assert not wrong


class Tmux:
    """A terminal of its own."""

    def __init__(self, command, size, environment):
        self._socket = f"fwtui-{uuid.uuid4().hex[:8]}"
        words = " ".join(f"{name}={value}" for name, value in environment.items())
        self.run("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), f"env {words} {command}; echo LEFT; cat")
        self.run("set", "-g", "status", "off")

    def run(self, *words):
        return subprocess.run(
            ["tmux", "-L", self._socket, "-f", os.devnull, *words], check=True, capture_output=True, text=True
        ).stdout

    def wait_for(self, text, limit_s=60, gone=False):
        """The screen, once it shows a text, or no longer does."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            shown = self.run("capture-pane", "-p")
            if (text in shown) is not gone:
                return shown
            time.sleep(0.05)
        raise AssertionError(f"{text!r} did not come:\n{shown}")

    def close(self):
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_a_storm_of_sizes_in_tmux(tmp_path):
    folder = scenarios.write("six_lanes", tmp_path / "run")
    environment = {"TERM": "xterm-256color", "PYTHONPATH": os.getcwd(), "LANG": "C.UTF-8"}
    terminal = Tmux(f"{sys.executable} -m fwtui attach {folder.path} --no-mouse", (200, 50), environment)
    chance = random.Random(5)
    sizes = [(1, 1), (2, 40), (250, 2), (36, 7), (20, 6), (1, 30), *((chance.randint(1, 240), 20) for _ in range(12))]
    try:
        terminal.wait_for("q quit")
        for number, (width, height) in enumerate(sizes):
            terminal.run("resize-window", "-x", str(width), "-y", str(height))
            if number in (4, 9):
                terminal.run("send-keys", "Enter" if number == 4 else "Escape")
        terminal.run("resize-window", "-x", "120", "-y", "35")
        shown = terminal.wait_for("w try advice")
        assert "Traceback" not in shown
        assert len(shown.rstrip("\n").split("\n")) == 35
        terminal.run("send-keys", "q")
        terminal.wait_for("LEFT")
    finally:
        terminal.close()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
@pytest.mark.parametrize("term", ["xterm-256color", "screen"])
def test_a_session_in_tmux(term, tmp_path):
    folder = scenarios.write("stalls", tmp_path / "run")
    environment = {"TERM": term, "PYTHONPATH": os.getcwd(), "LANG": "C.UTF-8", "COLUMNS": "90", "LINES": "20"}
    terminal = Tmux(f"{sys.executable} -m fwtui attach {folder.path} --no-sync --no-mouse", (100, 30), environment)
    try:
        assert "fastest" in terminal.wait_for("q quit")
        terminal.run("send-keys", "?")
        terminal.wait_for("help · esc closes")
        terminal.run("send-keys", "q")
        terminal.wait_for("help · esc", gone=True)
        terminal.run("send-keys", "c")
        terminal.wait_for("same work?")
        terminal.run("resize-window", "-x", "60", "-y", "16")
        terminal.run("send-keys", "Escape")
        terminal.wait_for("finished")
        terminal.run("resize-window", "-x", "140", "-y", "40")
        terminal.wait_for("ctrl+p palette")
        terminal.run("send-keys", "c")
        terminal.wait_for("same work?")
        terminal.run("send-keys", "Escape", "q")  # in one go, as a slow connection brings them
        assert "Traceback" not in terminal.wait_for("LEFT")
    finally:
        terminal.close()
