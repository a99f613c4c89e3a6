"""Columns that grow at their end: what is appended is copied once, and reading gives views."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_LEAST = 1024


class GrowingColumns:
    """Named arrays of one length.

    Args:
        widths: by column name, how many values a row has; 0 for a plain column.
        kinds: the types of columns while they are empty; float by default. The first rows bring their own.
    """

    def __init__(self, widths: Mapping[str, int], kinds: Mapping[str, type] | None = None) -> None:
        kinds = kinds or {}
        self._arrays: dict[str, np.ndarray] = {
            name: np.empty((0, width) if width else 0, dtype=kinds.get(name, float)) for name, width in widths.items()
        }
        self._length = 0
        self._capacity = 0

    def __len__(self) -> int:
        return self._length

    def append(self, columns: Mapping[str, np.ndarray]) -> None:
        """Add rows; every column is given."""
        count = len(next(iter(columns.values())))
        if self._length + count > self._capacity:
            self._capacity = max(_LEAST, self._length + count, self._length * 3 // 2)
            for name, values in columns.items():
                old = self._arrays[name]
                dtype = values.dtype if not self._length else old.dtype
                bigger = np.empty((self._capacity, *old.shape[1:]), dtype=dtype)
                bigger[: self._length] = old[: self._length]
                self._arrays[name] = bigger
        for name, values in columns.items():
            self._arrays[name][self._length : self._length + count] = values
        self._length += count

    def __getitem__(self, name: str) -> np.ndarray:
        """A view of a column."""
        return self._arrays[name][: self._length]

    def keep(self, rows: np.ndarray) -> None:
        """Leave only some rows (a mask or indices), in memory of their own: earlier views stay as they were."""
        kept = {name: self[name][rows] for name in self._arrays}
        self._length = self._capacity = len(next(iter(kept.values())))
        self._arrays = kept

    def arrays(self) -> dict[str, np.ndarray]:
        """All columns by name, as views."""
        return {name: self[name] for name in self._arrays}
