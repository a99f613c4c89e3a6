"""Lanes of several ranks: who waits for whom, on one host and on others; real processes where a wait is measured."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guest_programs import lane as lanes

from fwtui import cli
from fwtui.analysis.ranks import RankSteps, compare_ranks
from fwtui.analysis.rules_ranks import rank_findings
from fwtui.guest import where
from fwtui.recording import run_folder
from fwtui.recording.event_log import (
    HEADER_BYTES,
    AppendLogWriter,
    EventLogError,
    EventLogReader,
    EventLogWriter,
    NoGateError,
    TurnGate,
)
from fwtui.recording.host import host_identity
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.vocabulary import CODE_BITS, EVENT, PHASE_INDEX, PHASE_NAMES
from fwtui.view.frame import LaneFrame
from fwtui.view.session import Session

MS = 1_000_000


def rank(number: int, first: int = 0, count: int = 100, communication: bool = True, **phases_ms: Any) -> RankSteps:
    """A rank whose phases are given in ms, as a number or a row of numbers."""
    phases = np.zeros((count, len(PHASE_NAMES)))
    waits = np.broadcast_to(np.asarray(phases_ms.pop("waits", 0.0)) * MS, count)
    for name, value in phases_ms.items():
        phases[:, PHASE_INDEX[name]] = np.asarray(value) * MS
    phases[:, PHASE_INDEX["backward"]] += waits
    step = phases.sum(axis=1)
    seen = waits if communication else np.zeros(count)
    return RankSteps(number, first, np.cumsum(step).astype(np.int64), step, phases, np.array(seen))


class TestCompared:
    def test_the_slow_rank_is_named_with_its_own_cause(self) -> None:
        compared = compare_ranks(
            [rank(0, data=1, backward=5, waits=20), rank(1, data=21, backward=5), rank(2, data=1, backward=5, waits=20)]
        )
        assert compared is not None
        assert compared.straggler is not None
        assert (compared.straggler.rank, compared.straggler.phase) == (1, "data")
        assert compared.straggler.phase_ms == pytest.approx(20)
        assert compared.straggler.share == pytest.approx(20 / 26)
        assert compared.times[0].communication_ms == pytest.approx(20)
        assert compared.times[1].own_ms == pytest.approx(26)
        assert not compared.estimated
        (finding,) = rank_findings(compared, since="3 s ago")
        assert (finding.code, finding.severity) == ("straggler-rank", "critical")
        assert "rank 1 takes 26 ms" in finding.evidence
        assert "3 s ago" in finding.evidence

    def test_since_when(self) -> None:
        late = np.where(np.arange(100) >= 60, 12.0, 0.0)
        compared = compare_ranks([rank(0, forward=2, waits=late), rank(1, forward=2 + late)])
        assert compared is not None
        straggler = compared.straggler
        assert straggler is None, "the medians of the window do not show it yet"
        late = np.where(np.arange(100) >= 30, 12.0, 0.0)
        compared = compare_ranks([rank(0, first=50, forward=2, waits=late), rank(1, first=50, forward=2 + late)])
        assert compared is not None
        assert compared.straggler is not None
        assert compared.straggler.since_step == 50 + 30 + 1

    @pytest.mark.parametrize("seen", [True, False], ids=["measured waits", "estimated waits"])
    def test_since_when_reaches_beyond_the_compared_steps(self, seen: bool) -> None:
        late = np.where(np.arange(900) >= 300, 12.0, 0.0)
        quick = rank(0, count=900, communication=seen, forward=2, waits=late)
        ranks = [quick, rank(1, count=900, communication=seen, forward=2 + late)]
        compared = compare_ranks(ranks)
        assert compared is not None
        assert compared.straggler is not None
        assert compared.straggler.since_step == 301, "as far back as steps are kept"
        assert compared.straggler.since_ns == ranks[1].end_ns[300]

    def test_waits_that_no_hook_sees_are_estimated(self) -> None:
        quick, slow = rank(0, callbacks=1, compute=19), rank(1, callbacks=11, compute=9)
        compared = compare_ranks([quick, slow])
        assert compared is not None
        assert compared.estimated
        assert compared.times[0].communication_ms == pytest.approx(10)
        assert compared.straggler is not None
        assert (compared.straggler.rank, compared.straggler.phase) == (1, "callbacks")
        assert "estimated" in rank_findings(compared)[0].evidence

    def test_even_ranks_have_no_straggler(self) -> None:
        chance = np.random.default_rng(0)
        ranks = [rank(n, data=1 + 0.1 * chance.random(100), backward=5, waits=0.2) for n in range(4)]
        compared = compare_ranks(ranks)
        assert compared is not None
        assert compared.straggler is None
        assert rank_findings(compared) == ()

    def test_only_steps_that_all_have_are_compared(self) -> None:
        assert compare_ranks([rank(0)]) is None
        assert compare_ranks([rank(0, first=0, data=1), rank(1, first=95, data=1)]) is None
        assert compare_ranks([rank(0, first=0, data=1), rank(1, first=50, data=1)]) is not None

    def test_a_dead_rank_comes_before_a_slow_one(self) -> None:
        compared = compare_ranks([rank(0, data=1, waits=20), rank(1, data=21)])
        (finding,) = rank_findings(compared, "rank 1 (process 7 on host) died without a word")
        assert "died" in finding.evidence


def tf_config(kind: str, index: int, **cluster: list[str]) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


class TestWhere:
    @pytest.mark.parametrize(
        ("env", "expected"),
        [
            ({}, (0, 1)),
            ({"RANK": "3", "WORLD_SIZE": "8"}, (3, 8)),
            ({"SLURM_PROCID": "5", "SLURM_NTASKS": "6"}, (5, 6)),
            ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, (1, 2)),
            ({"RANK": "nonsense"}, (0, 1)),
            ({"TF_CONFIG": tf_config("worker", 1, worker=["a", "b"])}, (1, 2)),
            ({"TF_CONFIG": tf_config("worker", 0, chief=["c"], worker=["a"])}, (1, 2)),
            ({"TF_CONFIG": tf_config("ps", 0, ps=["c"], worker=["a"])}, (0, 1)),
            ({"TF_CONFIG": "{"}, (0, 1)),
        ],
    )
    def test_rank_and_size(
        self, env: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for names in (*where.RANK_VARIABLES, ("TF_CONFIG", "TF_CONFIG")):
            for name in names:
                monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        assert where.rank_and_size() == expected


class TestAppendLog:
    def test_reads_as_the_mapped_one_does(self, tmp_path: Path) -> None:
        words = [moment << CODE_BITS | EVENT["data_begin"] for moment in range(1, 3000)]
        mapped, appended = EventLogWriter(str(tmp_path / "a"), 7), AppendLogWriter(str(tmp_path / "b"), 7)
        readers = [EventLogReader(str(tmp_path / name)) for name in "ab"]
        for piece in (words[:1000], words[1000:]):
            mapped.append(piece)
            appended.append(piece)
            got = [reader.read_new() for reader in readers]
            assert got[0] == got[1]
            assert len(got[0]) == 8 * len(piece)
        assert [reader.ended for reader in readers] == [False, False]
        mapped.close()
        appended.close()
        assert [reader.ended for reader in readers] == [True, True]
        assert [reader.read_new() for reader in readers] == [b"", b""]
        assert [reader.waiting_words for reader in readers] == [0, 0]
        assert (readers[1].pid, readers[1].start_ns) == (os.getpid(), 7)
        assert not readers[1].waiting

    def test_nobody_maps_it(self, tmp_path: Path) -> None:
        log = AppendLogWriter(str(tmp_path / "log"), 7)
        with pytest.raises(NoGateError):
            TurnGate(str(tmp_path / "log"))
        with pytest.raises(FileExistsError):
            AppendLogWriter(str(tmp_path / "log"), 7)
        log.close()

    def test_half_a_header_is_refused(self, tmp_path: Path) -> None:
        AppendLogWriter(str(tmp_path / "log"), 7).close()
        (tmp_path / "cut").write_bytes((tmp_path / "log").read_bytes()[:40])
        with pytest.raises(EventLogError):
            EventLogReader(str(tmp_path / "cut"))
        assert (tmp_path / "log").stat().st_size == HEADER_BYTES + 8


STEPS = """
import sys, time
from fwtui import mark
for number in range(40):
    with mark.step(samples=8):
        with mark.phase("data"):
            time.sleep(float(sys.argv[1]))
        time.sleep(max(0.0, 0.03 - float(sys.argv[1])))
"""


def manifest(folder: RunFolder, **recorder: Any) -> None:
    import time

    began = time.perf_counter_ns()
    folder.path.mkdir(parents=True, exist_ok=True)
    lane = {"name": "train", "status": "finished", "started_ns": began, "ended_ns": None, "exit_code": 0}
    clock = {"monotonic_ns": began, "unix_ns": time.time_ns()}
    folder.write_manifest(
        {
            "schema": 1, "status": "finished", "clock": clock, "schedule": "together", "ended_ns": began + 60 * 10**9,
            "recorder": recorder, "lanes": [{**lane, "ended_ns": began + 60 * 10**9}],
        }
    )  # fmt: skip


def start_rank(run: Path, number: int, sleep: float, *prefix: str, **more: str) -> subprocess.Popen[str]:
    env = {**lanes.bare_environment(), "PYTHONPATH": str(lanes.BOOTSTRAP), "FWTUI_RUN": str(run), "FWTUI_LANE": "train"}
    env |= {"RANK": str(number), "WORLD_SIZE": "2", **more}
    argv = [*prefix, sys.executable, "-c", STEPS, str(sleep)]
    return subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True)


def read_lane(folder: RunFolder) -> LaneFrame:
    session = Session(folder)
    try:
        for _ in range(5):
            session.poll()
        return session.frame().lanes[0]
    finally:
        session.close()


def own_clock() -> list[str]:
    """What starts a process whose monotonic clock is 5,000 s ahead, as that of a host that was up longer."""
    prefix = ["unshare", "--time", "--monotonic", "5000"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        return []
    return prefix


class TestHosts:
    def test_ranks_of_two_hosts_in_a_shared_folder(self, tmp_path: Path) -> None:
        """The second one is elsewhere: another host's name for itself, a clock of its own, and only appends."""
        folder = RunFolder(tmp_path / "run")
        manifest(folder, host=host_identity())
        here = {"FWTUI_LANE_DIR": str(folder.lane("train")), "FWTUI_HOST": host_identity()}
        folder.lane("train").mkdir(parents=True)
        processes = [start_rank(folder.path, 0, 0.001, **here), start_rank(folder.path, 1, 0.02, *own_clock())]
        assert [process.communicate(timeout=60)[1] for process in processes] == ["", ""]
        hosts = [json.loads((path / run_folder.HOST).read_text()) for path in folder.ranks("train")]
        assert [host["rank"] for host in hosts] == [0, 1]
        lane = read_lane(folder)
        assert [row.steps for row in lane.ranks] == [40, 40]
        assert [row.state for row in lane.ranks] == ["finished", "finished"]
        # the processes start together, so that their wall clocks, which are one, must agree in spite of the other clock
        host = hosts[1]
        if own_clock():
            assert abs(host["monotonic_ns"] - hosts[0]["monotonic_ns"]) > 4_000 * 10**9
        assert lane.ranks[0].clock_offset_ms is None

    def test_parts_are_merged(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder, part = RunFolder(tmp_path / "run"), tmp_path / "part"
        manifest(folder, host="another")
        for number, run in ((0, folder.path), (1, part)):
            assert start_rank(run, number, 0.001).wait(timeout=60) == 0
        assert read_lane(folder).ranks == ()
        assert cli.main(["merge", str(folder.path), str(part)]) == 0
        assert "rank-1" in capsys.readouterr().out
        lane = read_lane(folder)
        assert [(row.rank, row.steps) for row in lane.ranks] == [(0, 40), (1, 40)]
        assert all(row.clock_offset_ms is not None for row in lane.ranks)
        assert cli.main(["merge", str(folder.path), str(part)]) == 2
        assert "in the run already" in capsys.readouterr().err
        assert cli.main(["merge", str(folder.path), str(tmp_path)]) == 2
        assert "has no ranks" in capsys.readouterr().err
        assert cli.main(["merge"]) == 2
        assert cli.main(["merge", "--how"]) == 0
        assert "FWTUI_RUN" in capsys.readouterr().out


def torchrun(tmp_path: Path, *options: str) -> tuple[RunFolder, str]:
    folder = RunFolder(tmp_path / "run")
    manifest(folder, host=host_identity())
    env = lanes.environment(folder.lane("train"), FWTUI_RUN=str(folder.path), FWTUI_HOST=host_identity())
    folder.lane("train").mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*argv, "straggler.py", *options], env=env, cwd=lanes.PROGRAMS, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.frameworks
@pytest.mark.parametrize("options", [[], ["--plain"]], ids=["ddp", "all_reduce"])
def test_a_straggler_under_torchrun(tmp_path: Path, options: list[str]) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    folder, printed = torchrun(tmp_path, "--slow-rank", "1", "--steps", "60", *options)
    lane = read_lane(folder)
    assert [row.steps for row in lane.ranks] == [60, 60]
    assert lane.samples_per_step == 2 * 16, "each rank has a batch of its own"
    (finding,) = [finding for finding in lane.findings if finding.code == "straggler-rank"]
    assert "rank 1 takes" in finding.evidence
    assert "mostly in data (+" in finding.evidence
    waits, own = [row.communication_ms for row in lane.ranks], [row.own_ms for row in lane.ranks]
    assert None not in waits + own
    assert waits[0] > 3 * waits[1], "rank 0 waits for rank 1"  # type: ignore[operator]
    assert own[1] > 3 * own[0]  # type: ignore[operator]
    assert not list(folder.path.rglob("guest-error.txt"))
    env = {**lanes.bare_environment(), "PYTHONPATH": ""}
    argv = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "straggler.py"]
    bare = subprocess.run(
        [*argv, "--steps", "60", *options], env=env, cwd=lanes.PROGRAMS, capture_output=True, text=True, timeout=120
    )
    assert printed == bare.stdout, "the same bits"
