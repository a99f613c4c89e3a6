"""The pure core: events into steps, statistics with known answers, stalls, verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from fwtui.analysis.bootstrap import Blocks
from fwtui.analysis.ratio import Ratio, ratio
from fwtui.analysis.stalls import find_stalls
from fwtui.analysis.statistics import blocks, counted_mask, step_times, verdict, warmup_steps
from fwtui.analysis.steps import StepFolder
from fwtui.recording.vocabulary import CODE_BITS, EVENT, PHASE_INDEX


def words(*events: tuple[float, str]) -> np.ndarray:
    """(ms, event name) pairs as words of an event log."""
    return np.array([int(ms * 1e6) << CODE_BITS | EVENT[name] for ms, name in events], dtype=np.uint64)


def torch_step(at: float, data: float = 1, forward: float = 2, backward: float = 3, optimizer: float = 1) -> list:
    """One step of a torch loop that begins at `at` ms; it ends when the next one fetches."""
    a = at + data
    b, c = a + forward, a + forward + backward
    return [
        (at, "data_begin"),
        (a, "data_end"),
        (b, "backward_begin"),
        (c, "backward_end"),
        (c, "optimizer_begin"),
        (c + optimizer, "optimizer_end"),
    ]


def fold(*events: tuple[float, str], pieces: int = 1) -> StepFolder:
    folder = StepFolder()
    for piece in np.array_split(words(*events), pieces):
        folder.feed(piece)
    return folder


def phase(folder: StepFolder, name: str) -> list[float]:
    return [float(value) for value in folder.steps.phases[:, PHASE_INDEX[name]] / 1e6]


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_torch_steps_end_at_the_next_fetch_and_the_phases_tile_them(pieces: int) -> None:
    events = torch_step(10) + torch_step(20) + torch_step(30) + [(40, "data_begin")]
    folder = fold(*events, pieces=pieces)
    assert list(folder.steps.step_ns / 1e6) == [10, 10, 10]
    assert phase(folder, "data") == [1, 1, 1]
    assert phase(folder, "forward") == [2, 2, 2]
    assert phase(folder, "callbacks") == [3, 3, 3]


def test_accumulation_is_one_step_an_update() -> None:
    half = torch_step(10)[:4]  # no optimizer
    folder = fold(*half, *torch_step(17), (30, "data_begin"))
    assert list(folder.steps.step_ns / 1e6) == [20]


def test_evaluation_between_epochs_is_charged_to_no_step() -> None:
    evaluation = [(30, "data_begin"), (35, "data_end"), (50, "data_begin"), (51, "data_stop")]
    folder = fold(
        *torch_step(10), (20, "data_begin"), (21, "data_stop"), *evaluation, *torch_step(60), (70, "data_begin")
    )
    assert list(folder.steps.step_ns / 1e6) == [10, 10]
    assert folder.steps.evaluation_ns[1] / 1e6 == 40


def test_waiting_for_a_turn_is_in_no_phase() -> None:
    folder = fold(*torch_step(10), (20, "wait_begin"), (520, "wait_end"), *torch_step(520), (530, "data_begin"))
    assert list(folder.steps.step_ns / 1e6) == [10, 10]
    assert list(folder.steps.wait_ns / 1e6) == [0, 500]


def test_leaving_the_interpreter_is_no_steps_time() -> None:
    folder = fold(*torch_step(10), (20, "data_begin"), *torch_step(20)[1:], (900, "program_end"))
    assert list(folder.steps.step_ns / 1e6) == [10, 7]


@pytest.mark.parametrize("pieces", [1, 3, 12])
def test_a_step_is_counted_once_however_the_log_arrives(pieces: int) -> None:
    without_loader = [event for at in (10, 20, 30) for event in torch_step(at)[2:]]
    folder = fold(*without_loader, pieces=pieces)
    assert list(folder.steps.updates) == [1, 1, 1]
    keras = [
        (at + place, name)
        for at in (10, 20, 30)
        for place, name in enumerate(("batch_begin_enter", "batch_begin_exit", "batch_end_enter", "batch_end_exit"))
    ]
    folder = fold(*keras, pieces=pieces)
    assert list(folder.steps.updates) == [1, 1, 1]


def test_a_fused_keras_step_is_compute_and_never_split() -> None:
    events = []
    for at in (10, 20):
        events += [
            (at, "batch_begin_enter"),
            (at + 1, "batch_begin_exit"),
            (at + 1, "train_call_begin"),
            (at + 7, "train_call_end"),
            (at + 8, "batch_end_enter"),
            (at + 10, "batch_end_exit"),
        ]
    folder = fold(*events)
    assert phase(folder, "compute") == [7, 7]
    assert phase(folder, "callbacks") == [3, 3]
    assert sum(phase(folder, "forward")) == 0


def test_any_order_of_events_is_survived() -> None:
    generator = np.random.default_rng(0)
    times = np.sort(generator.integers(0, 10**9, 5000)).astype(np.uint64)
    codes = generator.choice(sorted(EVENT.values()), 5000).astype(np.uint64)
    folder = StepFolder()
    for piece in np.array_split(times << np.uint64(CODE_BITS) | codes, 13):
        folder.feed(piece)
    steps = folder.steps
    inside = steps.phases.sum(axis=1) + steps.wait_ns + steps.evaluation_ns + steps.profiler_ns
    assert np.allclose(inside, steps.end_ns - steps.start_ns)


def test_known_percentiles() -> None:
    times = step_times(np.arange(1, 102, dtype=float))
    assert (times.median, times.p5, times.p95, times.iqr) == (51, 6, 96, 50)
    assert step_times(np.empty(0)) is None


def test_warm_up_is_found() -> None:
    steady = 10 + np.random.default_rng(0).normal(0, 0.3, 300)
    slow_start = np.concatenate((np.linspace(40, 10, 40), steady))
    assert 25 <= warmup_steps(slow_start) <= 60
    assert warmup_steps(steady) < 160


def test_steps_right_after_a_turn_began_are_not_counted() -> None:
    step = np.full(200, 10e6)
    start = np.arange(200) * 10e6
    wait = np.zeros(200)
    wait[100] = 500e6
    start[101:] += 500e6
    counted = counted_mask(step, start, wait, np.zeros(200))
    assert list(np.flatnonzero(~counted[90:110]) + 90) == [100, 101]


def test_two_honest_modes_are_no_stalls_and_a_stall_is() -> None:
    generator = np.random.default_rng(1)
    step = np.where(generator.random(1000) < 0.3, 30e6, 10e6)
    assert not find_stalls(step, np.ones(1000, dtype=bool))[0].any()
    step[500] = 400e6
    stalled, lost = find_stalls(step, np.ones(1000, dtype=bool))
    assert list(np.flatnonzero(stalled)) == [500]
    assert lost[500] == pytest.approx(390e6)


def lane(generator: np.random.Generator, ms: float, turns: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Steps of a lane under turns: drift within and between turns, noise, rare stalls."""
    level = ms * (1 + 0.02 * generator.standard_normal(turns))
    count = 40
    steps = np.repeat(level, count) * (1 + 0.05 * np.abs(generator.standard_normal(turns * count)))
    steps[generator.random(len(steps)) < 0.003] += 50
    return steps, np.repeat(np.arange(turns), count)


def ratio_of(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> Ratio:
    """The ratio of two lanes that took turns."""
    found = ratio(a[0], b[0], Blocks(a[1], a[1] * 1e9, b[1], b[1] * 1e9 + 5e8))
    assert found is not None
    return found


def verdicts(slowdown: float, times: int = 100) -> list[str]:
    generator = np.random.default_rng(7)
    ratios = [ratio_of(lane(generator, 10 * slowdown), lane(generator, 10)) for _ in range(times)]
    return [verdict(found.ci95) for found in ratios]


def test_identical_lanes_are_no_different_and_ten_per_cent_is_found() -> None:
    assert verdicts(1.0).count("no difference") >= 90  # of a 95 % interval, with room for chance in 100 draws
    assert verdicts(1.1).count("slower") >= 95


def test_a_stall_is_no_block_of_its_own() -> None:
    step = np.full(400, 10e6)
    step[[149, 150]] = 2000e6  # the last step of a turn of half a second, and the first of the next
    wait = np.where(np.arange(400) % 50 == 0, 500e6, 0.0)
    end = np.cumsum(step + wait)
    assert len(np.unique(blocks(end, wait))) == 8
    assert np.bincount(blocks(end, np.zeros(400)) - int(end[0] // 500e6))[0] > 1


def test_a_turn_without_another_s_is_cut() -> None:
    wait = np.zeros(400)
    wait[:200:50] = 500e6  # the other lane ended after four turns
    cut = blocks(np.cumsum(np.full(400, 10e6) + wait), wait)
    assert len(np.unique(cut[:150])) == 3
    assert len(np.unique(cut[150:])) >= 3


def test_few_turns_decide_nothing() -> None:
    generator = np.random.default_rng(0)
    found = ratio_of(lane(generator, 20, turns=3), lane(generator, 10, turns=3))
    assert found.ci95 is None
    assert verdict(found.ci95) == "undecided"
