"""Chooses what to try: candidate causes of a gap, ordered by what they are expected to explain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fwtui.analysis.results import Finding
from fwtui.explain.factor import Factor, Value
from fwtui.explain.factors import FACTORS, SWEEP
from fwtui.explain.subjects import Setting, Subject, changed

ONLY_ONE_HAS_IT = 0.9
"""Expected share of the gap of what one lane was told and the other was not."""
FOUND = 0.6
"""Expected share of a cause that a finding names without a share."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One experiment to make."""

    factor: Factor
    lane: Subject
    """The unchanged lane: the slower one of the pair, or the faster one where the factor is on its side."""
    changed: Subject
    worth: float
    """Share of the gap that it is expected to explain, 0 to 1."""
    code: str
    """The cause's code, which may depend on the other lane."""


IMAGES = ("mnist-cnn", "finetune", "resnet")
"""Workloads whose layers see images as images."""

Need = Callable[[Subject, Setting], bool]
NEEDS: Mapping[str, Need] = {
    "script": lambda lane, setting: lane.kind == "command",
    "several cores": lambda lane, setting: setting.cores > 1 and "threads" not in lane.options,
    "few threads": lambda lane, setting: 0 < _threads(lane) < setting.cores,
    "several threads": lambda lane, setting: setting.cores > 1 and _threads(lane) != 1,
    "not eager": lambda lane, setting: "eager" not in lane.options and lane.facts.get("compiled") is not False,
    "eager": lambda lane, setting: lane.facts.get("compiled") is False,
    "not compiled": lambda lane, setting: not lane.facts.get("compiled"),
    "no XLA": lambda lane, setting: not lane.facts.get("jit_compile"),
    "one step an execution": lambda lane, setting: (lane.facts.get("steps_per_execution") or 1) == 1,
    "not on torch": lambda lane, setting: lane.backend != "torch",
    "not on jax": lambda lane, setting: lane.backend != "jax",
    "not on tensorflow": lambda lane, setting: lane.backend != "tensorflow",
    "images": lambda lane, setting: (setting.workload or "").startswith(IMAGES),
    "gpu": lambda lane, setting: setting.gpu,
    "glibc": lambda lane, setting: sys.platform == "linux",
}


def _threads(lane: Subject) -> int:
    threads = lane.facts.get("threads")
    return int(threads.get("intra") or 0) if isinstance(threads, Mapping) else 0


def candidates(
    slower: Subject, faster: Subject, findings: Sequence[Finding], setting: Setting
) -> tuple[Candidate, ...]:
    """What to change about the lanes, the most promising first.

    Args:
        slower: the lane to change, but for the few factors on the other side.
        faster: the lane that it is compared with: what only one of them has is suspected first.
        findings: the slower lane's.
        setting: what the experiments share.
    """
    shares: dict[str, float] = {}
    for finding in findings:
        shares[finding.code] = max(shares.get(finding.code, 0.0), finding.share or FOUND)
    found = []
    for factor in FACTORS:
        if factor.side == "faster":
            found += _on_the_other_side(factor, slower, faster, setting)
            continue
        if slower.framework not in factor.frameworks:
            continue
        if not all(NEEDS[need](slower, setting) for need in factor.needs):
            continue
        values = {name: faster.options[name] for name in factor.sets if name in faster.options}
        if factor.kind == "option" and set(factor.sets) & set(slower.options) and not values:
            continue  # the lane has its own value, and nobody asks for another
        new = changed(slower, factor, setting, values)
        if new is not None:
            found.append(Candidate(factor, slower, new, _worth(factor, slower, faster, shares), _code(factor, faster)))
    found.sort(key=lambda candidate: -candidate.worth)
    return _without_twins(found)


def _on_the_other_side(factor: Factor, slower: Subject, faster: Subject, setting: Setting) -> list[Candidate]:
    """What the faster lane loses without something that the slower one does not have."""
    name = (*factor.drops, *factor.sets)[0]
    has_too = name in slower.options or (factor.drops and _offers(slower, name))
    if faster.framework not in factor.frameworks or has_too or (factor.sets and slower.facts.get("compiled")):
        return []
    if not all(NEEDS[need](slower if factor.drops else faster, setting) for need in factor.needs):
        return []
    new = changed(faster, factor, setting)
    worth = ONLY_ONE_HAS_IT if factor.drops else factor.worth
    return [Candidate(factor, faster, new, worth, factor.code)] if new is not None else []


def _offers(lane: Subject, option: str) -> bool:
    """Whether a factor on the slower lane's own side tries that option."""
    return any(option in factor.sets and lane.framework in factor.frameworks for factor in FACTORS)


def _worth(factor: Factor, slower: Subject, faster: Subject, shares: Mapping[str, float]) -> float:
    """The expected share of the gap, from what speaks for a factor."""
    worth = factor.worth
    told = [name for name in (*factor.sets, *factor.drops) if slower.options.get(name) != faster.options.get(name)]
    if told and (factor.drops or any(name in faster.options for name in factor.sets)):
        worth = max(worth, ONLY_ONE_HAS_IT)
    worth = max(worth, shares.get(factor.code, 0.0), *(0.8 * shares.get(code, 0.0) for code in factor.findings), 0.0)
    if factor.name == "torch-compile" and faster.facts.get("compiled"):
        worth = max(worth, 0.5)
    return min(1.0, worth)


def _code(factor: Factor, faster: Subject) -> str:
    """What dispatches one by one while the other lane runs compiled is a cause of its own."""
    if factor.code == "dispatch-bound" and faster.facts.get("compiled"):
        return "compiled-on-one-side"
    return factor.code


def _without_twins(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Two factors that come to the same changed lane are one experiment."""
    kept: dict[tuple[str, tuple[tuple[str, str], ...]], Candidate] = {}
    for candidate in found:
        new = candidate.changed
        kept.setdefault((new.spec if new.kind == "workload" else new.name, tuple(new.env.items())), candidate)
    return tuple(kept.values())


def sweep(slower: Subject, faster: Subject, setting: Setting) -> tuple[tuple[Subject, ...], tuple[int, ...]] | None:
    """Both lanes at a quarter, at once and at four times the batch size, as (lanes, sizes); None when they can't be.

    The lanes come size by size, the slower one first.
    """
    if slower.kind != "workload" or faster.kind != "workload" or not slower.samples:
        return None
    if slower.samples != faster.samples:
        return None
    size = int(slower.samples)
    sizes = (max(1, size // 4), size, size * 4)
    if len(set(sizes)) < 3:
        return None
    lanes = [_sized(lane, number, setting) for number in sizes for lane in (slower, faster)]
    if any(lane is None for lane in lanes):
        return None
    return tuple(lane for lane in lanes if lane is not None), sizes


def _sized(lane: Subject, size: int, setting: Setting) -> Subject | None:
    if lane.samples == size:
        return lane
    values: dict[str, Value] = {"batch_size": size}
    return changed(lane, SWEEP, setting, values)


def combined(one: Subject, first: Candidate, second: Candidate, setting: Setting) -> Subject | None:
    """The lane with both changes; None when they cannot go together."""
    if _options(first) & _options(second) or {first.lane.name, second.lane.name} != {one.name}:
        return None
    both: Subject | None = one
    for candidate in (first, second):
        if both is None:
            return None
        new = candidate.changed
        values = {name: new.options[name] for name in candidate.factor.sets if name in new.options}
        both = changed(both, candidate.factor, setting, values)
    return both


def _options(candidate: Candidate) -> set[str]:
    """What a candidate changes about its lane, by name."""
    factor = candidate.factor
    return {*factor.sets, *factor.drops, *factor.env, *([factor.hook.partition("=")[0]] if factor.hook else ())}
