"""What every state looks like at the designed sizes: letters without figures and curves, and the inks of each row.

To write the files anew: `rm tests/snapshots/*` and run this twice; then look at what changed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import scenarios

from fwtui.tui.app import FwtuiApp
from fwtui.tui.cells import CellGrid
from fwtui.tui.theme import _INKS, PAPERS, Theme
from fwtui.view.session import Session

pytestmark = pytest.mark.usefixtures("quick_pilot")
SNAPSHOTS = Path(__file__).parent / "snapshots"
LOW, USUAL, WIDE, TALL, LARGE = (40, 12), (80, 24), (120, 35), (200, 50), (240, 70)
STATES = {
    # state: (scenario, seconds after its start, keys pressed, sizes)
    "empty": ("healthy", 0.03, (), (USUAL,)),
    "importing": ("importing", None, (), (LOW, USUAL, WIDE)),
    "warm-up": ("compiling", 6.0, (), (USUAL, WIDE)),
    "healthy": ("healthy", None, (), (LOW, USUAL, WIDE, TALL, LARGE)),
    "stalled": ("stalls", 5.3, (), (LOW, USUAL, WIDE, TALL)),
    "stalls over": ("stalls", None, (), (USUAL, TALL)),
    "crashed": ("failed", None, (), (USUAL, WIDE)),
    "killed": ("killed_mid_step", None, (), (USUAL, WIDE)),
    "waiting its turn": ("healthy", 9.3, (), (USUAL, WIDE)),
    "paused": ("healthy", 9.3, ("space",), (LOW, USUAL, WIDE)),
    "finished": ("finished", None, (), (USUAL, WIDE)),
    "unfair": ("unfair", None, (), (LOW, USUAL, WIDE)),
    "no difference": ("identical", None, (), (USUAL,)),
    "no steps seen": ("no_steps", None, (), (USUAL,)),
    "with a GPU": ("gpu", None, (), (USUAL, TALL)),
    "six lanes": ("six_lanes", None, (), (LOW, USUAL, WIDE, TALL)),
    "one lane maximised": ("gpu", None, ("enter",), (USUAL, TALL)),
    "compared": ("healthy", None, ("c",), (USUAL, WIDE)),
}


@pytest.mark.parametrize("state", STATES)
async def test_it_looks_as_it_did(state, tmp_path):
    name, cut_s, keys, sizes = STATES[state]
    folder = scenarios.write(name, tmp_path / "run", cut_s=cut_s)
    app = FwtuiApp(Session(folder), at_ns=folder.end_ns, theme=Theme())
    shown = []
    async with app.run_test(size=sizes[0]) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        for size in sizes:
            await pilot.resize_terminal(*size)
            shown.append(f"{size[0]}x{size[1]}\n" + "\n".join(await settled(pilot, app)) + "\n")
    path = SNAPSHOTS / f"{state.replace(' ', '-')}.txt"
    if not path.exists():
        path.write_text("\n".join(shown), encoding="utf-8")
        pytest.skip(f"wrote {path.name}")
    assert "\n".join(shown) == path.read_text(encoding="utf-8")


async def settled(pilot, app):
    """The rows, once nothing changes them any more."""
    before, same = None, 0
    while same < 3:
        await pilot.pause()
        now = rows(app)
        same = same + 1 if now == before and len(now) == app.size.height else 0
        before = now
    return now


def rows(app):
    """The screen's rows: their letters, and behind them the inks they are drawn in."""
    inks = {}
    for grid in app.screen.query(CellGrid):
        place, first = grid.region, grid.region.y
        for line in range(min(place.height, grid.canvas.height)):
            drawn = grid.canvas.codes[line] != ord(" ")
            used = {_INKS[ink] for ink in set((grid.canvas.styles[line][drawn] // PAPERS).tolist())}
            inks.setdefault(first + line, set()).update(used)
    lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
    return [f"{shape(line):<60} ‹{' '.join(sorted(inks.get(y, ())))}›" for y, line in enumerate(lines)]


def shape(line):
    """A line without figures, curves and findings, which are others' to change."""
    if "→" in line or re.search(r"\b[A-Z!≠] [a-z]+-[a-z-]+|fwtui\.mark|is imported", line):
        return "(finding)"
    letters = ("0" if letter.isdigit() else " " if "⠀" <= letter <= "⣿" else letter for letter in line)
    return re.sub(r"0[0,.]*0", "0", "".join(letters)).rstrip()
