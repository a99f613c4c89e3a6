"""The frozen results that every surface shows: distributions, phases, findings, pairs.

Unknown is `None`; a zero was measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Step times over the counted steps, in milliseconds."""

    median: float
    p5: float
    p95: float
    p99: float
    iqr: float
    """Distance between the quartiles."""


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """What a phase takes of a mean step."""

    ms: float
    share: float
    """Of the mean step's time, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A named cause with its evidence, code line and advice."""

    code: str
    """kebab-case and stable: a contract."""
    severity: str
    """`critical`, `warning` or `note`."""
    share: float | None
    """Of the lane's wall time in training, 0 to 1."""
    evidence: str
    """Numbers with their units, one line."""
    location: str | None
    """`file:line` of the user's code, when the cause is on the host and the line is known."""
    advice: str
    """One line that names the option to change."""
    letter: str = "?"
    """For the chart's `why` row."""
    function: str | None = None
    """The user's function at `location`, where stacks were taken there."""
    framework: str | None = None
    """The library's frame that most of those stacks stood in: `file:line function`."""

    @property
    def place(self) -> str:
        """The line in words: `train.py:42 in log(), inside torch/serialization.py:850 save`; empty when not known."""
        if not self.location:
            return ""
        function = f" in {self.function}()" if self.function and not self.function.startswith("<") else ""
        return f"{self.location}{function}{f', inside {self.framework}' if self.framework else ''}"


@dataclass(frozen=True, slots=True)
class Lost:
    """What a lane's stalls of one cause and one phase lost."""

    code: str | None
    """The finding code of the cause; None: not known."""
    phase: str
    """The phase that swelled."""
    share: float
    """Of the training time; all of a lane's sum to its `lost_share`."""
    stalls: int


@dataclass(frozen=True, slots=True)
class Cause:
    """A part of the gap between two lanes."""

    code: str
    """A finding's code where one explains this part, else the phase's name."""
    ms: float
    """Positive: the lane spends this much more per step (per sample-equivalent step) than the baseline."""
    share_of_gap: float | None
    """Signed; None while the gap itself is not told from zero."""
    ci95: tuple[float, float] | None
    """Of `ms`."""
    phase: str | None = None
    """`compute` for forward, backward and optimizer together where only one lane's step is fused."""
    covers: tuple[str, ...] = ()
    """The phases that this part is the sum of."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A fair way to look at lanes that do unequal work."""

    code: str
    """`per-sample` or `per-update`."""
    ratio: float
    """The lane's time over the baseline's, for the same number of samples or of updates."""
    ci95: tuple[float, float] | None
    verdict: str
    """`faster`, `slower`, `no difference` or `undecided`."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One lane against the baseline."""

    lane: str
    ratio: float | None
    """Median step time over the baseline's, per sample when batch sizes differ; above 1 is slower."""
    ci95: tuple[float, float] | None
    verdict: str
    """`faster`, `slower`, `no difference`, `unfair` or `undecided`."""
    gap_ms: float | None
    causes: tuple[Cause, ...] = ()
    """What the gap is made of, largest first; sums to `gap_ms`."""
    reason: str | None = None
    """Why it is undecided or unfair, in words."""
    gap_ci95: tuple[float, float] | None = None
    """Of `gap_ms`."""
    alternatives: tuple[Alternative, ...] = ()
    """Of an unfair pair: what can be compared all the same."""
    turns: int = 0
    """Pairs of turns (or other blocks of time) that the ratio rests on."""
    left_out: int = 0
    """Pairs of turns that do not count, because other programs crowded the machine meanwhile."""


@dataclass(frozen=True, slots=True)
class UnfairReason:
    """Why two lanes do unequal work."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ParityItem:
    """One line of the parity list."""

    name: str
    values: tuple[tuple[str, str], ...]
    """(lane, value) as shown."""
    equal: bool | None
    """None: not known for every lane."""
    fatal: bool
    """Whether a difference makes the comparison unfair (else it is a named condition)."""
    mark: str = "not known"
    """`equal`, `unfair`, `condition` (differs, and is named) or `not known`."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Whether the lanes computed the same losses."""

    checked_steps: int
    max_abs_loss_difference: float
    tolerance: float | None = None
    """Largest difference that rounding explains, as a share of the loss where that is above 1."""
    agrees: bool | None = None
    """Whether all differences are within it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All lanes against the baseline."""

    baseline: str
    fair: bool
    unfair_reasons: tuple[UnfairReason, ...]
    conditions: tuple[ParityItem, ...]
    parity: Parity | None
    pairs: tuple[Pair, ...]
