"""Runs the injected faults and their clean twins for real and prints the confusion table.

    python tests/injection/run_suite.py [--only TEXT…] [--part I/N] [--keep FOLDER] [--out FILE] [--table FILE…]
    python tests/injection/run_suite.py --again FOLDER        what is kept there, by the rules of now; runs nothing

Alone on the machine: neighbours are a fault of their own (`cpu-starved`). With FWTUI_BUSY_MACHINE set, that
finding, which is then true, is left out of account.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from cases import CLEAN, FAULTS, Case

LIMIT_S = 150
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""So that the programs' steps do not depend on how many cores the machine has."""


def run(case: Case, folder: Path) -> dict[str, Any]:
    """One case: what was found first, at which line, and all codes above a note."""
    words = [sys.executable, "-m", "fwtui", "run", "--headless", "--run-dir", str(folder / "runs")]
    words += ["--json", str(folder / "report.json"), *case.options]
    command = f"{case.launcher} {case.path}".strip()
    words += [f"lane={command} {case.fault}", *([f"other={command} {case.second}"] if case.second else [])]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, **ONE_THREAD, "PATH": path, **dict(case.environment)}
    burn = [sys.executable, "-c", "while True: pass"]
    # each in a session of its own: the kernel may share out the cores by session (sched_autogroup), not by process
    burners = [subprocess.Popen(burn, stdin=subprocess.DEVNULL, start_new_session=True) for _ in range(case.neighbours)]
    try:
        done = subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"case": case.name, "problem": "it took too long"}
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    if not (folder / "report.json").exists():
        return {"case": case.name, "problem": done.stderr[-500:]}
    return judge(case, json.loads((folder / "report.json").read_text())["lanes"][0])


def again(case: Case, folder: Path) -> dict[str, Any] | None:
    """A kept run of a case, judged by the rules of now; None where there is none."""
    kept = next((folder / slug(case) / "runs").glob("*/manifest.json"), None)
    if kept is None:
        return None
    import fwtui

    with fwtui.open(str(kept.parent)) as opened:
        return judge(case, opened.report()["lanes"][0])


def slug(case: Case) -> str:
    """A folder's name for a case."""
    return re.sub(r"[^a-z0-9]+", "-", case.name.lower())


def judge(case: Case, lane: dict[str, Any]) -> dict[str, Any]:
    """Whether the top finding and its line are the injected ones; for a clean twin, whether there is none."""
    findings = lane["findings"]
    first = findings[0] if findings else None
    if os.environ.get("FWTUI_BUSY_MACHINE") and case.expected != "cpu-starved":
        findings = [one for one in findings if one["code"] != "cpu-starved"]
        first = findings[0] if findings else None
    alarms = [one["code"] for one in findings if one["severity"] != "note"]
    line = int(first["location"].rpartition(":")[2]) if first and first["location"] else None
    row: dict[str, Any] = {
        "case": case.name,
        "expected": case.expected,
        "found": first["code"] if first and (case.expected or first["severity"] != "note") else None,
        "codes": [one["code"] for one in findings],
        "alarms": alarms,
        "location": first["location"] if first else None,
        "evidence": first["evidence"] if first else None,
        "steps": lane["steps_counted"],
        "attributed": lane["attributed_s"] / lane["wall_s"] if lane["attributed_s"] and lane["wall_s"] else None,
        "median_ms": (lane["step_ms"] or {}).get("median"),
    }
    row["right"] = row["found"] == case.expected if case.expected else not alarms
    row["line_right"] = line in case.lines if case.expected and case.line else None
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """The confusion table in Markdown: a line an injected code, and the sums."""
    text = ["| injected | runs | named first | line right | otherwise named |", "|---|---|---|---|---|"]
    for code in dict.fromkeys(row["expected"] for row in rows if row.get("expected")):
        mine = [row for row in rows if row.get("expected") == code]
        lined = [row for row in mine if row["line_right"] is not None]
        other = _counted(str(row["found"] or "nothing") for row in mine if not row["right"])
        where = f"{sum(row['line_right'] for row in lined)}/{len(lined)}" if lined else "—"
        text.append(f"| `{code}` | {len(mine)} | {sum(row['right'] for row in mine)} | {where} | {other} |")
    clean = [row for row in rows if not row.get("expected")]
    other = _counted(str(row["found"]) for row in clean if not row["right"])
    text.append(f"| nothing (clean twins) | {len(clean)} | {sum(row['right'] for row in clean)} | — | {other} |")
    faults = [row for row in rows if row.get("expected")]
    lined = [row for row in faults if row["line_right"] is not None]
    right, placed = sum(row["right"] for row in faults), sum(row["line_right"] for row in lined)
    text.append("")
    if faults:
        text.append(f"Named first: {right} of {len(faults)} ({right / len(faults):.0%}).")
    if lined:
        text.append(f"At the injected line: {placed} of {len(lined)} ({placed / len(lined):.0%}).")
    if clean:
        text.append(f"False alarms: {sum(not row['right'] for row in clean)} of {len(clean)} clean twins.")
    return "\n".join(text)


def _counted(names: Any) -> str:
    return ", ".join(f"{name} ({count})" for name, count in Counter(names).items()) or "—"


def main() -> int:
    """Run what is asked for, and print a line a case and the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose name holds one of these texts")
    parser.add_argument("--exact", action="store_true", help="the case of just that name")
    parser.add_argument("--part", default="1/1", help="the I-th of N parts")
    parser.add_argument("--clean-times", type=int, default=1, help="how often each clean twin runs")
    parser.add_argument("--keep", type=Path, help="keep the run folders here")
    parser.add_argument("--again", type=Path, help="judge the runs kept there once more, and run nothing")
    parser.add_argument("--out", help="append one JSON line a case to this file")
    parser.add_argument("--table", nargs="*", help="print the table of these files, and run nothing")
    arguments = parser.parse_args()
    if arguments.table:
        lines = [line for path in arguments.table for line in Path(path).read_text().splitlines()]
        print(table([row for line in lines if "problem" not in (row := json.loads(line))]))
        return 0
    part, parts = map(int, arguments.part.split("/"))
    cases = [
        case for case in (*FAULTS, *CLEAN * arguments.clean_times) if any(text in case.name for text in arguments.only)
    ]
    if arguments.exact:
        cases = [case for case in cases if case.name in arguments.only]
    rows = []
    for case in cases[part - 1 :: parts]:
        began = time.monotonic()
        if arguments.again:
            row = again(case, arguments.again)
            if row is None:
                continue
        elif arguments.keep:
            folder = arguments.keep / slug(case)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            row = run(case, folder)
        else:
            with tempfile.TemporaryDirectory(prefix="fwtui-injection-") as name:
                row = run(case, Path(name))
        rows.append(row)
        verdict = "ok" if row.get("right") and row.get("line_right") is not False else "WRONG"
        told = row.get("problem") or f"{row['codes']} at {row['location']} | {row['evidence']}"
        print(f"{time.monotonic() - began:5.1f} s  {verdict:<5} {row['case']}: {told}", flush=True)
        if arguments.out:
            with Path(arguments.out).open("a") as file:
                file.write(json.dumps(row) + "\n")
    good = [row for row in rows if "problem" not in row]
    print("\n" + table(good))
    return 0 if len(good) == len(rows) and all(row["right"] for row in good) else 1


if __name__ == "__main__":
    sys.exit(main())
