"""A run's folder: where things are, the manifest, and finding runs.

    <state dir>/fwtui/runs/2026-11-23T21-03-07-mnist-mlp/
      manifest.json   samples.log   control.sock   recorder.log
      lanes/<lane>/output.log  stacks.jsonl
      lanes/<lane>/rank-0/events.log  notes.jsonl  facts.json  deep.json  host.json

Every JSON file is replaced whole, so that a reader never sees half of one; `.jsonl` files are only appended to.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any, Iterator, Optional

SCHEMA = 1
MANIFEST = "manifest.json"
SAMPLES = "samples.log"
CONTROL_SOCKET = "control.sock"
RECORDER_LOG = "recorder.log"
OUTPUT = "output.log"
STACKS = "stacks.jsonl"
STACK_DUMP = "stack.txt"
"""Where a rank writes its stack when the recorder asks for it; emptied as it is read."""
EVENTS = "events.log"
NOTES = "notes.jsonl"
FACTS = "facts.json"
EXPLAIN = "explain.json"
"""What experiments said about this run's gap: `fwtui.analysis.explanation`."""
DEEP = "deep.json"
HOST = "host.json"
"""Of a rank among several: who and where it is, and its clocks."""

RUN_STATUSES = ("starting", "running", "finished", "failed", "stopped", "interrupted", "lost")
"""A run's status; `lost` is never written: it is what a run reads as whose recorder died without a word."""

LANE_STATUSES = ("pending", "running", "finished", "failed", "killed", "stopped", "hung")
"""A lane's status in the manifest. `failed`: it ended with a non-zero code of its own; `killed`: by a signal."""


class RunFolderError(ValueError):
    """The folder is no run, or its manifest is broken; the message is one sentence for the user."""


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file whole: a reader sees the old or the new one.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(value, indent=1), encoding="utf-8")
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read_json_lines(data: bytes) -> Iterator[dict[str, Any]]:
    """The objects in whole lines of JSON; what is no object is passed over."""
    for line in data.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


class RunFolder:
    """The paths of one run. Making one touches nothing on disk."""

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self.path = Path(path)

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def manifest_path(self) -> Path:
        return self.path / MANIFEST

    @property
    def samples_path(self) -> Path:
        return self.path / SAMPLES

    @property
    def socket_path(self) -> Path:
        return self.path / CONTROL_SOCKET

    @property
    def recorder_log_path(self) -> Path:
        return self.path / RECORDER_LOG

    def lane(self, name: str) -> Path:
        """A lane's folder. Lane names are made safe by `folder_name`."""
        return self.path / "lanes" / folder_name(name)

    def output_path(self, lane: str) -> Path:
        return self.lane(lane) / OUTPUT

    def stacks_path(self, lane: str) -> Path:
        return self.lane(lane) / STACKS

    def ranks(self, lane: str) -> list[Path]:
        """The rank folders that exist in a lane, `rank-0` first."""
        try:
            found = [path for path in self.lane(lane).iterdir() if path.name.startswith("rank-")]
        except OSError:
            return []
        return sorted(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)])

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            RunFolderError: it is missing, broken, or of a later schema.
        """
        try:
            manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunFolderError(f"{self.path} is no run of fwtui: it has no {MANIFEST}") from None
        except NotADirectoryError:
            raise RunFolderError(f"{self.path} is a file; a run is a folder") from None
        except (OSError, ValueError) as error:
            raise RunFolderError(f"the manifest of {self.path} cannot be read: {error}") from None
        if not isinstance(manifest, dict) or not isinstance(manifest.get("lanes"), list):
            raise RunFolderError(f"the manifest of {self.path} is broken: it lists no lanes")
        if manifest.get("schema") != SCHEMA:
            raise RunFolderError(
                f"{self.path} was recorded with schema {manifest.get('schema')}; this fwtui reads schema {SCHEMA}"
            )
        return manifest

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest.

        Raises:
            OSError: it cannot be written.
        """
        write_json(self.manifest_path, manifest)


def folder_name(lane: str) -> str:
    """A lane's name as a folder's: other characters than letters, digits, `.`, `_`, `-`, `=`, `+` become `_`."""
    return re.sub(r"[^A-Za-z0-9._=+-]", "_", lane).lstrip(".") or "lane"


def create(runs_dir: Path, name: str) -> RunFolder:
    """Make a new run folder, 0700, named by local time and `name`.

    Raises:
        OSError: it cannot be made.
    """
    runs_dir.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S")
    for attempt in range(1, 1000):
        suffix = "" if attempt == 1 else f"-{attempt}"
        path = runs_dir / f"{stamp}-{folder_name(name)}{suffix}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return RunFolder(path)
    raise FileExistsError(f"{runs_dir} already has a thousand runs of this second")


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """The runs in a folder, newest first; other things in it are passed over."""
    try:
        found = [path for path in runs_dir.iterdir() if (path / MANIFEST).is_file()]
    except OSError:
        return []
    return [RunFolder(path) for path in sorted(found, reverse=True)]


def find_run(runs_dir: Path, wanted: Optional[str]) -> RunFolder:
    """A run by path, by id, by the beginning or a part of its id; the newest one when `wanted` is None.

    Raises:
        RunFolderError: there is none, or more than one fits.
    """
    runs = list_runs(runs_dir)
    if wanted is None:
        if not runs:
            raise RunFolderError(f"there is no run in {runs_dir} yet: start one with `fwtui run`")
        return runs[0]
    if Path(wanted).is_dir() or os.sep in wanted:
        folder = RunFolder(wanted)
        folder.read_manifest()
        return folder
    for fits in (str.__eq__, str.startswith, str.__contains__):
        found = [run for run in runs if fits(run.id, wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise RunFolderError(f"{wanted!r} fits {len(found)} runs, {found[0].id} and {found[1].id} among them")
    raise RunFolderError(f"there is no run named {wanted!r} in {runs_dir}: `fwtui runs` lists them")
