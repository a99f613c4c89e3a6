"""`fwtui run --starts N`: the same lanes started anew several times, and one verdict over all starts."""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fwtui.commands.follow import open_session

if TYPE_CHECKING:
    from fwtui.analysis.starts import OverStarts
    from fwtui.view.frame import Frame

LIMIT_S = 120.0
"""Each start goes on until it is decided, at most so long, where nothing else is said."""


def several(arguments: argparse.Namespace, run: Callable[[argparse.Namespace], int]) -> int:
    """Run the lanes `arguments.starts` times in text, then say what holds over all starts.

    Args:
        arguments: of one run.
        run: runs what arguments ask for, notes the run's folder in them, and returns its exit code.

    Returns:
        The first exit code that is not 0; Ctrl-C ends the start that goes on and all later ones.
    """
    say = sys.stderr if arguments.json == "-" else sys.stdout
    ended: list[tuple[Frame, dict[str, Any]]] = []
    code = 0
    for number in range(1, arguments.starts + 1):
        print(f"start {number} of {arguments.starts}", file=say, flush=True)
        one: Any = copy.copy(arguments)
        one.headless, one.json, one.folder = True, None, None
        if one.seconds is None and one.until_decided is None and one.steps is None and one.epochs is None:
            one.until_decided = LIMIT_S
        with contextlib.redirect_stdout(say):
            code = code or run(one)
        if code == 130 or one.folder is None:
            break
        ended.append(_result(one.folder))
    if ended:
        _tell(arguments, [frame for frame, _ in ended], ended[-1][1], say)
    return code


def _result(folder: Any) -> tuple[Frame, dict[str, Any]]:
    from fwtui.reports.json_report import report

    session = open_session(folder)
    try:
        frame = session.frame()
        return frame, report(frame)
    finally:
        session.close()


def _tell(arguments: argparse.Namespace, frames: list[Frame], last: dict[str, Any], say: Any) -> None:
    """Print the verdict over the starts; for JSON, the last start's report with it."""
    from fwtui.analysis.starts import over_starts

    compared = [frame.comparison for frame in frames if frame.comparison is not None]
    by_lane = zip(*(comparison.pairs for comparison in compared), strict=False)
    told = [over_starts(pairs) for pairs in by_lane]
    for line in ["", f"over {len(frames)} starts", *(_line(one, compared[0].baseline) for one in told)]:
        print(line, file=say)
    last["starts"] = {"runs": [frame.run_id for frame in frames], "pairs": [dataclasses.asdict(one) for one in told]}
    if arguments.json == "-":
        json.dump(last, sys.stdout, indent=1)
        print()
    elif arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(last, file, indent=1)


def _line(one: OverStarts, baseline: str) -> str:
    each = f"; each start: {', '.join(f'{ratio:.2f}' for ratio in one.ratios)}" if one.ratios else ""
    if one.ratio is None:
        return f"  {one.lane}: {one.verdict}{each}"
    interval = f" [{one.ci95[0]:.2f}, {one.ci95[1]:.2f}]" if one.ci95 else " (three starts give an interval)"
    return f"  {one.lane}: {one.ratio:.2f}x {baseline}'s step time{interval}, {one.verdict}{each}"
