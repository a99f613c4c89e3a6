"""What a row of the table of factors holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Value = bool | int | str


class Factor(NamedTuple):
    """One row."""

    name: str
    code: str
    """The finding's code that the cause has."""
    cause: str
    """What is tested: the sentence says `71 % of the gap is …`."""
    change: str
    """The change to make in the user's code."""
    frameworks: tuple[str, ...] = ("torch", "keras", "tensorflow")
    sets: Mapping[str, Value] = {}
    """Lane options that the changed lane gets; one of them must be new to the lane, or of another value there."""
    drops: tuple[str, ...] = ()
    """Lane options that the changed lane loses; the lane must have one of them."""
    env: Mapping[str, str] = {}
    """Environment of the changed lane; `{cores}` is the number of cores."""
    hook: str = ""
    """What FWTUI_CHANGE tells the guest."""
    fix: bool = True
    """Whether one would keep the change; else it only measures what something costs."""
    worth: float = 0.1
    """Share of a gap that it is expected to explain when nothing speaks for it."""
    needs: tuple[str, ...] = ()
    """Names of rules in `plan.NEEDS` that must hold."""
    findings: tuple[str, ...] = ()
    """Other findings that speak for it, besides its own code."""
    contains: tuple[str, ...] = ()
    """Factors that this change does away with as well: where they are proven, it stands behind them."""
    side: str = "slower"
    """The lane that it changes; on the `faster` one it measures what that lane owes to what it has."""

    @property
    def kind(self) -> str:
        """By what means the lane is changed."""
        return "hook" if self.hook else "environment" if self.env else "option"


CALLBACKS = "do the callback's work every N batches, or at the epoch's end"
BATCHES = "load ahead, or slice whole batches from memory (torch: tensors[order[i:i+B]]; tf.data: cache().prefetch())"
TORCH_COMPILE = "model = torch.compile(model)"
EXECUTION = "compile(steps_per_execution=32)"
