"""How often the verdict is right: two identical lanes, and a lane that is slower by a known share. All runs are real.

    python tests/benchmarks/verdicts.py run --kind same --workload mnist-mlp --lane torch --runs 25 --out FOLDER
    python tests/benchmarks/verdicts.py run --kind slower --workload mnist-mlp --lane torch --runs 25 --out FOLDER
    python tests/benchmarks/verdicts.py table --out FOLDER

`run` adds runs to what the folder holds, and stops early after `--limit` seconds; `table` folds all recorded runs anew
with the rules of today and prints counts, as Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from fwtui.analysis.results import Pair
from fwtui.recording.run_folder import RunFolder, list_runs
from fwtui.view.session import Session

LANE = Path(__file__).with_name("verdict_lane.py")
SLOWER = 0.10
EXPECTED = {"same": "no difference", "slower": "slower"}


def run(arguments: argparse.Namespace) -> None:
    """Make runs until there are enough or the time is over."""
    folder = arguments.out / f"{arguments.kind},{arguments.workload},{arguments.lane.replace(':', '+')}"
    began = time.monotonic()
    for _ in range(arguments.runs):
        if time.monotonic() - began > arguments.limit:
            break
        seed = len(list_runs(folder))
        extras = {"first": 0.0, "second": SLOWER if arguments.kind == "slower" else 0.0}
        targets = [
            f"{name}={sys.executable} {LANE} {extra} --workload {arguments.workload} --lane {arguments.lane}"
            f" --epochs 100000"
            for name, extra in extras.items()
        ]
        command = [sys.executable, "-m", "fwtui", "run", "--headless", "--run-dir", str(folder), "--seed", str(seed)]
        length = f"--until-decided={arguments.seconds}"
        done = subprocess.run(
            [*command, "--schedule", arguments.schedule, length, *targets],
            capture_output=True,
            text=True,
            check=False,
        )
        newest = list_runs(folder)[0]
        pair = read(newest)
        print(f"{folder.name} seed {seed}: {words(pair)} (exit {done.returncode})", flush=True)


def read(folder: RunFolder) -> Pair | None:
    """The verdict of a recorded run, folded anew."""
    session = Session(folder)
    try:
        comparison = session.frame().comparison
        return comparison.pairs[0] if comparison else None
    finally:
        session.close()


def words(pair: Pair | None) -> str:
    """A pair on one line."""
    if pair is None or pair.ratio is None or pair.ci95 is None:
        return f"{pair.verdict if pair else 'nothing'}, {pair.reason if pair else ''}"
    return f"{pair.ratio:.3f} [{pair.ci95[0]:.3f}, {pair.ci95[1]:.3f}] {pair.verdict}"


def table(arguments: argparse.Namespace) -> None:
    """Counts over all runs in the folder."""
    print("| lanes | workload | framework | runs | as it should be | verdicts | ratio: median, 5–95 % | half-width |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in sorted(path for path in arguments.out.iterdir() if path.is_dir()):
        kind, workload, lane = folder.name.split(",")
        pairs = [pair for pair in map(read, list_runs(folder)) if pair is not None]
        if not pairs:
            continue
        verdicts = Counter(pair.verdict for pair in pairs)
        ratios = [pair.ratio for pair in pairs if pair.ratio is not None]
        widths = [(pair.ci95[1] - pair.ci95[0]) / 2 for pair in pairs if pair.ci95 is not None]
        low, middle, high = np.percentile(ratios, (5, 50, 95))
        right = verdicts[EXPECTED[kind]]
        said = ", ".join(f"{count} {word}" for word, count in verdicts.most_common())
        print(
            f"| {kind if kind == 'same' else f'one slower by {SLOWER:.0%}'} | {workload} | {lane.replace('+', ':')} "
            f"| {len(pairs)} | **{right} of {len(pairs)}** | {said} | {middle:.3f}, {low:.3f}–{high:.3f} "
            f"| ±{np.median(widths):.3f} |"
        )
        if arguments.each:
            for number, pair in enumerate(pairs):
                print(json.dumps([number, words(pair)]), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("run")
    make.add_argument("--kind", choices=list(EXPECTED), required=True)
    make.add_argument("--workload", default="mnist-mlp")
    make.add_argument("--lane", default="torch")
    make.add_argument("--schedule", default="turns")
    make.add_argument("--runs", type=int, default=25)
    make.add_argument("--seconds", type=float, default=60.0, help="what a run may take until it is decided")
    make.add_argument("--limit", type=float, default=450.0, help="seconds after which no further run begins")
    make.set_defaults(do=run)
    count = commands.add_parser("table")
    count.add_argument("--each", action="store_true", help="every run on stderr")
    count.set_defaults(do=table)
    for command in (make, count):
        command.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
