"""The per-sample transform in Python that a lane with `per_sample` sends each sample through. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def transform(sample: NDArray[Any]) -> NDArray[np.float32]:
    """As many passes over the sample as a usual cast and normalisation make, which give the same values again."""
    scaled = np.asarray(sample, dtype=np.float32) * np.float32(0.5)
    return np.ascontiguousarray(scaled / np.float32(0.5))
