"""Does `fwtui explain` find a cause that was put in on purpose, and does its proof agree with the clean twin?

Each case trains a lane with a cause beside a lane without it. The clean twin is the same lane without the cause, in a
run of its own with the slow one: the speed-up that was proven must lie where that run says it is. Prints Markdown rows.

    python tests/benchmarks/explain_recovery.py [--budget 60s] [CASE…]

The last column tells what other programs used of the machine: a case that they disturbed says little, and is to be run
again, whatever it found.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A cause put in on purpose."""

    name: str
    workload: str
    slow: str
    """The lane that has it."""
    clean: str
    """Its clean twin."""
    other: str
    """The lane that it is explained against."""
    factor: str
    """What must come out on top."""


CASES = (
    Case("slow callback", "mnist-mlp", "torch:callback_ms=3", "torch", "torch", "no-callback"),
    Case("eager on one side", "regression-mlp", "keras:eager", "keras", "keras", "graph"),
    Case("one thread", "mnist-cnn", "torch:threads=1", "torch", "torch", "all-threads"),
    Case("tiny batch", "mnist-mlp", "torch:batch_size=8", "torch", "torch", "usual-batch"),
    Case("per-sample transform", "mnist-mlp", "keras:per_sample", "keras", "keras", "batched-transform"),
    Case("slow callback, other framework", "mnist-mlp", "keras:callback_ms=3", "keras", "torch", "no-callback"),
)


def fwtui(folder: Path, *argv: str) -> dict[str, Any]:
    """The JSON report of a command."""
    file = folder / "report.json"
    command = [sys.executable, "-m", "fwtui", *argv, "--run-dir", str(folder / "runs"), "--json", str(file)]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
    report: dict[str, Any] = json.loads(file.read_text())
    return report


def recover(case: Case, budget: str, folder: Path) -> str:
    """Explain one case, and its row."""
    lanes = f"{case.other},{case.slow}"
    explained = fwtui(folder, "explain", "--workload", case.workload, "--lanes", lanes, "--budget", budget)
    twins = f"{case.clean},{case.slow}"
    twin = fwtui(folder, "run", "--headless", "--workload", case.workload, "--lanes", twins, "--seconds", "20")
    found = explained["explanation"]
    others = "; ".join(sorted({disturbed(explained), disturbed(twin)} - {""})) or "little"
    proven = [item for item in found["experiments"] if item["verdict"] == "proven"]
    pair = twin["comparison"]["pairs"][0]
    per_sample = (item for item in pair.get("alternatives") or () if item["code"] == "per-sample")
    measured = pair if pair["ratio"] is not None else next(per_sample, {})
    if not proven:
        return f"| {case.name} | `{case.slow}` | nothing proven | | | | no | {others} |"
    top = proven[0]
    speedup, share = top["speedup"], top["share_of_gap"]
    ratio, interval = measured.get("ratio"), measured.get("ci95")
    agrees = ratio is not None and interval and speedup["ci95"] and overlap(speedup["ci95"], interval)
    right = top["factor"] == case.factor and bool(agrees)
    return (
        f"| {case.name} | `{case.slow}` against `{case.other}` ({case.workload}) | {top['cause']} | "
        f"{share['value']:.0%} {bounds(share['ci95'], '.0%')} | {speedup['value']:.2f}x {bounds(speedup['ci95'])} | "
        f"{f'{ratio:.2f}x {bounds(interval)}' if ratio else 'n/a'} | {'yes' if right else 'no'} | {others} |"
    )


def disturbed(report: dict[str, Any]) -> str:
    """What a report says of other programs."""
    words = [str((report["explanation"] or {}).get("problem") or "")]
    words += [str(item["reason"]) for item in (report["explanation"] or {}).get("experiments", ()) if item["turns"]]
    words += [str(pair["reason"]) for pair in report["comparison"]["pairs"]]
    found = re.search(r"other programs used [^;]*", "; ".join(words))
    return found[0].removeprefix("other programs used ").removesuffix(" meanwhile") if found else ""


def overlap(one: list[float], other: list[float]) -> bool:
    return max(one[0], other[0]) <= min(one[1], other[1])


def bounds(interval: list[float] | None, form: str = ".2f") -> str:
    if not interval or not all(map(math.isfinite, interval)):
        return ""
    return f"[{interval[0]:{form}}, {interval[1]:{form}}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--budget", default="60s")
    arguments = parser.parse_args()
    heads = "put in", "lanes", "found on top", "share of the gap", "proven speed-up", "clean twin", "recovered"
    print(f"| {' | '.join(heads)} | other programs |")
    print("| --- " * (len(heads) + 1) + "|", flush=True)
    for case in CASES:
        if arguments.cases and case.name not in arguments.cases:
            continue
        with tempfile.TemporaryDirectory() as folder:
            print(recover(case, arguments.budget, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
