"""Runs sent elsewhere: packing, the stream, a mirror, and a real sshd on loopback."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import scenarios
import ssh_server

from fwtui.recording import run_folder
from fwtui.recording.control import send
from fwtui.recording.event_log import EventLogReader
from fwtui.recording.run_folder import RunFolder, list_runs
from fwtui.remote import frames, ssh
from fwtui.remote.frames import FrameReader, FrameWriter, StreamError
from fwtui.remote.mirror import Mirror
from fwtui.remote.packing import COARSE_NS, pack, unpack
from fwtui.remote.sender import Sender
from fwtui.reports.json_report import report
from fwtui.view import liveness
from fwtui.view.session import Session

ROOT = Path(__file__).parents[1]
FWTUI = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m fwtui"


def stream(folder: RunFolder, have: dict[str, int] | None = None, ends: bool = True) -> bytes:
    """A run's folder as one stream."""
    out = io.BytesIO()
    sender = Sender(folder, FrameWriter(out), have or {}, lambda: liveness.is_live(folder.read_manifest(), folder))
    sender.send_new()
    if ends:
        sender.end()
    return out.getvalue()


def receive(data: bytes, mirror: Mirror, piece: int = 1000) -> None:
    reader = FrameReader()
    for first in range(0, len(data), piece):
        for frame in reader.feed(data[first : first + piece]):
            mirror.apply(frame)


def words(folder: RunFolder, lane: str) -> bytes:
    """The words that were published."""
    path = folder.lane(lane) / "rank-0" / run_folder.EVENTS
    if not path.exists():
        return b""
    log = EventLogReader(str(path))
    try:
        return log.read_new()
    finally:
        log.close()


@pytest.mark.parametrize("grain_ns", [1, COARSE_NS])
def test_words_survive_packing(grain_ns: int) -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(0, 10**7, 5000)) + 10**15
    original = (times.astype(np.uint64) << np.uint64(6)) | rng.integers(0, 64, 5000).astype(np.uint64)
    again = np.frombuffer(unpack(pack(original.tobytes(), grain_ns), grain_ns), dtype=np.uint64)
    assert (again & np.uint64(63) == original & np.uint64(63)).all()
    off = (original >> np.uint64(6)) - (again >> np.uint64(6))
    assert off.max() < grain_ns
    assert unpack(pack(b"")) == b""
    with pytest.raises(ValueError, match="cut short"):
        unpack(b"x")


@pytest.mark.parametrize("name", ["finished", "killed_mid_step", "gpu", "truncated", "no_steps"])
def test_a_mirror_tells_what_the_run_tells(name: str, tmp_path: Path) -> None:
    folder = scenarios.write(name, tmp_path / "there" / "run")
    mirror = Mirror(tmp_path / "here")
    receive(stream(folder), mirror)
    assert mirror.ready
    assert mirror.ended
    told, mirrored = report(Session(folder).frame()), report(Session(mirror.folder).frame())
    for value in (told, mirrored):
        value["run"]["path"] = ""
    assert mirrored == told
    if name != "truncated":
        lane = told["lanes"][0]["name"]
        assert words(mirror.folder, lane) == words(folder, lane)


def test_a_stream_is_small(tmp_path: Path) -> None:
    folder = scenarios.write("healthy", tmp_path / "run")
    size = sum(path.stat().st_size for path in folder.path.rglob("events.log"))
    assert len(stream(folder)) < size / 2


def test_what_is_there_is_not_sent_again(tmp_path: Path) -> None:
    folder = scenarios.write("healthy", tmp_path / "there" / "run", cut_s=8)
    mirror = Mirror(tmp_path / "here")
    whole = stream(folder, ends=False)
    receive(whole, mirror)
    assert mirror.live
    again = stream(folder, mirror.have)
    assert len(again) < len(whole) / 10
    receive(again, mirror)
    assert Session(mirror.folder).frame(folder.end_ns).lanes == Session(folder).frame(folder.end_ns).lanes


def test_a_talkative_program_is_cut_short(tmp_path: Path) -> None:
    folder = scenarios.write("healthy", tmp_path / "there" / "run", cut_s=8)
    out, mirror = io.BytesIO(), Mirror(tmp_path / "here")
    sender = Sender(folder, FrameWriter(out), {}, lambda: True)
    sender.send_new()
    sent = out.tell()
    with folder.output_path("torch").open("ab") as output:
        output.write(os.urandom(500_000) + b"\nlast words\n")
    sender.send_new()
    assert out.tell() - sent < 20_000
    receive(out.getvalue(), mirror)
    told = mirror.folder.output_path("torch").read_bytes()
    assert b"left out" in told
    assert told.endswith(b"last words\n")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", "."])
def test_a_stream_cannot_write_outside_its_folder(name: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = FrameWriter(out)
    writer.write("run", id="../../run")
    writer.write("file", b"x", p=name)
    writer.flush()
    with pytest.raises(StreamError):
        receive(out.getvalue(), Mirror(tmp_path / "here" / "deep"))
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    "data",
    [b"Welcome!\n" * 10_000, frames.MAGIC + b"not zlib at all", b"hello" + frames.MAGIC + b"\x78\x9c\xff\xff"],
)
def test_what_is_no_stream_is_told(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(StreamError):
        receive(data, Mirror(tmp_path))


def test_a_login_shell_may_greet_first(tmp_path: Path) -> None:
    folder = scenarios.write("finished", tmp_path / "there" / "run")
    mirror = Mirror(tmp_path / "here")
    receive(b"Welcome to box\r\nfwtui-strea\n" + stream(folder), mirror)
    assert mirror.ended


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("me@box", ("me@box", None)),
        ("me@box:2025-11", ("me@box", "2025-11")),
        ("box:", ("box", None)),
        ("box:/runs/a", ("box", "/runs/a")),
        ("me@[::1]:run", ("me@::1", "run")),
        ("box:/runs/a b's $HOME", ("box", "/runs/a b's $HOME")),
        ("box:--help", None),
        ("2025-11-23T21-03-07-mnist", None),
        ("some/where:x", None),
    ],
)
def test_addresses(text: str, address: tuple[str, str | None] | None) -> None:
    assert ssh.parse(text) == address


def wait_for(what: Callable[[], object], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


TRAINS = """
import time
from fwtui import mark
for i in range(10**7):
    with mark.step(samples=4):
        time.sleep(0.004)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_server.SshServer]:
    if why := ssh_server.missing():
        pytest.skip(why)
    running = ssh_server.SshServer(tmp_path_factory.mktemp("sshd"))
    try:
        if not running.ready():
            pytest.skip("sshd does not let this user in here")
        yield running
    finally:
        running.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[RunFolder]:
    """A run of two lanes that train until the test is over."""
    (tmp_path / "train.py").write_text(TRAINS)
    process = subprocess.Popen(
        [sys.executable, "-m", "fwtui", "--headless", "a=train.py", "b=train.py", "--run-dir", str(tmp_path / "runs")],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        wait_for(lambda: list_runs(tmp_path / "runs"))
        folder = list_runs(tmp_path / "runs")[0]
        wait_for(lambda: all((folder.lane(lane) / "rank-0" / run_folder.EVENTS).exists() for lane in "ab"))
        yield folder
    finally:
        process.terminate()
        process.wait(30)


def test_a_remote_run_over_real_ssh(
    server: ssh_server.SshServer, live: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history, the controls, a connection that breaks twice, and the end: nothing is lost and little is sent."""
    monkeypatch.setenv("FWTUI_SSH", server.ssh)
    told: list[str | None] = []
    remote = ssh.RemoteRun(ssh.Address(ssh_server.HOST, None), FWTUI, str(live.path.parent), told.append)
    remote.open()
    try:
        mirror = remote.mirror
        assert mirror.folder.id == live.id
        session = Session(mirror.folder, mirror.now_ns, lambda manifest: mirror.live)
        assert session.live
        wait_for(lambda: (session.poll(), session.frame().lanes[0].steps > 20)[1])
        assert abs(session.newest_ns - time.perf_counter_ns()) < 2e9  # the same machine, so the same clock
        began, received = time.monotonic(), remote.received_bytes
        for _ in range(2):
            seen = len(words(mirror.folder, "a"))
            assert server.drop()
            wait_for(lambda: told and told[-1] is not None)
            wait_for(lambda: told[-1] is None and len(words(mirror.folder, "a")) > seen)  # noqa: B023 - waited for here
        assert (remote.received_bytes - received) / (time.monotonic() - began) < 20_000
        assert send(mirror.folder, {"do": "pause", "lane": "b"}, 5)["ok"]
        wait_for(lambda: live.read_manifest()["lanes"][1]["paused"])
        assert not send(mirror.folder, {"do": "pause", "lane": "c"}, 5)["ok"]
        assert send(mirror.folder, {"do": "stop"}, 5)["ok"]
        wait_for(lambda: mirror.ended)
        session.poll()
        wait_for(lambda: (session.poll(), not session.live)[1])
        assert report(session.frame())["lanes"] == report(Session(live).frame())["lanes"]
        for lane in "ab":
            assert words(mirror.folder, lane) == words(live, lane)
    finally:
        remote.close()
    assert not mirror.folder.path.exists()


def attach(server: ssh_server.SshServer, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fwtui", "attach", *argv],
        env={**os.environ, "FWTUI_SSH": server.ssh, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_finished_run_is_fetched_and_told(server: ssh_server.SshServer, tmp_path: Path) -> None:
    scenarios.write("finished", tmp_path / "runs" / "2025-11-20T10-00-00-over")
    done = attach(server, f"{ssh_server.HOST}:over", "--remote-fwtui", FWTUI, "--run-dir", str(tmp_path / "runs"))
    assert done.returncode == 0
    assert "keras takes 1.99x as long as torch" in done.stdout


def test_a_run_of_any_name_is_asked_for_as_it_is_written(server: ssh_server.SshServer, tmp_path: Path) -> None:
    folder = tmp_path / "it's $HOME; touch pwned & *"
    scenarios.write("finished", folder)
    done = attach(server, f"{ssh_server.HOST}:{folder}", "--remote-fwtui", FWTUI)
    assert done.returncode == 0
    assert "keras takes 1.99x as long as torch" in done.stdout


def test_what_fails_is_one_sentence(server: ssh_server.SshServer, tmp_path: Path) -> None:
    for name, code in (("old", "echo \"fwtui: there is no command 'stream'\" >&2; exit 2"), ("other", "echo Welcome")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{code}\n")
        (tmp_path / name).chmod(0o755)
    for argv, words in (
        ((f"{ssh_server.HOST}:", "--remote-fwtui", str(tmp_path / "old")), "of another version"),
        ((f"{ssh_server.HOST}:", "--remote-fwtui", str(tmp_path / "other")), "answered 'Welcome', and no run"),
        ((ssh_server.HOST,), f"of another machine: fwtui attach {ssh_server.HOST}:"),
        ((f"{ssh_server.HOST}:none", "--remote-fwtui", FWTUI, "--run-dir", str(tmp_path)), "no run named 'none'"),
        ((f"{ssh_server.HOST}:", "--remote-fwtui", "/nowhere/fwtui"), "--remote-fwtui PATH"),
        (("nobody@no-such-host.invalid",), "resolve"),
    ):
        done = attach(server, *argv)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
