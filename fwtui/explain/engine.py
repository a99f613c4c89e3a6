"""Explains one gap: plans experiments, makes them while the budget lasts, and keeps `explain.json` up to date."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fwtui.analysis.cause_split import is_cause
from fwtui.analysis.explanation import Experiment, Explanation, Measured, StepCost, Together, to_json
from fwtui.analysis.results import Finding
from fwtui.explain import answer, effects, plan
from fwtui.explain.experiment import ExperimentError, Launch, Seen, conduct
from fwtui.explain.factors import SWEEP
from fwtui.explain.opening import open_pair
from fwtui.explain.plan import Candidate
from fwtui.explain.subjects import Setting, Subject, run_argv
from fwtui.recording.run_folder import EXPLAIN, RunFolder, write_json
from fwtui.view.session import Session

TRAINING_S = 16.0
"""The longest that an experiment of two lanes trains; more lanes get more."""
MEASURING_S = 9.0
"""What an experiment usually trains before it is decided."""
START_GUESS_S = 6.0
SAVE_S = 2.0
"""How often `explain.json` is renewed while an experiment runs, for those who watch."""

NEED_FREE_CORES = ("thread-setting", "thread-oversubscription")
"""Causes of which nothing can be said where other programs hold the cores."""

Show = Callable[[Explanation], None]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an experiment of two lanes says."""

    saved: Measured | None
    """ms that the change saves."""
    speedup: Measured | None
    pairs: int
    left_out: int
    disturbed: bool


class Engine:
    """One explanation, from a recorded comparison to its answer.

    Args:
        folder: the baseline comparison; its `explain.json` is written here.
        setting: what all experiments share.
        launch: starts a run.
        budget_s: the time for experiments, seconds.
        show: called with the explanation so far, a few times a second.
        spent_s: what of the budget is spent already.
    """

    def __init__(
        self, folder: RunFolder, setting: Setting, launch: Launch, budget_s: float, show: Show, spent_s: float = 0.0
    ) -> None:
        self._folder, self._setting, self._launch, self._show = folder, setting, launch, show
        self._budget_s, self._began = budget_s, time.monotonic() - spent_s
        self._saved = 0.0
        self.slower, self.faster, findings, self.result = self._open()
        starts = [float(lane.facts["startup_s"]) for lane in (self.slower, self.faster) if lane.facts.get("startup_s")]
        self._start_s = sum(starts) / len(starts) if starts else START_GUESS_S
        self._findings = findings
        reference = self.result.baseline
        lane = self.slower if self.slower.name == reference else self.faster
        self._reference_samples = lane.samples

    def _open(self) -> tuple[Subject, Subject, Sequence[Finding], Explanation]:
        session = Session(self._folder)
        try:
            return open_pair(session, self._budget_s)
        finally:
            session.close()

    def explain(self) -> Explanation:
        """Make the experiments; an interruption ends them and keeps what was found."""
        queue = self._queue()
        self.result = replace(self.result, planned=len(queue), pid=os.getpid())
        try:
            if self._gap.ci95 is not None and self._gap.ci95[0] > 0:
                self._save()
                self._work(queue)
            return self._end("done")
        except KeyboardInterrupt:
            return self._end("stopped")
        except Exception:
            self._end("failed")
            raise

    @property
    def _gap(self) -> Measured:
        assert self.result.gap_ms is not None
        return self.result.gap_ms

    def _queue(self) -> list[Candidate | None]:
        """The experiments to make, None standing for the batch sizes."""
        queue: list[Candidate | None] = list(plan.candidates(self.slower, self.faster, self._findings, self._setting))
        if plan.sweep(self.slower, self.faster, self._setting) is not None:
            place = sum(candidate is not None and candidate.worth >= SWEEP.worth for candidate in queue)
            queue.insert(place, None)
        return queue

    def _work(self, queue: Sequence[Candidate | None]) -> None:
        for item in queue:
            lanes = 2 if item is not None else 6
            reserved = self._cost_s(3) if self._largest()[1] is not None else 0.0
            if self._left_s() < self._cost_s(lanes) + reserved:
                self._add(self._not_tried(item))
                continue
            if item is None:
                self._sweep()
            else:
                self._add(self._try(item))
            self.result = replace(self.result, done=self.result.done + 1)
            self._save()
        if self._largest()[0] and self._left_s() > self._cost_s(3):
            self._together()

    def _largest(self) -> tuple[list[Experiment], Subject | None]:
        """(the largest proven cause and the next that goes with it, the lane with both changes or None)."""
        rows = [row for row in self.result.experiments if is_cause(row) and row.lane == self.slower.name]
        found = {item.factor.name: item for item in self._queue() if item is not None}
        for row in rows[1:]:
            both = plan.combined(self.slower, found[rows[0].factor], found[row.factor], self._setting)
            if both is not None:
                return [rows[0], row], both
        return rows[:1], None

    def _left_s(self) -> float:
        return self._budget_s - (time.monotonic() - self._began)

    def _cost_s(self, lanes: int) -> float:
        """What an experiment is expected to take."""
        return lanes * self._start_s + MEASURING_S * lanes / 2

    def _run(
        self, lanes: Sequence[Subject], now: str, judge: Callable[[Sequence[Seen]], bool]
    ) -> tuple[list[Seen], str, str]:
        """Run lanes in turns; (what is seen of them, the run's id, the command that does it again)."""
        seconds = TRAINING_S * len(lanes) / 2
        argv, places = run_argv(self._setting, lanes, seconds)
        self.result = replace(self.result, now=now)
        self._save()
        folder = self._launch(argv)
        again = command(argv, lanes)
        if self.result.running is not None:
            running = replace(self.result.running, run=folder.id, command=again)
            self.result = replace(self.result, running=running)
            self._save()
        looks = conduct(folder, places, seconds, lambda looks: self._left_s() < 0 or judge(looks), self._tick)
        starts = [look.startup_s for look in looks if look.startup_s]
        if starts:
            self._start_s = (self._start_s + sum(starts) / len(starts)) / 2
        return looks, folder.id, again

    def _scaled(self, look: Seen) -> effects.Turns:
        """A lane's turns for the reference's number of samples."""
        if look.samples and self._reference_samples:
            return look.turns.scaled(self._reference_samples / look.samples)
        return look.turns

    def _effect(self, looks: Sequence[Seen], ended: bool = True) -> Effect:
        """Of the second lane against the first."""
        pairs = effects.pairs(self._scaled(looks[0]), self._scaled(looks[1]), ended)
        saved, speedup = effects.difference(pairs.one, pairs.other), effects.ratio(pairs.one, pairs.other)
        return Effect(saved, speedup, len(pairs), pairs.left_out, pairs.disturbed)

    def _try(self, item: Candidate) -> Experiment:
        """One factor changed, against the unchanged lane; on the faster lane's side it is what the change costs."""
        order = slice(None, None, -1 if item.factor.side == "faster" else 1)
        self.result = replace(self.result, running=replace(self._row(item), verdict="running"))

        def enough(looks: Sequence[Seen]) -> bool:
            effect = self._effect(looks[order], ended=False)
            self._so_far(effect)
            return answer.decided(effect.saved, self._gap)

        try:
            looks, run, again = self._run((item.lane, item.changed), item.factor.cause, enough)
        except ExperimentError as error:
            return replace(self._row(item), verdict="failed", reason=str(error))
        effect, problem = self._effect(looks[order]), _problem(looks, item)
        verdict = "failed" if problem else answer.judge(effect.saved, self._gap)
        if effect.disturbed and item.factor.code in NEED_FREE_CORES:
            verdict = "undecided" if not problem else verdict
        return replace(
            self._row(item),
            verdict=verdict,
            reason=problem or _why(effect) or _disturbed_words(effect),
            effect_ms=None if problem else effect.saved,
            speedup=None if problem else effect.speedup,
            turns=effect.pairs,
            left_out=effect.left_out,
            run=run,
            command=again,
        )

    def _so_far(self, effect: Effect) -> None:
        """Show what is seen of the experiment that runs."""
        row = self.result.running
        if row is not None and effect.saved is not None:
            share = effects.quotient(effect.saved, self._gap)
            row = replace(row, effect_ms=effect.saved, share_of_gap=share, speedup=effect.speedup, turns=effect.pairs)
            self.result = replace(self.result, running=row)

    def _row(self, item: Candidate) -> Experiment:
        factor, means = item.factor, {"environment": "environment changed", "hook": "changed by a hook from outside"}
        how = means.get(factor.kind)
        return Experiment(
            code=item.code,
            factor=factor.name,
            cause=factor.cause,
            lane=item.lane.name,
            changed=_changed_name(item),
            kind=factor.kind,
            tested=f"{item.lane.name} against {_changed_name(item)} in turns" + (f" ({how})" if how else ""),
            change=factor.change,
            fix=factor.fix,
            verdict="not tried",
        )

    def _not_tried(self, item: Candidate | None) -> Experiment:
        row = self._row(item) if item is not None else self._sweep_row()
        return replace(row, reason="the budget was spent: a longer --budget tries it")

    def _sweep_row(self) -> Experiment:
        return Experiment(
            code=SWEEP.code,
            factor=SWEEP.name,
            cause=SWEEP.cause,
            lane=self.slower.name,
            changed=self.slower.name,
            kind="batch sizes",
            tested="a line through both lanes' step times at three batch sizes",
            change=SWEEP.change,
            fix=False,
            verdict="not tried",
        )

    def _sweep(self) -> None:
        """Both lanes at three batch sizes, and a line through each."""
        planned = plan.sweep(self.slower, self.faster, self._setting)
        assert planned is not None
        lanes, sizes = planned
        try:
            looks, run, again = self._run(
                lanes, SWEEP.cause, lambda looks: min(len(look.turns) for look in looks) >= effects.LEAST_PAIRS + 2
            )
        except ExperimentError as error:
            self._add(replace(self._sweep_row(), verdict="failed", reason=str(error)))
            return
        row = replace(self._sweep_row(), run=run, command=again)
        costs = [_step_cost(lane.name, sizes, looks[place::2]) for place, lane in enumerate((self.slower, self.faster))]
        problem = next((look.problem for look in looks if look.problem), None)
        if problem or costs[0] is None or costs[1] is None:
            self._add(replace(row, verdict="failed", reason=problem or "too few turns for a line"))
            return
        effect = answer.fixed_cost_effect(costs[0], costs[1])
        self.result = replace(self.result, step_costs=(costs[0], costs[1]))
        turns = min(len(look.turns) for look in looks)
        self._add(replace(row, verdict=answer.judge(effect, self._gap), effect_ms=effect, turns=turns))

    def _together(self) -> None:
        """The two largest proven changes at once, or the one there is, beside the faster lane."""
        rows, both = self._largest()
        if both is None:
            both = next(item.changed for item in self._queue() if item and item.factor.name == rows[0].factor)
        try:
            looks, run, again = self._run(
                (self.slower, both, self.faster),
                "the largest causes together" if len(rows) > 1 else "the proven change beside the faster lane",
                lambda looks: (
                    looks[2].turns.undisturbed() >= effects.LEAST_PAIRS + 2
                    and answer.decided(self._effect(looks, ended=False).saved, self._gap)
                ),
            )
        except ExperimentError:
            return
        if any(look.problem for look in looks):
            return
        effect = self._effect(looks)
        joint = Together(
            factors=tuple(row.factor for row in rows),
            changed=both.name,
            effect_ms=effect.saved,
            speedup=effect.speedup,
            ratio=effects.ratio(*effects.pair(self._scaled(looks[1]), self._scaled(looks[2]))),
            turns=effect.pairs,
            run=run,
            command=again,
            reason=_disturbed_words(effect),
        )
        self.result = replace(self.result, together=answer.joined(joint, rows, self._gap))

    def _add(self, experiment: Experiment) -> None:
        self.result = answer.concluded(
            replace(self.result, experiments=(*self.result.experiments, experiment), now=None, running=None)
        )

    def _tick(self) -> None:
        if not self._folder.path.exists():  # a demonstration's, which its viewer took away: nobody waits for an answer
            raise KeyboardInterrupt
        if time.monotonic() - self._saved > SAVE_S:
            self._save()
        else:
            self._show(self._timed())

    def _timed(self) -> Explanation:
        spent = time.monotonic() - self._began
        return replace(self.result, spent_s=spent, left_s=max(0.0, self._budget_s - spent))

    def _save(self) -> None:
        """Write what is known; a full disk must not lose the experiment that runs."""
        self._saved = time.monotonic()
        with contextlib.suppress(OSError):
            write_json(self._folder.path / EXPLAIN, to_json(self._timed()))
        self._show(self._timed())

    def _end(self, status: str) -> Explanation:
        self.result = answer.concluded(replace(self.result, status=status, now=None, running=None))
        self._save()
        return replace(self._timed(), left_s=None)


def command(argv: Sequence[str], lanes: Sequence[Subject]) -> str:
    """The command that does a run again, from any folder."""
    text = f"fwtui run {shlex.join(argv)}"
    return f"cd {shlex.quote(os.getcwd())} && {text}" if any(lane.kind == "command" for lane in lanes) else text


def _changed_name(item: Candidate) -> str:
    """The changed lane as people read it: what was changed in its environment stands before it."""
    if item.factor.kind == "option" or (item.factor.kind == "hook" and item.lane.kind == "command"):
        return item.changed.name
    new = {key: value for key, value in item.changed.env.items() if item.lane.env.get(key) != value}
    return " ".join([*(f"{key}={value}" for key, value in new.items()), item.lane.name])


def _problem(looks: Sequence[Seen], item: Candidate) -> str | None:
    """Why an experiment says nothing."""
    for look in looks:
        if look.problem:
            return look.problem
    if item.factor.hook and not _armed(looks[1].facts, item.factor.hook):
        return "the hook found nothing to change in this program"
    backend = item.factor.env.get("KERAS_BACKEND")
    if backend and looks[1].facts.get("backend") not in (None, backend):
        return "the program chooses Keras's backend itself"
    if not len(looks[1].turns):
        return "the changed lane came to no steady step in its time"
    return None


def _armed(facts: dict[str, Any], hook: str) -> bool:
    """Whether the guest says that it made the change."""
    return hook in (facts.get("changes") or ())


def _why(effect: Effect) -> str | None:
    if effect.saved is None or effect.saved.ci95 is None:
        return f"only {effect.pairs} pairs of turns: at least {effects.LEAST_PAIRS} are needed"
    return None


def _disturbed_words(effect: Effect) -> str | None:
    return "other programs used the machine in most of its turns" if effect.disturbed else None


def _step_cost(name: str, sizes: Sequence[int], looks: Sequence[Seen]) -> StepCost | None:
    rounds = min(len(look.turns) for look in looks)
    if rounds < effects.LEAST_PAIRS:
        return None
    import numpy as np

    table = np.column_stack([look.turns.ms[-rounds:] for look in looks])
    fit = effects.line(sizes, table)
    if fit is None:
        return None
    fixed, slope = fit
    interval = slope.ci95 and (slope.ci95[0] * 1e3, slope.ci95[1] * 1e3)
    return StepCost(name, tuple(sizes), fixed, Measured(slope.value * 1e3, interval))
