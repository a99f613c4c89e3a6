"""Explaining a gap: the statistics, what is tried, what is concluded, and the experiments themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import lanes
import numpy as np
import pytest
from conftest import WriteScenario

from fwtui.analysis.cause_split import split
from fwtui.analysis.explanation import Experiment, Explanation, Measured, StepCost, Together, from_json, to_json
from fwtui.analysis.results import Finding
from fwtui.commands import run
from fwtui.commands.explain import budget, setting
from fwtui.commands.host import describe
from fwtui.commands.lanes import lanes as manifest_lanes
from fwtui.commands.parser import Parser, UsageError
from fwtui.explain import answer, effects, origin, plan
from fwtui.explain.factors import FACTORS
from fwtui.explain.subjects import Subject, run_argv, subject
from fwtui.reports import json_report
from fwtui.reports.explanation import HEADS, lines, table
from fwtui.tui.app import FwtuiApp
from fwtui.tui.theme import Theme
from fwtui.view.explain_process import last_words, seen_alive
from fwtui.view.session import Session

SETTING = setting(
    {
        "workload": {"name": "mnist-mlp", "batch_size": 64, "data": "auto", "device": "auto"},
        "seed": 3,
        "host": {"gpus": []},
    }
)


def lane(spec: str, **facts: object) -> Subject:
    entry = {"name": spec, "kind": "workload", "argv": ["python", "--lane", spec], "python": "python", "env": {}}
    return subject(entry, spec.split(":")[0], {"batch_size": 64, **facts})


def script(name: str, framework: str, **facts: object) -> Subject:
    entry = {"name": name, "kind": "command", "argv": ["/usr/bin/python3", f"{name}.py"], "python": "", "env": {}}
    return subject(entry, framework, facts)


# --- statistics ---------------------------------------------------------------------------------------------------


def test_the_interval_is_the_signed_rank_tests_own() -> None:
    """Known answer: Hollander, Wolfe and Chicken, example 3.3 (Hamilton depression scale), signs turned."""
    differences = np.array([0.952, -0.147, 1.022, 0.430, 0.620, 0.590, 0.490, -0.080, 0.010])
    measured = effects.hodges_lehmann(differences)
    assert measured is not None
    assert measured.value == pytest.approx(0.46, abs=0.01)
    assert measured.ci95 == pytest.approx((0.010, 0.786), abs=0.001)


@pytest.mark.parametrize("count", [6, 8, 12, 30, 80])
def test_the_interval_holds_the_truth_19_times_in_20_under_heavy_tails(count: int) -> None:
    chance = np.random.default_rng(count)
    held = 0
    for _ in range(600):
        measured = effects.hodges_lehmann(chance.standard_t(3, count) + 5)
        assert measured is not None
        assert measured.ci95 is not None
        held += measured.ci95[0] <= 5 <= measured.ci95[1]
    assert held / 600 > 0.925


def test_too_few_pairs_give_no_interval_and_none_no_value() -> None:
    assert effects.hodges_lehmann(np.array([])) is None
    few = effects.hodges_lehmann(np.array([1.0, 2.0, 3.0]))
    assert few is not None
    assert few.ci95 is None


def test_turns_pair_by_time_and_a_drift_of_the_machine_cancels() -> None:
    times = np.arange(20) * 1e9
    drift = 1 + np.arange(20) / 40
    one = effects.Turns(times, 2.0 * drift)
    other = effects.Turns(times[1:] + 0.5e9, 1.0 * drift[1:])  # its first turn was lost
    first, second = effects.pair(one, other)
    assert len(first) == 19
    ratio = effects.ratio(first, second)
    assert ratio is not None
    assert ratio.value == pytest.approx(2.0, rel=0.05)


def test_a_line_over_batch_sizes_finds_the_fixed_cost() -> None:
    chance = np.random.default_rng(0)
    sizes = (16, 64, 256)
    rounds = np.array([[1.5 + 0.01 * size for size in sizes] for _ in range(12)])
    fit = effects.line(sizes, rounds * chance.normal(1, 0.02, rounds.shape))
    assert fit is not None
    fixed, slope = fit
    assert fixed.ci95 is not None
    assert slope.ci95 is not None
    assert fixed.ci95[0] < 1.5 < fixed.ci95[1]
    assert slope.ci95[0] < 0.01 < slope.ci95[1]


# --- what is tried ------------------------------------------------------------------------------------------------

INJECTED = [
    ("torch:threads=1", "torch", "all-threads", "torch"),
    ("keras:eager", "keras", "graph", "keras"),
    ("torch:batch_size=4", "torch", "usual-batch", "torch"),
    ("torch:per_sample", "torch", "batched-transform", "torch"),
    ("torch:callback_ms=4", "torch", "no-callback", "torch"),
    ("keras", "keras:steps_per_execution=8", "steps-per-execution", "keras:steps_per_execution=8"),
]


@pytest.mark.parametrize(("slower", "faster", "factor", "changed"), INJECTED)
def test_what_only_one_lane_was_told_is_suspected_first(slower: str, faster: str, factor: str, changed: str) -> None:
    anything = replace(SETTING, valid=lambda spec: True)
    first = plan.candidates(lane(slower), lane(faster), (), anything)[0]
    assert first.factor.name == factor
    assert first.changed.spec == changed


def test_a_finding_moves_its_cause_to_the_front() -> None:
    slow = lane("torch", compiled=False)
    finding = Finding("slow-optimizer", "warning", 0.7, "", None, "")
    anything = replace(SETTING, valid=lambda spec: True)
    assert plan.candidates(slow, lane("keras"), (finding,), anything)[0].code == "slow-optimizer"


def test_only_lanes_that_exist_are_tried_and_none_twice() -> None:
    for slow in ("torch", "keras", "tensorflow", "keras:eager", "keras:backend=torch"):
        found = plan.candidates(lane(slow), lane("torch"), (), SETTING)
        assert found
        for candidate in found:
            assert SETTING.valid(candidate.changed.spec)
        changed = [(candidate.changed.spec, tuple(candidate.changed.env)) for candidate in found]
        assert len(set(changed)) == len(changed)


def test_a_script_is_changed_from_outside_only() -> None:
    found = plan.candidates(
        script("train", "keras", compiled=True, backend="tensorflow"), script("b", "torch"), (), SETTING
    )
    assert {candidate.factor.kind for candidate in found} == {"environment", "hook"}
    hook = next(candidate for candidate in found if candidate.factor.name == "hook-steps-per-execution")
    assert hook.changed.env == {"FWTUI_CHANGE": "steps_per_execution=32"}
    both = plan.combined(hook.lane, hook, next(c for c in found if c.factor.name == "hook-jit"), SETTING)
    assert both is not None
    assert both.env == {"FWTUI_CHANGE": "steps_per_execution=32,jit"}


def test_every_factor_says_what_to_change_and_can_be_told_apart() -> None:
    assert len({factor.name for factor in FACTORS}) == len(FACTORS)
    for factor in FACTORS:
        assert factor.change
        assert bool(factor.sets or factor.drops) + bool(factor.env) + bool(factor.hook) == 1
        assert all(need in plan.NEEDS for need in factor.needs)


def test_the_printed_command_makes_the_lanes_that_were_meant(tmp_path: Path) -> None:
    """Both lanes of one spec, a variable of the second: the command's manifest has exactly that."""
    found = plan.candidates(lane("torch"), lane("keras"), (), SETTING)
    candidate = next(c for c in found if c.factor.name == "allocator")
    argv, places = run_argv(SETTING, (candidate.lane, candidate.changed), 5)
    parser = Parser("fwtui run", "")
    run.add_arguments(parser)
    entries = manifest_lanes(parser.parse(argv))
    assert [entries[place]["name"] for place in places] == ["torch", "torch#2"]
    assert entries[0]["env"] == {}
    assert entries[1]["env"] == dict(candidate.changed.env)


def test_a_variable_for_no_lane_is_one_sentence(tmp_path: Path) -> None:
    parser = Parser("fwtui run", "")
    run.add_arguments(parser)
    with pytest.raises(UsageError, match="LANE:NAME=VALUE"):
        manifest_lanes(parser.parse(["--lanes", "torch", "--env", "keras:X=1"]))


@pytest.mark.parametrize(("text", "seconds"), [("3m", 180), ("90s", 90), ("45", 45), ("1.5m", 90), ("1h", 3600)])
def test_a_budget_is_a_time(text: str, seconds: float) -> None:
    assert budget(text) == seconds


# --- what is concluded --------------------------------------------------------------------------------------------

GAP = Measured(2.0, (1.9, 2.1))


@pytest.mark.parametrize(
    ("effect", "word"),
    [
        (Measured(1.4, (1.3, 1.5)), "proven"),
        (Measured(0.02, (-0.05, 0.08)), "no effect"),
        (Measured(-0.6, (-0.8, -0.4)), "makes it worse"),
        (Measured(0.5, (-0.4, 1.4)), "undecided"),
        (Measured(0.5, None), "undecided"),
        (None, "undecided"),
    ],
)
def test_an_effect_is_judged_by_its_interval(effect: Measured | None, word: str) -> None:
    assert answer.judge(effect, GAP) == word


def test_a_wide_interval_is_measured_on_and_a_narrow_one_is_not() -> None:
    assert not answer.decided(Measured(1.4, (0.7, 2.1)), GAP)
    assert answer.decided(Measured(1.4, (1.3, 1.5)), GAP)
    assert answer.decided(Measured(0.0, (-0.05, 0.05)), GAP)


def test_effects_that_do_not_add_up_are_said_not_to() -> None:
    parts = [Measured(1.0, (0.9, 1.1)), Measured(0.8, (0.7, 0.9))]
    assert answer.add_up(Measured(1.75, (1.6, 1.9)), parts, GAP)[1] is True
    assert answer.add_up(Measured(1.1, (1.0, 1.2)), parts, GAP)[1] is False
    assert answer.add_up(Measured(1.1, None), parts, GAP)[1] is None


def explained(**changes: object) -> Explanation:
    def experiment(factor: str, ms: float | None, verdict: str, code: str = "per-execution-overhead") -> Experiment:
        effect = None if ms is None else Measured(ms, (ms - 0.1, ms + 0.1))
        return Experiment(
            code=code,
            factor=factor,
            cause=f"the cost of {factor}",
            lane="keras",
            changed=f"keras:{factor}",
            kind="option",
            tested=f"keras against keras:{factor} in turns",
            change=f"take {factor} away",
            fix=True,
            verdict=verdict,
            effect_ms=effect,
            speedup=None if ms is None else Measured(3 / (3 - ms), (3 / (3.1 - ms), 3 / (2.9 - ms))),
            turns=9,
            run="2026-a",
            command="fwtui run --lanes keras",
        )

    rows = (experiment("small", 0.5, "proven", "unfused-kernel"), experiment("big", 1.4, "proven"))
    value = Explanation(
        "done",
        "keras",
        "torch",
        "torch",
        gap_ms=GAP,
        ratio=Measured(3.0, (2.9, 3.1)),
        experiments=(*rows, experiment("x", None, "not tried")),
    )
    return answer.concluded(replace(value, **changes))  # type: ignore[arg-type]


def test_the_sentence_names_the_largest_cause_its_share_and_what_is_left_with_the_fix() -> None:
    text = explained().sentence
    assert text.startswith("keras takes 3.00x [2.90, 3.10] as long as torch: 70 % [")
    assert text.index("the cost of big") < text.index("the cost of small")
    assert "gone with `keras:big`: 1.60x [" in text
    assert text.endswith("; whether these add up was not tried")


@pytest.mark.parametrize(("verdict", "first"), [("proven", "no-callback"), ("undecided", "steps-per-execution")])
def test_a_change_that_does_away_with_another_cause_too_stands_behind_it(verdict: str, first: str) -> None:
    big, small = explained().experiments[:2]
    inside = replace(small, factor="no-callback", cause="the callback", verdict=verdict)
    text = explained(experiments=(replace(big, factor="steps-per-execution", cause="fit's own cost"), inside))
    assert text.experiments[0].factor == first
    assert ("is fit's own cost and the callback" in text.sentence) == (verdict == "proven")


def test_what_costs_more_than_the_gap_is_said_to() -> None:
    costs_more = replace(
        explained().experiments[0], effect_ms=Measured(5.6, (5.0, 6.2)), speedup=Measured(4.0, (3.0, 5.0))
    )
    text = explained(experiments=(costs_more,)).sentence
    assert (
        "the cost of big costs 280 % [247, 313] of the gap, more than all of it, gone with `keras:big`: 0.75x" in text
    )


def test_the_gap_by_cause_sums_to_the_gap_and_counts_nothing_twice() -> None:
    whole = explained()
    alone = split(whole)
    assert [part.code for part in alone] == ["per-execution-overhead", "unexplained"]
    joint = Together(("big", "small"), "keras:big:small", Measured(1.5, (1.4, 1.6)), additive=False, turns=8)
    both = split(replace(whole, together=joint))
    assert [part.code for part in both] == ["per-execution-overhead", "unfused-kernel", "interaction", "unexplained"]
    for parts in (alone, both):
        assert sum(part.ms.value for part in parts) == pytest.approx(GAP.value)
        assert sum(part.share for part in parts) == pytest.approx(1)
    assert both[2].ms.value == pytest.approx(1.5 - 1.9)


def test_pairs_that_other_programs_disturbed_are_left_out_while_enough_are_left() -> None:
    times = np.arange(12.0)
    bad = np.arange(12) < 4
    calm, shared = effects.Turns(times, np.full(12, 2.0)), effects.Turns(times, np.where(bad, 9.0, 1.0), bad)
    found = effects.pairs(calm, shared)
    assert (len(found), found.left_out, found.disturbed) == (8, 4, False)
    assert set(found.other) == {1.0}
    mostly = replace(shared, disturbed=np.arange(12) < 8)
    assert len(effects.pairs(calm, mostly, ended=False)) == 4
    assert (len(effects.pairs(calm, mostly)), effects.pairs(calm, mostly).disturbed) == (12, True)


def test_changes_of_one_setting_are_not_combined() -> None:
    torch = lane("torch")
    found = {item.factor.name: item for item in plan.candidates(torch, lane("keras"), (), SETTING)}
    assert plan.combined(torch, found["fused-optimizer"], found["foreach-optimizer"], SETTING) is None
    both = plan.combined(torch, found["fused-optimizer"], found["torch-compile"], SETTING)
    assert both is not None
    assert both.spec == "torch:optimizer_impl=fused:compile"


def test_what_only_the_faster_lane_has_is_taken_from_it() -> None:
    found = plan.candidates(lane("keras", compiled=True), lane("torch:compile", compiled=True), (), SETTING)
    taken = next(item for item in found if item.factor.name == "compiled-on-one-side")
    assert (taken.lane.spec, taken.changed.spec) == ("torch:compile", "torch")
    among_torch = plan.candidates(lane("torch"), lane("torch:compile", compiled=True), (), SETTING)
    assert "compiled-on-one-side" not in [item.factor.name for item in among_torch]


def test_without_a_gap_there_is_nothing_to_explain() -> None:
    assert "nothing to explain" in explained(gap_ms=Measured(0.1, (-0.1, 0.3))).sentence


def test_an_explanation_survives_its_file_and_a_foreign_file_is_none() -> None:
    whole = explained(
        together=Together(("big", "small"), "keras:big:small", Measured(1.9, (1.8, 2.0)), additive=True, turns=8),
        step_costs=(StepCost("keras", (16, 64, 256), Measured(1.0, (0.9, 1.1)), Measured(10.0, None)),),
    )
    assert from_json(json.loads(json.dumps(to_json(whole)))) == whole
    for foreign in (None, 3, [], {}, {"schema": 99}, {"schema": 1}, {"schema": 1, "experiments": 7}):
        assert from_json(foreign) is None


def test_the_table_and_the_lines_show_every_experiment() -> None:
    value = explained()
    heads, rows = table(value)
    assert heads == HEADS
    assert len(rows) == 3
    assert all(len(row) == len(heads) for row in rows)
    assert rows[0][1] == "1.40 ms [1.30, 1.50]"
    text = "\n".join(lines(value))
    assert "fwtui run --lanes keras" in text
    assert "n/a" not in text.splitlines()[0]


def test_a_run_with_an_explanation_shows_it_in_its_frame_and_its_json(write_scenario: WriteScenario) -> None:
    folder = write_scenario("healthy")
    names = [entry["name"] for entry in folder.read_manifest()["lanes"]]
    value = replace(explained(), slower=names[1], faster=names[0], baseline=names[0])
    (folder.path / "explain.json").write_text(json.dumps(to_json(value)))
    session = Session(folder)
    try:
        frame = session.frame()
        assert frame.explanation == value
        report = json_report.report(frame)
    finally:
        session.close()
    pair = report["comparison"]["pairs"][0]
    tested = pair["causes"]
    assert [cause["code"] for cause in tested] == ["per-execution-overhead", "unexplained"]
    assert sum(cause["ms"] for cause in tested) == pytest.approx(pair["gap_ms"])
    assert sum(cause["ms"] for cause in pair["by_phase"]) == pytest.approx(pair["gap_ms"])
    assert tested[0]["ci95"] == pytest.approx([1.3, 1.5])
    assert report["explanation"]["sentence"] == value.sentence


async def test_e_shows_what_was_found_and_starts_nothing_then(write_scenario: WriteScenario) -> None:
    folder = write_scenario("healthy")
    names = [entry["name"] for entry in folder.read_manifest()["lanes"]]
    value = replace(explained(), slower=names[1], faster=names[0], baseline=names[0])
    (folder.path / "explain.json").write_text(json.dumps(to_json(value)))
    app = FwtuiApp(Session(folder), at_ns=folder.end_ns, theme=Theme())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("e")
        await pilot.pause()
        assert type(app.screen).__name__ == "ExplainScreen"
        picture = app.export_screenshot().replace("&#160;", " ")
        assert "the cost of big" in picture
        assert "1.40 ms [1.30, 1.50]" in picture
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        await pilot.press("e", "q")
    assert not (folder.path / "explain.log").exists()


async def test_e_starts_the_experiments_and_k_ends_them(write_scenario: WriteScenario, tmp_path: Path) -> None:
    """The process is the real one; its lanes are scripts that train nothing, so it says why it cannot explain."""
    folder = write_scenario("importing")
    manifest = folder.read_manifest()
    folder.write_manifest({**manifest, "host": describe()})
    app = FwtuiApp(Session(folder), at_ns=folder.end_ns, theme=Theme())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("e")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and "no gap to explain" not in last_words(folder):
            await pilot.pause(0.1)
        await pilot.press("k", "e", "q")
    assert "no gap to explain" in last_words(folder)


def test_another_machines_gap_is_not_explained_here(write_scenario: WriteScenario) -> None:
    folder = write_scenario("healthy")
    command = [sys.executable, "-m", "fwtui", "explain", "--run", str(folder.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "recorded on another machine (Simulated CPU, 2 cores)" in done.stderr


def test_an_explanation_whose_process_died_is_not_running() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    running = explained(status="running", pid=gone.pid)
    assert seen_alive(running).status == "stopped"
    assert seen_alive(replace(running, pid=os.getpid())).status == "running"


# --- the experiments themselves -----------------------------------------------------------------------------------


@pytest.mark.frameworks
def test_hooks_change_a_torch_program_and_say_so(tmp_path: Path) -> None:
    program = str(lanes.PROGRAMS / "torch_loader.py")
    changed = lanes.run([program], tmp_path / "run", FWTUI_CHANGE="torch_compile,replay_data=4")
    assert changed.code == 0, changed.stderr
    facts = changed.lane().facts
    assert set(facts["changes"]) == {"torch_compile", "replay_data=4"}
    assert facts["compiled"] is True
    assert "updates 60" in changed.stdout


@pytest.mark.frameworks
def test_hooks_change_the_optimizer_and_the_loader_of_a_torch_program(tmp_path: Path) -> None:
    program = str(lanes.PROGRAMS / "torch_loader.py")
    changed = lanes.run([program], tmp_path / "run", FWTUI_CHANGE="optimizer=fused,workers=2")
    assert changed.code == 0, changed.stderr
    assert set(changed.lane().facts["changes"]) == {"optimizer=fused", "workers=2"}
    assert "updates 60" in changed.stdout


@pytest.mark.frameworks
def test_a_hook_keeps_losses_from_being_converted_in_each_step_of_fit(tmp_path: Path) -> None:
    program = str(lanes.PROGRAMS / "keras_fit.py")
    changed = lanes.run([program], tmp_path / "run", FWTUI_CHANGE="no_logs", KERAS_BACKEND="tensorflow")
    assert changed.code == 0, changed.stderr
    assert changed.lane().facts["changes"] == ["no_logs"]


@pytest.mark.frameworks
def test_hooks_change_a_keras_program_and_say_so(tmp_path: Path) -> None:
    program = str(lanes.PROGRAMS / "keras_fit.py")
    changes = "steps_per_execution=2,graph,replay_data=2"
    changed = lanes.run([program, "--eager"], tmp_path / "run", FWTUI_CHANGE=changes, KERAS_BACKEND="tensorflow")
    assert changed.code == 0, changed.stderr
    facts = changed.lane().facts
    assert set(facts["changes"]) == set(changes.split(","))
    assert facts["steps_per_execution"] == 2
    assert facts["compiled"] is True


def explain(tmp_path: Path, *argv: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "fwtui",
        "explain",
        "--run-dir",
        str(tmp_path),
        "--json",
        str(tmp_path / "out.json"),
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(run.__file__).parents[2])}
    return subprocess.Popen([*command, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)


@pytest.mark.frameworks
def test_an_injected_cause_is_found_and_an_interruption_keeps_it(tmp_path: Path) -> None:
    """Keras without its graph: the graph is the first suspect; the rest of the budget is given up by Ctrl-C."""
    arguments = ("--workload", "regression-mlp", "--lanes", "keras:eager,keras", "--budget", "5m")
    process = explain(tmp_path, *arguments)
    deadline = time.monotonic() + 180
    found: Explanation | None = None
    while time.monotonic() < deadline and process.poll() is None:
        files = list(tmp_path.glob("*/explain.json"))
        found = from_json(json.loads(files[0].read_text())) if files else None
        if found is not None and found.done:
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert found is not None, output
    top = found.experiments[0]
    assert (top.factor, top.verdict) == ("graph", "proven"), output
    assert top.share_of_gap is not None
    assert top.share_of_gap.ci95 is not None
    assert top.share_of_gap.ci95[0] < 1.1
    assert top.share_of_gap.ci95[1] > 0.9
    report = json.loads((tmp_path / "out.json").read_text())
    causes = report["comparison"]["pairs"][0]["causes"]
    assert any(cause.get("how") == "experiment" and cause["verdict"] == "proven" for cause in causes)
    assert report["explanation"]["status"] == "stopped"
    assert (tmp_path / str(top.run) / "manifest.json").exists()
    assert "fwtui run" in output


def test_one_lane_has_no_gap(tmp_path: Path) -> None:
    process = explain(tmp_path, "--lanes", "torch")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "one lane" in output


# --- the origin's claims ------------------------------------------------------------------------------------------


def measures(ms: float, memory: float = 3e8, gpu: float | None = None, spread: float = 0.01) -> origin.LaneMeasures:
    chance = np.random.default_rng(round(ms * 1000))
    times = np.arange(12) * 1e9
    return origin.LaneMeasures(effects.Turns(times, ms * chance.normal(1, spread, 12)), memory * 1.1, memory, gpu)


def verdicts(on_gpu: bool = False, **lanes: origin.LaneMeasures) -> dict[str, str]:
    named = {name.replace("_", ":", 1).replace("threads", "threads=1"): value for name, value in lanes.items()}
    column = origin.column("lstm", named, on_gpu, "run")
    return {claim.name: tested.verdict for claim, tested in zip(origin.CLAIMS, column.tested, strict=True)}


def test_a_claim_is_refuted_or_supported_by_its_own_comparison_only() -> None:
    found = verdicts(
        torch=measures(1.0, 2e8),
        torch_compile=measures(0.5),
        torch_threads=measures(1.8),
        keras=measures(2.0, 4e8),
        keras_eager=measures(6.0),
        keras_jit=measures(1.9),
        keras_threads=measures(2.01),
    )
    assert found == {
        "dynamic graph": "refuted",
        "memory, host": "supported",
        "memory, GPU": "not testable here",
        "code generation": "supported",
        "hardware, CPU": "supported",
        "hardware, GPU": "not testable here",
    }


def test_what_other_programs_disturbed_decides_no_claim() -> None:
    lanes_ = {
        "torch": measures(1.0),
        "torch:compile": measures(0.5),
        "keras": measures(2.0),
        "keras:jit": measures(1.9),
    }
    shared = lanes_["torch:compile"]
    bad = replace(shared, turns=replace(shared.turns, disturbed=np.arange(12) < 8))
    for one, word in ((shared, "supported"), (bad, "undecided")):
        column = origin.column("lstm", {**lanes_, "torch:compile": one}, False, "run")
        assert (
            dict(zip((claim.name for claim in origin.CLAIMS), column.tested, strict=True))["code generation"].verdict
            == word
        )
    assert column.left_out == 8


def test_what_is_too_noisy_or_missing_is_undecided_and_a_gpu_makes_its_claim_testable() -> None:
    noisy = verdicts(
        torch=measures(1.0, spread=0.5), keras=measures(1.1, spread=0.5), keras_eager=measures(1.3, spread=0.5)
    )
    assert noisy["dynamic graph"] == "undecided"
    assert noisy["code generation"] == "undecided"
    losing = verdicts(
        torch=measures(1.0, spread=0.05), torch_threads=measures(0.97), keras=measures(2.0), keras_threads=measures(1.4)
    )
    assert losing["hardware, CPU"] != "supported"
    found = verdicts(True, torch=measures(1.0, gpu=1e9), keras=measures(1.0, gpu=8e9))
    assert found["memory, GPU"] == "supported"


def test_the_origins_report_has_every_claim_and_a_command_for_every_workload() -> None:
    lanes_ = {"torch": measures(1.0), "keras": measures(2.0)}
    text = origin.markdown([origin.column(name, lanes_, False, "run") for name in origin.WORKLOADS], "a machine")
    for claim in origin.CLAIMS:
        assert f"| **{claim.says}** |" in text
        assert f"- {claim.says}: {claim.rule}." in text
    for name in origin.WORKLOADS:
        assert f"--workload {name} --lanes torch,torch:compile" in text
