"""Whether lanes compute the same losses: the pure comparison, and the recorded losses on their way to a report."""

from __future__ import annotations

import contextlib
import json

import pytest

from fwtui.analysis.numeric_parity import TOLERANCE, FirstLosses, numeric_parity, unequal_losses
from fwtui.recording.run_folder import NOTES
from fwtui.reports import json_report, text
from fwtui.view.session import Session


def losses(*values: float, updates: int = 1, precision: str = "float32", batch: float = 32) -> FirstLosses:
    return FirstLosses(values, updates, precision, batch)


def test_the_largest_difference_over_the_common_steps_is_found():
    parity = numeric_parity([losses(2, 1, 0.5), losses(2, 1.0001, 0.5, 9), losses(2, 1, 0.5002)])
    assert parity.checked_steps == 3
    assert parity.max_abs_loss_difference == pytest.approx(2e-4)
    assert parity.agrees
    assert unequal_losses(parity) == ()


def test_a_mean_over_several_updates_is_compared_with_the_mean_of_as_many():
    parity = numeric_parity([losses(4, 2, 3, 1, 7), losses(3, 2, updates=2)])
    assert (parity.checked_steps, parity.max_abs_loss_difference) == (4, 0)
    assert numeric_parity([losses(4, 2, 3), losses(1, updates=16)]) is None


def test_other_losses_are_unfair_and_say_by_how_much():
    parity = numeric_parity([losses(1.0, 0.9), losses(1.0, 0.8)])
    assert parity.agrees is False
    (reason,) = unequal_losses(parity)
    assert reason.code == "losses"
    assert "losses of the first 2 updates differ by up to 0.1" in reason.detail


def test_the_first_loss_must_agree_better_than_later_ones():
    assert numeric_parity([losses(1.0, 1.0), losses(1.0, 1.005)]).agrees
    assert not numeric_parity([losses(1.0, 1.0), losses(1.005, 1.0)]).agrees
    assert numeric_parity([losses(1.0, 1.0), losses(1.0025, updates=2)]).agrees, "a mean has no first update"


def test_large_losses_are_held_to_their_share_and_low_precision_to_less():
    assert numeric_parity([losses(5000), losses(5000.2)]).agrees
    assert not numeric_parity([losses(1.0), losses(1.02)]).agrees
    parity = numeric_parity([losses(1.0), losses(1.02, precision="mixed_bf16")])
    assert (parity.agrees, parity.tolerance) == (True, TOLERANCE["mixed_bf16"])


@pytest.mark.parametrize("other", [None, losses(), losses(float("nan")), losses(1.0, batch=64)])
def test_what_cannot_be_compared_is_not_known(other):
    assert numeric_parity([losses(1.0), other]) is None


@pytest.mark.parametrize(("second", "fair", "words"), [(0.91, False, "more than rounding"), (0.90001, True, "1e-05")])
def test_recorded_losses_reach_the_report(write_scenario, second, fair, words):
    folder = write_scenario("healthy")
    for lane, value in zip(sorted(folder.path.glob("lanes/*/rank-0")), (0.9, second), strict=True):
        rows = [json.loads(line) for line in (lane / NOTES).read_text().splitlines()]
        with open(lane / NOTES, "a") as file:
            file.write(json.dumps({"t": rows[-1]["t"], "kind": "losses", "values": [1.0, value], "updates": 1}) + "\n")
    with contextlib.closing(Session(folder)) as session:
        frame = session.frame()
    comparison = json_report.report(frame)["comparison"]
    assert comparison["fair"] is fair
    assert comparison["parity"]["checked_steps"] == 2
    assert comparison["parity"]["max_abs_loss_difference"] == pytest.approx(second - 0.9)
    assert [reason["code"] for reason in comparison["unfair_reasons"]] == ([] if fair else ["losses"])
    assert words in text.summary(frame)
