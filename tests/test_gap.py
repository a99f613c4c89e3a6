"""The gap, conserved: its parts sum to the whole, and their intervals hold what was put in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scenarios

from fwtui.analysis import gap
from fwtui.analysis.bootstrap import RESAMPLES, Blocks, Rivals, block_medians, middle, student_t
from fwtui.analysis.results import Cause, Finding
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.samples_log import SamplesLogWriter
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES, SOURCE_HOST, source_of_lane
from fwtui.view.comparing import lanes_cores
from fwtui.view.frame import Frame
from fwtui.view.samples import Samples
from fwtui.view.session import Session

TURNS, STEPS = 30, 40


def lane(seed: int, **phases_ms: float) -> tuple[np.ndarray, np.ndarray]:
    """(steps,) and (steps, phases) ms: each phase with noise of its own, the whole step with its turn's drift."""
    generator = np.random.default_rng(seed)
    table = np.zeros((TURNS * STEPS, len(PHASE_NAMES)))
    for name, ms in phases_ms.items():
        table[:, PHASE_INDEX[name]] = ms * generator.lognormal(0, 0.1, len(table))
    table *= np.repeat(1 + 0.03 * generator.standard_normal(TURNS), STEPS)[:, None]
    return table.sum(axis=1), table


def blocks() -> Blocks:
    number = np.repeat(np.arange(TURNS), STEPS)
    return Blocks(number, number * 1e9, number, number * 1e9 + 5e8)


def by_phase(made_of: gap.Gap | None) -> dict[str, Cause]:
    assert made_of is not None
    return {str(cause.phase): cause for cause in made_of.causes}


def test_parts_sum_to_the_gap_and_hold_what_was_put_in() -> None:
    slow = lane(1, data=4.0, forward=2.0, backward=3.0)
    fast = lane(2, data=1.0, forward=2.0, backward=3.0)
    made_of = gap.split(*slow, *fast, blocks())
    assert sum(cause.ms for cause in made_of.causes) == pytest.approx(made_of.ms)
    assert sum(cause.share_of_gap or 0 for cause in made_of.causes) == pytest.approx(1)
    parts = by_phase(made_of)
    assert parts["data"].ci95 is not None
    assert parts["data"].ci95[0] <= 3.0 <= parts["data"].ci95[1]
    assert parts["data"].share_of_gap == pytest.approx(1, abs=0.1)
    for name in ("forward", "backward"):
        assert parts[name].ms == pytest.approx(0, abs=0.1)


def test_a_part_s_interval_holds_the_truth_as_often_as_it_says() -> None:
    holds = 0
    for seed in range(40):
        slow = lane(1000 + seed, data=1.5, backward=3.0)
        fast = lane(2000 + seed, data=1.0, backward=3.0)
        low, high = by_phase(gap.split(*slow, *fast, blocks()))["data"].ci95 or (1, 1)
        holds += low <= 0.5 <= high
    assert holds >= 35  # 38 expected of 40


def test_a_fused_step_stands_against_forward_backward_and_optimizer_together() -> None:
    made_of = gap.split(*lane(1, compute=9.0), *lane(2, forward=2.0, backward=3.0, optimizer=1.0), blocks())
    part = by_phase(made_of)["compute"]
    assert part.covers == gap.WORK
    assert part.ms == pytest.approx(3.0, rel=0.05)
    assert "backward" not in by_phase(made_of)


def test_shares_of_no_gap_are_not_known() -> None:
    made_of = gap.split(*lane(1, compute=9.0), *lane(2, compute=9.0), blocks())
    assert made_of.ci95 is not None
    assert made_of.ci95[0] <= 0 <= made_of.ci95[1]
    assert all(cause.share_of_gap is None for cause in made_of.causes)


def test_few_blocks_give_parts_without_intervals() -> None:
    slow, fast = lane(1, compute=9.0), lane(2, compute=3.0)
    two = np.repeat([0, 1], TURNS * STEPS // 2)
    made_of = gap.split(*slow, *fast, Blocks(two, two * 1e9, two, two * 1e9))
    assert made_of.ci95 is None
    assert {cause.ci95 for cause in made_of.causes} == {None}


def test_blocks_pair_with_their_neighbours_in_time_whatever_the_order_of_turns() -> None:
    a_time = np.array([0, 3, 4, 7, 8, 11, 20]) * 1e9  # its seventh turn is alone
    b_time = np.array([1, 2, 5, 6, 9, 10]) * 1e9
    paired = Blocks(np.arange(7), a_time, np.arange(6), b_time)
    assert list(paired.a) == [0, 1, 2, 3, 4, 5, -1]
    assert list(paired.b) == [0, 1, 2, 3, 4, 5]


def test_turns_as_far_apart_as_their_neighbours_are_paired_in_order() -> None:
    a_time = np.arange(8) * 2e9
    b_time = a_time + np.where(np.arange(8) % 2, 1e9, 0.999e9)  # between two turns of the other, now nearer to the next
    paired = Blocks(np.arange(8), a_time + 0.01e9, np.arange(8), b_time)
    assert list(paired.a) == list(paired.b) == list(range(8))


def turns(first_s: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks and ends of the steps of turns that last 0.4 s and come once a second."""
    number = np.repeat(np.arange(count), 5)
    return number, (first_s + number + np.tile(np.arange(5) / 10, count)) * 1e9


@pytest.mark.parametrize(("until_s", "left_out"), [(3.0, 3), (12.0, 0)])
def test_turns_in_which_others_crowd_the_machine_are_left_out_while_enough_are_calm(
    until_s: float, left_out: int
) -> None:
    at_s = np.arange(0, 20, 0.1)
    rivals = Rivals(at_s * 1e9, np.where(at_s < until_s, 1.0, 0.1))
    blocks = Blocks(*turns(0.0, 16), *turns(0.5, 16), rivals)
    assert blocks.left_out == left_out
    assert blocks.count == 16 - left_out
    for numbers in (blocks.a, blocks.b):
        assert list(numbers[: 5 * left_out]) == [-1] * 5 * left_out
        assert list(numbers[5 * left_out :]) == list(np.repeat(np.arange(16 - left_out), 5))


def test_rows_that_tell_of_a_lane_s_memory_only_do_not_say_that_it_uses_no_core(tmp_path: Path) -> None:
    folder = SimpleNamespace(samples_path=tmp_path / "samples.log")
    log, at_ns = SamplesLogWriter(str(folder.samples_path)), [int(number * 150e6) for number in range(20)]
    for now in at_ns:
        log.append(now, SOURCE_HOST, {"cpu_cores": 2.0})
        if 5 <= now // 150e6 < 15:
            log.append(now + 1_000_000, source_of_lane(0), {"cpu_cores": 1.5})
            for later in range(10, 150, 10):
                log.append(now + later * 1_000_000, source_of_lane(0), {"rss_bytes": 1e8})
    log.close()
    samples = Samples(folder)
    samples.poll()
    times, _ = samples.of(SOURCE_HOST, "cpu_cores")
    used = lanes_cores(SimpleNamespace(samples=samples, logs=[None]), times)
    assert list(used[5:15]) == [1.5] * 10
    assert not used[:4].any()
    assert not used[17:].any()


def test_lanes_that_ran_one_after_the_other_are_not_paired() -> None:
    number = np.arange(10)
    alone = Blocks(number, number * 1e9, number, number * 1e9 + 1e12)
    assert not alone.paired
    a_draws, b_draws = alone.draws()
    assert a_draws.shape == (RESAMPLES, 10)
    assert (a_draws != b_draws).any()


def test_known_quantiles() -> None:
    for degrees, known in ((4, 2.776), (9, 2.262), (30, 2.042)):  # any table of Student's t, two-sided 95 %
        assert student_t(0.975, degrees) == pytest.approx(known, abs=0.002)


def test_the_middle_half_and_its_standard_error() -> None:
    values = np.array([[100.0], [1.0], [2.0], [3.0], [4.0], [-50.0], [2.5], [3.5]])
    found = middle(values)
    assert found.mean[0] == pytest.approx((2 + 2.5 + 3 + 3.5) / 4)
    assert found.linear.mean() == pytest.approx(found.mean[0])
    held = np.clip(values, 2, 3.5)  # Tukey & McLaughlin: winsorized deviation over the kept share
    assert found.linear.std(ddof=1) == pytest.approx(held.std(ddof=1) / 0.5)


def test_medians_of_blocks_and_what_they_are_made_of() -> None:
    values, columns = lane(0, data=2.0, compute=3.0)
    block = np.where(np.arange(len(values)) < 100, -1, np.arange(len(values)) % 7)
    found = block_medians(values, block, 7, columns)
    for number in range(7):
        assert found.median[number] == pytest.approx(np.median(values[block == number]))
    assert found.parts.sum(axis=1) == pytest.approx(found.median, rel=0.01)


def test_disturbed_blocks_move_neither_the_ratio_nor_its_interval() -> None:
    slow, fast = lane(1, compute=6.0), lane(2, compute=5.0)
    slow[0][: 5 * STEPS] *= 20  # something else had the machine during five turns of one lane
    slow[1][: 5 * STEPS] *= 20
    made_of = gap.split(*slow, *fast, blocks())
    assert made_of is not None
    low, high = made_of.ratio.ci95 or (0, 0)
    assert low <= 1.2 <= high
    assert high - low < 0.15


def frame_of(name: str, path: Path) -> Frame:
    scenarios.write(name, path)
    session = Session(RunFolder(path))
    try:
        return session.frame()
    finally:
        session.close()


def test_a_run_s_gap_names_the_finding_that_explains_it(tmp_path: Path) -> None:
    frame = frame_of("input_starved", tmp_path / "run")
    assert frame.comparison is not None
    (pair,) = frame.comparison.pairs
    assert sum(cause.ms for cause in pair.causes) == pytest.approx(pair.gap_ms)
    largest = pair.causes[0]
    assert (largest.code, largest.phase) == ("input-bound", "data")
    assert largest.ms == pytest.approx(-17.6, rel=0.1)


def test_a_finding_names_only_its_own_phase() -> None:
    causes = (Cause("compute", 3.0, 1.0, None, "compute", gap.WORK),)
    optimizer = Finding("slow-optimizer", "note", 0.4, "", None, "")
    assert gap.named(causes, (optimizer,), ())[0].code == "compute"
