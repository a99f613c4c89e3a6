"""The older part of a very long lane, kept as a summary: exact totals, slots for the chart, a sample, every stall.

Ten million steps as columns would take gigabytes. Past `LIMIT` steps the oldest are summed up: their totals stay exact,
their chart is kept in slots of `BASE_NS`, and of the steps themselves each k-th one and those that stalled stay, for
medians, percentiles and intervals. Nothing is lost: the event log on disk holds every step.
"""

from __future__ import annotations

import numpy as np

from fwtui.analysis.run_ahead import evened
from fwtui.analysis.step_store import GrowingColumns
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES
from fwtui.view import columns as cutting
from fwtui.view.derived import Derivation, Derived
from fwtui.view.frame import COLUMN_NOTHING, COLUMN_STEADY, Columns

LIMIT = 40_000
"""Steps in memory at most."""
RECENT = 12_000
"""Steps that stay whole."""
SAMPLE = 10_000
"""Older steps that stay as a sample, at most."""
MOST_STALLS = 5_000
BASE_NS = 100_000_000
MOST_SLOTS = 1 << 16
"""Beyond so many slots, two become one."""
_PIECE = 2_000
"""Steps to a row of totals."""
TOTALS = (
    *("steps", "updates", "counted", "counted_ns", "stalls", "lost_ns", "step_ns", "wait_ns", "evaluation_ns"),
    *("profiler_ns", "late_compile_ns", "late_ns"),
)
_SLOT_COLUMNS = {"mean_ms": 0, "low_ms": 0, "high_ms": 0, "stalls": 0, "lost": 0, "why": 0, "state": 0, "count": 0}


class History:
    """Keeps a lane's store of steps small, and what was taken from it as a summary.

    Args:
        store: the lane's steps; rows are taken away from it.
        derivation: their flags.
    """

    def __init__(self, store: GrowingColumns, derivation: Derivation) -> None:
        self._store, self._derivation = store, derivation
        self.until_ns = 0
        """Steps that ended before this moment are in the summary."""
        self.kept = 0
        """Rows at the store's beginning that are a sample."""
        self.totals = GrowingColumns({"end_ns": 0, "values": len(TOTALS), "phases": len(PHASE_NAMES),
                                      "stalled": len(PHASE_NAMES)})  # fmt: skip
        self.slots = GrowingColumns({**_SLOT_COLUMNS, "phases": len(PHASE_NAMES)})
        self.first_slot = 0
        self.slot_ns = BASE_NS

    @property
    def thinned(self) -> bool:
        """Whether any step lives only in the summary."""
        return self.until_ns > 0

    def trim(self, derived: Derived) -> bool:
        """Sum the oldest steps up when there are too many; whether it was done."""
        if len(derived) <= LIMIT:
            return False
        boundary = (int(derived.steps.end_ns[-RECENT]) // self.slot_ns) * self.slot_ns
        last = int(np.searchsorted(derived.steps.end_ns, boundary))
        last = min(last, self._derivation.anchor)
        if last - self.kept < _PIECE:
            return False
        boundary = (int(derived.steps.end_ns[last]) // self.slot_ns) * self.slot_ns
        last = int(np.searchsorted(derived.steps.end_ns, boundary))
        if boundary <= self.until_ns or last <= self.kept:
            return False
        self._absorb(derived, self.kept, last, boundary)
        self._thin(derived, last)
        self.until_ns = boundary
        return True

    # -- taking steps in

    def _absorb(self, derived: Derived, first: int, last: int, boundary: int) -> None:
        rows = slice(first, min(last + 1, len(derived)))  # with the step that reaches over the boundary
        part = derived.rows(rows)
        self._add_totals(part, last - first)
        begin = self.until_ns or (int(part.steps.start_ns[0]) // self.slot_ns) * self.slot_ns
        if not self.until_ns:
            self.first_slot = begin // self.slot_ns
        count = (boundary - begin) // self.slot_ns
        self._add_slots(part, begin, int(count), last - first)
        while len(self.slots) > MOST_SLOTS:
            self._halve()

    def _add_totals(self, part: Derived, count: int) -> None:
        steps, counted, stalled = part.steps, part.counted[:count], part.stalled[:count]
        compile_ns = steps.phases[:count, PHASE_INDEX["compile"]]
        seen = len(self.totals) > 0 and self.totals["values"][:, TOTALS.index("counted")].any()
        late = np.ones(count, dtype=bool) if seen else np.maximum.accumulate(counted)
        own = steps.step_ns[:count]
        values = np.column_stack(
            (
                *(np.ones(count), steps.updates[:count], counted, own * counted, counted & stalled),
                *(part.lost_ns[:count] * counted, own, steps.wait_ns[:count], steps.evaluation_ns[:count]),
                *(steps.profiler_ns[:count], compile_ns * late, own * late),
            )
        )
        starts = np.arange(0, count, _PIECE)
        phases = steps.phases[:count]
        self.totals.append(
            {
                "end_ns": steps.end_ns[np.append(starts[1:], count) - 1],
                "values": np.add.reduceat(values, starts),
                "phases": np.add.reduceat(phases * counted[:, None], starts),
                "stalled": np.add.reduceat(phases * (counted & stalled)[:, None], starts),
            }
        )

    def _add_slots(self, part: Derived, begin: int, count: int, steps: int) -> None:
        made = cutting.cut(part, begin, self.slot_ns, 0, count, None, 0.0)
        slot = ((part.steps.end_ns[:steps] - begin) // self.slot_ns).astype(np.int64)
        plain = (part.counted & ~part.stalled)[:steps]
        inside = plain & (slot >= 0) & (slot < count)
        self.slots.append(
            {
                **{name: getattr(made, name).astype(np.float32) for name in ("mean_ms", "low_ms", "high_ms", "lost")},
                "stalls": made.stalls.astype(np.uint16),
                "why": made.why.astype("<U1"),
                "state": made.state,
                "count": np.bincount(slot[inside], minlength=count).astype(np.float32),
                "phases": cutting.phase_sums(
                    part.steps, begin, self.slot_ns, 0, count, begin + count * self.slot_ns
                ).astype(np.float32),
            }
        )

    def _halve(self) -> None:
        """Make two slots one."""
        if self.first_slot % 2:
            self.slots.keep(np.arange(1, len(self.slots)))
            self.first_slot += 1
        if len(self.slots) % 2:
            self.slots.append({name: column[-1:] * (name not in ("count",)) if column.dtype.kind == "f" else column[-1:]
                               for name, column in self.slots.arrays().items()})  # fmt: skip
        count = len(self.slots) // 2
        merged = self._merged(np.arange(count) * 2, np.arange(1, count + 1) * 2)
        fresh = GrowingColumns({**_SLOT_COLUMNS, "phases": len(PHASE_NAMES)})
        fresh.append({name: merged[name].astype(column.dtype) for name, column in self.slots.arrays().items()})
        self.slots, self.slot_ns, self.first_slot = fresh, self.slot_ns * 2, self.first_slot // 2

    def _thin(self, derived: Derived, last: int) -> None:
        """Leave of the rows before `last` each k-th one and the stalled ones."""
        every = self._derivation.every
        number, stalled = derived.number[:last], derived.stalled[:last].copy()
        if stalled.sum() > MOST_STALLS:
            least = np.partition(derived.lost_ns[:last], -MOST_STALLS)[-MOST_STALLS]
            stalled &= derived.lost_ns[:last] >= least
        while (number % every == 0).sum() > SAMPLE:
            every *= 2
        mask = np.ones(len(derived), dtype=bool)
        mask[:last] = (number % every == 0) | stalled
        removed = int((~mask).sum())
        self._derivation.every = every
        ahead = self._derivation.ahead and bool((derived.steps.drain_ns[:last] > 0).any())
        of_turns = evened(derived.steps, derived.block) if ahead else None
        self._store.keep(mask)
        if of_turns is not None:  # a turn's end must not get lost with the step that it stands in
            older = slice(0, last - removed)
            self._store["step_ns"][older], self._store["phases"][older] = (each[mask][older] for each in of_turns)
            self._store["drain_ns"][older] = 0
        self._derivation.flags.keep(mask)
        self._derivation.settled -= removed
        self._derivation.anchor -= removed
        self._derivation.forget()
        self.kept = last - removed

    # -- reading it

    def totals_until(self, at_ns: int, derived: Derived, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Exact sums up to a moment: (TOTALS, ns by phase of the counted steps, the same of the stalled ones).

        Args:
            at_ns: the moment; in the summarised part it is rounded down to a piece.
            derived: the rows in memory.
            rows: how many of them lie before the moment.
        """
        whole = int(np.searchsorted(self.totals["end_ns"], at_ns, side="right"))
        sums = tuple(self.totals[name][:whole].sum(axis=0) for name in ("values", "phases", "stalled"))
        if rows > self.kept:
            recent = History(GrowingColumns({}), self._derivation)
            part = derived.rows(slice(self.kept, rows))
            recent.totals = GrowingColumns({"end_ns": 0, "values": len(TOTALS), "phases": len(PHASE_NAMES),
                                            "stalled": len(PHASE_NAMES)})  # fmt: skip
            recent._add_totals(part, len(part))
            sums = tuple(a + recent.totals[name].sum(axis=0) for a, name in zip(sums, ("values", "phases", "stalled"),
                                                                                 strict=True))  # fmt: skip
        return sums[0], sums[1], sums[2]

    def slots_before(self, start_ns: int, slot_ns: float, first: int, count: int) -> int:
        """How many of the slots asked for are drawn from the summary: those that mostly lie before its end."""
        if not self.thinned:
            return 0
        return int(min(count, max(0, round((self.until_ns - start_ns) / slot_ns) - first)))

    def joined(self, recent: Columns, start_ns: int, slot_ns: float, first: int, old: int) -> Columns:
        """`old` slots of the summary and the recent ones after them."""
        return cutting.joined(self.columns(start_ns, slot_ns, first, old), recent)

    def columns(self, start_ns: int, slot_ns: float, first: int, count: int) -> Columns:
        """Columns of the summarised part: slots that lie after it are empty."""
        begin, end, inside = self._places(start_ns, slot_ns, first, count)
        merged = self._merged(begin[inside], end[inside])
        none = np.full(count, np.nan)
        made = Columns(
            none,
            none.copy(),
            none.copy(),
            np.zeros(count, dtype=np.int64),
            np.zeros(count),
            np.full(count, "", dtype="<U1"),
            np.full(count, COLUMN_NOTHING, dtype=np.uint8),
        )
        for name in ("mean_ms", "low_ms", "high_ms", "stalls", "lost", "why", "state"):
            getattr(made, name)[inside] = merged[name]
        return made

    def phase_sums(self, start_ns: int, slot_ns: float, first: int, count: int) -> np.ndarray:
        """(count, phases) ns of the steps' own time by phase."""
        begin, end, inside = self._places(start_ns, slot_ns, first, count)
        made = np.zeros((count, len(PHASE_NAMES)))
        if inside.any():
            made[inside] = self._merged(begin[inside], end[inside])["phases"]
        return made

    def _places(self, start_ns: int, slot_ns: float, first: int, count: int) -> tuple[np.ndarray, ...]:
        """(first base slot, base slot after the last, whether the slot lies in the summary) of each slot asked for."""
        edges = (start_ns + (first + np.arange(count + 1)) * slot_ns) / self.slot_ns - self.first_slot
        begin = np.floor(edges[:-1] + 1e-9).astype(np.int64)
        end = np.maximum(begin + 1, np.floor(edges[1:] + 1e-9).astype(np.int64))
        inside = (end > 0) & (begin < len(self.slots))
        begin = np.clip(begin, 0, None)
        end = np.clip(end, begin + 1, len(self.slots))
        return begin, end, inside

    def _merged(self, begin: np.ndarray, end: np.ndarray) -> dict[str, np.ndarray]:
        """Groups of base slots as one slot each. Percentiles are the mean of the slots' own, by their steps."""
        if not len(begin):
            return {name: column[:0] for name, column in self.slots.arrays().items()}
        bounds = np.column_stack((begin, end)).ravel()
        size = len(self.slots)

        def summed(values: np.ndarray) -> np.ndarray:
            padded = np.concatenate((values, np.zeros((1, *values.shape[1:]), dtype=values.dtype)))
            result: np.ndarray = np.add.reduceat(padded, np.minimum(bounds, size))[::2]
            return result

        weight = self.slots["count"].astype(float)
        count = summed(weight)
        made: dict[str, np.ndarray] = {"count": count.astype(np.float32)}
        for name in ("mean_ms", "low_ms", "high_ms"):
            total = summed(np.nan_to_num(self.slots[name]).astype(float) * weight)
            with np.errstate(invalid="ignore", divide="ignore"):
                made[name] = np.where(count > 0, total / count, np.nan)
        length = end - begin
        made["stalls"] = summed(self.slots["stalls"].astype(np.int64))
        made["lost"] = summed(self.slots["lost"].astype(float)) / length
        made["phases"] = summed(self.slots["phases"].astype(float))
        made["why"] = self._first_why(begin, end)
        middle = self.slots["state"][np.minimum((begin + end) // 2, size - 1)]
        made["state"] = np.where(count > 0, COLUMN_STEADY, middle).astype(np.uint8)
        return made

    def _first_why(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The letter of the last stall in each group."""
        why = self.slots["why"]
        last = np.maximum.accumulate(np.where(why != "", np.arange(len(why)), -1))
        place = last[end - 1]
        result: np.ndarray = np.where(place >= begin, why[np.maximum(place, 0)], "")
        return result
