"""Reports say what is known, `n/a` where nothing is, and the same in every format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import scenarios

from fwtui.analysis.results import (
    Cause,
    Comparison,
    Finding,
    Pair,
    Parity,
    ParityItem,
    PhaseTime,
    StepTimes,
    UnfairReason,
)
from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.reports import csv_steps, json_report, markdown, text
from fwtui.reports.schema import SCHEMA
from fwtui.view.frame import Frame, Gpu, Host, LaneFrame
from fwtui.view.session import Session
from fwtui.view.units import show

EMPTY: dict[str, Any] = {
    "findings": (),
    "lost": (),
    "facts": {},
    "results": {},
    "output_tail": (),
    "phases": dict.fromkeys(PHASE_NAMES),
    "steps": 0,
    "steps_counted": 0,
    "stalls": 0,
}


def make_lane(index: int = 0, name: str = "torch", **known: Any) -> LaneFrame:
    """A lane of which nothing is known but what is told."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(LaneFrame))
    base = {"index": index, "name": name, "title": name, "framework": name, "python": "python3", "state": "starting"}
    return LaneFrame(**{**values, **EMPTY, **base, "stage": "importing torch", **known})


def make_frame(*lanes: LaneFrame, comparison: Comparison | None = None, **known: Any) -> Frame:
    values: dict[str, Any] = {
        "run_id": "a-run",
        "name": "mnist-mlp",
        "status": "finished",
        "live": False,
        "time_ns": 2_000_000_000,
        "start_ns": 0,
        "started": "2025-11-23T21:03:07+00:00",
        "elapsed_s": 2.0,
        "schedule": "turns",
        "seed": None,
        "workload": None,
        "path": "/runs/a-run",
        "host": Host("a CPU", 2, 8 * 2**30, None, None, ()),
        "lanes": lanes,
        "ranking": tuple(range(len(lanes))),
        "comparison": comparison,
        "headline": "",
        "notice": None,
    }
    return Frame(**{**values, **known})


def plain_words(written: str) -> str:
    """Without markup, and without what a table puts between two words of a cell."""
    return re.sub(r"[\s`*|\\]+", "", written)


def facts_of(report: dict[str, Any]) -> Iterator[str]:
    """What a JSON report says of its verdict and lanes, as the reports in words put it."""
    yield from (report["run"][key] for key in ("headline", "notice", "schedule") if report["run"][key])
    comparison = report["comparison"] or {"pairs": [], "unfair_reasons": [], "conditions": []}
    for reason in comparison["unfair_reasons"]:
        yield f"{reason['code']}: {reason['detail']}"
    for item in comparison["conditions"]:
        yield item["name"]
        yield from (value for _, value in item["values"] if len(value) < 20)
    for pair in comparison["pairs"]:
        yield from filter(None, (pair["verdict"], pair["reason"]))
        if pair["verdict"] != "unfair" and pair["ci95"]:
            yield f"{show(pair['ratio'], 'x')} [{pair['ci95'][0]:.2f}, {pair['ci95'][1]:.2f}], {pair['verdict']}"
            yield from (cause["code"] for cause in pair["causes"][:1] if not pair["reason"])
        for instead in pair["alternatives"]:
            yield instead["code"].replace("-", " ")
    for lane in report["lanes"]:
        yield from (lane["name"], lane["state"], f"{lane['steps_counted']:,} counted")
        yield from (show(lane[key], "s") for key in ("startup_s", "compile_s"))
        if lane["step_ms"]:
            yield from (show(lane["step_ms"][key], "ms") for key in ("median", "p5", "p95"))
        for finding in lane["findings"]:
            yield from filter(None, (finding["code"], finding["severity"], finding["location"], finding["advice"]))


FINDING = Finding("input-bound", "critical", 0.78, "data takes 17.6 of 22 ms", "train.py:42", "load ahead", "D")
FULL_LANE = make_lane(
    title="torch 2.13.0 · cuda:0",
    version="2.13.0",
    state="finished",
    exit_code=0,
    steps=800,
    steps_counted=700,
    steps_total=800,
    samples_per_step=64.0,
    step_ms=StepTimes(5.0, 4.5, 5.5, 6.25, 0.5),
    phases={**dict.fromkeys(PHASE_NAMES), "data": PhaseTime(3.9, 0.78), "gc": PhaseTime(0.0, 0.0)},
    rate=200.0,
    throughput_samples_s=12_800.0,
    lost_share=0.0,
    loss_first=2.3,
    loss_last=0.2,
    results={"test_accuracy": 0.93},
    wall_s=10.0,
    attributed_s=9.9,
    cpu_cores_mean=1.5,
    rss_peak_bytes=512 * 2**20,
    gpu=Gpu(0.5, 1e9, 2 * 2**30, 300.0, 700.0, 1980.0, 50.0, ("power cap",)),
    findings=(FINDING,),
)


def make_comparison(**known: Any) -> Comparison:
    pair = Pair("keras", 2.0, (1.9, 2.1), "slower", 5.0, (Cause("compute", 5.1, 1.02, None),))
    values: dict[str, Any] = {
        "baseline": "torch",
        "fair": True,
        "unfair_reasons": (),
        "conditions": (ParityItem("compiled", (("torch", "no"), ("keras", "yes")), False, False),),
        "parity": Parity(100, 1.5e-7),
        "pairs": (pair,),
    }
    return Comparison(**{**values, **known})


@pytest.fixture(scope="module", params=scenarios.SCENARIOS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Each scenario: its folder with the truth, the open session and its last frame."""
    folder = scenarios.write(request.param, tmp_path_factory.mktemp("runs") / request.param)
    session = Session(folder)
    yield folder, session, session.frame(folder.end_ns)
    session.close()


def frame_of(name: str, path: Path, cut_s: float | None = None) -> Frame:
    folder = scenarios.write(name, path / name, cut_s)
    session = Session(folder)
    try:
        return session.frame(folder.end_ns)
    finally:
        session.close()


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (None, "ms", "n/a"),
        (float("nan"), "bytes", "n/a"),
        (0, "ms", "0 ms"),
        (0.0001, "ms", "<0.001 ms"),
        (0.0312, "ms", "0.031 ms"),
        (5.013, "ms", "5.01 ms"),
        (128.4, "ms", "128 ms"),
        (12_000, "ms", "12 s"),
        (1.634, "s", "1.63 s"),
        (125, "s", "2m 05s"),
        (59.7, "s", "1m 00s"),
        (5400, "s", "1h 30m"),
        (12_709.4, "samples/s", "12,709 samples/s"),
        (0, "bytes", "0 B"),
        (458 * 2**20, "bytes", "458 MiB"),
        (1000 * 2**20, "bytes", "0.977 GiB"),
        (0.126, "share", "13 %"),
        (0.005, "share", "0.5 %"),
        (1.994, "x", "1.99x"),
    ],
)
def test_values_are_written_with_their_unit(value: float | None, unit: str, written: str) -> None:
    assert show(value, unit) == written


class TestSummary:
    def test_fits_and_never_shows_a_raw_missing_value(self, opened: Any) -> None:
        folder, _, frame = opened
        written = text.summary(frame)
        for line in written.splitlines():
            assert len(line) <= text.WIDTH or str(folder.path) in line
        assert not re.search(r"\b(None|nan|inf)\b", written)
        assert f"run folder  {folder.path}" in written

    def test_names_every_lane_with_its_status(self, opened: Any) -> None:
        _, _, frame = opened
        written = text.summary(frame)
        for lane in frame.lanes:
            assert lane.name in written
            assert lane.state in written

    def test_unknown_is_not_zero(self) -> None:
        written = text.summary(make_frame(make_lane()))
        row = {line[:16].strip(): line[16:].strip() for line in written.splitlines()}
        for label in ("step, median", "throughput", "lost", "start-up", "compile", "CPU", "memory, peak", "loss"):
            assert row[label] == "n/a"

    def test_known_facts_are_all_there(self) -> None:
        frame = make_frame(
            FULL_LANE,
            make_lane(1, "keras", state="finished", step_ms=StepTimes(10, 9, 11, 12, 1)),
            comparison=make_comparison(),
            headline="keras takes 2.00x as long as torch [1.90, 2.10]",
            notice="the disk is full",
        )
        written = text.summary(frame)
        for words in (
            "keras takes 2.00x as long as torch [1.90, 2.10]",
            "2.00x [1.90, 2.10], slower",
            "4.50 ms – 5.50 ms",
            "0.9300",
            "512 MiB",
            "50 %, 2.00 GiB peak",
            "throttled: power cap",
            "input-bound (critical, 78 % of its time)",
            "at train.py:42",
            "-> load ahead",
            "compiled: torch no, keras yes",
            "losses differ by at most 1.5e-07 over 100 checked steps",
            "the gap by phase: keras against torch, a step",
            "the gap                        +5.00 ms",
            "the disk is full",
        ):
            assert words.replace("0.9300", "0.93") in written

    @pytest.mark.parametrize("name", ["healthy", "unfair", "together", "identical", "killed_mid_step"])
    def test_json_text_and_markdown_hold_the_same_facts(self, name: str, tmp_path: Path) -> None:
        frame = frame_of(name, tmp_path)
        told = list(facts_of(json.loads(json.dumps(json_report.report(frame)))))
        assert len(told) > 10
        for form in (text.summary, markdown.report):
            written = plain_words(form(frame))
            for fact in told:
                assert plain_words(fact) in written, f"{form.__module__} does not say {fact!r}"

    def test_measured_zero_is_zero(self) -> None:
        gc = next(line for line in text.summary(make_frame(FULL_LANE)).splitlines() if line.startswith("gc"))
        assert gc.split() == ["gc", "0", "ms", "0", "%"]

    def test_unequal_work_has_no_ratio(self, tmp_path: Path) -> None:
        written = text.summary(frame_of("unfair", tmp_path))
        assert "UNFAIR" in written
        assert "batch-size: torch: 1000, keras: 32" in written
        assert not re.search(r"[\d.]+x \[", written)

    def test_a_ratio_without_an_interval_is_not_printed(self) -> None:
        pair = Pair("keras", 2.0, None, "undecided", None, reason="too few turns yet")
        lanes = (FULL_LANE, make_lane(1, "keras", step_ms=FULL_LANE.step_ms))
        written = text.summary(make_frame(*lanes, comparison=make_comparison(pairs=(pair,))))
        assert "2.00x" not in written
        assert "keras: undecided, too few turns yet" in written

    def test_says_by_which_signal_a_lane_died(self, tmp_path: Path) -> None:
        assert "killed by SIGKILL" in text.summary(frame_of("killed_mid_step", tmp_path))

    def test_says_that_lanes_shared_the_machine(self, tmp_path: Path) -> None:
        assert "the lanes shared the machine" in text.summary(frame_of("together", tmp_path))

    def test_long_words_of_a_program_do_not_break_the_width(self) -> None:
        lane = make_lane(error="x" * 300, state="failed", exit_code=1)
        assert max(map(len, text.summary(make_frame(lane, make_lane(1, "keras"))).splitlines())) <= text.WIDTH

    def test_a_run_without_lanes_is_no_crash(self) -> None:
        assert "run folder" in text.summary(make_frame())


class TestProgress:
    def test_is_one_line_with_every_lane(self, opened: Any) -> None:
        _, _, frame = opened
        line = text.progress_line(frame)
        assert "\n" not in line
        assert all(lane.name in line for lane in frame.lanes)

    def test_tells_step_rate_and_time_left(self, tmp_path: Path) -> None:
        line = text.progress_line(frame_of("healthy", tmp_path, cut_s=8))
        assert re.search(r"torch step \d+/4690, \d+ it/s, eta \d+", line)

    def test_tells_what_a_starting_lane_does(self, tmp_path: Path) -> None:
        line = text.progress_line(frame_of("importing", tmp_path))
        assert "torch importing torch" in line
        assert "keras importing tensorflow" in line


class TestJson:
    def test_fits_its_schema(self, opened: Any) -> None:
        _, _, frame = opened
        value = json.loads(json.dumps(json_report.report(frame), allow_nan=False))
        jsonschema.validate(value, SCHEMA)

    def test_the_schema_is_a_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_unknown_is_null(self) -> None:
        value = json_report.report(make_frame(make_lane(rate=float("nan"), wall_s=float("nan"))))
        jsonschema.validate(value, SCHEMA)
        lane = value["lanes"][0]
        assert value["comparison"] is None
        for key in ("status", "step_ms", "wall_s", "gpu", "loss_first", "startup_s", "cpu_cores", "exit_code"):
            assert lane[key] is None
        assert lane["phases"] == dict.fromkeys(PHASE_NAMES)

    def test_has_the_figures_of_the_frame(self) -> None:
        frame = make_frame(FULL_LANE, make_lane(1, "keras"), comparison=make_comparison())
        value = json_report.report(frame)
        jsonschema.validate(value, SCHEMA)
        lane, pair = value["lanes"][0], value["comparison"]["pairs"][0]
        assert lane["status"] == "finished"
        assert lane["step_ms"] == {"median": 5.0, "p5": 4.5, "p95": 5.5, "p99": 6.25, "iqr": 0.5}
        assert lane["phases"]["data"] == {"ms": 3.9, "share": 0.78}
        assert lane["cpu_cores"] == 1.5
        assert lane["findings"][0]["location"] == "train.py:42"
        assert pair["ci95"] == [1.9, 2.1]
        assert pair["causes"][0]["share_of_gap"] == 1.02
        parity = value["comparison"]["parity"]
        assert (parity["checked_steps"], parity["max_abs_loss_difference"]) == (100, 1.5e-7)

    def test_agrees_with_the_truth(self, opened: Any) -> None:
        folder, _, frame = opened
        if folder.id == "truncated":
            pytest.skip("a part of its steps is lost")
        for lane in json_report.report(frame)["lanes"]:
            truth = folder.truth[lane["name"]]
            assert lane["steps"] == pytest.approx(len(truth.steps), abs=1)
            if len(truth.steady) < 50:
                continue
            assert lane["stalls"] == truth.stalls
            assert lane["step_ms"]["median"] == pytest.approx(truth.median_ms, rel=0.03)
            if not truth.stalls:
                for name, ms in truth.mean_phases_ms().items():
                    if name != "gc":
                        assert lane["phases"][name]["ms"] == pytest.approx(ms, rel=0.05, abs=0.1)


class TestMarkdown:
    def test_tables_have_the_same_cells_in_each_row(self, opened: Any) -> None:
        _, _, frame = opened
        tables = [part.splitlines() for part in markdown.report(frame).split("\n\n") if part.startswith("|")]
        widths = [{line.replace(r"\|", "").count("|") - 1 for line in table} for table in tables]
        assert {len(frame.lanes) + 1} in widths
        assert all(width in ({len(frame.lanes) + 1}, {4}) for width in widths)

    def test_what_a_reviewer_looks_for_comes_before_the_figures(self, opened: Any) -> None:
        written = markdown.report(opened[2])
        heads = ("### fwtui", "**The gap", "**Findings**", "<details", "same work?")
        places = [written.find(head) for head in heads if head in written]
        assert places == sorted(places)
        assert written.count("<details") == written.count("</details>") >= 1

    def test_a_programs_words_are_no_markup(self) -> None:
        finding = dataclasses.replace(FINDING, evidence="a | b\n<script> *c*")
        written = markdown.report(make_frame(make_lane(name="a|b", findings=(finding,), error="`|`\n# x")))
        assert r"a \| b \<script\> \*c\*" in written
        assert "\n# x" not in written

    def test_says_why_it_is_unfair(self) -> None:
        reasons = (UnfairReason("batch-size", "torch: 1000, keras: 32"),)
        frame = make_frame(FULL_LANE, make_lane(1, "keras"), comparison=make_comparison(unfair_reasons=reasons))
        assert "- batch-size: torch: 1000, keras: 32" in markdown.report(frame)


class TestCsv:
    @staticmethod
    def rows(session: Session) -> list[dict[str, str]]:
        file = io.StringIO()
        csv_steps.write_csv(session, file)
        return list(csv.DictReader(io.StringIO(file.getvalue())))

    def test_has_a_row_a_step_and_phases_that_sum_to_it(self, opened: Any) -> None:
        _, session, frame = opened
        rows = self.rows(session)
        for lane in frame.lanes:
            own = [row for row in rows if row["lane"] == lane.name]
            assert [int(row["step"]) for row in own] == list(range(1, len(own) + 1))
            assert sum(int(row["updates"]) for row in own) == lane.steps
            assert sum(int(row["counted"]) for row in own) == lane.steps_counted
        for row in rows:
            phases = sum(float(row[f"{name}_ms"] or 0) for name in PHASE_NAMES)
            assert phases == pytest.approx(float(row["step_ms"]), abs=1e-4)
            assert float(row["end_s"]) >= float(row["start_s"]) >= 0

    def test_an_unmeasured_phase_is_empty(self, tmp_path: Path) -> None:
        session = Session(scenarios.write("healthy", tmp_path / "run"))
        rows = self.rows(session)
        keras = [row for row in rows if row["lane"] == "keras"]
        assert {row["forward_ms"] for row in keras} == {""}
        assert all(float(row["compute_ms"]) > 0 for row in keras)
