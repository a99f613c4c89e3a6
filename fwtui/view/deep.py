"""A lane's profiler window at a moment: `deep.json` and the steps that lie in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fwtui.analysis.deep import collective_ns, split
from fwtui.analysis.steps import Steps
from fwtui.recording.run_folder import DEEP
from fwtui.recording.vocabulary import PHASE_INDEX
from fwtui.view.frame import DeepSplit

_FUSED = [PHASE_INDEX["compute"]]
_TOLD = [PHASE_INDEX[name] for name in ("forward", "backward", "optimizer", "compute")]


class DeepFile:
    """`deep.json` of a rank, read again when it was replaced."""

    def __init__(self) -> None:
        self._stamp: tuple[str, int] | None = None
        self._value: Mapping[str, Any] | None = None

    def read(self, rank: Path | None) -> Mapping[str, Any] | None:
        """What it holds; None while there is none."""
        if rank is None:
            return None
        path = rank / DEEP
        try:
            stamp = (str(path), path.stat().st_mtime_ns)
            if stamp != self._stamp:
                value = json.loads(path.read_text(encoding="utf-8"))
                self._stamp, self._value = stamp, value if isinstance(value, dict) else None
        except (OSError, ValueError):
            return self._value
        return self._value


def deep_split(value: Mapping[str, Any] | None, steps: Steps, facts: Mapping[str, Any], at_ns: int) -> DeepSplit | None:
    """The split as of a moment; None before the window is over."""
    if value is None or float(value.get("t") or 0) > at_ns:
        return None
    try:
        return _split(value, steps, facts)
    except (KeyError, TypeError, ValueError, IndexError):
        return None  # another version's, or damaged


def _split(value: Mapping[str, Any], steps: Steps, facts: Mapping[str, Any]) -> DeepSplit | None:
    if "operations" not in value:
        return DeepSplit("n/a", 0, {}, (), 0.0, note=str(value["note"]))
    inside = (steps.deep_ns > 0) & (steps.end_ns > float(value["begin_ns"])) & (steps.start_ns < float(value["t"]))
    count = int(value["steps"])
    fused = float(steps.phases[inside][:, _FUSED].sum())
    told = float(steps.phases[inside][:, _TOLD].sum())
    whole = fused if fused > 0.5 * told else told
    optimizer = facts.get("optimizer")
    name = optimizer.get("name") if isinstance(optimizer, Mapping) else None
    made = split(value["operations"], float(value["rest_ns"]), float(value["busy_ns"]), whole or None, name)
    if made is None:
        return DeepSplit(str(value["how"]), count, {}, (), 0.0, note="the profiler saw no operation")
    phases, top = made
    return DeepSplit(
        how=str(value["how"]),
        steps=count,
        phases=phases,
        operations=tuple((shown, ns / 1e6 / count, share) for shown, ns, share in top),
        cost_ms=_cost_ms(steps, inside),
        note=_note(value, float(value["busy_ns"])),
    )


def _note(value: Mapping[str, Any], busy_ns: float) -> str | None:
    share = collective_ns(value["operations"]) / busy_ns if busy_ns else 0.0
    if share >= 0.05:
        return f"{share:.0%} of the operations' time waits for other ranks, and is left unexplained"
    noted = value.get("note")
    return None if noted is None else str(noted)


def _cost_ms(steps: Steps, inside: np.ndarray) -> float:
    """What the window took beyond as many usual steps: slower steps, and the profiler's start, stop and reading."""
    usual = steps.step_ns[(steps.deep_ns == 0) & (steps.wait_ns == 0)]
    own = steps.step_ns[inside]
    slower = float(own.sum() - len(own) * np.median(usual)) if len(usual) and len(own) else 0.0
    return (float(steps.profiler_ns[inside].sum()) + max(0.0, slower)) / 1e6
