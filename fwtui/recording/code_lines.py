"""Whose a line of code is: the user's own, or a library's, Python's, generated, ours. Standard library, Python 3.9."""

from __future__ import annotations

import os
import re

_LIBRARY = re.compile(
    r"/(site-packages|dist-packages)/|/lib(64)?/python\d\.\d+t?/|\.zip/|/torchinductor_|/__autograph_gen"
)
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LANES = os.path.join(_OURS, "workloads") + os.sep
"""The built-in lanes' own programs: their lines are a user's lines."""


def is_users(file: str) -> bool:
    """Whether a file is the user's own: in no library, not generated, not ours."""
    if file.startswith("<") or _LIBRARY.search(file):
        return False
    return not file.startswith(_OURS) or file.startswith(_LANES)
