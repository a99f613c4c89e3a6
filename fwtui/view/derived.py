"""What follows from a lane's steps, a row a step: which count, which stalled, what they lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from fwtui.analysis.run_ahead import host_ns
from fwtui.analysis.stalls import CHUNK, HISTORY, find_stalls
from fwtui.analysis.statistics import blocks, counted_mask
from fwtui.analysis.step_store import GrowingColumns
from fwtui.analysis.steps import Steps
from fwtui.recording.vocabulary import PHASE_INDEX

SETTLED = 3000
"""Steps after which the end of warm-up is settled."""
_CONTEXT = HISTORY // CHUNK + 1
"""Chunks of eligible steps that are looked at again before the first one that may still change."""


@dataclass
class Derived:
    """Per-step columns that follow from the steps."""

    steps: Steps
    counted: np.ndarray
    stalled: np.ndarray
    lost_ns: np.ndarray
    turn: np.ndarray
    """Number of waits for a turn up to the step."""
    number: np.ndarray
    """Which step of the lane it is, from 0."""
    every: int = 1
    """Of the older steps only each so-manieth is here, besides the stalled ones; 1: all are."""
    _block: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def block(self) -> np.ndarray:
        """The block of each step: its turn, or its slice of time."""
        if self._block is not None:
            return self._block
        if self.every > 1 and len(self.turn) and self.turn[-1] >= 2:
            return self.turn
        return blocks(self.steps.end_ns, self.steps.wait_ns)

    def rows(self, which: slice | np.ndarray) -> Derived:
        """Some of the rows."""
        return Derived(
            Steps(*(getattr(self.steps, name)[which] for name in Steps.__dataclass_fields__)),
            self.counted[which],
            self.stalled[which],
            self.lost_ns[which],
            self.turn[which],
            self.number[which],
            self.every,
            self.block[which],
        )

    def counting(self, which: np.ndarray) -> Derived:
        """The same rows, of which only some may count."""
        if which.all():
            return self
        return replace(self, counted=self.counted & which, _block=self.block)

    @property
    def sampled(self) -> np.ndarray:
        """The rows that stand for all steps alike."""
        result: np.ndarray = self.number % self.every == 0
        return result


def _work(steps: Steps) -> np.ndarray:
    """(steps, 2) ns in the model's work, and in its backward or fused part."""
    backward = steps.phases[:, PHASE_INDEX["backward"]] + steps.phases[:, PHASE_INDEX["compute"]]
    rest = steps.phases[:, PHASE_INDEX["forward"]] + steps.phases[:, PHASE_INDEX["optimizer"]]
    return np.stack((backward + rest, backward), axis=1)


class Derivation:
    """Derives the columns as steps arrive: what can no longer change is not looked at again.

    The result is that of deriving all steps at once: a stall depends on the steps of its chunk and on `HISTORY`
    eligible ones before, and the end of warm-up on the first thousand.
    """

    def __init__(self, store: GrowingColumns) -> None:
        self._store = store
        self.ahead = False
        """Whether the host may run ahead of the computing."""
        self._begin()

    def _begin(self) -> None:
        self.flags = GrowingColumns(
            dict.fromkeys(("counted", "stalled", "lost_ns", "turn", "number"), 0),
            {"counted": bool, "stalled": bool, "turn": int, "number": int},
        )
        self.settled = 0
        """Rows whose flags are final."""
        self.anchor = 0
        """The row from which on is looked again; a whole number of chunks of eligible rows lies before it."""
        self.steps_seen = 0
        self.every = 1
        self._known: Derived | None = None

    def derived(self, ahead: bool = False) -> Derived:
        """The columns of all steps in the store.

        Args:
            ahead: whether the host may run ahead of the computing; once it is known, all is derived anew.
        """
        if ahead and not self.ahead and self.every == 1:
            self.ahead = True
            self._begin()
        total = len(self._store)
        if self._known is None or len(self._known) != total or len(self.flags) != total:
            self._extend(total)
            flags = self.flags.arrays()
            self._known = Derived(Steps(**self._store.arrays()), **flags, every=self.every)
        return self._known

    @property
    def settled_ns(self) -> int:
        """Steps that ended before this moment will not be judged otherwise."""
        return int(self._store["end_ns"][self.settled - 1]) if 0 < self.settled <= len(self._store) else 0

    def forget(self) -> None:
        """The store's rows were changed."""
        self._known = None

    def _extend(self, total: int) -> None:
        fresh = len(self.flags)
        new = total - fresh
        if new <= 0:
            return
        steps = Steps(**{name: column[self.anchor :] for name, column in self._store.arrays().items()})
        waits_before = int(self.flags["turn"][-1]) if fresh else 0
        compile_ns = steps.phases[:, PHASE_INDEX["compile"]]
        final = self.settled - self.anchor
        own: np.ndarray = steps.step_ns
        ahead: np.ndarray | bool = False
        if self.ahead:
            own, ahead = host_ns(steps, blocks(steps.end_ns, steps.wait_ns))
        counted = counted_mask(own, steps.start_ns, steps.wait_ns, compile_ns, steps.deep_ns, final, ahead)
        counted[:final] = self.flags["counted"][self.anchor : self.settled]
        stalled, lost = find_stalls(own, counted, final, _work(steps))
        self.flags.append(
            {
                "counted": np.zeros(new, dtype=bool),
                "stalled": np.zeros(new, dtype=bool),
                "lost_ns": np.zeros(new),
                "turn": waits_before + np.cumsum(self._store["wait_ns"][fresh:] > 0),
                "number": self.steps_seen + np.arange(new),
            }
        )
        self.steps_seen += new
        for name, values in (("counted", counted), ("stalled", stalled), ("lost_ns", lost)):
            self.flags[name][self.settled :] = values[final:]
        self._settle(total)

    def _settle(self, total: int) -> None:
        """Move the bounds of what is final past the whole chunks."""
        if total < SETTLED:
            return
        eligible = np.flatnonzero(self.flags["counted"][self.anchor :]) + self.anchor
        chunks = len(eligible) // CHUNK - 1  # the last whole chunk's rows may yet gain a late neighbour
        if chunks <= _CONTEXT:
            return
        self.settled = max(self.settled, int(eligible[chunks * CHUNK]))
        if total >= 2 * SETTLED:
            self.anchor = int(eligible[(chunks - _CONTEXT) * CHUNK])
