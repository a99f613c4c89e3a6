"""How often loaders started, and how long each took from its start to its first batch."""

from __future__ import annotations

import numpy as np

from fwtui.recording.vocabulary import CODE_BITS, CODE_MASK, EVENT

_START, _BATCH = EVENT["loader_start_begin"], EVENT["data_end"]


class LoaderStarts:
    """Folds a rank's events, a piece at a time."""

    def __init__(self) -> None:
        self.starts_ns: list[int] = []
        self.took_ns: list[int] = []
        """Of those that came to a batch."""

    def feed(self, words: np.ndarray) -> None:
        """Take newly published words (uint64, in time order)."""
        codes = (words & np.uint64(CODE_MASK)).astype(np.int64)
        if len(self.took_ns) == len(self.starts_ns) and not (codes == _START).any():
            return
        for word in words[(codes == _START) | (codes == _BATCH)]:
            moment, code = int(word) >> CODE_BITS, int(word) & CODE_MASK
            if code == _START:
                del self.starts_ns[len(self.took_ns) :]  # one that came to no batch
                self.starts_ns.append(moment)
            elif len(self.took_ns) < len(self.starts_ns):
                self.took_ns.append(moment - self.starts_ns[-1])

    def later_ns(self, until_ns: float) -> tuple[int, float]:
        """(starts, what all of them but the first took) up to a moment."""
        known = [took for start, took in zip(self.starts_ns, self.took_ns, strict=False) if start <= until_ns]
        return len(known), float(sum(known[1:]))
