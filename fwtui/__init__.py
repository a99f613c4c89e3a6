"""fwtui: run trainings side by side, see each step live, and learn why one is slower.

`fwtui.open(RUN)` and `fwtui.run(...)` are for notebooks and scripts (see `fwtui.library`). The root imports nothing
until one of them is asked for, so that `fwtui --version` and the guest stay light.
"""

__version__ = "0.1.0"

_LIBRARY = {
    "open": "open_run",
    "run": "run",
    "Run": "Run",
    "Lane": "Lane",
    "StepTable": "StepTable",
    "RunError": "RunError",
}

__all__ = ["PHASES", "Lane", "Run", "RunError", "StepTable", "__version__", "open", "run"]


def __getattr__(name: str) -> object:
    """Import the library when one of its names is first used."""
    import importlib

    if name in _LIBRARY:
        value = getattr(importlib.import_module("fwtui.library"), _LIBRARY[name])
    elif name == "PHASES":
        value = importlib.import_module("fwtui.recording.vocabulary").PHASE_NAMES
    else:
        raise AttributeError(f"module 'fwtui' has no attribute {name!r}")
    globals()[name] = value
    return value
