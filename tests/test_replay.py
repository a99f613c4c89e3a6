"""Replays and the demo: the same lines, the same findings, on a machine without any framework."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import scenarios

from fwtui.cli import main
from fwtui.commands import demo, follow
from fwtui.remote.frames import MAGIC, FrameReader
from fwtui.tui.app import FwtuiApp
from fwtui.view.clock import Clock
from fwtui.view.session import Session

Capture = pytest.CaptureFixture


def test_a_replay_in_text_passes_through_the_run_and_ends_with_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture[str]
) -> None:
    monkeypatch.setattr(follow, "FILE_LINE_S", 0.0)
    monkeypatch.setattr(follow, "LOOK_S", 0.01)
    folder = scenarios.write("finished", tmp_path / "run")
    assert main(["replay", str(folder.path), "--speed", "50"]) == 0
    out = capsys.readouterr().out
    steps = [int(text) for text in re.findall(r"torch step (\d+)/800", out)]
    assert len(set(steps)) > 3
    assert steps == sorted(steps)
    assert "keras takes 1.99x as long as torch" in out


@pytest.mark.parametrize("speed", ["0", "101", "fast", "-1"])
def test_a_speed_out_of_range_is_told(speed: str, capsys: Capture[str]) -> None:
    assert main(["replay", "--speed", speed]) == 2
    assert "from 0.1 to 100" in capsys.readouterr().err


async def test_the_end_of_a_replay_is_the_run_itself(tmp_path: Path) -> None:
    """The same screen and the same findings, cell by cell, as opening the run that is over."""
    folder = scenarios.write("stalls", tmp_path / "run")

    async def picture(clock: bool) -> list[str]:
        session = Session(folder)
        options: dict[str, Any] = {"clock": Clock(session, at_ns=session.newest_ns)} if clock else {}
        app = FwtuiApp(session, **options)
        app.zoom = 4  # by itself a run that is over fills the width, and a replay scrolls
        async with app.run_test(size=(120, 35)) as pilot:
            await pilot.pause()
            app.tick()
            await pilot.pause()
            panes = re.findall(r">([^<]+)</text>", app.export_screenshot())
        return [text for text in panes if "replay" not in text]

    replayed, opened = await picture(True), await picture(False)
    body = [text for text in opened if text in replayed]
    assert len(body) > 0.95 * len(opened)


def test_the_demo_is_small_and_tells_nothing_of_where_it_was_made() -> None:
    data = demo.RECORDING.read_bytes()
    assert len(data) < 400_000
    plain = zlib.decompress(data[len(MAGIC) :])
    assert not re.search(rb"/(home|root|Users|tmp|work|venvs|opt|usr)/", plain)
    assert [frame.head["k"] for frame in FrameReader().feed(data)][-1] == "end"


def test_the_demo_shows_a_real_verdict_without_any_framework() -> None:
    code = (
        "import sys; sys.argv[:] = ['fwtui', 'demo', '--headless', '--speed', '100', '--at', '30']\n"
        "for name in ('torch', 'tensorflow', 'keras', 'jax'): sys.modules[name] = None\n"
        "from fwtui.cli import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"takes \d\.\d\dx as long as torch", done.stdout)
    assert "callback" in done.stdout
    assert "is gone again" in done.stdout
