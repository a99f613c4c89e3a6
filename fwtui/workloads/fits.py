"""How the Keras lane divides its steps into calls of `fit`. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from fwtui.workloads.catalogue import Plan


@dataclass(frozen=True)
class Fit:
    """One call of `fit`."""

    begin: int
    """Its first step, counted from 0 over the whole run."""
    first_epoch: int
    last_epoch: int
    """The epoch after its last one."""
    steps_per_epoch: int

    @property
    def end(self) -> int:
        """The step after its last one."""
        return self.begin + (self.last_epoch - self.first_epoch) * self.steps_per_epoch


def fits(plan: Plan, per_execution: int = 1, checked: int = 0) -> list[Fit]:
    """The calls of `fit` that make up a run.

    The first `checked` steps are calls of their own, and so is the rest of the epoch in which they end. Then one call
    runs all full epochs and one the rest. Where `steps_per_execution` does not divide an epoch, each epoch is a call:
    `fit` would otherwise fill up an epoch's last execution with batches of the next one.
    """
    calls: list[Fit] = []
    begin = 0
    while begin < plan.steps:
        epoch, place = divmod(begin, plan.steps_per_epoch)
        left = min(plan.steps - begin, plan.steps_per_epoch - place)
        last_epoch = epoch + 1
        if begin < checked:
            left = min(left, checked - begin)
        elif left == plan.steps_per_epoch and left % per_execution == 0:
            last_epoch = plan.full_epochs
        calls.append(Fit(begin, epoch, last_epoch, left))
        begin = calls[-1].end
    return calls
