"""Memory that is free in the process, given back to the system."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Ask the C library for what it holds free: large arrays that come and go leave holes, which it keeps.

    Some milliseconds; nothing happens where the library cannot be asked (only glibc can).
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
