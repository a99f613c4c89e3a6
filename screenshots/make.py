"""Makes the screenshots: opens a recorded run on the real screen and saves it as SVG, and as PNG where Chromium is.

    fwtui run --headless --run-dir runs          # a real run first
    python screenshots/make.py runs/<run> [--at SECONDS]

The PNG is drawn by headless Chromium with DejaVu Sans Mono, which has braille in cell width.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from fwtui.recording.run_folder import RunFolder
from fwtui.tui.app import FwtuiApp
from fwtui.tui.theme import Theme
from fwtui.view.session import Session

HERE = Path(__file__).parent
SIZES = ((80, 24), (120, 35), (200, 50))
CHROMIUM = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--force-device-scale-factor=1.5",
)


async def shoot(folder: RunFolder, size: tuple[int, int], at_s: float | None, keys: list[str]) -> str:
    """The screen as SVG."""
    session = Session(folder)
    at_ns = session.newest_ns if at_s is None else session.start_ns + int(at_s * 1e9)
    app = FwtuiApp(session, at_ns=at_ns, theme=Theme())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        if keys:
            await pilot.press(*keys)
        await pilot.pause()
        svg = app.export_screenshot(title="fwtui")
    session.close()
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S).replace("Fira Code", "DejaVu Sans Mono")


def to_png(svg: str, path: Path) -> bool:
    """Draw an SVG with Chromium; whether there is one."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        return False
    width, height = (round(float(text)) for text in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(f"<body style='margin:0;background:#121212'>{svg}</body>", encoding="utf-8")
        window = [f"--user-data-dir={folder}/profile", f"--window-size={width},{height}", f"--screenshot={path}"]
        subprocess.run([browser, *CHROMIUM, *window, page.as_uri()], check=True, capture_output=True, timeout=120)
    return True


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--at", type=float, help="seconds after the run's start (default: its end)")
    parser.add_argument("--name", default="main")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--sizes", default=",".join(f"{w}x{h}" for w, h in SIZES[:2]))
    parser.add_argument("--keys", default="", help="keys to press first, comma-separated")
    options = parser.parse_args()
    for text in options.sizes.split(","):
        size = tuple(int(part) for part in text.split("x"))
        keys = [key for key in options.keys.split(",") if key]
        svg = asyncio.run(shoot(RunFolder(options.run), size, options.at, keys))  # type: ignore[arg-type]
        path = options.out / f"{options.name}-{text}.svg"
        path.write_text(svg, encoding="utf-8")
        print(path, "and its PNG" if to_png(svg, path.with_suffix(".png")) else "(no Chromium: no PNG)")


if __name__ == "__main__":
    main()
