"""The four claims of articles that explain why one framework is faster, put to the test: graph, memory, code, hardware.

Such an article names four causes and measures none. Here each is one comparison inside a framework, where only the
named thing differs, on this machine; the verdict follows from the interval, by the rules below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fwtui.analysis.explanation import Measured
from fwtui.explain import effects
from fwtui.explain.effects import Turns

WORKLOADS = ("regression-mlp", "mnist-mlp", "mnist-cnn", "lstm", "transformer")
LANES = ("torch", "torch:compile", "torch:threads=1", "keras", "keras:eager", "keras:jit", "keras:threads=1")
SUPPORTED, REFUTED, UNDECIDED, NOT_TESTABLE = "supported", "refuted", "undecided", "not testable here"
SAME = 0.03
"""Ratios within 3 % of 1 make no difference that a claim could rest on."""


@dataclass(frozen=True, slots=True)
class LaneMeasures:
    """What a lane of the origin's run gave."""

    turns: Turns
    peak_bytes: float | None
    steady_bytes: float | None
    """Median over the second half of its training."""
    gpu_peak_bytes: float | None = None
    problem: str | None = None


Lanes = Mapping[str, LaneMeasures]


@dataclass(frozen=True, slots=True)
class Tested:
    """One claim for one workload."""

    verdict: str
    """`supported`, `refuted`, `undecided` or `not testable here`."""
    evidence: tuple[str, ...]
    """A figure for each of the claim's `figures`, with its interval."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One of the origin's claims."""

    name: str
    says: str
    """The claim, in words that can be true or false."""
    figures: tuple[str, ...]
    """What is measured: the names of the figures."""
    rule: str
    """What decides, in words."""
    judge: Callable[[Lanes, bool], Tested]
    """From the lanes, and whether they ran on a GPU."""
    pairs: tuple[tuple[str, str], ...] = ()
    """The lanes that it compares in turns."""


def over(lanes: Lanes, above: str, below: str) -> Measured | None:
    """Step time of one lane over another's, paired by turns; None when either has none."""
    one, other = lanes.get(above), lanes.get(below)
    if one is None or other is None or not len(one.turns) or not len(other.turns):
        return None
    return effects.ratio(*effects.pair(one.turns, other.turns))


def _where(ratio: Measured | None) -> str:
    """`more`, `less` or `same` by the interval of a ratio; `unknown` when it does not tell."""
    if ratio is None or ratio.ci95 is None:
        return "unknown"
    low, high = ratio.ci95
    if low > 1 + SAME:
        return "more"
    if high < 1 - SAME:
        return "less"
    return "same" if low > 1 - 2 * SAME and high < 1 + 2 * SAME else "unknown"


def _graph(lanes: Lanes, on_gpu: bool) -> Tested:
    """Supported when Keras without its graph is faster than with it; refuted when the graph is, or nothing changes."""
    keras = over(lanes, "keras:eager", "keras")
    verdict = {"less": SUPPORTED, "more": REFUTED, "same": REFUTED}.get(_where(keras), UNDECIDED)
    return Tested(verdict, (_times(keras),))


def _memory(lanes: Lanes, on_gpu: bool) -> Tested:
    """Supported when torch's peak and steady memory are both less than Keras's by 5 %, refuted when both are more."""
    torch, keras = lanes.get("torch"), lanes.get("keras")
    if torch is None or keras is None or not torch.steady_bytes or not keras.steady_bytes:
        return Tested(UNDECIDED, ("n/a", "n/a"))
    ratios = [torch.steady_bytes / keras.steady_bytes]
    if torch.peak_bytes and keras.peak_bytes:
        ratios.append(torch.peak_bytes / keras.peak_bytes)
    verdict = UNDECIDED
    if all(ratio < 0.95 for ratio in ratios):
        verdict = SUPPORTED
    elif all(ratio > 1.05 for ratio in ratios):
        verdict = REFUTED
    return Tested(verdict, tuple(f"{_mib(lane.steady_bytes)}, {_mib(lane.peak_bytes)}" for lane in (torch, keras)))


def _gpu_memory(lanes: Lanes, on_gpu: bool) -> Tested:
    """As on the host, with the device's peak; TensorFlow takes nearly all memory at once unless it is told not to."""
    torch, keras = lanes.get("torch"), lanes.get("keras")
    if not on_gpu or torch is None or keras is None or not torch.gpu_peak_bytes or not keras.gpu_peak_bytes:
        return Tested(NOT_TESTABLE, ("n/a",))
    ratio = torch.gpu_peak_bytes / keras.gpu_peak_bytes
    verdict = SUPPORTED if ratio < 0.95 else REFUTED if ratio > 1.05 else UNDECIDED
    return Tested(verdict, (f"{_mib(torch.gpu_peak_bytes)}, {_mib(keras.gpu_peak_bytes)}",))


def _code(lanes: Lanes, on_gpu: bool) -> Tested:
    """Supported when generated code speeds torch up, and more than it does Keras; refuted when not."""
    torch, keras = over(lanes, "torch", "torch:compile"), over(lanes, "keras", "keras:jit")
    return Tested(_more_than(torch, keras), (_times(torch), _times(keras)))


def _hardware(lanes: Lanes, on_gpu: bool) -> Tested:
    """Supported when all cores speed torch up over one thread, and more than Keras; refuted when not."""
    torch, keras = over(lanes, "torch:threads=1", "torch"), over(lanes, "keras:threads=1", "keras")
    return Tested(_more_than(torch, keras), (_times(torch), _times(keras)))


def _more_than(torch: Measured | None, keras: Measured | None) -> str:
    if torch is None or keras is None or torch.ci95 is None or keras.ci95 is None:
        return UNDECIDED
    if _where(torch) in ("less", "same"):
        return REFUTED
    apart = math.log(torch.value / keras.value)
    half = math.hypot(*(math.log(one.ci95[1] / one.ci95[0]) / 2 for one in (torch, keras) if one.ci95))
    ratio = Measured(math.exp(apart), (math.exp(apart - half), math.exp(apart + half)))
    gains = SUPPORTED if _where(torch) == "more" else UNDECIDED
    return {"more": gains, "less": REFUTED, "same": REFUTED}.get(_where(ratio), UNDECIDED)


def _gpu_use(lanes: Lanes, on_gpu: bool) -> Tested:
    """Which framework keeps a GPU busier is told by its own run; without one there is nothing to say."""
    return Tested(NOT_TESTABLE, ())


_GAIN = (
    "supported where the first ratio lies above 1.03 and above the second by more than 3 %, refuted where it does not"
)
CLAIMS = (
    Claim(
        "dynamic graph",
        "PyTorch is faster because its graph is dynamic",
        ("keras:eager over keras",),
        "supported where Keras without its graph is faster than with it by more than 3 %, refuted where it is not",
        _graph,
        (("keras:eager", "keras"),),
    ),
    Claim(
        "memory, host",
        "PyTorch takes less memory",
        ("torch, steady and peak, MiB", "Keras, steady and peak, MiB"),
        "supported where the lane's resident memory, steady and peak, is less than Keras's by more than 5 %, refuted "
        "where both are more by as much",
        _memory,
    ),
    Claim(
        "memory, GPU",
        "PyTorch takes less GPU memory",
        ("torch and Keras, peak, MiB",),
        "as on the host, by the peak; needs a GPU",
        _gpu_memory,
    ),
    Claim(
        "code generation",
        "PyTorch is faster because it generates better code",
        ("torch over torch:compile", "keras over keras:jit"),
        _GAIN,
        _code,
        (("torch", "torch:compile"), ("keras", "keras:jit")),
    ),
    Claim(
        "hardware, CPU",
        "PyTorch is faster because it uses the cores better",
        ("torch:threads=1 over torch", "keras:threads=1 over keras"),
        _GAIN,
        _hardware,
        (("torch:threads=1", "torch"), ("keras:threads=1", "keras")),
    ),
    Claim("hardware, GPU", "PyTorch is faster because it uses the GPU better", (), "needs a GPU", _gpu_use),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One workload's answers."""

    workload: str
    ratio: Measured | None
    """Keras's step time over torch's."""
    tested: tuple[Tested, ...]
    """In the order of CLAIMS."""
    run: str
    turns: int = 0
    """The fewest turns of a lane that ran to its end."""
    left_out: int = 0
    """Turns of all lanes that other programs disturbed."""
    problems: tuple[str, ...] = ()


def column(workload: str, lanes: Lanes, on_gpu: bool, run: str, others: str | None = None) -> Column:
    """All claims for one workload.

    Turns in which other programs used more than `experiment.DISTURBED` of the cores are left out. Where too few pairs
    of turns are left, what compares them is undecided.

    Args:
        workload: which.
        lanes: what its lanes gave, by name.
        on_gpu: whether they ran on one.
        run: the run's id.
        others: what other programs took of the machine, in words.
    """
    problems = tuple(lane.problem for lane in lanes.values() if lane.problem)
    tested = []
    for claim in CLAIMS:
        one = claim.judge(lanes, on_gpu)
        tested.append(replace(one, verdict=UNDECIDED) if _disturbed(lanes, claim) else one)
    if others:
        problems = (*problems, others)
    turns = [lane.turns for lane in lanes.values() if not lane.problem]
    left_out = sum(len(each) - each.undisturbed() for each in turns)
    fewest = min(map(len, turns), default=0)
    return Column(workload, over(lanes, "keras", "torch"), tuple(tested), run, fewest, left_out, problems)


def _disturbed(lanes: Lanes, claim: Claim) -> bool:
    known = [(lanes[one].turns, lanes[other].turns) for one, other in claim.pairs if one in lanes and other in lanes]
    return any(effects.pairs(one, other).disturbed for one, other in known)


def steady(times: np.ndarray, values: np.ndarray) -> float | None:
    """Median of the second half of a series."""
    known = values[~np.isnan(values)]
    return float(np.median(known[len(known) // 2 :])) if len(known) else None


def markdown(columns: Sequence[Column], machine: str) -> str:
    """The report: a table of verdicts with the figures behind them, the rules, and how to run it again."""
    names = [column.workload for column in columns]
    lines = [
        f"On {machine}. Ratios of step times with 95 % intervals.",
        "",
        _row("the claim", *names),
        _row(*["---"] * (len(names) + 1)),
        _row("Keras's step over torch's", *(_times(column.ratio) for column in columns)),
    ]
    for place, claim in enumerate(CLAIMS):
        lines.append(_row(f"**{claim.says}**", *(f"**{column.tested[place].verdict}**" for column in columns)))
        for number, figure in enumerate(claim.figures):
            cells = [(*column.tested[place].evidence, "n/a", "n/a")[number] for column in columns]
            if any(cell != "n/a" for cell in cells):
                lines.append(_row(figure, *cells))
    lines.append(_row("turns of a lane, at least", *(str(column.turns) for column in columns)))
    lines.append(_row("turns left out of all lanes", *(str(column.left_out) for column in columns)))
    lines += ["", "What decides, by the interval:", ""]
    lines += [f"- {claim.says}: {claim.rule}." for claim in CLAIMS]
    lines += ["- undecided where the interval allows both, or other programs disturbed too many turns.", ""]
    lines += ["Again, each in one run:", ""]
    lines += [f"- `{command(column.workload)}` (run {column.run})" for column in columns]
    lines += [f"- {column.workload}: {problem}" for column in columns for problem in column.problems]
    return "\n".join(lines) + "\n"


def command(workload: str, seconds: float = 150) -> str:
    """The run behind one column."""
    return f"fwtui run --workload {workload} --lanes {','.join(LANES)} --seconds {seconds:g}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _times(ratio: Measured | None) -> str:
    if ratio is None:
        return "n/a"
    text = f"{ratio.value:.2f}" + ("" if ratio.ci95 else " (no interval)")
    return f"{text} [{ratio.ci95[0]:.2f}, {ratio.ci95[1]:.2f}]" if ratio.ci95 else text


def _mib(value: float | None) -> str:
    return "n/a" if value is None else f"{value / 2**20:,.0f}"
