"""Device time by events that are never waited for: against a device of our own making, and on a real one (`gpu`)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from guest_programs import lane as lanes
from test_deep import run_with_window

from fwtui.analysis.deep import split
from fwtui.analysis.findings import find
from fwtui.analysis.lane_facts import LaneFacts
from fwtui.guest import agent, cuda_hooks, notes
from fwtui.guest.device_events import EVERY, IN_FLIGHT, MARKS, DeviceTimes
from fwtui.recorder.gpus import Gpus


class Device:
    """A stream that does its work `lag` ms after it was asked for; `now` is the host's time in ms."""

    def __init__(self, lag: float) -> None:
        self.now, self.lag, self.made, self.capturing = 0.0, lag, 0, False

    def event(self) -> Any:
        self.made += 1
        return Event(self)


class Event:
    def __init__(self, device: Device) -> None:
        self.device, self.at = device, 0.0

    def record(self, stream: Any = None) -> None:
        assert not self.device.capturing
        self.at = self.device.now + self.device.lag

    def query(self) -> bool:
        assert not self.device.capturing
        return self.device.now >= self.at

    def elapsed_time(self, other: Event) -> float:
        assert self.query(), "an event that is not over must never be asked: it would be waited for"
        assert other.query()
        return other.at - self.at

    def synchronize(self) -> None:
        raise AssertionError("nothing may wait")


def step(times: DeviceTimes, device: Device, ms: float = 1.0) -> None:
    """forward 1, backward 2, optimizer 0.5 of `ms`."""
    for mark, part in zip(MARKS[1:], (1.0, 2.0, 0.0, 0.5), strict=True):
        device.now += part * ms
        times.mark(mark)


@pytest.mark.parametrize(("lag", "keeps_up"), [(0.1, 1.0), (20.0, 0.0)])
def test_phases_and_who_waits_for_whom(lag: float, keeps_up: float) -> None:
    device = Device(lag)
    times = DeviceTimes(device.event, lambda: True)
    for _ in range(40 * EVERY):
        step(times, device)
    facts = times.facts()
    assert facts["device_ms"] == {"forward": 1.0, "backward": 2.0, "optimizer": 0.5, "step": 3.5}
    assert facts["device_keeps_up"] == keeps_up
    assert facts["device_samples"] >= 38
    assert device.made <= 3 * len(MARKS), "events are used again"


def test_a_device_that_never_comes_takes_no_more_memory() -> None:
    device = Device(1e9)
    times = DeviceTimes(device.event, lambda: True)
    for _ in range(200 * EVERY):
        step(times, device)
    assert times.facts() == {}
    assert times.given_up > 100
    assert device.made <= (IN_FLIGHT + 2) * len(MARKS)


def test_nothing_is_recorded_nor_asked_while_a_graph_is_captured() -> None:
    device = Device(0.1)
    times = DeviceTimes(device.event, lambda: not device.capturing)
    for number in range(30 * EVERY):
        device.capturing = 50 <= number < 150
        step(times, device)
    assert times.facts()["device_samples"] >= 15


def test_a_step_without_a_backward_pass_is_no_sample() -> None:
    device = Device(0.1)
    times = DeviceTimes(device.event, lambda: True)
    for _ in range(20 * EVERY):
        device.now += 1
        times.mark("optimizer_begin")
        times.mark("end")
    assert times.facts() == {}


def facts(**guest: Any) -> LaneFacts:
    mean = {"data": 0.2, "forward": 3.0, "backward": 5.0, "optimizer": 1.0}
    return LaneFacts("torch", None, "training", None, 200, mean, 9.2, guest=guest)


def test_a_late_host_is_named_and_a_busy_device_is_not() -> None:
    late = find(facts(device_keeps_up=0.95, device_samples=100))
    assert [finding.code for finding in late] == ["dispatch-bound"]
    assert "95% of 100 sampled steps" in late[0].evidence
    assert find(facts(device_keeps_up=0.1, device_samples=100)) == ()
    assert find(facts(device_keeps_up=0.95, device_samples=3)) == ()
    assert find(facts()) == ()


@pytest.fixture
def untouched() -> Iterator[None]:
    cuda_hooks._armed[0] = False
    yield
    cuda_hooks._armed[0] = False
    while agent.undo:
        agent.undo.pop()()


@pytest.mark.frameworks
def test_the_hooks_on_a_real_torch_with_a_device_of_our_own(monkeypatch: pytest.MonkeyPatch, untouched: None) -> None:
    """The marks come from torch's own hooks; only the device is not real."""
    torch = pytest.importorskip("torch")
    device = Device(0.0)
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: device.event())
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda: {"allocated_bytes.all.current": 5, "num_alloc_retries": 1})
    monkeypatch.setattr(cuda_hooks, "FACTS_EVERY_NS", 0)
    cuda_hooks.arm_on(SimpleNamespace(type="cuda"))
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(6 * EVERY):
        device.now += 1
        loss = model(torch.ones(2, 4)).sum()
        loss.backward()
        device.now += 1
        optimizer.step()
    told = notes.learnt
    assert told["device_samples"] >= 4
    assert told["device_ms"]["step"] == 2.0
    assert told["allocator"] == {"allocated_bytes": 5, "retries": 1}
    assert not [note for note in notes.pending if note["kind"] == "hook_error"]
    before = torch.autograd.graph._engine_run_backward
    while agent.undo:
        agent.undo.pop()()
    assert torch.autograd.graph._engine_run_backward is not before, "all is taken out again"


ON_GPU = """
import json, sys, torch
torch.manual_seed(0)
torch.cuda.set_sync_debug_mode("error")
model = torch.nn.Sequential(*[torch.nn.Linear(2048, 2048) for _ in range(8)]).cuda()
optimizer = torch.optim.SGD(model.parameters(), 0.01)
x = torch.randn(4096, 2048, device="cuda")
for number in range(400):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()
torch.cuda.set_sync_debug_mode("default")
torch.cuda.synchronize()
begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
begin.record()
for number in range(50):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()
end.record()
torch.cuda.synchronize()
print(json.dumps({"step_ms": begin.elapsed_time(end) / 50}))
"""


@pytest.mark.gpu
def test_device_times_on_a_real_gpu(tmp_path: Path) -> None:
    """No synchronisation is added, and a step's device time is within 3 % of the whole loop's."""
    if (
        importlib.util.find_spec("torch") is None
        or subprocess.run(
            [sys.executable, "-c", "import torch, sys; sys.exit(not torch.cuda.is_available())"]
        ).returncode
    ):
        pytest.skip("no GPU that torch can use")
    lane = lanes.run(tmp_path / "lane", "-c", ON_GPU, CUDA_VISIBLE_DEVICES="0")
    assert lane.returncode == 0, lane.stderr
    told = lane.facts()
    assert told["device_ms"]["step"] == pytest.approx(json.loads(lane.stdout)["step_ms"], rel=0.03)
    assert told["device_keeps_up"] < 0.2, "a step of large matrices keeps the device busy"
    assert told["allocator"]["allocated_bytes"] > 0
    assert not lane.notes("hook_error")


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_keras_window_on_a_real_gpu_tells_the_phases(tmp_path: Path, backend: str) -> None:
    if importlib.util.find_spec(backend) is None or not real_gpus():
        pytest.skip(f"no GPU, or no {backend}")
    lane, deep = run_with_window(tmp_path / "lane", "keras", KERAS_BACKEND=backend, CUDA_VISIBLE_DEVICES="0")
    assert lane.returncode == 0, lane.stderr
    assert not lane.notes("hook_error")
    assert deep is not None
    phases, _ = split(deep["operations"], deep["rest_ns"], deep["busy_ns"], None) or ({}, [])
    assert all(phases[name] > 0 for name in ("forward", "backward", "optimizer")), phases


@pytest.mark.gpu
def test_the_real_library_tells_of_a_real_gpu() -> None:
    gpus = real_gpus()
    if not gpus:
        pytest.skip("no GPU")
    for row in gpus:
        assert row["gpu_memory_bytes"]
        assert row["gpu_temperature_c"]
        assert row["gpu_power_w"]
        assert row["gpu_throttle_reasons"] is not None


def real_gpus() -> list[Any]:
    gpus = Gpus()
    try:
        return gpus.sample()
    finally:
        gpus.close()
