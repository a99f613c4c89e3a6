"""An explanation as rows and lines: one table, so that text, Markdown and HTML cannot disagree."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fwtui.analysis.explanation import Experiment, Explanation, Measured, Together
from fwtui.view import waterfall
from fwtui.view.units import NOT_KNOWN, show

WIDTH = 100
_CAUSE, _BAR = 42, 20
HEADS = ("cause", "effect a step", "share of the gap", "how it was tested", "change to make", "verdict")


def measured(value: Measured | None, unit: str) -> str:
    """`1.31 ms [1.25, 1.36]`; the interval without its unit."""
    if value is None:
        return NOT_KNOWN
    if value.ci95 is None:
        return f"{show(value.value, unit)} [no interval]"
    low, high = (show(bound, unit).removesuffix(f" {unit}").rstrip("x% ") for bound in value.ci95)
    return f"{show(value.value, unit)} [{low}, {high}]"


def table(explanation: Explanation) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(headings, rows): a row an experiment, and one for the largest changes together. Pure text."""
    rows = [_row(item) for item in explanation.experiments]
    joint = explanation.together
    if joint is not None and joint.effect_ms is not None:
        rows.append(
            (
                _joint_name(joint),
                measured(joint.effect_ms, "ms"),
                measured(joint.share_of_gap, "share"),
                f"{explanation.slower}, {joint.changed} and {explanation.faster} in turns, {joint.turns} pairs",
                f"{measured(joint.ratio, 'x')} {explanation.faster}'s step time is left",
                _sum_words(joint),
            )
        )
    return HEADS, rows


def _row(item: Experiment) -> tuple[str, ...]:
    verdict = f"{item.verdict}: {item.reason}" if item.reason else item.verdict
    return (
        f"{item.cause} ({item.code})",
        measured(item.effect_ms, "ms"),
        measured(item.share_of_gap, "share"),
        _tested(item),
        item.change,
        verdict,
    )


def _joint_name(joint: Together) -> str:
    if len(joint.factors) == 1:
        return "with that change"
    return " and ".join(joint.factors) + " together"


def _sum_words(joint: Together) -> str:
    if joint.sum_ms is None or joint.additive is None:
        return joint.reason or ""
    word = "the effects add up" if joint.additive else "the effects do not add up"
    return f"{word}: alone they sum to {measured(joint.sum_ms, 'ms')}"


def lines(explanation: Explanation) -> list[str]:
    """The explanation as text of at most WIDTH columns, but for commands, which must stay whole."""
    text = list(_filled(explanation.sentence or "nothing is found yet"))
    if explanation.problem:
        text += _filled(f"note: {explanation.problem}")
    gap = waterfall.by_cause(explanation)
    if gap is not None:
        text += ["", "the gap by cause: " + gap.title, *waterfall.lines(gap)]
    text += _answers(explanation)
    untried = [item.cause for item in explanation.experiments if item.verdict == "not tried"]
    if untried:
        why = "stopped before" if explanation.status == "stopped" else "the budget was spent: a longer --budget tries"
        text += ["", *_filled(f"not tried, {why} {'; '.join(untried)}", "", "  ")]
    return text


def _answers(explanation: Explanation) -> Iterator[str]:
    """One table of what was tried, and below it how: by number."""
    tried = [item for item in explanation.experiments if item.verdict != "not tried"]
    if tried:
        yield from ("", f"{'':3}{'cause':<{_CAUSE}} {'effect a step':<23} {'share of the gap':<18} proven?")
    for number, item in enumerate(tried, 1):
        effect, share = measured(item.effect_ms, "ms"), measured(item.share_of_gap, "share")
        first, *more = textwrap.wrap(item.cause, _CAUSE)
        yield f"{number:>2} {first:<{_CAUSE}} {effect:<23} {share:<18} {item.verdict}"
        yield from (f"   {line}" for line in more)
    for number, item in enumerate(tried, 1):
        yield ""
        yield from _how(number, item)
    joint = explanation.together
    if joint is not None and joint.effect_ms is not None:
        yield ""
        yield from _together(explanation, joint)
    for cost in explanation.step_costs:
        sizes = ", ".join(str(size) for size in cost.sizes)
        yield ""
        yield from _filled(
            f"{cost.lane}: {measured(cost.fixed_ms, 'ms')} a step whatever its size, and "
            f"{cost.per_sample_us.value:.3g} µs a sample{_interval(cost.per_sample_us)} (batches of {sizes})"
        )


def _interval(value: Measured) -> str:
    return f" [{value.ci95[0]:.3g}, {value.ci95[1]:.3g}]" if value.ci95 else ""


def _how(number: int, item: Experiment) -> Iterator[str]:
    """How it was tested, what to change, and how to see it again."""
    faster = f": {measured(item.speedup, 'x')} as fast" if item.speedup else ""
    yield from _filled(f"{number:>2} tested  {_tested(item)}{faster}", "", "           ")
    if item.reason:
        yield from _filled(f"   but     {item.reason}", "", "           ")
    if item.verdict == "proven":
        yield from _filled(f"   change  {item.change}", "", "           ")
    if item.command:
        yield f"   again   {item.command}"


def _tested(item: Experiment) -> str:
    """`keras against keras:jit in turns, 12 pairs`, and how many were left out."""
    pairs = f", {item.turns} pairs" if item.turns else ""
    return item.tested + pairs + (f" ({item.left_out} left out: disturbed by other programs)" if item.left_out else "")


def _together(explanation: Explanation, joint: Together) -> Iterator[str]:
    effect, share = measured(joint.effect_ms, "ms"), measured(joint.share_of_gap, "share")
    left = f"{measured(joint.ratio, 'x')} {explanation.faster}'s step time is left"
    head = f"{_joint_name(joint)}, {joint.changed}: {effect} a step, {share} of the gap; {left}"
    yield from _filled(head, "", "  ")
    if _sum_words(joint):
        yield from _filled(f"  {_sum_words(joint)}", "", "  ")
    if joint.reason:
        yield from _filled(f"  but     {joint.reason}", "", "  ")
    if joint.command:
        yield f"  again   {joint.command}"


def _filled(text: str, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False)


def starting(lanes: Sequence[Mapping[str, Any]]) -> str:
    """How many lanes of a manifest train already."""
    started = sum(lane["status"] != "pending" for lane in lanes)
    if started < len(lanes):
        return f"{started} of {len(lanes)} lanes started, {lanes[max(0, started - 1)]['name']} the last"
    return f"all {len(lanes)} lanes take turns"


def progress(explanation: Explanation) -> str:
    """One line: how much of the budget is spent as a bar, how far it is, the time left, and what is tried."""
    left = "" if explanation.left_s is None else f", at most {show(explanation.left_s, 's')} left"
    spent = min(1.0, explanation.spent_s / explanation.budget_s) if explanation.budget_s else 0.0
    bar = f"[{'#' * round(spent * _BAR):<{_BAR}}]"
    now = explanation.now or "choosing what to try"
    return f"{bar} {explanation.done} of {explanation.planned} experiments{left} | {now}"
