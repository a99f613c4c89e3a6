"""The screen in a browser: nothing without the token, and the real screen with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import scenarios

aiohttp = pytest.importorskip("aiohttp", reason="needs textual-serve (pip install 'fwtui[serve]')")
pytest.importorskip("textual_serve", reason="needs textual-serve (pip install 'fwtui[serve]')")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """(address with its token, process id) of a server over a finished run."""
    scenarios.write("stalls", tmp_path / "runs" / "2025-11-20T10-00-00-over")
    command = [sys.executable, "-m", "fwtui", "serve", "--run-dir", str(tmp_path / "runs")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors


async def test_nothing_is_shown_without_the_token(served: tuple[str, int]) -> None:
    url, pid = served
    site, _, token = url.rstrip("/").rpartition("/")
    assert len(token) >= 20
    listening = {c.laddr.ip for c in psutil.Process(pid).net_connections("inet") if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
    async with aiohttp.ClientSession() as client:
        for path in ("/", "/ws", "/static/js/textual.js", f"/{token[:-1]}/", f"/x{token}/ws", "/download/x", "//"):
            async with client.get(site + path) as answer:
                assert answer.status == 403
        async with client.get(url) as answer:
            assert answer.status == 200
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert f"/{token}/ws" in await answer.text()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(site + "/ws")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(url + "ws", headers={"Origin": "http://elsewhere"})


async def test_the_real_screen_is_shown(served: tuple[str, int]) -> None:
    url, _ = served
    seen = b""
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{url}ws?width=120&height=35") as screen:
        while b"findings" not in seen or b"fastest" not in seen:
            message = await screen.receive(timeout=30)
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), seen[-500:]
            seen += message.data if isinstance(message.data, bytes) else message.data.encode()
        await screen.send_json(["stdin", "q"])
        while (await screen.receive(timeout=30)).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
            pass


async def test_a_killed_server_leaves_no_screen_behind(served: tuple[str, int]) -> None:
    url, pid = served
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{url}ws?width=120&height=35") as screen:
        await screen.receive(timeout=30)
        shown = psutil.Process(pid).children(recursive=True)
        assert shown
        psutil.Process(pid).kill()
    _, alive = psutil.wait_procs(shown, timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_taken_port_and_another_address_are_told(served: tuple[str, int], tmp_path: Path) -> None:
    port = served[0].split(":")[2].split("/")[0]
    command = [sys.executable, "-m", "fwtui", "serve", "--run-dir", str(tmp_path / "runs"), "--port", port]
    done = subprocess.run([*command, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=60, check=False)
    assert "warning: whoever reaches 0.0.0.0" in done.stderr
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "choose another --port" in done.stderr


def test_without_textual_serve_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fwtui.cli import main

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["serve"]) == 2
    assert "pip install 'fwtui[serve]'" in capsys.readouterr().err
