"""How often the verdict is right: two identical lanes, and a lane that is slower by a known share. All runs are real.

    python tests/benchmarks/verdicts.py run --kind same --workload mnist-mlp --lane torch --runs 25 --out FOLDER
    python tests/benchmarks/verdicts.py run --kind slower --workload mnist-mlp --lane torch --runs 25 --out FOLDER
    python tests/benchmarks/verdicts.py table --out FOLDER
    python tests/benchmarks/verdicts.py simulate --runs 100
    python tests/benchmarks/verdicts.py schedules --workload mnist-mlp --lanes torch,tensorflow --out FOLDER

`run` adds runs to what the folder holds, and stops early after `--limit` seconds; `table` folds all recorded runs anew
with the rules of today and prints counts, as Markdown. `simulate` writes runs that never were. `schedules` runs the
same two lanes under each schedule and each of them alone, and prints the ratios.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import scenarios
import simulated_lane

from fwtui.analysis.comparison import compare
from fwtui.analysis.decided import decided
from fwtui.analysis.results import Pair
from fwtui.recording.run_folder import RunFolder, list_runs
from fwtui.view.comparing import lane_steps
from fwtui.view.frame import Frame
from fwtui.view.lane_statistics import lane_statistics
from fwtui.view.session import Session

PROCESS_SD, TURN_SD = 0.01, 0.03
"""Put into simulated lanes: how far apart two starts of one program lie, and two turns."""
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
    comparison = frame_of(folder).comparison
    return comparison.pairs[0] if comparison else None


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


def simulate(arguments: argparse.Namespace) -> None:
    """Simulated lanes, written through the real writers: noise of steps, turns and processes put in, stalls too."""
    for kind in EXPECTED:
        verdicts = Counter(simulated_verdict(kind, seed) for seed in range(arguments.runs))
        print(f"{kind}: {verdicts[EXPECTED[kind]]} of {arguments.runs} {EXPECTED[kind]}; {dict(verdicts)}", flush=True)


def simulated_verdict(kind: str, seed: int) -> str:
    """What a simulated run says that goes on until it is decided."""
    for turns in (24, 48, 96, 192):
        with tempfile.TemporaryDirectory() as place:
            factor = 1.0 + SLOWER if kind == "slower" else 1.0
            comparison = frame_of(simulated_pair(Path(place) / "run", factor, seed, turns)).comparison
        if decided(comparison):
            break
    return comparison.pairs[0].verdict if comparison else "nothing"


def simulated_pair(path: Path, factor: float, seed: int, turns: int) -> RunFolder:
    """A run of two torch lanes, the second `factor` times as slow."""
    chance = random.Random(seed)
    chosen = []
    for name, slower in (("first", 1.0), ("second", factor)):
        level = slower * chance.gauss(1.0, PROCESS_SD)
        phases = {phase: ms * level for phase, ms in simulated_lane.TORCH.items()}
        chosen.append(replace(scenarios.torch, name=name, phases=phases, stall_every=chance.randint(200, 600)))
    scenario = scenarios.Scenario(tuple(chosen), turns=turns)
    seeds = itertools.count(1000 * seed)
    made = simulated_lane.SimulatedLane

    class Drifting(made):
        """Each turn at a level of its own, as on a machine that is not ours alone."""

        def __init__(self, lane: simulated_lane.Lane, start_ns: int, _: int) -> None:
            super().__init__(lane, start_ns, next(seeds))
            self._level = 1.0

        def wait_until(self, until_ns: int) -> None:
            super().wait_until(until_ns)
            self._level = math.exp(chance.gauss(0, TURN_SD)) * (
                chance.uniform(1.5, 20) if chance.random() < 0.05 else 1
            )

        def _pass(self, ms: float) -> None:
            super()._pass(ms * self._level)

    scenarios.SimulatedLane = Drifting
    try:
        return scenarios.write_lanes(scenario, scenarios.simulate(scenario), path)
    finally:
        scenarios.SimulatedLane = made


def schedules(arguments: argparse.Namespace) -> None:
    """The same two lanes under each schedule, and each alone."""
    lanes = arguments.lanes.split(",")
    print(f"| {arguments.workload}: {lanes[1]} over {lanes[0]} | ratio [95 %] | verdict | {lanes[0]} | {lanes[1]} |")
    print("|---|---|---|---|---|")
    for schedule in ("turns", "together", "solo"):
        frame = frame_of(made_run(arguments, schedule, arguments.lanes))
        pair = frame.comparison.pairs[0]
        value = f"{pair.ratio:.2f} [{pair.ci95[0]:.2f}, {pair.ci95[1]:.2f}]" if pair.ci95 else f"{pair.ratio:.2f}"
        cells = [f"{lane.step_ms.median:.2f} ms" if lane.step_ms else "n/a" for lane in frame.lanes]
        print(f"| `--schedule {schedule}` | {value} | {pair.verdict} | {cells[0]} | {cells[1]} |", flush=True)
    alone = [made_run(arguments, "turns", lane) for lane in lanes]
    sessions = [Session(folder) for folder in alone]
    steps = [lane_steps(session, 0, lane_statistics(session, 0, session.newest_ns, True)) for session in sessions]
    apart = replace(steps[1], end_ns=steps[1].end_ns + 10**15)  # another time: nothing pairs
    pair = compare([steps[0], apart]).pairs[0]
    cells = [f"{np.median(lane.step_ms):.2f} ms" for lane in steps]
    value = f"{pair.ratio:.2f} [{pair.ci95[0]:.2f}, {pair.ci95[1]:.2f}]"
    print(f"| each alone, in a run of its own | {value} | {pair.verdict} | {cells[0]} | {cells[1]} |")


def made_run(arguments: argparse.Namespace, schedule: str, lanes: str) -> RunFolder:
    """A run of built-in lanes; under turns for as long as two lanes need for the others' seconds each."""
    shared = 2 if schedule == "turns" and "," in lanes else 1
    seconds = str(arguments.seconds * shared)
    command = [sys.executable, "-m", "fwtui", "run", "--headless", "--run-dir", str(arguments.out), "--lanes", lanes]
    more = ["--workload", arguments.workload, "--schedule", schedule, "--seconds", seconds]
    subprocess.run([*command, *more], capture_output=True, check=False)
    return list_runs(arguments.out)[0]


def frame_of(folder: RunFolder) -> Frame:
    """The last frame of a run."""
    session = Session(folder)
    try:
        return session.frame()
    finally:
        session.close()


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
    simulated = commands.add_parser("simulate")
    simulated.add_argument("--runs", type=int, default=100)
    simulated.set_defaults(do=simulate)
    under = commands.add_parser("schedules")
    under.add_argument("--workload", default="mnist-mlp")
    under.add_argument("--lanes", default="torch,tensorflow")
    under.add_argument("--seconds", type=float, default=20.0, help="of training a lane")
    under.set_defaults(do=schedules)
    for command in (make, count, under):
        command.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
