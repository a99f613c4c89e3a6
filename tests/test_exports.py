"""Exports in what opens them: HTML in a real browser, traces by Perfetto's own schema, long runs in pieces."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import browser
import jsonschema
import numpy as np
import pytest
import scenarios

from fwtui.cli import main
from fwtui.commands.report import Bar
from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.reports import csv_steps, html, json_report
from fwtui.reports.trace import write_trace
from fwtui.view import step_stream
from fwtui.view.session import Session


def page_of(name: str, path: Path) -> str:
    session = Session(scenarios.write(name, path / name))
    try:
        return html.report(session)
    finally:
        session.close()


class TestHtml:
    @pytest.mark.parametrize("name", sorted(scenarios.SCENARIOS))
    def test_needs_nothing_else(self, name: str, tmp_path: Path) -> None:
        page = page_of(name, tmp_path)
        assert not re.search(r"<link|<img|@import|url\(|\bsrc=|\bhref=|fetch\(|XMLHttpRequest|WebSocket", page)
        assert set(re.findall(r"https?://[^\s\"'<>]+", page)) <= {"http://www.w3.org/2000/svg"}
        data = json.loads(page.split('id="run">')[1].split("</script>")[0])
        assert data["schema"] == 1
        assert len(data["lanes"][0]["series"]["mean"]) == data["series"]["count"]

    def test_a_programs_words_are_no_markup(self, tmp_path: Path) -> None:
        folder = scenarios.write("failed", tmp_path / "run")
        manifest = folder.read_manifest()
        bad = "</script><script>document.title='owned'</script>"
        manifest["lanes"][0]["error"] = bad
        manifest["name"] = bad
        folder.write_manifest(manifest)
        page = html.report(Session(folder))
        assert bad not in page
        assert page.count("</script>") == 2

    @pytest.mark.skipif(browser.PROGRAM is None, reason="needs Chromium")
    @pytest.mark.parametrize("name", ["stalls", "no_steps"])
    def test_draws_in_a_real_browser(self, name: str, tmp_path: Path) -> None:
        file = tmp_path / "page.html"
        file.write_text(page_of(name, tmp_path), encoding="utf-8")
        profile = f"--user-data-dir={tmp_path}/profile"
        command = [str(browser.PROGRAM), *browser.OPTIONS, profile, "--virtual-time-budget=2000", "--dump-dom"]
        done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
        assert 'data-drawn="yes"' in done.stdout  # the script came to its end
        drawn = done.stdout.split("<script")[0]
        charts = re.findall(r'data-chart="(\w+)"', drawn)
        assert drawn.count("<svg") == len(charts)
        if name == "stalls":
            assert drawn.count("<polygon") == sum(
                truth.stalls for truth in scenarios.write(name, tmp_path / "again").truth.values()
            )
            assert {"steps", "phases", "gap", "loss", "cpu", "memory"} <= set(charts)


class TestTrace:
    """By Perfetto's own message classes; what they cannot read, Perfetto cannot either."""

    @pytest.fixture
    def parsed(self, tmp_path: Path) -> Any:
        protos = pytest.importorskip(
            "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="needs PyPI's perfetto"
        )
        folder = scenarios.write("gpu", tmp_path / "run")
        file = io.BytesIO()
        session = Session(folder)
        write_trace(session, file)
        trace = protos.Trace()
        trace.ParseFromString(file.getvalue())
        return session, trace

    def test_lanes_are_processes_phases_slices_and_hardware_counters(self, parsed: Any) -> None:
        session, trace = parsed
        interned = next(packet.interned_data for packet in trace.packet if packet.HasField("interned_data"))
        names = {name.iid: name.name for name in interned.event_names}
        tracks = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
        unknown = pytest.importorskip("google.protobuf.unknown_fields").UnknownFieldSet
        assert not any(len(unknown(packet)) for packet in trace.packet)
        processes = [track.process.process_name for track in tracks.values() if track.HasField("process")]
        assert [name.split()[0] for name in processes] == ["torch", "keras:backend=torch", "machine", "GPU"]
        counters = {track.name for track in tracks.values() if track.HasField("counter")}
        assert {"cpu_cores", "rss_bytes", "gpu_util", "gpu_power_w", "memory_available_bytes"} <= counters
        events = [packet for packet in trace.packet if packet.HasField("track_event")]
        assert Counter(e.track_event.type for e in events)[1] == Counter(e.track_event.type for e in events)[2]

        lanes = session.frame().lanes
        open_at: dict[int, tuple[int, int]] = {}
        spent: dict[tuple[str, str], float] = defaultdict(float)
        count: Counter[tuple[str, str]] = Counter()
        newest: dict[int, int] = {}
        for packet in events:
            event = packet.track_event
            assert packet.timestamp >= newest.get(event.track_uuid, 0)
            newest[event.track_uuid] = packet.timestamp
            if event.type == 1:
                assert event.track_uuid not in open_at
                open_at[event.track_uuid] = (packet.timestamp, event.name_iid)
            elif event.type == 2:
                began, name = open_at.pop(event.track_uuid)
                thread = tracks[event.track_uuid].thread
                key = (lanes[thread.pid - 1].name, names[name])
                spent[key] += packet.timestamp - began
                count[key] += 1
        assert not open_at
        for lane in lanes:
            steps = session.logs[lane.index].derived().steps
            for index, phase in enumerate(PHASE_NAMES):
                assert spent[lane.name, phase] == pytest.approx(float(steps.phases[:, index].sum()), abs=1)
            assert sum(count[lane.name, kind] for kind in ("step", "stalled step", "uncounted step")) == lane.steps
            assert spent[lane.name, "waiting for its turn"] == pytest.approx(float(steps.wait_ns.sum()), abs=1)

    def test_perfettos_own_processor_opens_it(self, tmp_path: Path) -> None:
        processor = pytest.importorskip("perfetto.trace_processor", reason="needs PyPI's perfetto")
        shell = next(Path.home().glob(".local/share/perfetto/prebuilts/trace_processor_shell-*[0-9a-f]"), None)
        if shell is None:
            pytest.skip("needs Perfetto's trace_processor_shell, which its package downloads")
        file = tmp_path / "trace.pftrace"
        with file.open("wb") as out:
            write_trace(Session(scenarios.write("gpu", tmp_path / "run")), out)
        config = processor.TraceProcessorConfig(bin_path=str(shell))
        opened = processor.TraceProcessor(trace=str(file), config=config)
        assert {row.name for row in opened.query("select name from process where name is not null")}
        assert next(iter(opened.query("select count(*) as n from slice"))).n > 1000


@pytest.mark.parametrize("words", [1 << 9, 1 << 12, 1 << 20])
@pytest.mark.parametrize("name", ["stalls", "unfair", "killed_mid_step", "six_lanes"])
def test_pieces_say_what_the_whole_says(name: str, words: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_stream, "PIECE_WORDS", words)
    session = Session(scenarios.write(name, tmp_path / "run"))
    for log in session.logs:
        whole = log.derived()
        parts = [piece.steps for piece in step_stream.pieces(log.events_path)]
        for column in ("counted", "stalled", "number", "lost_ns"):
            assert (np.concatenate([getattr(part, column) for part in parts]) == getattr(whole, column)).all()
        for column in ("end_ns", "step_ns", "phases"):
            made = np.concatenate([getattr(part.steps, column) for part in parts])
            assert np.array_equal(made, getattr(whole.steps, column))


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    seen: list[float] = []
    session = Session(scenarios.write("stalls", tmp_path / "run"))
    csv_steps.write_csv(session, io.StringIO(), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_the_bar_tells_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = Bar("out.csv")
    bar.show(0.0)  # too early for a word
    now_s[0] += 10
    bar.show(0.25)
    drawn = capsys.readouterr().err
    assert drawn.count("out.csv") == 1
    assert "25%, 30 s left" in drawn
    bar.end()
    assert capsys.readouterr().err == "\r\x1b[K"


@pytest.mark.parametrize("format_name", ["text", "json", "csv", "markdown", "html", "trace"])
def test_the_command_writes_every_format(format_name: str, tmp_path: Path) -> None:
    folder = scenarios.write("finished", tmp_path / "runs" / "run")
    assert main(["report", str(folder.path), "--format", format_name, "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").stat().st_size > 500


def test_the_schema_can_be_had_and_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    folder = scenarios.write("six_lanes", tmp_path / "run")
    assert main(["report", str(folder.path), "--format", "json"]) == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), schema)


def test_an_unfair_pair_has_no_figures_but_the_fair_one_per_sample(tmp_path: Path) -> None:
    pair = json_report.report(Session(scenarios.write("unfair", tmp_path / "run")).frame())["comparison"]["pairs"][0]
    assert pair["verdict"] == "unfair"
    (fair,) = [one for one in pair["alternatives"] if one["code"] == "per-sample"]
    assert (pair["ratio"], pair["ci95"]) == (fair["ratio"], fair["ci95"])
    assert (pair["gap_ms"], pair["causes"]) == (None, [])


LONG = """
import resource, sys
sys.path[:0] = {paths!r}
import numpy as np
from pathlib import Path
from fwtui.recording.event_log import EventLogWriter
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.vocabulary import EVENT
from fwtui.cli import main
STEPS, PIECE = {steps}, 100_000
folder = RunFolder({run!r}); rank = folder.lane("long") / "rank-0"; rank.mkdir(parents=True)
log = EventLogWriter(str(rank / "events.log"), 1_000_000)
codes = np.array([EVENT[name] for name in
    ("data_begin", "data_end", "backward_begin", "backward_end", "optimizer_begin", "optimizer_end")], dtype=np.uint64)
rng, now = np.random.default_rng(0), 10**12
for first in range(0, STEPS, PIECE):
    passed = rng.integers(40_000, 60_000, (PIECE, 6)).astype(np.uint64)
    times = np.cumsum(passed.ravel()) + np.uint64(now)
    now = int(times[-1])
    log.append((times << np.uint64(6) | np.tile(codes, PIECE)).tolist())
log.close()
lane = {{"name": "long", "status": "finished", "started_ns": 10**12, "ended_ns": now, "exit_code": 0}}
folder.write_manifest({{"schema": 1, "status": "finished", "clock": {{"monotonic_ns": 10**12, "unix_ns": 0}},
    "schedule": "together", "ended_ns": now, "lanes": [lane]}})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in {formats!r}:
    assert main(["report", {run!r}, "--format", name, "-o", {run!r} + "." + name]) == 0
print(before // 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def export_long(steps: int, formats: tuple[str, ...], place: Path) -> tuple[int, int]:
    """Write a simulated lane through the real writer, export it; peak memory in MiB before and after exporting."""
    root = Path(__file__).parents[1]
    code = LONG.format(paths=[str(root)], steps=steps, run=str(place / "run"), formats=formats)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=3600)
    before, after = done.stdout.split()[-2:]
    return int(before), int(after)


def test_a_long_run_is_exported_in_pieces(tmp_path: Path) -> None:
    """300,000 steps in little more memory than the pieces need; their columns alone would take 60 MB."""
    before, after = export_long(300_000, ("trace",), tmp_path)
    assert after - before < 110
    assert (tmp_path / "run.trace").stat().st_size > 30e6


@pytest.mark.long
def test_ten_million_steps_are_exported_in_pieces(tmp_path: Path) -> None:
    before, after = export_long(10_000_000, ("trace", "csv", "html"), tmp_path)
    assert after - before < 250
    with (tmp_path / "run.csv").open() as file:
        assert sum(1 for _ in csv.reader(file)) >= 10_000_000
