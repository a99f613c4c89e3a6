"""A lane's history as the cells of a chart: read from the session when somebody draws it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fwtui.view.frame import Columns
from fwtui.view.session import Session


class Window:
    """The part of a lane's history that its chart shows; `cells` columns of `cell_s` seconds, bound to absolute time.

    Args:
        session: the open run.
        lane: index of the lane.
        at_ns: the moment shown; nothing after it is known.
        cells: columns of the chart.
        cell_s: seconds a column.
    """

    def __init__(self, session: Session, lane: int, at_ns: int, cells: int, cell_s: float) -> None:
        self._session, self._lane, self.at_ns = session, lane, at_ns
        self.cells, self.cell_s = cells, cell_s
        self._cell_ns = cell_s * 1e9
        self.newest_cell = max(0, int((at_ns - session.start_ns) // self._cell_ns))
        self.first_cell = max(0, self.newest_cell - cells + 1)

    @property
    def since_start_ns(self) -> int:
        """The moment shown, counted from the run's start."""
        return self.at_ns - self._session.start_ns

    @property
    def now(self) -> int:
        """Column of the moment shown."""
        return self.newest_cell - self.first_cell

    @cached_property
    def columns(self) -> Columns:
        """The chart's columns, two slots a cell; slots after the moment are empty."""
        shown = self._session.columns(self._lane, self._cell_ns / 2, self.first_cell * 2, self.cells * 2, self.at_ns)
        later = slice((self.now + 1) * 2, None)
        for series in (shown.mean_ms, shown.low_ms, shown.high_ms):
            series[later] = np.nan
        shown.stalls[later], shown.lost[later], shown.why[later], shown.state[later] = 0, 0, "", 0
        return shown

    @cached_property
    def loss(self) -> np.ndarray:
        """(2 x cells,) the loss; NaN: none noted."""
        return self._until(self._session.loss(self._lane, self._cell_ns / 2, self.first_cell * 2, self.cells * 2), 2)

    def series(self, metric: str) -> np.ndarray:
        """(cells,) a hardware metric of the lane; NaN: not measured."""
        values = self._session.series(self._lane, metric, self._cell_ns, self.first_cell, self.cells)
        return self._until(values, 1)

    @cached_property
    def phases(self) -> np.ndarray:
        """(cells, phases) share of the steps' own time in each phase; NaN rows: no step."""
        return self._session.phase_shares(self._lane, self._cell_ns, self.first_cell, self.cells, self.at_ns)

    def cell_of(self, time_ns: float) -> int:
        """The column of a moment; may lie outside."""
        return int((time_ns - self._session.start_ns) // self._cell_ns) - self.first_cell

    def _until(self, values: np.ndarray, slots_a_cell: int) -> np.ndarray:
        values[(self.now + 1) * slots_a_cell :] = np.nan
        return values
