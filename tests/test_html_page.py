"""The HTML report under a real pointer in a real browser."""

from __future__ import annotations

from pathlib import Path

import browser
import pytest
import scenarios

from fwtui.reports import html
from fwtui.view.session import Session

pytest.importorskip("aiohttp", reason="needs aiohttp (pip install 'fwtui[serve]')")
pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="needs Chromium")
CHART = "[data-chart=steps]"
LABELS = f"[...document.querySelectorAll('{CHART} svg text')].map(one => one.textContent)"


def write(path: Path, name: str = "stalls") -> Path:
    session = Session(scenarios.write(name, path / "run"))
    file = path / "page.html"
    file.write_text(html.report(session), encoding="utf-8")
    session.close()
    return file


async def test_the_chart_tells_zooms_and_comes_back(tmp_path: Path) -> None:
    file = write(tmp_path)
    async with browser.page(tmp_path / "profile") as page:
        await page.open(file)
        x, y, width, height = await page.box(f"{CHART} svg")
        middle = y + height / 2
        await page.mouse("moved", x + width * 0.6, middle)
        tip = await page.value(f"document.querySelector('{CHART} .tip').innerText")
        assert "torch" in tip
        assert "keras" in tip

        whole = await page.value(LABELS)
        await page.mouse("pressed", x + width * 0.5, middle)
        await page.mouse("moved", x + width * 0.6, middle)
        await page.mouse("released", x + width * 0.6, middle)
        near = await page.value(LABELS)
        assert near != whole
        for _ in range(2):
            await page.value(
                f"document.querySelector('{CHART} svg').lastElementChild.dispatchEvent(new MouseEvent('dblclick'))"
            )
        assert await page.value(LABELS) == whole

        await page.value(f"document.querySelector('{CHART} .bar button').click()")
        assert await page.value(f"document.querySelector('{CHART} .bar button').ariaPressed") == "false"
        bar = await page.box("[data-chart=gap] svg rect")
        await page.mouse("moved", bar[0] + bar[2] / 2, bar[1] + bar[3] / 2)
        assert "95 % interval" in await page.value("document.querySelector('[data-chart=gap] .tip').innerText")
        assert page.requests == [file.as_uri()]  # nothing else was asked for
        assert page.errors == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1200])
async def test_it_follows_the_readers_theme_and_fits_a_phone(dark: bool, width: int, tmp_path: Path) -> None:
    file = write(tmp_path, "six_lanes")
    async with browser.page(tmp_path / "profile") as page:
        await page.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        await page.open(file, dark)
        assert await page.value("document.documentElement.dataset.theme") == ("dark" if dark else "light")
        assert await page.value("document.documentElement.scrollWidth") == width
        await page.value("document.getElementById('theme').click()")
        assert await page.value("document.documentElement.dataset.theme") == ("light" if dark else "dark")
