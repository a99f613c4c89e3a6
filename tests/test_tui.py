"""The screen over recorded runs, at a fixed moment: every state draws, every size holds, keys act."""

from __future__ import annotations

import pytest
import scenarios

from fwtui.tui.app import FwtuiApp
from fwtui.tui.theme import Theme
from fwtui.view.session import Session


def app_over(name, tmp_path):
    folder = scenarios.write(name, tmp_path / "run")
    return FwtuiApp(Session(folder), at_ns=folder.end_ns, theme=Theme())


@pytest.mark.parametrize("name", ["stalls", "importing", "killed_mid_step", "finished", "gpu", "six_lanes"])
async def test_every_state_draws(name, tmp_path):
    app = app_over(name, tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await pilot.pause()
        picture = app.export_screenshot()
    assert "torch" in picture


async def test_any_size_holds(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        for size in ((80, 24), (40, 12), (20, 6), (10, 3), (1, 1), (120, 35)):
            await pilot.resize_terminal(*size)
            await pilot.pause()


async def test_view_keys_act(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        for key in ("tab", "1", "enter", "z", "left", "right", "home", "end", "plus", "minus", "y", "l", "space"):
            await pilot.press(key)
        assert app.paused
        await pilot.press("space", "q")
    assert app.return_value == "left"


@pytest.mark.parametrize(
    ("key", "panel"),
    [
        ("question_mark", "HelpPanel"),
        ("f", "FindingsPanel"),
        ("o", "OutputPanel"),
        ("enter", "LaneScreen"),
        ("c", "CompareScreen"),
        ("n", "StallPanel"),
    ],
)
async def test_panels_open_and_close(key, panel, tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        assert type(app.screen).__name__ == panel
        await pilot.press("escape")
        assert type(app.screen).__name__ != panel


async def test_the_palette_finds_commands(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await pilot.press("ctrl+p")
        assert type(app.screen).__name__ == "CommandPalette"
        await pilot.press("escape")


async def test_a_screenshot_is_saved_in_the_run_folder(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await pilot.press("s")
        await pilot.pause()
    assert list((tmp_path / "run").glob("*.svg"))


async def test_leaving_a_live_run_asks(tmp_path):
    folder = scenarios.write("healthy", tmp_path / "run", cut_s=10)
    app = FwtuiApp(Session(folder), at_ns=folder.end_ns, theme=Theme())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
        if app.frame.live:
            assert type(app.screen).__name__ == "QuestionPanel"
            await pilot.press("d")
    assert app.return_value in ("detached", "left")


@pytest.mark.parametrize(
    "theme", [Theme("16"), Theme("none"), Theme("dark", ascii_only=True), Theme("light"), Theme("high-contrast")]
)
async def test_every_kind_of_terminal_is_drawn_for(theme, tmp_path):
    folder = scenarios.write("stalls", tmp_path / "run")
    app = FwtuiApp(Session(folder), at_ns=folder.end_ns, theme=theme)
    async with app.run_test(size=(120, 35)) as pilot:
        await pilot.pause()
        picture = app.export_screenshot()
    assert ("▲" in picture) is not theme.ascii_only
