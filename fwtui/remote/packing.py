"""Event words made small: codes and the differences of their times as byte planes, which a compressor likes.

A step's events come in the same order each time, and the high bytes of their distances hardly change; with all first
bytes together, then all second bytes, deflate needs about 2 bytes an event instead of 8.
"""

from __future__ import annotations

import numpy as np

from fwtui.recording.vocabulary import CODE_BITS, CODE_MASK

COARSE_NS = 1000
"""The grain of times that were sent coarsely, when a connection is to be spared."""


def pack(data: bytes, grain_ns: int = 1) -> bytes:
    """Words as an event log holds them (native, 8 bytes each) into planes; `grain_ns` rounds times down to it."""
    words = np.frombuffer(data, dtype=np.uint64)
    times = (words >> np.uint64(CODE_BITS)) // np.uint64(grain_ns)
    steps = np.diff(times, prepend=np.uint64(0))  # modulo 2**64, so that a step back survives too
    planes = steps.astype("<u8").view(np.uint8).reshape(-1, 8).T
    return (words & np.uint64(CODE_MASK)).astype(np.uint8).tobytes() + np.ascontiguousarray(planes).tobytes()


def unpack(data: bytes, grain_ns: int = 1) -> bytes:
    """The words again.

    Raises:
        ValueError: the length fits no number of words.
    """
    if len(data) % 9:
        raise ValueError("packed words are cut short")
    count = len(data) // 9
    codes = np.frombuffer(data, dtype=np.uint8, count=count)
    planes = np.frombuffer(data, dtype=np.uint8, offset=count).reshape(8, count)
    steps = np.ascontiguousarray(planes.T).reshape(-1).view("<u8").astype(np.uint64)
    times = np.cumsum(steps, dtype=np.uint64) * np.uint64(grain_ns)
    return ((times << np.uint64(CODE_BITS)) | codes.astype(np.uint64)).tobytes()
