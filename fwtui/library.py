"""Runs in notebooks and scripts: `fwtui.open(RUN)` reads one, `fwtui.run(...)` makes one.

import fwtui

run = fwtui.open("mnist")            # a folder, a name or a part of one; the newest by default
run.headline                         # 'keras takes 1.99x as long as torch [1.95, 2.03]'
run["torch"].steps.step_ms.mean()    # numpy arrays
run["torch"].steps.to_pandas()       # with pandas installed
run.comparison, run.findings, run.report()

run = fwtui.run("train_torch.py", "train_keras.py", seconds=30)
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs

from fwtui.analysis.results import Comparison, Finding, PhaseTime, StepTimes
from fwtui.recording.run_folder import RunFolder, RunFolderError, find_run
from fwtui.recording.vocabulary import PHASE_INDEX, PHASE_NAMES
from fwtui.view.frame import Frame, LaneFrame, Stall
from fwtui.view.session import Session
from fwtui.view.step_stream import pieces

if TYPE_CHECKING:
    import pandas

_FOLDER = "run folder  "


class RunError(RuntimeError):
    """A run could not be made or read; the message is one sentence."""


@dataclass(frozen=True)
class StepTable:
    """All whole steps of a lane, a row a step; every array has the same length."""

    start_s: np.ndarray
    """Seconds since the run began; float64."""
    end_s: np.ndarray
    step_ms: np.ndarray
    """The step's own time, the sum of its phases: waits for a turn and evaluation are left out."""
    wait_ms: np.ndarray
    """Held at the turn gate between start and end."""
    evaluation_ms: np.ndarray
    updates: np.ndarray
    """Optimizer updates in the step; int64."""
    counted: np.ndarray
    """Whether it is in the statistics: past warm-up, not compiling, not just after a turn began; bool."""
    stalled: np.ndarray
    """Whether it took far longer than its neighbours; bool."""
    phases: np.ndarray
    """(steps, phases) milliseconds, in the order of `fwtui.PHASES`; NaN where the lane's hooks do not see a phase."""

    def __len__(self) -> int:
        return len(self.end_s)

    def phase(self, name: str) -> np.ndarray:
        """Milliseconds of one phase, e.g. `steps.phase("data")`."""
        column: np.ndarray = self.phases[:, PHASE_INDEX[name]]
        return column

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a DataFrame, phases as columns `data_ms`, ...

        Raises:
            RunError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise RunError("pandas is not installed: `pip install pandas`, or use the numpy arrays") from None
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "phases"}
        return pandas.DataFrame(plain | {f"{name}_ms": self.phase(name) for name in PHASE_NAMES})


class Lane:
    """One lane of a run."""

    def __init__(self, session: Session, frame: LaneFrame) -> None:
        self._session, self.frame = session, frame
        """`frame` holds all that the screen and the reports show of the lane."""

    def __repr__(self) -> str:
        return f"<fwtui lane {self.name!r}: {self.frame.title}, {self.state}, {self.frame.steps:,} steps>"

    @property
    def name(self) -> str:
        return self.frame.name

    @property
    def state(self) -> str:
        """`finished`, `training`, `failed`, ..."""
        return self.frame.state

    @property
    def step_ms(self) -> StepTimes | None:
        """Median, percentiles and spread over the counted steps; None before there are any."""
        return self.frame.step_ms

    @property
    def phases(self) -> Mapping[str, PhaseTime | None]:
        """The mean counted step by phase; None: not measured in this lane."""
        return self.frame.phases

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.frame.findings

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the guest learnt: versions, parameters, optimizer, dtype, threads, ..."""
        return self.frame.facts

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The stalls that are over, oldest first."""
        return self._session.stalls(self.frame.index)

    @property
    def steps(self) -> StepTable:
        """Every step, read from the event log at each call: about 150 bytes a step."""
        session, index = self._session, self.frame.index
        parts = [piece.steps for piece in pieces(session.logs[index].events_path)]

        def column(name: str) -> np.ndarray:
            arrays = [getattr(part if hasattr(part, name) else part.steps, name) for part in parts]
            return np.concatenate(arrays) if arrays else np.empty((0, len(PHASE_NAMES)) if name == "phases" else 0)

        phases = column("phases") / 1e6
        unseen = [PHASE_INDEX[name] for name, phase in self.phases.items() if phase is None]
        unseen = [index for index in unseen if not phases[:, index].any()]
        phases[:, unseen] = np.nan
        return StepTable(
            start_s=(column("start_ns") - session.start_ns) / 1e9,
            end_s=(column("end_ns") - session.start_ns) / 1e9,
            step_ms=column("step_ns") / 1e6,
            wait_ms=column("wait_ns") / 1e6,
            evaluation_ms=column("evaluation_ns") / 1e6,
            updates=column("updates").astype(np.int64),
            counted=column("counted").astype(bool),
            stalled=column("stalled").astype(bool),
            phases=phases,
        )


class Run(Mapping[str, Lane]):
    """A recorded run, or one that goes on: a mapping of its lanes by name. Close it, or use it in a `with`."""

    def __init__(self, folder: RunFolder) -> None:
        self._session = Session(folder)
        self.frame: Frame = self._session.frame()
        """All that the screen and the reports show, at the moment of the last `refresh`."""

    def __repr__(self) -> str:
        return f"<fwtui run {self.id}: {self.status}, {', '.join(self)}; {self.headline or 'no verdict'}>"

    def __getitem__(self, name: str) -> Lane:
        for lane in self.frame.lanes:
            if lane.name == name:
                return Lane(self._session, lane)
        raise KeyError(f"there is no lane {name!r}: the run has {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        return (lane.name for lane in self.frame.lanes)

    def __len__(self) -> int:
        return len(self.frame.lanes)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """In the order they were named."""
        return tuple(self.values())

    @property
    def id(self) -> str:
        return self.frame.run_id

    @property
    def path(self) -> Path:
        return self._session.folder.path

    @property
    def status(self) -> str:
        """`running`, `finished`, `failed`, `stopped`, `interrupted` or `lost`."""
        return self.frame.status

    @property
    def headline(self) -> str:
        """The verdict in words; empty when there is none."""
        return self.frame.headline

    @property
    def comparison(self) -> Comparison | None:
        """Fairness, ratios with their intervals, and what the gap is made of; None for a single lane."""
        return self.frame.comparison

    @property
    def findings(self) -> dict[str, tuple[Finding, ...]]:
        """By lane name."""
        return {lane.name: lane.findings for lane in self.frame.lanes}

    def report(self) -> dict[str, Any]:
        """What `fwtui report --format json` writes."""
        from fwtui.reports.json_report import report

        return report(self.frame)

    def html(self) -> str:
        """What `fwtui report --format html` writes."""
        from fwtui.reports import html

        return html.report(self._session)

    def __str__(self) -> str:
        from fwtui.reports.text import summary

        return summary(self.frame)

    def refresh(self) -> Run:
        """Read what was recorded since; of use while the run goes on."""
        self._session.poll()
        self.frame = self._session.frame()
        return self

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_run(run: str | os.PathLike[str] | None = None, run_dir: str | os.PathLike[str] | None = None) -> Run:
    """Open a run for reading; this is `fwtui.open`.

    Args:
        run: its folder, its name or a part of that; the newest one by default.
        run_dir: the folder that holds the runs; $FWTUI_RUN_DIR or the user's state folder by default.

    Raises:
        RunError: there is none, or more than one fits.
    """
    chosen = run_dir or os.environ.get("FWTUI_RUN_DIR")
    directory = Path(chosen).expanduser() if chosen else Path(platformdirs.user_state_dir("fwtui")) / "runs"
    try:
        return Run(find_run(directory, None if run is None else os.fspath(run)))
    except RunFolderError as error:
        raise RunError(str(error)) from None


def run(
    *targets: str | Sequence[str],
    workload: str | None = None,
    lanes: Sequence[str] | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    batch_size: int | None = None,
    schedule: str = "turns",
    seed: int = 0,
    device: str | None = None,
    python: Mapping[str, str] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    quiet: bool = False,
) -> Run:
    """Train lanes side by side, wait for the end, and open the run.

    Args:
        targets: scripts or commands, as on the command line: `"train.py --bs 64"`, `"name=train.py"`, or words.
        workload: what built-in lanes train.
        lanes: built-in lanes: `["torch", "keras:jit"]`.
        steps, epochs, seconds: when to end.
        batch_size, schedule, seed, device: as `fwtui run --help` says.
        python: a lane's interpreter by lane name.
        run_dir: the folder that holds the runs.
        quiet: show no progress on stderr.

    Returns:
        The run, also when a lane failed: see its lanes' states.

    Raises:
        RunError: nothing was run, and why.
    """
    import shlex

    argv = [target if isinstance(target, str) else shlex.join(target) for target in targets]
    named = {
        "--workload": workload,
        "--lanes": ",".join(lanes) if lanes else None,
        "--steps": steps,
        "--epochs": epochs,
        "--seconds": seconds,
        "--batch-size": batch_size,
        "--schedule": schedule,
        "--seed": seed,
        "--device": device,
        "--run-dir": None if run_dir is None else os.fspath(run_dir),
    }
    options = [text for name, value in named.items() if value is not None for text in (name, str(value))]
    for lane, interpreter in (python or {}).items():
        options += ["--python", f"{lane}={interpreter}"]
    command = [sys.executable, "-m", "fwtui", "run", "--headless", *options, *argv]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        path = _follow(process, quiet)
    except BaseException:  # Ctrl-C in a notebook ends the run, as in a terminal
        process.terminate()
        process.wait()
        raise
    _, errors = process.communicate()
    if path is None:
        raise RunError(errors.strip().removeprefix("fwtui: ") or f"fwtui ended with code {process.returncode}")
    return Run(RunFolder(path))


def _follow(process: subprocess.Popen[str], quiet: bool) -> str | None:
    """Pass the progress on; the run's folder, which the summary names last."""
    path = None
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_FOLDER):
            path = line.removeprefix(_FOLDER).strip()
        elif not quiet and " | " in line:
            print(line.rstrip(), file=sys.stderr)
    return path
