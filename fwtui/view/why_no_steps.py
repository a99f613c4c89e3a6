"""Why no step is seen in a lane, and what it would need: said within ten seconds, instead of a chart of zeros."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from fwtui.view.lane_log import LaneLog

GRACE_NS = 8e9
"""So long after its framework is there a program may load data and build its model."""
_MARK = "mark the loop with fwtui.mark.step"
_IMPORTING = "importing "


def why_no_steps(log: LaneLog, entry: Mapping[str, Any], at_ns: int) -> str | None:
    """One sentence; None while there is nothing to explain.

    Args:
        log: the lane, in which no step was seen.
        entry: its part of the manifest.
        at_ns: the moment.
    """
    started, ended = entry.get("started_ns"), entry.get("ended_ns")
    if not started or at_ns < started:
        return None
    over = ended is not None and at_ns >= ended
    moments = [moment for moment, _ in log.notes.stage if moment <= at_ns]
    tail = log.folder.tail()
    if tail is not None and (tail.wait_ns or tail.open_span == "wait"):  # it stands, or stood, until its turn came
        moments.append(at_ns if tail.open_span == "wait" else tail.last_ns)
    if not over and at_ns - max([*moments, started]) < GRACE_NS:
        return None
    if log.guest_start_ns is None:
        return _without_guest(log, entry)
    if log.notes.too_old:
        return log.notes.too_old
    if over and entry.get("exit_code") != 0:
        return None  # how it ended says more
    return _with_guest(log)


def _without_guest(log: LaneLog, entry: Mapping[str, Any]) -> str:
    error = log.guest_error()
    if error:
        return f"fwtui could not start inside the program: {error}"
    flags = _python_flags([str(word) for word in entry.get("argv") or ()])
    if flags & set("IE"):
        return "python -I and -E ignore PYTHONPATH, by which fwtui gets into the program: start it without them"
    if "S" in flags:
        return "python -S leaves out sitecustomize, by which fwtui gets into the program: start it without it"
    return f"neither torch, TensorFlow, Keras nor JAX was imported by a Python that fwtui reaches: {_MARK}"


def _python_flags(argv: list[str]) -> set[str]:
    """The one-letter options given to the first Python in a command line."""
    for index, word in enumerate(argv):
        if re.fullmatch(r"python[\d.]*", os.path.basename(word)):
            flags: set[str] = set()
            for option in argv[index + 1 :]:
                if not re.fullmatch(r"-[A-Za-z]+", option) or option in ("-c", "-m"):
                    break
                flags |= set(option[1:])
            return flags
    return set()


def _with_guest(log: LaneLog) -> str:
    names = [text[len(_IMPORTING) :] for _, text in log.notes.stage if text.startswith(_IMPORTING)]
    there = " and ".join(dict.fromkeys(names)) or "fwtui.mark"
    if log.saw("optimizer_begin", "part_update"):
        return f"an optimizer's step has begun and not ended yet ({there} is imported)"
    if log.saw("backward_begin"):
        return f"backward passes are seen and no optimizer of {there}: are the weights updated by hand? {_MARK}"
    if log.saw("call_begin") and not log.saw("evaluation_begin"):
        return f"compiled functions are called, and none of them updates weights in a way that is seen: {_MARK}"
    if log.saw("data_end"):
        return f"batches are fetched and no backward pass is seen: nothing is trained yet, or {_MARK}"
    if log.saw("evaluation_begin"):
        return f"a model of {there} evaluates or predicts, and nothing is trained: {_MARK}"
    return f"{there} is imported and no backward pass, optimizer or Keras fit was seen: if it computes steps, {_MARK}"
