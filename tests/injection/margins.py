"""How near clean twins come to each threshold, and whether a burst of another program would get them blamed.

    python tests/injection/run_suite.py --only none evaluates logs workers modes single compiled --keep FOLDER
    python tests/injection/margins.py FOLDER…        reads the runs kept there; runs nothing

A margin of 70 % says: a finding would be named if its thresholds were 70 % of what they are. Only what is above a note
counts. A burst is 80 ms more in one step, or 40 ms more in two, in each phase in turn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

sys.path.insert(0, str(Path(__file__).parent))
from cases import CLEAN
from run_suite import slug

from fwtui.analysis import findings
from fwtui.analysis.causes import CAUSE
from fwtui.analysis.lane_facts import LaneFacts
from fwtui.analysis.results import Comparison, Lost
from fwtui.recording.run_folder import RunFolder
from fwtui.view.lane_stalls import PHASE_CODES
from fwtui.view.session import Session

MARGINS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)
DOWNWARDS = {("dispatch-bound", "us_an_operation")}
"""Thresholds that are passed downwards."""
FIXED = {("memory-growth", "us_a_page"), ("no-prefetch", "most"), ("cpu-starved", "doubt")}
"""What is no threshold of a finding's own."""
BURSTS = ((80.0, 1), (40.0, 2))
"""(ms, steps)"""


class Twin(NamedTuple):
    """What is known of a kept run."""

    name: str
    lanes: list[LaneFacts]
    comparison: Comparison | None

    @property
    def alarms(self) -> set[str]:
        """Codes above a note, but for the busy machine's own."""
        found = findings.find_all(self.lanes, self.comparison)[0]
        return {one.code for one in found if one.severity != "note" and one.code != "cpu-starved"}


def twins(folders: Sequence[str]) -> Iterator[Twin]:
    """The kept runs of the clean twins that made steps."""
    for folder in folders:
        for case in CLEAN:
            for manifest in (Path(folder) / slug(case) / "runs").glob("*/manifest.json"):
                session = Session(RunFolder(manifest.parent))
                frame = session.frame()
                lanes = [cast(LaneFacts, session.cache["facts", index][1]) for index in range(len(frame.lanes))]
                if lanes[0].counted:
                    yield Twin(case.name, lanes, frame.comparison)


def set_margin(margin: float, known: Mapping[str, Mapping[str, float]], stall_share: float) -> None:
    """Scale all thresholds."""
    for code, limits in known.items():
        for name, value in limits.items():
            scaled = 1 + (value - 1) * margin if name == "ratio" else value * margin
            scaled = value / margin if (code, name) in DOWNWARDS else scaled
            cast(dict[str, float], CAUSE[code].limits)[name] = value if (code, name) in FIXED else scaled
    findings.STALL_SHARE = stall_share * margin


def with_burst(facts: LaneFacts, phase: str, ms: float, steps: int) -> LaneFacts:
    """The lane, had a phase taken so much longer in a few steps."""
    code = PHASE_CODES.get(phase)
    share = ms * steps / 1e3 / max(facts.training_s, 0.01)
    cause = code or phase
    return replace(
        facts,
        mean_ms={**facts.mean_ms, phase: facts.mean_ms[phase] + ms * steps / facts.counted},
        lost_by={**facts.lost_by, cause: facts.lost_by.get(cause, 0.0) + share},
        lost=(*facts.lost, Lost(code, phase, share, steps)),
        stalls=facts.stalls + steps,
    )


def main() -> int:
    """Print the nearest twin of each code, and how many bursts raised an alarm."""
    known = {code: dict(cause.limits) for code, cause in CAUSE.items()}
    stall_share = findings.STALL_SHARE
    nearest: dict[str, tuple[float, str]] = {}
    runs = bursts = 0
    blamed: list[str] = []
    for twin in twins(sys.argv[1:]):
        runs += 1
        for margin in MARGINS:
            set_margin(margin, known, stall_share)
            for code in twin.alarms:
                if margin > nearest.get(code, (0.0, ""))[0]:
                    nearest[code] = margin, twin.name
        set_margin(1.0, known, stall_share)
        usual, first = twin.alarms, twin.lanes[0]
        for phase in first.mean_ms:
            for ms, steps in BURSTS:
                bursts += 1
                lanes = [with_burst(first, phase, ms, steps), *twin.lanes[1:]]
                blamed += [f"{code}: {twin.name}, {phase}" for code in twin._replace(lanes=lanes).alarms - usual]
    print(f"{runs} runs of clean twins")
    for code, (margin, name) in sorted(nearest.items(), key=lambda item: -item[1][0]):
        print(f"  {code:<24} {margin:4.0%}  {name}")
    print(f"{bursts} bursts, {len(blamed)} blamed", *blamed, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
