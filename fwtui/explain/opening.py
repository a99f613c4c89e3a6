"""From a recorded comparison to the pair of lanes whose gap is to be explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fwtui.analysis.explanation import Explanation, Measured, negative
from fwtui.analysis.results import Comparison, Finding
from fwtui.explain import effects
from fwtui.explain.experiment import busy_words, seen
from fwtui.explain.subjects import Subject, subject
from fwtui.view.session import Session


class NothingToExplain(Exception):
    """The run has no pair of lanes with steps; the message is one sentence."""


def open_pair(session: Session, budget_s: float) -> tuple[Subject, Subject, Sequence[Finding], Explanation]:
    """(slower lane, faster lane, the slower one's findings, the explanation to begin with) of a comparison.

    Of several pairs it is the one with the widest gap.

    Raises:
        NothingToExplain: no two lanes have steps that count.
    """
    entries, frame = session.manifest["lanes"], session.frame()
    looks = seen(session, range(len(entries)))
    known = [index for index in range(len(entries)) if len(looks[index].turns)]
    if len(known) < 2 or known[0] != 0:
        raise NothingToExplain("there is no gap to explain: two lanes must have trained for a few turns")

    def scaled(index: int) -> effects.Turns:
        samples, reference = looks[index].samples, looks[0].samples
        return looks[index].turns.scaled(reference / samples) if samples and reference else looks[index].turns

    ratios = {index: effects.ratio(*effects.pair(scaled(index), scaled(0))) for index in known[1:]}
    found = {index: ratio for index, ratio in ratios.items() if ratio is not None}
    if not found:
        raise NothingToExplain("there is no gap to explain: the lanes never trained in turns beside each other")
    other = max(found, key=lambda index: max(found[index].value, 1 / found[index].value))
    told = _told(frame.comparison, str(entries[other]["name"]))
    slower = told.slower if told else found[other].value >= 1
    slow, fast = (other, 0) if slower else (0, other)
    lanes = {
        index: subject(
            entries[index],
            frame.lanes[index].framework,
            {**looks[index].facts, "batch_size": looks[index].samples, "startup_s": looks[index].startup_s},
        )
        for index in (slow, fast)
    }
    gap, ratio = (told.gap, told.ratio) if told else _measured(scaled(slow), scaled(fast))
    explanation = Explanation(
        status="running",
        slower=lanes[slow].name,
        faster=lanes[fast].name,
        baseline=lanes[0].name,
        gap_ms=gap,
        ratio=ratio,
        budget_s=budget_s,
        problem=busy_words(session),
    )
    return lanes[slow], lanes[fast], frame.lanes[slow].findings, explanation


@dataclass(frozen=True, slots=True)
class _Told:
    """A pair as the comparison tells it, turned so that the slower lane stands above the faster one."""

    slower: bool
    """Whether the lane is the slower one of the pair."""
    gap: Measured
    ratio: Measured


def _told(comparison: Comparison | None, lane: str) -> _Told | None:
    """The comparison's own figures, so that they are the same everywhere; None of a pair that is unfair."""
    pair = next((pair for pair in comparison.pairs if pair.lane == lane), None) if comparison else None
    if pair is None or pair.verdict == "unfair" or not pair.ratio or pair.gap_ms is None or pair.ci95 is None:
        return None
    gap, ratio = Measured(pair.gap_ms, pair.gap_ci95), Measured(pair.ratio, pair.ci95)
    if pair.gap_ms >= 0:
        return _Told(True, gap, ratio)
    return _Told(False, negative(gap), effects.inverse(ratio))


def _measured(slow: effects.Turns, fast: effects.Turns) -> tuple[Measured | None, Measured | None]:
    """(gap in ms, ratio) from neighbouring turns."""
    pairs = effects.pair(slow, fast)
    return effects.difference(*pairs), effects.ratio(*pairs)
