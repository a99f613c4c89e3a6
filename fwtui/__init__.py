"""fwtui: run trainings side by side, see each step live, and learn why one is slower.

The root imports nothing, so that `fwtui --version` and the guest stay light.
"""

__version__ = "0.1.0"
