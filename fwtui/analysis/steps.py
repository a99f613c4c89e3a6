"""Events into steps: which step every nanosecond belongs to, and which phase.

A step ends where the program asks for the next batch after an update, or, where it fetches none before the next update,
with the update itself (in Keras, where `on_train_batch_end` returns; with `fwtui.mark`, where the marked step ends).
Several optimizers that take turns make one step: the last one's update ends it.

Between two events the time belongs to the strongest span that is open (`vocabulary.SPANS`); what no hook saw is
`forward` when a backward pass comes next, else `unexplained`. Waiting for a turn and evaluation belong to no step.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from fwtui.analysis import event_tables as tables
from fwtui.analysis.event_tables import BATCH, EVALUATION, NO_SPAN, WAIT
from fwtui.analysis.step_store import GrowingColumns
from fwtui.recording.vocabulary import CODE_BITS, CODE_MASK, EVENT, PHASE_INDEX, PHASE_NAMES, SPANS

PHASE_COUNT = len(PHASE_NAMES)
_FORWARD, _COMPUTE, _CALLBACKS, _UNEXPLAINED = (
    PHASE_INDEX[name] for name in ("forward", "compute", "callbacks", "unexplained")
)
IN_EVALUATION = -2
"""In place of a phase: evaluation."""
MOMENTS_KEPT = 200_000
AHEAD_NS = 1_000_000
"""So soon after another of the same iterator, a batch is fetched ahead; an evaluation computes between two."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Columns of a lane's steps, all of the same length."""

    start_ns: np.ndarray
    end_ns: np.ndarray
    phases: np.ndarray
    """(steps, phases) float64, ns; they sum to the step's time."""
    step_ns: np.ndarray
    """The step's own time: the sum of its phases."""
    wait_ns: np.ndarray
    """Held at the turn gate between `start_ns` and `end_ns`; in no phase."""
    evaluation_ns: np.ndarray
    updates: np.ndarray
    """Optimizer updates in the step."""
    deep_ns: np.ndarray
    """Of the time between `start_ns` and `end_ns`, what lies in a profiler window: such a step is never counted."""
    profiler_ns: np.ndarray
    """The profiler's start, stop and reading; in no phase."""
    communication_ns: np.ndarray
    """Waiting for other ranks, as far as hooks see it; a part of whatever phases it lies in."""
    drain_ns: np.ndarray
    """Of `compute`, what the host waited for the device before it gave the machine away: work of the turn before the
    wait, also where the step begins after it."""
    batches: np.ndarray
    """Batches fetched to train on, or backward passes where none is fetched; 0 in Keras and in marked steps."""

    def __len__(self) -> int:
        return len(self.end_ns)

    def until(self, count: int) -> Steps:
        """The first `count` steps, as views."""
        return Steps(*(getattr(self, name)[:count] for name in self.__dataclass_fields__))


@dataclass(slots=True)
class Tail:
    """What happened after the last whole step."""

    last_ns: int
    last_code: int
    open_span: str | None
    """The strongest span open at the end of what is recorded."""
    open_since_ns: int
    evaluation_ns: float
    wait_ns: float


def _codes(words: np.ndarray) -> np.ndarray:
    return (words & np.uint64(CODE_MASK)).astype(np.uint8)


def _during(codes: np.ndarray, weights: np.ndarray, before: int) -> np.ndarray:
    """Whether, after each event, more was begun than ended, with what had begun before."""
    begun: np.ndarray = np.cumsum(weights[codes], dtype=np.int32) + before > 0
    return begun


class StepFolder:
    """Folds a rank's events into steps, a piece at a time."""

    def __init__(self) -> None:
        self._carry = np.empty(0, dtype=np.uint64)
        self._open = np.zeros(NO_SPAN + 1, dtype=np.int64)
        self.store = GrowingColumns(dict.fromkeys(Steps.__dataclass_fields__, 0) | {"phases": PHASE_COUNT})
        self._fetches = 0
        """Fetches of the events that are forgotten."""
        self.seen = np.zeros(CODE_MASK + 1, dtype=np.int64)
        """How often each event code was seen."""
        self.first_step_ns: int | None = None
        """When the first step began: the end of start-up."""
        self.compile_ns = 0.0
        self.last_ns = 0
        self._in_window = self._in_communication = 0
        self._stepped = False
        self._tail: Tail | None = None
        """What `tail` gave last; None once there is more."""
        self.moments: deque[tuple[np.ndarray, np.ndarray]] = deque()
        """(times ns, phase from each time to the next; -1: none) of the newest steps, for stacks taken in them."""
        self._moments_kept = 0

    @property
    def folded_ns(self) -> float:
        """The end of the last whole step."""
        return float(self.moments[-1][0][-1]) if self.moments else 0.0

    @property
    def mode(self) -> str:
        """What bounds a step in this lane: `mark`, `keras` or `updates`."""
        if self.seen[EVENT["step_begin"]]:
            return "mark"
        return "keras" if self.seen[EVENT["batch_begin_enter"]] or self.seen[EVENT["train_begin"]] else "updates"

    @property
    def steps(self) -> Steps:
        """All whole steps so far, as views."""
        return Steps(**self.store.arrays())

    def feed(self, words: np.ndarray) -> int:
        """Fold newly published words (uint64, in time order); returns the number of steps that were completed."""
        if not len(words):
            return 0
        self._tail = None
        self.seen += np.bincount(_codes(words), minlength=CODE_MASK + 1)
        self._carry = np.concatenate((self._carry, words))
        times, codes = self._unpack()
        self.last_ns = int(times[-1])
        if self.first_step_ns is None:
            starts = np.flatnonzero(tables.STARTS[codes])
            if not len(starts):
                return 0
            self.first_step_ns = int(times[starts[0]])
            before = slice(0, int(starts[0]) + 1)
            compiling = self._spans(codes[before]) == tables.COMPILING
            self.compile_ns += float(np.diff(times[before])[compiling].sum())
            self._move_to(int(starts[0]), times, codes)
            times, codes = self._unpack()
        ends = self._boundaries(codes)
        ends = ends[ends > 0]  # the event carried over from the last fold has ended its step already
        if not len(ends):
            return 0
        self._fold(times[: ends[-1] + 1], codes[: ends[-1] + 1], ends)
        self._move_to(int(ends[-1]), times, codes)
        return len(ends)

    def _unpack(self) -> tuple[np.ndarray, np.ndarray]:
        times = (self._carry >> np.uint64(CODE_BITS)).view(np.int64)
        return np.maximum.accumulate(times), _codes(self._carry)

    def _move_to(self, index: int, times: np.ndarray, codes: np.ndarray) -> None:
        """Forget what lies before event `index`, but for what it left open."""
        count = np.bincount(codes[:index], minlength=CODE_MASK + 1)
        self._open = np.maximum(self._open + count @ tables.OPENED_BY, 0)
        self._in_window += int(count @ tables.IN_WINDOW)
        self._in_communication = max(0, self._in_communication + int(count @ tables.IN_COMMUNICATION))
        self._fetches += int(count[EVENT["data_begin"]])
        self._carry = self._carry[index:]

    def _boundaries(self, codes: np.ndarray) -> np.ndarray:
        """Indices of the events at which a step ends."""
        if self.mode == "mark":
            return np.flatnonzero(codes == EVENT["step_end"])
        if self.mode == "keras":
            return np.flatnonzero(codes == EVENT["batch_end_exit"])
        update = tables.UPDATE[codes]
        leaves = np.flatnonzero(tables.LEAVES[codes])
        if len(leaves) and codes[leaves[-1]] == EVENT["program_end"]:
            # leaving the interpreter is no step's time: the last step ends with the last work that was seen in it
            worked = np.flatnonzero((update | (codes == EVENT["sync_end"]))[: leaves[-1]])
            leaves[-1] = max(worked[-1:].max(initial=0), leaves[-2:-1].max(initial=0))
        return self._ends(codes, np.flatnonzero(update), leaves)

    def _ends(self, codes: np.ndarray, updates: np.ndarray, leaves: np.ndarray) -> np.ndarray:
        """Where the steps of these updates end, as far as what follows each is known."""
        none = len(codes)
        following = np.flatnonzero(tables.NEXT_UPDATE[codes])
        next_update = np.append(following, none)[np.searchsorted(following, updates, side="right")]
        next_leave = np.append(leaves, none)[np.searchsorted(leaves, updates, side="left")]
        fetches = codes == EVENT["data_begin"]
        first_fetch = 0 if self._fetches else int(np.argmax(fetches)) if fetches.any() else none
        fetched = updates >= first_fetch
        joined = np.append(codes, np.uint8(0))[next_update] == EVENT["new_optimizer"]
        first = len(joined) if joined.all() else int(np.argmin(joined))
        # without a loader nothing comes between an update and its step's end, once all optimizers have come
        at_once = ~fetched & (self._stepped or np.arange(len(updates)) > first)
        ends = np.where(fetched & (next_leave < next_update), next_leave, updates)
        keep = at_once | (next_leave < next_update) | ((next_update < none) & ~joined)
        unknown = np.flatnonzero(~at_once & (next_leave == none) & (next_update == none))
        keep[unknown[:1].min(initial=len(keep)) :] = False
        ends = ends[keep]  # in order: of updates that end together one remains
        single: np.ndarray = ends[np.append(True, ends[1:] > ends[:-1])] if len(ends) else ends
        return single

    def _spans(self, codes: np.ndarray) -> np.ndarray:
        """The strongest open span of the segment after each event but the last."""
        opened, closed = tables.OPENS[codes[:-1]], tables.CLOSES[codes[:-1]]
        strongest = np.full(len(codes) - 1, NO_SPAN, dtype=np.uint8)
        if not len(strongest):
            return strongest
        present = np.bincount(opened, minlength=NO_SPAN + 1) + self._open
        for span in reversed(np.flatnonzero(present[:NO_SPAN]).tolist()):
            change = (opened == span).view(np.int8) - (closed == span).view(np.int8)
            depth = np.cumsum(change, dtype=np.int32)
            depth += int(self._open[span])
            if depth.min() < 0:  # a stray close must not hide the next open
                depth -= np.minimum.accumulate(np.minimum(depth, 0))
            strongest[depth > 0] = span
        return strongest

    def _phases(self, codes: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """The phase of each segment; -1 where it belongs to no step."""
        phases = tables.SPAN_PHASE[spans].copy()
        guessed = np.flatnonzero((spans == NO_SPAN) | (spans == BATCH))
        tells = tables.STRUCTURE[codes]
        told_by = np.append(codes[tells], np.uint8(0))
        told = np.cumsum(tells[:-1], dtype=np.int32)[guessed]  # how many of them lie before what follows
        next_code = told_by[told]
        in_batch = (spans[guessed] == BATCH) & (self.seen[EVENT["backward_begin"]] == 0)
        guess = np.where(in_batch, np.int8(_COMPUTE), np.int8(_UNEXPLAINED))
        guess[next_code == EVENT["backward_begin"]] = _FORWARD
        if self.mode == "updates":
            after_update = tables.UPDATE[told_by[told - 1]] & (told > 0)
            guess[after_update & tables.FETCHES_NEXT[next_code]] = _CALLBACKS
        phases[guessed] = guess
        return phases

    def _set_evaluation(self, times: np.ndarray, codes: np.ndarray, ends: np.ndarray, spans: np.ndarray) -> None:
        """Mark batches that were fetched and not trained on, between two steps, as evaluation (plain torch loops)."""
        fetches = np.flatnonzero(codes == EVENT["data_begin"])
        if self.mode != "updates" or not len(fetches):
            return
        works = tables.PRODUCTIVE[codes]
        worked = np.cumsum(works, dtype=np.int32)
        bounds = np.append(fetches[1:], len(codes) - 1)
        without = worked[bounds] == worked[fetches]
        if not without[:-1].any() and fetches[-1] >= ends[-1]:
            return  # each batch but the one fetched last was worked on
        got_batch = codes[np.minimum(fetches + 1, len(codes) - 1)] != EVENT["data_stop"]
        # batches of one iterator fetched in a row, before the work on them begins, are no evaluation either
        restarts = np.cumsum((codes == EVENT["data_stop"]) | (codes == EVENT["loader_start_begin"]), dtype=np.int32)
        next_work = np.append(np.flatnonzero(works), len(codes) - 1)[worked[fetches]]
        ahead = (restarts[next_work] == restarts[fetches]) & (
            times[bounds] - times[np.minimum(fetches + 1, len(codes) - 1)] < AHEAD_NS
        )
        idle = fetches[without & got_batch & (fetches < ends[-1]) & ~ahead]
        for step in np.unique(np.searchsorted(ends, idle, side="right")):
            first = int(ends[step - 1]) if step else 0
            last = int(ends[step])
            own = fetches[(fetches >= first) & (fetches < last)]
            productive = own[~np.isin(own, idle)]
            stops = productive[codes[np.minimum(productive + 1, len(codes) - 1)] == EVENT["data_stop"]]
            productive = productive[~np.isin(productive, stops)]
            starts = np.flatnonzero(tables.FETCH[codes[first:last]]) + first
            if not len(productive):  # the batches to train on are made by hand: the loader served the evaluation only
                over = first + int(np.flatnonzero(tables.FETCHED[codes[first:last]])[-1:].max(initial=0))
                spans[starts[0] : over][spans[starts[0] : over] != WAIT] = EVALUATION
                continue
            after_idle = starts[starts > idle[(idle >= first) & (idle < last)][-1]]
            begin = int(min(after_idle[~np.isin(after_idle, stops)], default=productive[0]))
            spans[first:begin][spans[first:begin] != WAIT] = EVALUATION

    def _set_evaluation_mode(self, codes: np.ndarray, spans: np.ndarray) -> None:
        """Mark what ran between `model.eval()` and `model.train()` as evaluation, when nothing was trained between."""
        begins = np.flatnonzero(codes == EVENT["eval_mode"])
        if self.mode != "updates" or not len(begins):
            return
        decides = np.flatnonzero(tables.PRODUCTIVE[codes] | (codes == EVENT["train_mode"]))
        for begin in begins:
            later = decides[np.searchsorted(decides, begin) :]
            if not len(later) or codes[later[0]] != EVENT["train_mode"]:
                continue
            end = int(later[0])
            stops = np.flatnonzero(codes[begin:end] == EVENT["data_stop"])
            if len(stops):  # `train()` may be called with the next batch in hand: that one's fetch is no evaluation
                again = np.flatnonzero(tables.FETCH[codes[begin + stops[-1] : end]])
                end = int(begin + stops[-1] + again[0]) if len(again) else end
            spans[begin:end][spans[begin:end] != WAIT] = EVALUATION

    def _fold(self, times: np.ndarray, codes: np.ndarray, ends: np.ndarray) -> None:
        durations = (times[1:] - times[:-1]).astype(float)
        spans = self._spans(codes)
        self._set_evaluation_mode(codes, spans)
        self._set_evaluation(times, codes, ends, spans)
        phases = self._phases(codes, spans)
        self._keep_moments(times, np.where(spans == EVALUATION, IN_EVALUATION, phases))
        count = len(ends)
        step = np.repeat(np.arange(count), ends - np.concatenate(([0], ends[:-1])))
        place = step * (PHASE_COUNT + 1) + np.where(phases >= 0, phases, np.int8(PHASE_COUNT))
        table = np.bincount(place, weights=durations, minlength=count * (PHASE_COUNT + 1))
        table = np.ascontiguousarray(table.reshape(count, PHASE_COUNT + 1)[:, :PHASE_COUNT])

        def within(which: np.ndarray) -> np.ndarray:
            """(steps,) ns of each step in some segments."""
            chosen = np.flatnonzero(which)
            return np.bincount(step[chosen], weights=durations[chosen], minlength=count)

        def during(weights: np.ndarray, before: int) -> np.ndarray:
            """(steps,) ns of each step between two kinds of events."""
            if before <= 0 and not seen[weights != 0].any():
                return np.zeros(count)
            return within(_during(codes[:-1], weights, before))

        def spent(span: int) -> np.ndarray:
            """(steps,) ns of each step in a span."""
            return within(spans == span) if there[span] else np.zeros(count)

        seen = np.bincount(codes, minlength=CODE_MASK + 1)
        there = np.bincount(spans, minlength=NO_SPAN + 1)
        if there[tables.COMPILING]:
            self.compile_ns += float(durations[spans == tables.COMPILING].sum())
        updates = np.ones(count, dtype=np.int64)
        if seen[EVENT["more_updates"]]:
            more = codes == EVENT["more_updates"]
            updates += np.diff(np.cumsum(more)[ends], prepend=int(more[0]))
        columns = {
            "start_ns": np.concatenate((times[:1], times[ends[:-1]])),
            "end_ns": times[ends],
            "phases": table,
            "step_ns": table.sum(axis=1),
            "wait_ns": spent(WAIT),
            "evaluation_ns": spent(EVALUATION),
            "updates": updates,
            "batches": np.bincount(step[self._batches(codes, spans)], minlength=count),
            "deep_ns": during(tables.IN_WINDOW, self._in_window),
            "drain_ns": during(tables.IN_DRAIN, 0),
            "communication_ns": during(tables.IN_COMMUNICATION, self._in_communication),
            "profiler_ns": spent(tables.DEEP),
        }
        self.store.append(columns)
        self._stepped = True

    def _batches(self, codes: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """The segments after which a batch to train on was there, or in which a backward pass began."""
        if self.mode != "updates":
            return np.empty(0, dtype=np.int64)
        if self.seen[EVENT["part_update"]]:
            return np.empty(0, dtype=np.int64)  # which backward pass is for which optimizer cannot be told
        if self.seen[EVENT["data_end"]]:
            got = np.flatnonzero(codes[1:] == EVENT["data_end"])
            trained_on: np.ndarray = got[spans[got] != EVALUATION]
            return trained_on
        called_back = _during(codes[:-1], tables.IN_CLOSURE, 0)
        return np.flatnonzero((codes[:-1] == EVENT["backward_begin"]) & ~called_back)

    def _keep_moments(self, times: np.ndarray, phases: np.ndarray) -> None:
        self.moments.append((times, phases))
        self._moments_kept += len(phases)
        while len(self.moments) > 1 and self._moments_kept > MOMENTS_KEPT:
            self._moments_kept -= len(self.moments.popleft()[1])

    def tail(self) -> Tail | None:
        """What is known of the time after the last whole step; None before the first event."""
        if self._tail is None and len(self._carry):
            self._tail = self._look_at_tail()
        return self._tail

    def _look_at_tail(self) -> Tail:
        times, codes = self._unpack()
        spans = self._spans(np.append(codes, np.uint8(EVENT["guest_flush"])))
        durations = np.append(times[1:] - times[:-1], 0).astype(float)
        if self.mode == "updates" and self._stepped:
            seen = np.bincount(codes, minlength=CODE_MASK + 1)
            if seen[EVENT["data_end"]] > 1 and not tables.PRODUCTIVE[codes].any():
                fetched = np.flatnonzero(codes == EVENT["data_end"])
                spans[: fetched[-1] + 1][spans[: fetched[-1] + 1] != WAIT] = EVALUATION
            if seen[EVENT["eval_mode"]]:
                train = (codes == EVENT["train_mode"]) | tables.PRODUCTIVE[codes]
                mode = int(np.flatnonzero(train | (codes == EVENT["eval_mode"]))[-1])
                if codes[mode] == EVENT["eval_mode"]:
                    spans[mode:][spans[mode:] != WAIT] = EVALUATION
        span = int(spans[-1])
        changes = np.flatnonzero(spans != span)
        since = int(times[changes[-1] + 1]) if len(changes) else int(times[0])
        return Tail(
            last_ns=int(times[-1]),
            last_code=int(codes[-1]),
            open_span=SPANS[span] if span < NO_SPAN else None,
            open_since_ns=since,
            evaluation_ns=float(durations[spans == EVALUATION].sum()),
            wait_ns=float(durations[spans == WAIT].sum()),
        )
