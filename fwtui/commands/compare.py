"""`fwtui compare A B`: the same lanes in two runs, for a change's review and for CI.

Exit codes with --fail-if-slower: 0 no lane is slower by more than that; 3 one is; 5 it cannot be decided.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from fwtui.commands.parser import UsageError, add_run_dir, one_of, runs_dir
from fwtui.recording.run_folder import RunFolderError, find_run

if TYPE_CHECKING:
    from fwtui.view.two_runs import LaneChange, TwoRuns

FORMATS = ("text", "json", "markdown")
EXIT_SLOWER, EXIT_UNDECIDED = 3, 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, and what is to fail."""
    parser.add_argument("before", metavar="RUN_A", help="the run to compare with: its folder, name or a part of it")
    parser.add_argument("after", metavar="RUN_B", help="the run that is judged")
    parser.add_argument(
        "--fail-if-slower",
        type=percent,
        metavar="PERCENT",
        help="exit 3 when a lane of B is slower than in A by more than that, 5 when it cannot be decided",
    )
    parser.add_argument("--format", type=one_of("format", *FORMATS), default="text", help="|".join(FORMATS))
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="where to write it; - is the terminal")
    add_run_dir(parser)


def percent(text: str) -> float:
    """An argument type: `5%` or `5` is 0.05."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1000:
        raise argparse.ArgumentTypeError(f"{text!r} must be a percentage, as in 5%")
    return value / 100


def main(arguments: argparse.Namespace) -> int:
    """Compare, and judge."""
    from fwtui.reports import two_runs as told
    from fwtui.view.session import Session
    from fwtui.view.two_runs import compare_runs

    directory = runs_dir(arguments)
    try:
        sessions = [Session(find_run(directory, name)) for name in (arguments.before, arguments.after)]
    except RunFolderError as error:
        raise UsageError(str(error)) from None
    compared = compare_runs(*sessions)
    for session in sessions:
        session.close()
    if not compared.lanes:
        raise UsageError(f"{compared.before} and {compared.after} have no lane of one name")
    limit = arguments.fail_if_slower
    code, sentence = (0, "") if limit is None else judge(compared, limit)
    if arguments.format == "json":
        text = json.dumps(told.as_json(compared), indent=1, allow_nan=False) + "\n"
    else:
        text = told.markdown(compared, sentence) if arguments.format == "markdown" else told.text(compared)
    if arguments.output == "-":
        sys.stdout.write(text)
    else:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    if sentence:
        print(f"fwtui: {sentence}", file=sys.stderr)
    return code


def judge(compared: TwoRuns, limit: float) -> tuple[int, str]:
    """(exit code, why): a lane that is slower by more than the limit fails; what is not known is not green."""
    slower = [lane for lane in compared.lanes if _is_slower(lane, limit)]
    if slower:
        told = ", ".join(f"{lane.lane} {lane.pair.ratio:.2f}x" for lane in slower)
        return EXIT_SLOWER, f"slower by more than {limit * 100:.3g} %: {told}"
    broken = [f"{lane.lane} ({lane.ended_badly} in B)" for lane in compared.lanes if lane.ended_badly]
    open_lanes = [lane.lane for lane in compared.lanes if not lane.ended_badly and not _is_fine(lane, limit)]
    if broken:
        return EXIT_UNDECIDED, f"undecided: {', '.join(broken)}; nothing is known of the rest of its work"
    open_lanes += [f"{name} (not in B)" for name in compared.only_before]
    if open_lanes:
        return EXIT_UNDECIDED, f"undecided: {', '.join(open_lanes)}; run longer (--seconds, --until-decided)"
    return 0, f"no lane is slower by more than {limit * 100:.3g} %"


def _is_slower(lane: LaneChange, limit: float) -> bool:
    """Slower beyond doubt, and by more than the limit by the best estimate."""
    pair = lane.pair
    return pair.verdict == "slower" and pair.ratio is not None and pair.ratio > 1 + limit


def _is_fine(lane: LaneChange, limit: float) -> bool:
    """An interval narrow enough to decide, and an estimate within the limit."""
    pair = lane.pair
    return pair.verdict in ("faster", "slower", "no difference") and pair.ratio is not None and pair.ratio <= 1 + limit
