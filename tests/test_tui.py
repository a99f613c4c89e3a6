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
