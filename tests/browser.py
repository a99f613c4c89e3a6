"""A headless Chromium that is driven over its own protocol: a real pointer over a real page, without a driver."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # every host is sent nowhere: a page must do without any
)
LIMIT_S = 60


class Page:
    """One tab."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.requests: list[str] = []
        self.errors: list[str] = []

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and note what happened meanwhile."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            told = await asyncio.wait_for(self._socket.receive_json(), LIMIT_S)
            if told.get("method") == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            elif told.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(told["params"]["exceptionDetails"]))
            elif told.get("id") == self._number:
                return dict(told["result"])

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to."""
        result = (await self.send("Runtime.evaluate", expression=expression, returnByValue=True))["result"]
        return result.get("value")

    async def open(self, path: Path, dark: bool = False) -> None:
        """Show a file, and wait until its script has drawn it."""
        for domain in ("Page", "Runtime", "Network"):
            await self.send(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])
        await self.send("Page.navigate", url=path.as_uri())
        async with asyncio.timeout(LIMIT_S):
            while not await self.value("document.documentElement.dataset.drawn === 'yes'"):
                await asyncio.sleep(0.05)

    async def mouse(self, kind: str, x: float, y: float) -> None:
        """`moved`, `pressed` or `released` at a place of the window."""
        held = {"button": "left", "clickCount": 1} if kind != "moved" else {}
        await self.send("Input.dispatchMouseEvent", type=f"mouse{kind.capitalize()}", x=x, y=y, **held)

    async def box(self, selector: str) -> tuple[float, float, float, float]:
        """(x, y, width, height) of an element that is scrolled into view."""
        found = f"document.querySelector({selector!r})"
        await self.value(f"{found}.scrollIntoView({{block: 'center'}})")
        told = await self.value(
            f"(({{x, y, width, height}}) => [x, y, width, height])({found}.getBoundingClientRect())"
        )
        return tuple(told)


@contextlib.asynccontextmanager
async def page(profile: Path, width: int = 1200, height: int = 900) -> AsyncIterator[Page]:
    """A browser with one empty tab, and a profile of its own."""
    import aiohttp

    command = [str(PROGRAM), *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
    process = subprocess.Popen(
        [*command, "--remote-debugging-port=0", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        port = profile / "DevToolsActivePort"
        async with asyncio.timeout(LIMIT_S):
            while not port.exists() or not port.read_text().strip():
                await asyncio.sleep(0.05)
        site = f"http://127.0.0.1:{port.read_text().split()[0]}"
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{site}/json/list") as answer:
                tab = next(one for one in await answer.json() if one["type"] == "page")
            async with client.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=1 << 26) as socket:
                yield Page(socket)
    finally:
        process.kill()
        process.wait()
