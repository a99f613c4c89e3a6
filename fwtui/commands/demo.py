"""`fwtui demo`: a real comparison, recorded once and shipped with the package, on the screen within seconds."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import fwtui
from fwtui.commands import follow, replay

RECORDING = Path(fwtui.__file__).parent / "demo" / "recording.stream"
"""What `fwtui stream RUN --once` wrote."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As of a replay; by default it begins where both lanes are about to train."""
    replay.add_replay_options(parser)
    parser.set_defaults(speed=2.0, at=10.0)


def main(arguments: argparse.Namespace) -> int:
    """Unpack the recording, and replay it."""
    from fwtui.remote.frames import FrameReader
    from fwtui.remote.mirror import Mirror

    with tempfile.TemporaryDirectory(prefix="fwtui-") as place:
        mirror = Mirror(Path(place))
        for frame in FrameReader().feed(RECORDING.read_bytes()):
            mirror.apply(frame)
        code = replay.show_again(mirror.folder, arguments)
    if not follow.wants_screen(arguments.headless):
        print("that folder was the demo's own, and is gone again")
    return code
