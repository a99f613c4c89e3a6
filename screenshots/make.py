"""Makes the pictures: opens a recorded run on the real screen, at moments moved by hand, and draws its cells.

    python screenshots/make.py              # from the recording that `fwtui demo` plays, a real run
    python screenshots/make.py runs/<run>   # from a run of your own

It needs Pillow and DejaVu Sans Mono. Writes main-*.png, lane.png, compare.png and comparison.gif beside itself.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from PIL import Image
from raster import picture

from fwtui.commands.demo import RECORDING
from fwtui.recording.run_folder import RunFolder
from fwtui.remote.frames import FrameReader
from fwtui.remote.mirror import Mirror
from fwtui.tui.app import FwtuiApp
from fwtui.tui.theme import Theme
from fwtui.view.session import Session

HERE = Path(__file__).parent
SHOTS = (
    ("main-80x24", (80, 24), ()),
    ("main-120x35", (120, 35), ()),
    ("main-200x50", (200, 50), ()),
    ("lane", (140, 62), ("enter",)),
    ("compare", (110, 38), ("c",)),
)
"""(name, columns and rows, keys pressed first)"""
GIF_SIZE, GIF_FRAMES, GIF_SCALE, GIF_MS = (100, 28), 48, 0.8, 160


def cells(app: FwtuiApp) -> list[list[object]]:
    """The screen as rows of segments."""
    return [list(strip) for strip in app.screen._compositor.render_strips()]


async def shoot(folder: RunFolder, size: tuple[int, int], keys: tuple[str, ...], at_s: float | None) -> Image.Image:
    """One picture."""
    session = Session(folder)
    at_ns = session.newest_ns if at_s is None else session.start_ns + int(at_s * 1e9)
    app = FwtuiApp(session, at_ns=at_ns, theme=Theme())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        if keys:
            await pilot.press(*keys)
        for _ in range(3):
            await pilot.pause()
        made = picture(cells(app), *size)  # type: ignore[arg-type]
    session.close()
    return made


async def film(folder: RunFolder) -> list[Image.Image]:
    """The run from its beginning to its end."""
    session = Session(folder)
    begin, end = session.start_ns, session.newest_ns
    app = FwtuiApp(session, at_ns=begin, theme=Theme())
    frames = []
    async with app.run_test(size=GIF_SIZE) as pilot:
        await pilot.pause()
        app.fit_all = True
        for number in range(GIF_FRAMES):
            app.fixed_ns = begin + (end - begin) * (number + 1) // GIF_FRAMES
            app.redraw_soon()
            for _ in range(3):
                await pilot.pause()
            frames.append(picture(cells(app), *GIF_SIZE, GIF_SCALE))  # type: ignore[arg-type]
    session.close()
    return frames


def save(image: Image.Image, path: Path) -> None:
    """Save with a palette: a terminal has few colours."""
    image.quantize(255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def save_film(frames: list[Image.Image], path: Path) -> None:
    """Save as an animation that rests at its end."""
    palette = frames[-1].quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    lengths = [GIF_MS] * (len(small) - 1) + [3000]
    small[0].save(path, save_all=True, append_images=small[1:], duration=lengths, loop=0, optimize=True)
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="a run folder (the demo's recording)")
    parser.add_argument("--at", type=float, help="seconds after the run's start (default: its end)")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--no-film", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(options.run) if options.run else unpacked(Path(place))
        for name, size, keys in SHOTS:
            save(asyncio.run(shoot(folder, size, keys, options.at)), options.out / f"{name}.png")
        if not options.no_film:
            save_film(asyncio.run(film(folder)), options.out / "comparison.gif")


def unpacked(place: Path) -> RunFolder:
    """The demo's recording as a run folder."""
    mirror = Mirror(place)
    for frame in FrameReader().feed(RECORDING.read_bytes()):
        mirror.apply(frame)
    return mirror.folder


if __name__ == "__main__":
    main()
