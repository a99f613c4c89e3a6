"""The hardware samples of a run, by source and metric."""

from __future__ import annotations

import numpy as np

from fwtui.analysis.step_store import GrowingColumns
from fwtui.recording.run_folder import RunFolder
from fwtui.recording.samples_log import SamplesLogError, SamplesLogReader


class Samples:
    """Rows of the samples log as they arrive."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._reader: SamplesLogReader | None = None
        self._rows: dict[int, GrowingColumns] = {}
        self.rows = 0
        """How many have been read."""

    def poll(self) -> bool:
        """Read what is new; whether anything was."""
        if self._reader is None:
            try:
                self._reader = SamplesLogReader(str(self._folder.samples_path))
            except (OSError, SamplesLogError):
                return False
        rows = np.frombuffer(self._reader.read_new(), dtype=np.float64).reshape(-1, self._reader.row_bytes // 8)
        self.rows += len(rows)
        for source in np.unique(rows[:, 1]):
            table = self._rows.setdefault(int(source), GrowingColumns({"time": 0, "row": rows.shape[1]}))
            own = rows[rows[:, 1] == source]
            table.append({"time": own[:, 0], "row": own})
        return bool(len(rows))

    def of(self, source: int, metric: str, until_ns: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(times ns, values) of a metric of a source up to a moment; NaN where it was not measured."""
        table = self._rows.get(source)
        if table is None or self._reader is None or metric not in self._reader.columns:
            return np.empty(0), np.empty(0)
        times = table["time"]
        last = len(times) if until_ns is None else int(np.searchsorted(times, until_ns, side="right"))
        return times[:last], table["row"][:last, 2 + self._reader.columns.index(metric)]

    def last(self, source: int, metric: str, until_ns: float, within_ns: float = 2e9) -> float | None:
        """The newest measured value, if it is recent; else None."""
        times, values = self.of(source, metric, until_ns)
        if not len(times):
            return None
        recent = values[np.searchsorted(times, until_ns - within_ns) :]
        recent = recent[~np.isnan(recent)]
        return float(recent[-1]) if len(recent) else None

    def reduce(self, source: int, metric: str, until_ns: float, how: str, since_ns: float = 0.0) -> float | None:
        """`max` or `mean` of the measured values since a moment; None of none."""
        times, values = self.of(source, metric, until_ns)
        if not len(times):
            return None
        values = values[np.searchsorted(times, since_ns) :]
        values = values[~np.isnan(values)]
        return float(getattr(np, how)(values)) if len(values) else None

    def newest_ns(self) -> int:
        """Time of the newest row; 0 before the first."""
        return int(max((table["time"][-1] for table in self._rows.values()), default=0))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def in_slots(
    times: np.ndarray, values: np.ndarray, start_ns: float, slot_ns: float, first: int, count: int
) -> np.ndarray:
    """Mean of the values in each of `count` slots; NaN where a slot has none."""
    begin, end = np.searchsorted(times, (start_ns + first * slot_ns, start_ns + (first + count) * slot_ns))
    slot = ((times[begin:end] - start_ns) // slot_ns).astype(np.int64) - first
    value = values[begin:end]
    fits = (slot >= 0) & (slot < count) & ~np.isnan(value)
    number = np.bincount(slot[fits], minlength=count).astype(float)
    total = np.bincount(slot[fits], weights=value[fits], minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, total / number, np.nan)
