"""One line of a list of runs: status, lanes, verdict, size and age."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fwtui import __version__
from fwtui.recording.run_folder import RunFolder, RunFolderError, write_json
from fwtui.view import liveness

VERDICT_CACHE = ".verdict.json"
"""The verdict of a run that is over, as this version of fwtui found it."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """What a list says of a run."""

    folder: RunFolder
    status: str
    """One of `recording.run_folder.RUN_STATUSES`, or `broken`."""
    live: bool
    lanes: tuple[tuple[str, str], ...]
    """(name, status)"""
    size_bytes: int
    """What it takes on disk."""
    age_s: float | None
    """Since it began."""
    problem: str | None = None
    """Why it cannot be read."""

    @property
    def id(self) -> str:
        return self.folder.id


def list_lines(runs: list[RunFolder]) -> list[RunLine]:
    """The runs as lines: live ones first, then the newest; folds nothing."""
    lines = [line_of(run) for run in runs]
    return sorted(lines, key=lambda line: not line.live)


def line_of(run: RunFolder) -> RunLine:
    """A run as a line."""
    size = sum(_sizes(os.fspath(run.path)))
    try:
        manifest = run.read_manifest()
    except RunFolderError as error:
        return RunLine(run, "broken", False, (), size, None, str(error))
    status = liveness.status_of(manifest, run)
    live = status in liveness.OPEN_STATUSES
    lanes = tuple((str(lane.get("name")), _lane_status(lane, live)) for lane in manifest["lanes"])
    return RunLine(run, status, live, lanes, size, _age_s(manifest))


def _lane_status(lane: dict[str, Any], live: bool) -> str:
    status = str(lane.get("status"))
    return status if live or status not in ("pending", "running") else "lost"


def _age_s(manifest: dict[str, Any]) -> float | None:
    began = (manifest.get("clock") or {}).get("unix_ns")
    return None if not began else max(0.0, time.time() - float(began) / 1e9)


def _sizes(path: str) -> Iterator[int]:
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.name == VERDICT_CACHE:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(entry.path)
            else:
                with suppress(OSError):
                    yield entry.stat(follow_symlinks=False).st_blocks * 512


def newest_live(runs: list[RunFolder]) -> RunFolder | None:
    """The newest run whose lanes still train."""
    for run in runs:
        with suppress(RunFolderError):
            if liveness.is_live(run.read_manifest(), run):
                return run
    return None


def verdict(line: RunLine) -> str:
    """The run's headline; kept beside a run that is over, since finding it means to read all its steps."""
    cache = line.folder.path / VERDICT_CACHE
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(cache.read_text(encoding="utf-8"))
        if known["fwtui"] == __version__ and not line.live:
            return str(known["headline"])
    if line.problem:
        return ""
    from fwtui.view.session import Session

    try:
        session = Session(line.folder)
    except RunFolderError:
        return ""
    try:
        headline = session.frame().headline
    finally:
        session.close()
    if not line.live:
        with suppress(OSError):
            write_json(cache, {"fwtui": __version__, "headline": headline})
    return headline
