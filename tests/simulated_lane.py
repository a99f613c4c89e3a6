"""A lane that never ran: emits the events a guest would, on a clock of its own, and keeps the truth beside them.

The sequences are the guest's: torch notes its loader, autograd and the optimizer; Keras on TensorFlow its callback list
and the train function; a raw TensorFlow loop its iterator and the train function.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fwtui.recording.vocabulary import CODE_BITS, EVENT

MS = 1_000_000

TORCH = {"data": 0.6, "forward": 1.2, "backward": 2.2, "optimizer": 0.8, "sync": 0.1, "callbacks": 0.1}
KERAS = {"callbacks": 0.4, "compute": 8.9, "sync": 0.5, "unexplained": 0.2}
KERAS_ON_TORCH = {
    "callbacks": 0.4,
    "forward": 2.0,
    "backward": 3.0,
    "optimizer": 1.5,
    "sync": 0.9,
    "unexplained": 0.2,
}
TENSORFLOW = {"data": 0.4, "compute": 3.5, "callbacks": 0.1}
"""Mean milliseconds a step, by phase, of the simulated frameworks."""


@dataclass(frozen=True)
class Lane:
    """What a simulated lane is."""

    name: str
    kind: str
    """`torch`, `keras`, `keras_on_torch`, `tensorflow`, or `silent` (a program without steps)."""
    phases: Mapping[str, float]
    """Mean milliseconds a step, by phase."""
    batch_size: int = 64
    steps: int | None = None
    """The lane ends after so many; None: when its turns are over."""
    startup_ms: tuple[tuple[str, float], ...] = (("importing torch", 1400), ("loading data", 150))
    compile_ms: float = 0
    """Tracing in the first step."""
    stall_every: int | None = None
    stall_phase: str = "data"
    stall_ms: tuple[float, float] = (500, 2000)
    evaluation_ms: float = 0
    ending: str = "finished"
    """`finished`, `failed`, `killed` or `running`."""
    cuda: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class StepTruth:
    """One step as it was simulated."""

    start_ns: int
    end_ns: int
    """The step's own end: a wait for the next turn comes after it."""
    phases_ms: dict[str, float]
    stalled: bool
    compiled: bool
    after_turn: bool
    """The first step after the lane got the machine (again)."""

    @property
    def ms(self) -> float:
        return (self.end_ns - self.start_ns) / MS


@dataclass
class LaneTruth:
    """What a viewer must find in a lane's recording."""

    steps: list[StepTruth] = field(default_factory=list)
    ready_ns: int = 0
    """When the lane reached its first step boundary."""
    compile_ms: float = 0
    lost_ms: float = 0
    """Put into stalls on top of ordinary steps."""
    stalls: int = 0
    waiting_ms: float = 0
    evaluation_ms: float = 0
    results: dict[str, float] = field(default_factory=dict)

    @property
    def steady(self) -> list[StepTruth]:
        """Steps that a statistic of the typical step may count."""
        return [step for step in self.steps[5:] if not (step.stalled or step.compiled or step.after_turn)]

    @property
    def median_ms(self) -> float:
        times = sorted(step.ms for step in self.steady)
        return times[len(times) // 2]

    def mean_phases_ms(self) -> dict[str, float]:
        """Mean milliseconds by phase over the steady steps."""
        names = {name for step in self.steady for name in step.phases_ms}
        return {name: sum(step.phases_ms.get(name, 0.0) for step in self.steady) / len(self.steady) for name in names}


class SimulatedLane:
    """Runs a `Lane` on a clock that somebody else may move forward (its turns)."""

    def __init__(self, lane: Lane, start_ns: int, seed: int) -> None:
        self.lane = lane
        self.start_ns = self.now_ns = start_ns
        self.words: list[int] = []
        self.notes: list[dict[str, Any]] = []
        self.truth = LaneTruth()
        self._random = random.Random(seed)
        self._after_turn = True
        self._last_loss_ns = 0

    def copy(self) -> SimulatedLane:
        """A lane that can be cut without changing this one."""
        other = copy.copy(self)
        other.truth = copy.copy(self.truth)
        return other

    def start_up(self, plan: Mapping[str, int]) -> None:
        """From the process's start to its first step boundary."""
        self._pass(80)
        self._event("program_begin")
        for stage, ms in self.lane.startup_ms:
            self._note("stage", value=stage)
            self._pass(ms)
        if self.lane.kind != "silent":
            self._note("plan", **plan)
            self._note("epoch", value=1)
        if self.lane.kind.startswith("keras"):
            self._event("train_begin")
            self._span("callback", 0.1)
            self._event("epoch_begin")
            self._span("callback", 0.1)
        elif self.lane.kind == "torch":
            self._span("loader_start", 0.2)
        self.truth.ready_ns = self.now_ns

    def wait_until(self, until_ns: int) -> None:
        """Stand at the turn gate."""
        if until_ns <= self.now_ns:
            return
        self.truth.waiting_ms += (until_ns - self.now_ns) / MS
        self._event("wait_begin")
        self.now_ns = until_ns
        self._event("wait_end")
        self._after_turn = True

    def step(self) -> None:
        """One optimizer update with its notes and its truth."""
        number = len(self.truth.steps) + 1
        compiled = number == 1 and self.lane.compile_ms > 0
        stalled = bool(self.lane.stall_every) and number % self.lane.stall_every == 0
        slower = 1.3 if self._after_turn else 1.0
        phases = {name: ms * slower * self._random.lognormvariate(0, 0.06) for name, ms in self.lane.phases.items()}
        if stalled:
            lost = self._random.uniform(*self.lane.stall_ms)
            phases[self.lane.stall_phase] += lost
            self.truth.lost_ms += lost
            self.truth.stalls += 1
        if compiled:
            phases["compile"] = self.lane.compile_ms
            self.truth.compile_ms += self.lane.compile_ms
        start_ns = self.now_ns
        _EMIT[self.lane.kind](self, phases)
        self.truth.steps.append(StepTruth(start_ns, self.now_ns, phases, stalled, compiled, self._after_turn))
        self._after_turn = False
        if self.now_ns - self._last_loss_ns >= 200 * MS:
            self._last_loss_ns = self.now_ns
            self._note("loss", value=loss_after(number), step=number)

    def stay_silent(self, ms: float) -> None:
        """Live without a step, as a program that no hook can see."""
        for _ in range(int(ms // 1000)):
            self._pass(1000)
            self._event("guest_flush")

    def end(self) -> None:
        """Evaluate if the lane does so, and leave the interpreter."""
        if self.lane.kind.startswith("keras"):
            self._event("epoch_end")
            self._event("train_end")
        elif self.lane.steps is not None and self.lane.kind == "torch":
            self._event("data_begin")
            self._event("data_stop")
        if self.lane.evaluation_ms:
            self.truth.evaluation_ms = self.lane.evaluation_ms
            self._span("evaluation", self.lane.evaluation_ms)
            self.truth.results = {"test_accuracy": 0.9312, "test_loss": 0.2417}
            self._note("result", **self.truth.results)
        self._pass(30)
        self._event("program_end")

    def cut(self, end_ns: int) -> None:
        """Forget what came after a moment: the process died, or it is that moment now."""
        self.words = [word for word in self.words if word >> CODE_BITS <= end_ns]
        self.notes = [note for note in self.notes if note["t"] <= end_ns]
        self.truth.steps = [step for step in self.truth.steps if step.end_ns <= end_ns]
        self.truth.stalls = sum(step.stalled for step in self.truth.steps)
        self.now_ns = min(self.now_ns, end_ns)

    def _torch_step(self, phases: Mapping[str, float]) -> None:
        self._span("data", phases["data"])
        self._compile(phases)
        if len(self.truth.steps) % 97 == 96:  # the collector runs in the middle of some forward pass
            self._pass(phases["forward"] / 2)
            phases["gc"] = 0.3  # type: ignore[index]
            self._span("gc", 0.3)
            self._pass(phases["forward"] / 2)
        else:
            self._pass(phases["forward"])
        self._span("backward", phases["backward"])
        self._span("optimizer", phases["optimizer"])
        self._span("sync", phases["sync"])
        self._pass(phases["callbacks"])

    def _keras_step(self, phases: Mapping[str, float]) -> None:
        def fused() -> None:
            self._event("train_call_begin")
            self._compile(phases)
            self._pass(phases["compute"])
            self._event("train_call_end")

        self._keras_batch(phases, fused)

    def _keras_on_torch_step(self, phases: Mapping[str, float]) -> None:
        def eager() -> None:
            self._pass(phases["forward"])
            self._span("backward", phases["backward"])
            self._span("optimizer", phases["optimizer"])

        self._keras_batch(phases, eager)

    def _keras_batch(self, phases: Mapping[str, float], work: Any) -> None:
        self._event("batch_begin_enter")
        self._pass(phases["callbacks"] / 4)
        self._event("batch_begin_exit")
        work()
        self._span("sync", phases["sync"])
        self._event("batch_end_enter")
        self._pass(phases["callbacks"] * 3 / 4)
        self._event("batch_end_exit")
        self._pass(phases["unexplained"])

    def _tensorflow_step(self, phases: Mapping[str, float]) -> None:
        self._span("data", phases["data"])
        self._event("train_call_begin")
        self._compile(phases)
        self._pass(phases["compute"])
        self._event("train_call_end")
        self._pass(phases["callbacks"])

    def _compile(self, phases: Mapping[str, float]) -> None:
        if "compile" in phases:
            self._note("compile", what="train_step", reason="first call")
            self._span("compile", phases["compile"])

    def _span(self, name: str, ms: float) -> None:
        self._event(f"{name}_begin")
        self._pass(ms)
        self._event(f"{name}_end")

    def _pass(self, ms: float) -> None:
        self.now_ns += round(ms * MS)

    def _event(self, name: str) -> None:
        self.words.append(self.now_ns << CODE_BITS | EVENT[name])

    def _note(self, kind: str, **values: Any) -> None:
        self.notes.append({"t": self.now_ns, "kind": kind, **values})


_EMIT = {
    "torch": SimulatedLane._torch_step,
    "keras": SimulatedLane._keras_step,
    "keras_on_torch": SimulatedLane._keras_on_torch_step,
    "tensorflow": SimulatedLane._tensorflow_step,
}


def loss_after(updates: int) -> float:
    """The loss of every simulated lane after so many updates: the same in all, so parity holds."""
    return 0.2 + 2.1 * math.exp(-updates / 300)
