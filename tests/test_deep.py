"""The profiler window: marked, never counted, harmless; and what is made of it."""

from __future__ import annotations

import importlib.util
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guest_programs import lane as lanes
from test_guest import wait_for
from test_recorder import make_run, steps  # noqa: F401 - a fixture
from test_recorder import wait_for as wait_until

from fwtui.analysis.deep import phase_of, split
from fwtui.analysis.statistics import counted_mask
from fwtui.analysis.steps import StepFolder
from fwtui.guest.deep_shares import Interval, innermost, share_wall_time
from fwtui.guest.deep_xla import read_xspace
from fwtui.guest.protobuf import fields, grouped
from fwtui.recording.event_log import SLOT_DEEP
from fwtui.recording.run_folder import DEEP
from fwtui.recording.vocabulary import CODE_BITS, EVENT, GATE_GO
from fwtui.view.deep import deep_split


class TestShares:
    def test_parallel_operations_share_the_time(self) -> None:
        wall, calls, busy = share_wall_time([Interval(0, 10, "a"), Interval(5, 15, "b"), Interval(20, 25, "a")])
        assert wall == {"a": 12.5, "b": 7.5}
        assert (calls, busy) == ({"a": 2, "b": 1}, 20)

    def test_shares_sum_to_the_busy_time(self) -> None:
        chance = random.Random(0)
        starts = [chance.randrange(1000) for _ in range(200)]
        intervals = [Interval(start, start + chance.randrange(1, 40), start % 7) for start in starts]
        wall, _, busy = share_wall_time(intervals)
        moments = set().union(*(range(interval.start, interval.end) for interval in intervals))
        assert busy == len(moments)
        assert abs(sum(wall.values()) - busy) < 1e-6

    def test_nested_operations_keep_their_own_time(self) -> None:
        cut = innermost(
            [Interval(0, 10, "outer"), Interval(2, 5, "inner"), Interval(3, 4, "core"), Interval(12, 14, "x")]
        )
        assert sorted(cut) == [
            Interval(0, 2, "outer"),
            Interval(2, 3, "inner"),
            Interval(3, 4, "core"),
            Interval(4, 5, "inner"),
            Interval(5, 10, "outer"),
            Interval(12, 14, "x"),
        ]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "kind", "phase"),
        [
            ("sequential_1/dense_1/MatMul", "_MklMatMul", "forward"),
            ("compile_loss/mse/Mean", "Mean", "forward"),
            ("gradient_tape/sequential_1/dense/MatMul/MatMul_1", "MatMul", "backward"),
            ("adam/Sub_3", "Sub", "optimizer"),
            ("Adam_1/Adam/update/ResourceApplyAdam", "ResourceApplyAdam", "optimizer"),
            ("AssignSubVariableOp", "AssignSubVariableOp", "optimizer"),
            ("batch_normalization/AssignMovingAvg/AssignSubVariableOp", "AssignSubVariableOp", "forward"),
            ("my_rule/mul", "Mul", "optimizer"),
            ("jit(train_step)/jvp(dense)/dot_general", "dot.1", "forward"),
            ("jit(train_step)/transpose(jvp(dense))/dot_general", "fusion.2", "backward"),
            ("jit(update)/mul", "fusion.3", "optimizer"),
            ("", "copy.2", "unexplained"),
            ("sgd/CollectiveReduceV2", "CollectiveReduceV2", "unexplained"),
        ],
    )
    def test_phase(self, name: str, kind: str, phase: str) -> None:
        assert phase_of(name, kind, "", optimizer="my_rule") == phase

    def test_groups_win_and_shares_sum_to_one(self) -> None:
        rows = [["aten::mm", "torch", "backward", 30.0, 2], ["IteratorGetNext", "", "input", 10.0, 1]]
        phases, top = split(rows, 5.0, 45.0, 100.0) or ({}, [])
        assert phases == {"forward": 0, "backward": 0.3, "optimizer": 0, "data": 0.1, "unexplained": 0.6}
        assert top[0] == ("aten::mm", 30.0, 0.3)
        assert split([], 0.0, 0.0, None) is None


def varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def xspace() -> bytes:
    """A host plane with a TensorFlow operation and an XLA one, and the HLO that names the latter."""

    def named(field_number: int, number: int, name: str, more: bytes = b"") -> bytes:
        return field(field_number, field(1, number) + field(2, field(1, number) + field(2, name) + more))

    def event(kind: int, start: int, length: int, stats: bytes = b"") -> bytes:
        return field(4, field(1, kind) + field(2, start) + field(3, length) + stats)

    instruction = field(1, "fusion.1") + field(7, field(2, "jit(step)/transpose(jvp(dense))/dot"))
    module = field(1, field(1, "jit_step") + field(3, field(5, 1) + field(2, instruction)))
    stats = field(4, field(1, 1) + field(7, 3)) + field(4, field(1, 2) + field(7, 4))
    host = (
        field(2, "/host:CPU")
        + named(4, 1, "StatefulPartitionedCall/dense/MatMul:MatMul")
        + named(4, 2, "fusion.1")
        + named(4, 3, "ExecutorState::Process")
        + named(5, 1, "hlo_op") + named(5, 2, "hlo_module") + named(5, 3, "fusion.1") + named(5, 4, "jit_step")
        + field(3, field(3, 7) + event(1, 0, 3_000_000) + event(3, 0, 9_000_000) + event(2, 4_000_000, 10**6, stats))
    )  # fmt: skip
    metadata = field(2, "/host:metadata") + field(
        4, field(1, 5) + field(2, field(1, 5) + field(2, "jit_step(0)") + field(5, field(1, 9) + field(6, module)))
    )
    return field(1, host) + field(1, metadata)


class TestXSpace:
    def test_operations_and_their_hlo_names(self) -> None:
        table = read_xspace(xspace())
        assert table["operations"] == [
            ["dense/MatMul", "MatMul", "", 3000, 1],
            ["jit(step)/transpose(jvp(dense))/dot", "fusion.1", "", 1000, 1],
        ]
        assert (table["busy_ns"], table["xla"]) == (4000, True)

    def test_wire_format(self) -> None:
        assert list(fields(field(1, 300) + field(2, "ab") + varint(3 << 3 | 1) + bytes(8))) == [
            (1, 300),
            (2, b"ab"),
            (3, 0),
        ]
        with pytest.raises((ValueError, IndexError)):
            grouped(b"\x0f\xff\xff")


def words(*events: tuple[int, str]) -> np.ndarray:
    return np.array([time << CODE_BITS | EVENT[name] for time, name in events], dtype=np.uint64)


class TestMarkedSteps:
    def test_steps_of_a_window_are_marked_and_its_own_time_is_in_none(self) -> None:
        events = [(0, "step_begin")]
        now = 0
        for number in range(60):
            if number == 30:
                events += [(now + 1, "deep_open"), (now + 5, "deep_opened")]
                now += 5
            if number == 35:
                events += [(now + 1, "deep_close"), (now + 21, "deep_closed")]
                now += 21
            events += [(now, "step_begin"), (now + 10, "step_end")]
            now += 10
        folder = StepFolder()
        for piece in np.array_split(words(*[(t * 1_000_000, name) for t, name in events]), 7):
            folder.feed(piece)
        steps = folder.steps
        assert list(np.flatnonzero(steps.deep_ns)) == [30, 31, 32, 33, 34, 35]
        assert steps.profiler_ns.sum() == 24e6
        assert steps.step_ns[30:36].tolist() == [11e6, 10e6, 10e6, 10e6, 10e6, 11e6]
        counted = counted_mask(steps.step_ns, steps.start_ns, steps.wait_ns, steps.step_ns * 0, steps.deep_ns)
        assert counted[20:30].all()
        assert not counted[30:37].any(), "nor the step right after it"
        assert counted[40:].all()
        value = {"t": now * 1_000_000, "begin_ns": 306e6, "end_ns": 360e6, "steps": 5, "how": "x", "rest_ns": 0}
        value |= {"busy_ns": 20e6, "operations": [["a", "torch", "forward", 20e6, 5]]}
        made = deep_split(value, steps, {}, now * 1_000_000)
        assert made is not None
        assert (made.steps, made.operations) == (5, (("a", 4.0, 1.0),))
        assert made.cost_ms == pytest.approx(24 + 2)
        assert deep_split(value, steps, {}, 0) is None
        assert deep_split({"t": 1, "operations": 3}, steps, {}, 10) is None
        assert (deep_split({"t": 1, "note": "no"}, steps, {}, 10) or made).note == "no"


def run_with_window(folder: Path, *argv: str, **env: str) -> tuple[lanes.Lane, dict[str, Any] | None]:
    """Run `deep_steps.py` and ask for a window at its first step boundary."""
    process = lanes.start(folder, "deep_steps.py", *argv, gate="hold", **env)
    gate = wait_for(folder / "rank-0" / "events.log")
    wait_until(lambda: gate.waiting or process.poll() is not None, limit_s=120)
    gate.ask_deep()
    gate.set(GATE_GO)
    stdout, stderr = process.communicate(timeout=120)
    assert gate._slots[SLOT_DEEP] == 1
    path = folder / "rank-0" / "deep.json"
    return lanes.Lane(folder, process.returncode, stdout, stderr), json.loads(path.read_text())


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("way", "backend", "needed", "how"),
    [
        ("torch", "", "torch", "torch.autograd profiler"),
        ("keras", "tensorflow", "tensorflow", "TensorFlow profiler"),
        ("keras", "jax", "jax", "JAX profiler"),
        ("keras", "torch", "torch", "torch.autograd profiler"),
        ("tensorflow", "", "tensorflow", "TensorFlow profiler"),
    ],
)
def test_a_window_tells_the_phases_and_changes_nothing(
    tmp_path: Path, way: str, backend: str, needed: str, how: str
) -> None:
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    env = {"KERAS_BACKEND": backend} if backend else {}
    options = ["jit"] if way == "tensorflow" else []
    lane, deep = run_with_window(tmp_path / "lane", way, *options, **env)
    bare = lanes.run_bare("deep_steps.py", way, *options, **env)
    assert (lane.returncode, lane.stdout) == (bare.returncode, bare.stdout)
    assert lane.stderr.count("\n") == bare.stderr.count("\n"), lane.stderr
    assert not lane.notes("hook_error")
    assert deep is not None
    assert deep.get("how") == how, deep
    assert 3 <= deep["steps"] <= 20
    counts = lane.counts()
    assert [counts[name] for name in ("deep_open", "deep_opened", "deep_close", "deep_closed")] == [1, 1, 1, 1]
    phases, _ = split(deep["operations"], deep["rest_ns"], deep["busy_ns"], None) or ({}, [])
    assert all(phases[name] > 0.001 for name in ("forward", "backward", "optimizer")), phases


@pytest.mark.frameworks
def test_a_window_gives_way_to_the_programs_own_profiler(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    lane, deep = run_with_window(tmp_path / "lane", "torch", "own")
    bare = lanes.run_bare("deep_steps.py", "torch", "own")
    assert (lane.returncode, lane.stdout) == (bare.returncode, bare.stdout)
    assert "True" in lane.stdout, "the program's own profile is whole"
    assert deep is not None
    assert "operations" not in deep
    assert "profile itself" in deep["note"]
    assert lane.counts()["deep_closed"] == 1, "the steps after it count again"


def test_a_window_on_request_through_the_recorder(make_run: Any) -> None:  # noqa: F811
    """Steps that only marks tell of have no profiler: the lane is told so, marked and goes on."""
    from fwtui.recorder.launch import start
    from fwtui.recording.control import send

    folder = make_run(steps(sleep=0.002), schedule="together")
    start(folder)
    rank = folder.lane("lane0") / "rank-0"
    wait_until(lambda: (rank / "events.log").exists() and send(folder, {"do": "deep", "lane": "lane0"})["ok"])
    wait_until(lambda: (rank / DEEP).exists())
    assert "no profiler" in json.loads((rank / DEEP).read_text())["note"]
    assert not send(folder, {"do": "deep", "lane": "nobody"})["ok"]
    wait_until(lambda: send(folder, {"do": "deep", "lane": "lane0"})["ok"])
    send(folder, {"do": "stop"})
