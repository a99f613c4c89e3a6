"""The screen on a terminal: partial frames add up to a full paint, and a person's session in tmux."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
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


@pytest.mark.parametrize("zoom", [None, 0, 2])
async def test_partial_frames_are_one_full_paint(zoom, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    folder = scenarios.write("stalls", tmp_path / "run")
    session = Session(folder)
    app = FwtuiApp(session, at_ns=session.start_ns + int(6e9), theme=Theme())
    app.zoom = zoom  # of little time a cell the charts go to the left all the time
    sent = []
    display = app._display

    def record(screen, update):
        if screen is app.screen and hasattr(update, "render_segments"):
            sent.append(update.render_segments(app.console))
        display(screen, update)

    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.console._color_system = app.console._detect_color_system() or app.console._color_system
        await pilot.pause()
        sent.append(full_paint(app))
        app._display = record
        before = sum(grid.cells_sent for grid in app.query("CellGrid"))
        for number in range(40):
            app.fixed_ns += 350_000_000
            app.tick()
            await pilot.pause()
            if number == 10:
                app.notify("something\n" * 30 + "lies over the charts", timeout=60)
            if number == 20:
                await pilot.press("tab", "l", "y")
            if number in (25, 30):
                await pilot.press("?" if number == 25 else "escape")
        await pilot.pause()
        cells = sum(grid.cells_sent for grid in app.query("CellGrid")) - before
        expected = painted(app, [full_paint(app)])
    assert len(sent) > 30
    assert zoom is None or sum(piece.count("P\x1b") for piece in sent) > 50, "rows are moved"
    assert cells / 40 < SIZE[0] * SIZE[1] / 4, "only changed cells are sent"
    got = painted(app, sent)
    wrong = [
        (divmod(place, SIZE[0]), *pair)
        for place, pair in enumerate(zip(got, expected, strict=True))
        if len(set(pair)) > 1
    ]
    assert not wrong


PRIVATE = re.compile(r"\x1b\[[<=>?][0-9;]*\w|\x1bP[^\x1b]*\x1b\\")
"""Sequences that pyte takes for others."""


class SlowLink:
    """A terminal behind a connection that carries few bytes: what it shows, and what it took to get there."""

    def __init__(self, command, size, environment):
        self._screen = pyte.Screen(*size)
        self._stream = pyte.Stream(self._screen)
        self._decoder, self._rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
        self.bytes_read = 0
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.execve(command[0], command, {**os.environ, **environment})
        self._pid = pid
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        os.kill(pid, signal.SIGWINCH)

    def press(self, key):
        os.write(self._terminal, key.encode())

    def read_until(self, text, most_bytes):
        """Carry 400 bytes every 25 ms until a text is seen; returns how many bytes that took."""
        before = self.bytes_read
        while not any(text in line for line in self._screen.display):
            time.sleep(0.025)  # this is how slow the link is
            data = os.read(self._terminal, 400)
            self.bytes_read += len(data)
            text_read = self._rest + self._decoder.decode(data)
            whole = text_read.rfind("\x1b") if "\x1b" in text_read[-24:] else len(text_read)
            self._rest = text_read[whole:]
            self._stream.feed(PRIVATE.sub("", text_read[:whole]))
            assert self.bytes_read - before < most_bytes, "\n".join(self._screen.display)
        return self.bytes_read - before

    def close(self):
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


def test_a_key_is_answered_over_a_slow_link_without_a_backlog_of_frames(tmp_path):
    folder = scenarios.write("stalls", tmp_path / "run")
    command = [sys.executable, "-m", "fwtui", "replay", str(folder.path), "--speed", "8", "--no-mouse", "--no-sync"]
    environment = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": os.getcwd()}
    link = SlowLink(command, (160, 45), environment)
    try:
        link.read_until("it/s", 400_000)
        link.press("?")
        assert link.read_until("esc closes", 60_000) < 60_000
    finally:
        link.close()


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
        assert "q quit" in terminal.wait_for("fastest")
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
