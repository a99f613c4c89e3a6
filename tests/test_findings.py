"""Each cause is named from its own facts, with its line, and not from its clean twin's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fwtui.analysis.causes import CAUSES, advice
from fwtui.analysis.findings import find, find_all
from fwtui.analysis.lane_facts import LaneFacts
from fwtui.analysis.lines import Lines, Stack, after_update
from fwtui.analysis.results import Comparison, Lost, UnfairReason
from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.view.lane_facts import firm_mean

HEALTHY = {"data": 0.2, "forward": 3.0, "backward": 5.0, "optimizer": 1.0, "callbacks": 0.1, "gc": 0.0}
TORCH = "/v/site-packages/torch/"


def stack(phase: str, *frames: tuple[str, int, str], runs: bool = True) -> Stack:
    """A stack, innermost frame first; files without `site-packages` are the user's."""
    users = [frame for frame in frames if "site-packages" not in frame[0]]
    place = f"{users[0][0]}:{users[0][1]}" if users else None
    name = users[0][2] if users else None
    return Stack(0, 1e7, phase, place, name, frames, runs, tuple(reversed(users)))


def lane(**values: Any) -> LaneFacts:
    """A healthy torch lane, but for some values."""
    healthy = LaneFacts("torch", None, "finished", None, 200, HEALTHY, 9.3, guest={"cores": 2}, training_s=2.0)
    return replace(healthy, **values)


def keras(**values: Any) -> LaneFacts:
    steps = {"compute": 9.0, "sync": 0.2, "callbacks": 0.1}
    return replace(lane(), **{"framework": "keras", "backend": "tensorflow", "mean_ms": steps, **values})


def phases(**ms: float) -> dict[str, float]:
    return {**HEALTHY, **ms}


def lines(*stacks: Stack) -> Lines:
    return Lines([one for one in stacks for _ in range(4)])


FETCH = (TORCH + "utils/data/_utils/fetch.py", 54, "fetch")
LOOP = ("train.py", 40, "main")
OPTIONAL = ("/v/site-packages/tensorflow/python/data/ops/optional_ops.py", 180, "get_value")
EXECUTE = ("/v/site-packages/tensorflow/python/eager/execute.py", 53, "quick_execute")
LOADER = {"workers": 0, "at": "train.py:9"}
STARTED = {"workers": 2, "at": "train.py:9"}

CASES = {
    "input-bound": (
        lane(
            mean_ms=phases(data=20.0),
            guest={"loader": LOADER},
            lines=lines(stack("data", ("read.py", 7, "__getitem__"), FETCH, LOOP, runs=False)),
        ),
        "read.py:7",
    ),
    "per-sample-transform": (
        lane(mean_ms=phases(data=20.0), lines=lines(stack("data", ("crop.py", 3, "crop"), FETCH, LOOP))),
        "crop.py:3",
    ),
    "no-prefetch": (
        lane(mean_ms=phases(data=3.0), guest={"loader": LOADER}, lines=lines(stack("data", FETCH, LOOP))),
        "train.py:9",
    ),
    "worker-startup": (
        lane(
            mean_ms=phases(data=3.0),
            guest={"loader": STARTED},
            loader_starts=5,
            loader_start_share=0.2,
            lines=lines(stack("data", LOOP)),
        ),
        "train.py:9",
    ),
    "slow-transfer": (lane(mean_ms=phases(transfer=4.0), lines=lines(stack("transfer", LOOP))), "train.py:40"),
    "slow-callback": (
        lane(mean_ms=phases(callbacks=4.0), lines=lines(stack("callbacks", ("log.py", 5, "log"), LOOP))),
        "log.py:5",
    ),
    "sync-every-step": (lane(mean_ms=phases(sync=4.0), lines=lines(stack("sync", LOOP))), "train.py:40"),
    "gc-pause": (lane(mean_ms=phases(gc=4.0), lines=lines(stack("gc", LOOP))), "train.py:40"),
    "checkpoint-stall": (
        lane(
            mean_ms=phases(callbacks=1.0),
            lines=Lines(
                [stack("callbacks", (TORCH + "serialization.py", 1, "save"), LOOP)] * 3 + [stack("forward")] * 9
            ),
        ),
        "train.py:40",
    ),
    "evaluation-stall": (lane(evaluation_share=0.5, lines=lines(stack("evaluation", LOOP))), "train.py:40"),
    "slow-optimizer": (
        lane(mean_ms=phases(optimizer=8.0), guest={"optimizer_impl": "loop", "optimizer_at": "train.py:5"}),
        "train.py:5",
    ),
    "dispatch-bound": (lane(guest={"grad_nodes": 600}, lines=lines(stack("forward", LOOP))), "train.py:40"),
    "unfused-kernel": (lane(guest={"unfused_layers": ["LSTMCell"], "unfused_at": "net.py:4"}), "net.py:4"),
    "graph-breaks": (lane(guest={"graph_breaks": [{"at": "net.py:8", "reason": "item()", "count": 1}]}), "net.py:8"),
    "retracing": (
        lane(late_compile_share=0.3, guest={"retraces": [{"at": "train.py:7", "count": 9}], "retrace_count": 9}),
        "train.py:7",
    ),
    "compile-in-timing": (lane(compile_s=5.0), None),
    "per-execution-overhead": (
        keras(
            mean_ms={"compute": 0.6, "sync": 0.05, "callbacks": 0.05},
            guest={"compile_at": "fit.py:3"},
            lines=lines(stack("compute", OPTIONAL, LOOP), stack("compute", EXECUTE, LOOP)),
        ),
        "fit.py:3",
    ),
    "thread-oversubscription": (
        lane(guest={"threads": {"intra": 16}, "cores": 2, "threads_at": "train.py:2"}),
        "train.py:2",
    ),
    "cpu-starved": (lane(run_delay_share=0.5), None),
    "memory-growth": (lane(rss=(1e9, 1.1e9, 1.2e9, 1.3e9)), None),
    "swap": (lane(swap_growth_bytes=1e9, major_faults_s=400.0), None),
    "gpu-idle": (lane(gpu_util=0.2, guest={"device": "cuda:0"}), None),
    "gpu-throttled": (lane(throttled={"power cap": 0.4}), None),
    "lane-crashed": (lane(state="failed", error="ValueError: no", crash_line="train.py:3"), "train.py:3"),
    "lane-hung": (lane(state="hung", hung_line="train.py:3"), "train.py:3"),
}


@pytest.mark.parametrize("code", CASES)
def test_a_cause_is_named_first_at_its_line(code: str) -> None:
    facts, place = CASES[code]
    found = find(facts)
    assert (found[0].code, found[0].location) == (code, place)
    assert found[0].advice == advice(code, facts.framework, facts.backend)


@pytest.mark.parametrize("facts", [lane(), keras(), lane(counted=0, mean_ms={}, median_ms=None)])
def test_a_healthy_lane_has_no_finding(facts: LaneFacts) -> None:
    assert find(facts) == ()


def test_too_few_steps_name_nothing() -> None:
    assert find(lane(counted=10, mean_ms=phases(data=50.0))) == ()


PAIRS = {
    "compiled-on-one-side": ({"compiled": False}, {"compiled": True}),
    "precision-mismatch": ({"dtype": "float64"}, {"dtype": "float32"}),
    "layout-mismatch": ({"layout": "nchw"}, {"layout": "nhwc"}),
}


@pytest.mark.parametrize("code", PAIRS)
def test_a_pair_shows_what_the_slower_lane_lacks(code: str) -> None:
    slow, fast = PAIRS[code]
    first, second = find_all([lane(median_ms=20.0, guest=slow), lane(median_ms=9.0, guest=fast)], None)
    assert [one.code for one in first] == [code]
    assert second == ()


def test_a_lane_that_got_no_core_is_held_against_none() -> None:
    starved = lane(median_ms=200.0, guest={"compiled": False}, run_delay_share=0.58)
    first, _ = find_all([starved, lane(median_ms=9.0, guest={"compiled": True})], None)
    assert [one.code for one in first] == ["cpu-starved"]


def test_keras_on_a_backend_is_held_against_the_backend() -> None:
    wrapped = lane(framework="keras", backend="torch", median_ms=20.0, guest={"parameters": 5})
    plain = lane(guest={"parameters": 5})
    assert [one.code for one in find_all([wrapped, plain], None)[0]] == ["backend-wrapper"]


def test_a_lane_that_prefetches_is_not_told_to() -> None:
    waits = {"data": 9.0, "compute": 9.0}
    facts = replace(keras(mean_ms=waits), framework="tensorflow", backend=None)
    ahead = replace(facts, guest={"pipeline": ["TensorSlice", "Batch", "Prefetch"]})
    behind = replace(facts, guest={"pipeline": ["TensorSlice", "Batch"]}, mean_ms={"data": 8.0, "compute": 9.0})
    assert find(ahead)[0].code == "input-bound"
    assert "prefetch" not in find(ahead)[0].advice
    assert find(behind)[0].code == "no-prefetch"
    assert "prefetch" in find(behind)[0].advice


def test_what_stands_below_the_update_runs_after_it() -> None:
    update = stack("optimizer", (TORCH + "optim/adam.py", 1, "step"), ("train.py", 12, "main"))
    late = stack("forward", ("train.py", 3, "log"), ("train.py", 13, "main"))
    early = stack("forward", ("train.py", 5, "net"), ("train.py", 10, "main"))
    assert after_update(Lines([update, late, early])).stacks == [late]


def test_the_end_of_workers_is_a_part_of_starting_them_anew() -> None:
    ends = stack("data", (TORCH + "utils/data/dataloader.py", 1654, "_shutdown_workers"), LOOP, runs=False)
    waits = stack("data", (TORCH + "utils/data/dataloader.py", 900, "_get_data"), LOOP, runs=False)
    known = {"mean_ms": phases(data=9.0), "guest": {"loader": STARTED}, "loader_starts": 5, "loader_start_share": 0.2}
    assert find(lane(lines=lines(waits), **known))[0].code == "input-bound"
    assert find(lane(lines=lines(ends, waits), **known))[0].code == "worker-startup"


LEAK = {"rss": (1e9, 1.1e9, 1.2e9, 1.3e9), "counted": 100, "training_s": 1.0}


def test_a_line_that_is_busy_with_fresh_memory_is_named_for_what_it_keeps() -> None:
    busy = lines(stack("callbacks", ("keep.py", 5, "keep"), LOOP))
    first, *others = find(lane(mean_ms=phases(callbacks=4.0), lines=busy, **LEAK))
    assert (first.code, first.location, others) == ("memory-growth", "keep.py:5", [])


def test_a_line_that_sleeps_is_slow_whatever_grows_beside_it() -> None:
    sleeps = lines(stack("callbacks", ("log.py", 5, "log"), LOOP, runs=False))
    found = find(lane(mean_ms=phases(callbacks=4.0), lines=sleeps, **LEAK))
    assert [(one.code, one.location) for one in found] == [("slow-callback", "log.py:5"), ("memory-growth", None)]


def test_memory_that_levels_off_is_no_growth() -> None:
    assert find(lane(rss=(1e9, 1.2e9, 1.25e9, 1.26e9))) == ()


def test_the_cause_stands_before_its_symptom() -> None:
    eager = lane(median_ms=20.0, guest={"compiled": False, "grad_nodes": 600}, mean_ms=phases(forward=9.0))
    found, _ = find_all([eager, lane(median_ms=9.0, guest={"compiled": True})], None)
    assert [one.code for one in found] == ["compiled-on-one-side", "dispatch-bound"]
    assert found[0].severity == found[1].severity


@pytest.mark.parametrize(("place", "first"), [("net.py:8", "graph-breaks"), ("net.py:20", "retracing")])
def test_a_break_explains_what_is_compiled_again_at_its_own_line(place: str, first: str) -> None:
    guest = {
        "graph_breaks": [{"at": "net.py:8", "reason": "item()", "count": 1}],
        "recompiles": [{"at": place, "function": "forward", "reason": "x"}],
        "recompile_count": 9,
    }
    assert find(lane(late_compile_share=0.3, guest=guest))[0].code == first


def test_unequal_precision_is_named_once_and_by_its_own_name() -> None:
    double, single = {"dtype": "float64"}, {"dtype": "float32"}
    only = (UnfairReason("precision", "a: float64, b: float32"),)
    for reasons, codes in ((only, []), ((*only, UnfairReason("batch-size", "a: 1, b: 2")), ["unequal-work"])):
        unfair = Comparison("a", False, reasons, (), None, ())
        found, _ = find_all([lane(median_ms=20.0, guest=double), lane(median_ms=9.0, guest=single)], unfair)
        assert {one.code for one in found} == {"precision-mismatch", *codes}


def test_the_framework_stands_beside_the_users_line() -> None:
    save = stack("callbacks", ("/lib/python3.11/json/encoder.py", 7, "encode"), ("log.py", 5, "log"), LOOP)
    inside = replace(save, location="log.py:5", function="log", users=(LOOP, ("log.py", 5, "log")))
    found = find(lane(mean_ms=phases(callbacks=4.0), lines=lines(inside)))
    assert found[0].place == "log.py:5 in log(), inside json/encoder.py:7 encode"


def test_the_update_that_the_guest_noted_tells_what_comes_after_it() -> None:
    late = stack("forward", ("train.py", 3, "log"), ("train.py", 13, "main"))
    early = stack("forward", ("train.py", 5, "net"), ("train.py", 10, "main"))
    assert after_update(Lines([late, early]), [["train.py", 12, "main"]]).stacks == [late]


def test_a_pipeline_that_never_rests_holds_up_the_step() -> None:
    guest = {"pipeline": ["TensorSlice", "Map", "Batch", "Prefetch"]}
    calls = {"python_calls_a_step": 128.0, "python_call_share": 0.6, "python_call_at": "read.py:4"}
    bound = keras(guest=guest, python_rest_share=0.05, **calls)
    ahead = keras(guest=guest, python_rest_share=0.35, **calls)
    assert [(one.code, one.location) for one in find(bound)] == [("per-sample-transform", "read.py:4")]
    assert find(ahead) == ()


BURSTS = {"data": "input-bound", "callbacks": "slow-callback", "gc": "gc-pause", "sync": "sync-every-step"}


@pytest.mark.parametrize("phase", BURSTS)
def test_one_burst_of_another_program_blames_nothing(phase: str) -> None:
    """50 steps of 9.3 ms, in one of which the phase takes 300 ms longer; then the same in every step."""
    burst = lane(counted=50, mean_ms=phases(**{phase: 6.0}), firm_ms=HEALTHY, typical_ms=HEALTHY)
    steady = replace(burst, firm_ms=phases(**{phase: 6.0}), typical_ms=phases(**{phase: 6.0}))
    assert find(burst) == ()
    assert [one.code for one in find(steady)] == [BURSTS[phase]]


def test_the_longest_steps_of_a_phase_are_left_out_of_its_firm_mean() -> None:
    gc, data = PHASE_NAMES.index("gc"), PHASE_NAMES.index("data")
    phases_ms = np.full((50, len(PHASE_NAMES)), 1.0)
    phases_ms[7, gc] = phases_ms[30, gc] = phases_ms[31, data] = 90.0

    def firm() -> dict[str, float]:
        return firm_mean(phases_ms * 1e6, dict(zip(PHASE_NAMES, phases_ms.mean(axis=0).tolist(), strict=True)))

    assert firm() == pytest.approx(dict.fromkeys(PHASE_NAMES, 1.0))
    phases_ms[9, gc] = 49.0
    assert (firm()["gc"], firm()["data"]) == pytest.approx((2.0, 1.0))


@pytest.mark.parametrize(
    ("stalls", "seconds", "severity"), [(1, 2.0, "note"), (9, 2.0, "warning"), (1, 20.0, "warning")]
)
def test_a_single_short_stall_is_no_more_than_a_note(stalls: int, seconds: float, severity: str) -> None:
    lost = (Lost("slow-callback", "callbacks", 0.06, stalls),)
    firmly = {"slow-callback": 0.05 if stalls > 2 else 0.0}
    facts = lane(lost_by={"slow-callback": 0.06}, lost_firmly=firmly, lost=lost, stalls=stalls, training_s=seconds)
    assert [(one.code, one.severity) for one in find(facts)] == [("slow-callback", severity)]


def test_loaders_that_may_have_waited_for_a_core_are_not_blamed() -> None:
    ahead = lane(mean_ms=phases(data=6.0), guest={"loader": {"workers": 1, "at": "train.py:9"}})
    codes = [(one.code, one.severity) for one in find(replace(ahead, run_delay_share=0.25))]
    assert [(one.code, one.severity) for one in find(ahead)] == [("input-bound", "warning")]
    assert codes == [("cpu-starved", "warning"), ("input-bound", "note")]
    taken = replace(ahead, host_others_cores=1.2, guest={**ahead.guest, "cores": 2})
    assert [(one.code, one.severity) for one in find(taken)] == [("input-bound", "note")]
    nearly_all = replace(ahead, run_delay_share=0.06, mean_ms=phases(data=20.0))
    assert [(one.code, one.severity) for one in find(nearly_all)] == [("input-bound", "critical")]


def test_what_a_worker_could_not_shorten_must_take_more_of_the_step() -> None:
    known = {"guest": {"loader": LOADER}}
    assert find(lane(mean_ms={"data": 1.2, "forward": 1.0, "backward": 2.0}, **known)) == ()
    assert find(lane(mean_ms={"data": 1.2, "forward": 0.5, "backward": 1.0}, **known))[0].code == "input-bound"


def test_evaluation_up_to_half_of_the_time_is_a_choice() -> None:
    assert [find(lane(evaluation_share=share))[0].severity for share in (0.35, 0.5)] == ["note", "warning"]


def test_fit_that_waits_for_the_model_is_not_blamed() -> None:
    waits = [stack("compute", EXECUTE, LOOP, runs=False)] * 3
    busy = [stack("compute", EXECUTE, LOOP), stack("compute", OPTIONAL, LOOP)]
    assert find(keras(lines=lines(*waits, *busy))) == ()
    mostly = Lines([*busy * 20, waits[0]])
    assert [one.code for one in find(keras(lines=mostly))] == ["per-execution-overhead"]


def test_a_few_stacks_of_short_steps_are_weighed_with_what_fit_costs() -> None:
    few = Lines([stack("compute", OPTIONAL, LOOP), stack("compute", EXECUTE, LOOP)])
    short = {"compute": 0.9, "sync": 0.02, "callbacks": 0.02}
    assert [one.code for one in find(keras(mean_ms=short, lines=few))] == ["per-execution-overhead"]
    assert find(keras(lines=few)) == ()


def test_work_spread_over_a_function_is_named_where_it_is_called() -> None:
    """As in an eager loss of three lines; the call of `main`, which the update shares, is not named."""
    main = ("train.py", 90, "<module>")
    forward = [stack("forward", ("net.py", line, "loss_of"), ("train.py", 53, "step"), main) for line in (31, 32, 33)]
    update = stack("optimizer", ("train.py", 54, "step"), main)
    facts = replace(lane(), framework="tensorflow", eager=True, lines=lines(*forward, update))
    assert [(one.code, one.location, one.function) for one in find(facts)] == [
        ("dispatch-bound", "train.py:53", "step")
    ]
    inline = [stack("forward", ("train.py", line, "main"), main) for line in (31, 32, 32, 33)]
    assert Lines(inline).statement(Lines([update])) == "train.py:32"


def test_the_table_is_whole() -> None:
    known = set(CASES) | set(PAIRS) | {"backend-wrapper", "straggler-rank", "unequal-work"}
    assert {cause.code for cause in CAUSES} == known
    assert all("*" in cause.advice or len(cause.advice) > 1 for cause in CAUSES)


def test_the_guests_hooks_are_not_shown_as_the_framework() -> None:
    hook = ("/v/site-packages/fwtui/guest/torch_value_hooks.py", 58, "read")
    read = stack("sync", hook, ("/lib/python3.11/codecs.py", 7, "item"), ("train.py", 40, "main"))
    facts = lane(mean_ms=phases(sync=4.0), lines=lines(replace(read, location="train.py:40", function="main")))
    assert find(facts)[0].place == "train.py:40 in main(), inside codecs.py:7 item"
    only = replace(read, frames=(hook, LOOP), location="train.py:40", function="main")
    assert find(replace(facts, lines=lines(only)))[0].place == "train.py:40 in main()"


def test_a_note_does_not_repeat_the_line_of_a_named_cause() -> None:
    save = stack("callbacks", (TORCH + "serialization.py", 1, "save"), LOOP)
    facts = lane(
        lines=Lines([save] * 3 + [stack("forward")] * 9),
        lost_by={"slow-callback": 0.06},
        lost=(Lost("slow-callback", "callbacks", 0.06, 1),),
        stalls=1,
        stall_lines={"slow-callback": "train.py:40"},
    )
    assert [one.code for one in find(facts)] == ["checkpoint-stall"]
    elsewhere = replace(facts, stall_lines={"slow-callback": "train.py:44"})
    assert [one.code for one in find(elsewhere)] == ["checkpoint-stall", "slow-callback"]


def test_a_wait_that_is_usually_short_is_not_worth_a_worker() -> None:
    """The mean of 2.6 ms is that of preempted steps: the usual one waits 1.2 ms."""
    facts = lane(mean_ms=phases(data=2.6), guest={"loader": LOADER})
    assert [one.code for one in find(facts)] == ["no-prefetch"]
    assert find(replace(facts, usual_wait_ms=1.2)) == ()
