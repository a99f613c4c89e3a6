"""`python -m fwtui.demo RUN_FOLDER`: make a run the demo's recording, without the paths of the machine it ran on."""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
from pathlib import Path

from fwtui.recording.run_folder import RunFolder
from fwtui.remote.frames import FrameWriter
from fwtui.remote.sender import Sender

RECORDING = Path(__file__).parent / "recording.stream"
TEXTS = (".json", ".jsonl", ".log", ".txt")
BINARY = ("events.log", "samples.log")


def main(path: str) -> int:
    """Pack the run."""
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place) / Path(path).name)
        shutil.copytree(path, folder.path, ignore=shutil.ignore_patterns("control.sock", ".*", "*.npz"))
        for file in folder.path.rglob("*"):
            if file.is_file() and file.suffix in TEXTS and file.name not in BINARY:
                file.write_text(without_paths(file.read_text(encoding="utf-8")), encoding="utf-8")
        out = io.BytesIO()
        sender = Sender(folder, FrameWriter(out), {}, lambda: False)
        sender.send_new()
        sender.end()
    RECORDING.write_bytes(out.getvalue())
    print(f"{RECORDING}: {len(out.getvalue()):,} bytes")
    return 0


def without_paths(text: str) -> str:
    """Absolute paths cut to the part that means the same everywhere."""
    text = re.sub(r"/[^\s\"']*/site-packages/", "site-packages/", text)
    text = re.sub(r"/[^\s\"']*/(fwtui/)", r"\1", text)
    text = re.sub(r"\"/[^\s\"']*/(python[\d.]*)\"", r'"\1"', text)
    text = re.sub(r"/[^\s\"']*/lib/(python[\d.]+/)", r"lib/\1", text)
    text = re.sub(r'"os": "(\w+)-[^"]*"', r'"os": "\1"', text)
    text = re.sub(r',\s*"host": "[0-9a-f-]{36}"', "", text)
    return re.sub(r"(?<=[\"'\s=])/(?!dev/null)[^\s\"':]+", "…", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
