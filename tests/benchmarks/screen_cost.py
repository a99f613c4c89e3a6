"""What the screen costs, on a real pseudo-terminal: processor, bytes, key to screen, first paint, memory, opening.

    python tests/benchmarks/screen_cost.py [--rival-python PATH] [--seconds 15] [--json FILE]

Beside it, in the same run: btop, an empty Textual app, and the same two panes drawn with textual-plotext (it needs that
package: `--rival-python` names an interpreter that has it). The lanes are simulated in real time, two of them training
with a stall now and then. Medians are of what one run gives; the machine should be idle.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RUNS = HERE / "simulated_runs.py"
BYTECODE = str(Path(tempfile.gettempdir()) / f"fwtui-screen-cost-{os.getuid()}")
FOLD = "fold.npz"
"""What the screen keeps of a long recording beside a rank's log, once it has read all of it."""
PAST_S = 70
"""A live run has trained for so long when it is opened: the zoom no longer changes."""


class Terminal:
    """A program on a pseudo-terminal of a size; what it writes is counted and thrown away.

    Args:
        command: the program.
        size: columns and rows.
        bytes_s: how many bytes a second the link takes; None: as many as come.
    """

    def __init__(self, command: Sequence[str], size: tuple[int, int], bytes_s: float | None = None) -> None:
        self.started_s = time.perf_counter()
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
        for name in ("NO_COLOR", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        environment["PYTHONPYCACHEPREFIX"] = BYTECODE  # as if installed, and nothing is left in the sources
        pid, self._fd = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execvpe(command[0], list(command), environment)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.pid = pid
        self.process = psutil.Process(pid)
        self.received = 0
        self._link = bytes_s
        self._seen = b""
        self._mark: bytes | None = None
        self._found = threading.Event()
        self._found_s = 0.0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 1024 if self._link else 65536)
            except OSError:
                return
            if not data:
                return
            if self._link:
                time.sleep(len(data) / self._link)
            self.received += len(data)
            self._seen = (self._seen + data)[-4096 - len(data) :]
            if self._mark is not None and self._mark in self._seen:
                self._found_s = time.perf_counter()
                self._mark = None
                self._found.set()

    def wait_for(self, text: str, limit_s: float = 60.0, type_: str = "") -> float | None:
        """Seconds until a text arrives, counted from now; optionally after typing."""
        self._seen, self._mark = b"", text.encode()
        self._found.clear()
        begin = time.perf_counter()
        if type_:
            os.write(self._fd, type_.encode())
        return self._found_s - begin if self._found.wait(limit_s) else None

    @property
    def last_words(self) -> str:
        """The end of what it wrote."""
        return self._seen[-2000:].decode(errors="replace")

    def cost(self, seconds: float) -> dict[str, float]:
        """Share of a core and kilobytes a second over some seconds."""
        before, bytes_before, begin = self.process.cpu_times(), self.received, time.perf_counter()
        time.sleep(seconds)
        after, passed = self.process.cpu_times(), time.perf_counter() - begin
        cpu = after.user + after.system - before.user - before.system
        return {"cpu_percent": 100 * cpu / passed, "kb_s": (self.received - bytes_before) / passed / 1000}

    def close(self) -> None:
        """End the program."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(self.pid, number)
                for _ in range(40):
                    if os.waitpid(self.pid, os.WNOHANG)[0]:
                        break
                    time.sleep(0.05)
            except OSError:
                break
        os.close(self._fd)


class LiveRun:
    """A simulated run that goes on, in a process of its own."""

    def __init__(self, folder: Path, lanes: int) -> None:
        command = [sys.executable, str(RUNS), "live", str(folder), "--lanes", str(lanes), "--seconds", "600"]
        command += ["--past", str(PAST_S)]
        self._process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
        while not (folder / "manifest.json").exists():
            time.sleep(0.05)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def screen(folder: Path, *options: str) -> list[str]:
    """The command that opens the screen."""
    return [sys.executable, "-m", "fwtui", "attach", str(folder), *options]


def steady(
    folder: Path, lanes: int, size: tuple[int, int], fps: str, seconds: float, settle: float
) -> dict[str, float]:
    """Cost of the screen over a live run."""
    run = LiveRun(folder, lanes)
    try:
        time.sleep(settle)
        terminal = Terminal(screen(folder, "--fps", fps), size)
        terminal.wait_for("quit")
        time.sleep(3)
        made = terminal.cost(seconds)
        terminal.close()
        return made
    finally:
        run.close()


def latency(folder: Path, size: tuple[int, int], bytes_s: float | None, presses: int) -> dict[str, float]:
    """Milliseconds from a key to the focus mark on the screen, while two lanes train."""
    run = LiveRun(folder, 2)
    try:
        time.sleep(5)
        terminal = Terminal(screen(folder), size, bytes_s)
        terminal.wait_for("quit")
        time.sleep(4)
        times = sorted(_press(terminal) for _ in range(presses))
        terminal.close()
        return {"median_ms": times[len(times) // 2], "p95_ms": times[int(len(times) * 0.95)], "presses": len(times)}
    finally:
        run.close()


def _press(terminal: Terminal) -> float:
    """Milliseconds from a key to the focus mark of the next lane."""
    seconds = terminal.wait_for("▌", 10, "\t")
    time.sleep(0.13)
    return 10_000.0 if seconds is None else seconds * 1000


def first_paint(command: Sequence[str], mark: str, rounds: int = 5) -> float:
    """Median milliseconds from starting a program to a text on its screen, after a round that writes bytecode."""
    times = []
    for number in range(rounds + 1):
        begin = time.perf_counter()
        terminal = Terminal(command, (120, 35))
        terminal.wait_for(mark)
        if number:
            times.append((time.perf_counter() - begin) * 1000)
        terminal.close()
    return sorted(times)[len(times) // 2]


EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("ready to go")
    def on_mount(self):
        self.set_interval(0.1, lambda: None)
Empty().run()
"""

PLOTEXT = """
import sys
sys.path.insert(0, sys.argv[2])
from textual.app import App
from textual.containers import Horizontal
from textual_plotext import PlotextPlot
from fwtui.recording.run_folder import RunFolder
from fwtui.view.session import Session
session = Session(RunFolder(sys.argv[1]))
class Rival(App):
    def compose(self):
        with Horizontal():
            yield PlotextPlot(id="a")
            yield PlotextPlot(id="b")
    def on_mount(self):
        self.set_interval(0.1, self.draw)
    def draw(self):
        session.poll()
        now = session.newest_ns
        session.frame(now)
        last = int((now - session.start_ns) // 0.5e9)
        for lane, name in enumerate("ab"):
            plot = self.query_one("#" + name, PlotextPlot)
            columns = session.columns(lane, 0.5e9, max(0, last - 140), 140, now)
            plot.plt.clear_data()
            known = [v for v in columns.mean_ms.tolist() if v == v]
            plot.plt.plot(known)
            plot.plt.title("quit")
            plot.refresh()
Rival().run()
"""


def opening(folder: Path, size: tuple[int, int] = (120, 35)) -> dict[str, float]:
    """Seconds until a run's screen is there, milliseconds that keys take then, seconds until all of it is read.

    Once all is read the screen keeps what it folded beside each lane's log; memory is looked at then.
    """
    folds = [rank / FOLD for rank in folder.glob("lanes/*/rank-*")]
    begin, begun = time.perf_counter(), time.time()
    terminal = Terminal(screen(folder), size)
    terminal.wait_for("it/s", 60)
    usable = time.perf_counter() - begin
    keys = sorted(_press(terminal) for _ in range(20))
    while not (read := all(fold.exists() for fold in folds)) and time.perf_counter() - begin < 180:
        time.sleep(0.05)
    seconds = max(usable, *(fold.stat().st_mtime - begun for fold in folds)) if read else float("nan")
    time.sleep(1)
    memory = terminal.process.memory_info().rss / 1e6
    peak = max(memory, _peak_mb(terminal.pid))
    cpu = terminal.process.cpu_times()
    terminal.close()
    return {
        **{"usable_s": usable, "key_median_ms": keys[10], "key_p95_ms": keys[18], "read_s": seconds},
        **{"cpu_s": cpu.user + cpu.system, "rss_mb": memory, "peak_mb": peak},
    }


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival-python", help="an interpreter with textual-plotext")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each cost is measured")
    parser.add_argument("--settle", type=float, default=4.0, help="how long a live run is given to be written")
    parser.add_argument("--steps", type=int, default=10_000_000, help="steps of the long run; 0: none")
    parser.add_argument("--long-run", type=Path, help="a long run that was written already")
    parser.add_argument("--presses", type=int, default=60)
    parser.add_argument("--only", default="", help="parts of the names of what is measured, comma-separated")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)

        def measure(name: str, make) -> None:  # type: ignore[no-untyped-def]
            if options.only and not any(part in name for part in options.only.split(",")):
                return
            results[name] = make()
            print(f"{name:<44}{results[name]}", flush=True)

        cost = (options.seconds, options.settle)
        measure("2 lanes 160x45 10 fps", lambda: steady(place / "a", 2, (160, 45), "10", *cost))
        measure("2 lanes 160x45 4 fps (at rest)", lambda: steady(place / "b", 2, (160, 45), "4", *cost))
        measure("4 lanes 240x60 10 fps", lambda: steady(place / "c", 4, (240, 60), "10", *cost))
        measure("key to screen", lambda: latency(place / "d", (160, 45), None, options.presses))
        measure("key to screen, 16 kB/s", lambda: latency(place / "e", (160, 45), 16_000, options.presses // 2))
        if shutil.which("btop"):
            measure("btop 160x45 100 ms", lambda: _btop(place, options.seconds))
        if options.rival_python:
            measure("textual-plotext 160x45 10 fps", lambda: _plotext(place / "f", options))
        empty = [sys.executable, "-c", EMPTY]
        measure("empty Textual app 160x45 10 Hz", lambda: _rival(empty, "ready", options.seconds))
        measure("first paint, empty Textual app, ms", lambda: first_paint(empty, "ready"))
        measure("first paint, screen, ms", lambda: _paint(place / "g", "quit"))
        measure("first chart, screen, ms", lambda: _paint(place / "h", "it/s"))
        if options.steps or options.long_run:
            long_run = options.long_run or place / "long"
            if not options.long_run:
                command = [sys.executable, str(RUNS), "long", str(long_run), "--steps", str(options.steps)]
                subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
                measure("long run, opened the first time", lambda: opening(long_run))
            measure("long run, opened again", lambda: opening(long_run))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def _rival(command: list[str], mark: str, seconds: float) -> dict[str, float]:
    terminal = Terminal(command, (160, 45))
    try:
        if terminal.wait_for(mark, 15) is None:
            raise SystemExit(f"{command[0]} does not draw:\n{terminal.last_words}")
        time.sleep(2)
        return terminal.cost(seconds)
    finally:
        terminal.close()


def _btop(place: Path, seconds: float) -> dict[str, float]:
    (place / "btop").mkdir(exist_ok=True)
    (place / "btop" / "btop.conf").write_text("update_ms = 100\n", encoding="utf-8")
    return _rival(["env", f"XDG_CONFIG_HOME={place}", "LANG=C.UTF-8", "btop", "--utf-force"], "cpu", seconds)


def _plotext(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    run = LiveRun(folder, 2)
    try:
        time.sleep(options.settle)
        return _rival([options.rival_python, "-c", PLOTEXT, str(folder), str(ROOT)], "quit", options.seconds)
    finally:
        run.close()


def _paint(folder: Path, mark: str) -> float:
    run = LiveRun(folder, 2)
    try:
        time.sleep(3)
        return first_paint(screen(folder), mark)
    finally:
        run.close()


if __name__ == "__main__":
    main()
