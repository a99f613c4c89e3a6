"""The part of the screen that looks: which moment of a run is shown, how much of it, and how often it is drawn."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar, Protocol, cast

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Grid
from textual.events import Resize
from textual.screen import Screen

from fwtui.tui import chart, commands, palettes, race, ranking
from fwtui.tui.cells import Canvas, CellGrid, clip
from fwtui.tui.compositor import TightScreen
from fwtui.tui.config import Config
from fwtui.tui.footer import FooterLine
from fwtui.tui.lane_pane import LanePane, chart_cells
from fwtui.tui.layout import LEAST_HEIGHT, LEAST_WIDTH, Layout, place
from fwtui.tui.pace import FPS, Pace, is_behind
from fwtui.tui.pane_rows import PaneData, rows_of
from fwtui.tui.theme import Theme, detect
from fwtui.tui.window import Window
from fwtui.view.clock import Clock
from fwtui.view.frame import Frame
from fwtui.view.session import Session
from fwtui.view.units import show
from fwtui.view.until_decided import Finisher

_FRESH_S = 0.3
"""A key that changes how the newest moment is drawn needs no newer frame than this: making one takes time."""
_BREATH_S, _PIECE_S, _READING_LOOK_S = 0.002, 0.012, 3.0
"""Between two pieces of a long recording; what is read at a time; what was read is drawn so often meanwhile."""
_LOOK_S = 0.6
"""At rest what is recorded is read this often, or when a lane falls silent or speaks; frames between move the clock."""


_OPENS_FOR_S = 0.1
"""A run is read for so long before it is drawn; its lanes and the keys are painted before that."""


_OPENS_AT_LAST_S = 0.5
"""The same where nothing is painted: the terminal is too small."""


class FollowsFrame(Protocol):
    """A screen above the main one that is drawn anew with each frame."""

    def follow(self) -> None:
        """Draw the app's frame."""


class ViewApp(App[str]):
    """The main screen over one run.

    Args:
        session: the open run.
        at_ns: show this moment and nothing later; None: the newest.
        theme: how the terminal is drawn on; by default as it says.
        clock: the moving moment of a replay.
        config: the user's configuration.
    """

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "f12"  # ctrl+p and / stand in the table of commands
    TITLE = "fwtui"
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        session: Session,
        at_ns: int | None = None,
        theme: Theme | None = None,
        clock: Clock | None = None,
        config: Config | None = None,
    ) -> None:
        self.config = config or Config()
        self.cell_theme = theme or detect()
        super().__init__()
        for binding in commands.bindings(self.config.commands):
            keys = binding.key.split(",")
            for key in keys:
                self._bindings.bind(
                    key, binding.action, binding.description, binding.show, binding.key_display, binding.priority
                )
        palettes.register(self)
        self.theme = palettes.textual_name(self.cell_theme.name)
        self.session = session
        self._finisher = Finisher(session)
        self.clock = clock
        self.fixed_ns = at_ns
        self.view_end_ns: int | None = None
        """The moment held while looking at history, or while the view is paused; None: the newest."""
        self.paused = False
        self.zoom: int | None = None
        """Index into the zoom levels; None: as wide as the run, up to a minute."""
        self.fit_all = False
        """Whether the whole run is to fit, however long it lasts."""
        self.focused_lane = 0
        self._panes: list[LanePane] = []
        self.shared = True
        self.logarithmic = False
        self.top_ms: float | None = None
        self.cell_s = 0.5
        self.pace = Pace(self.config.fps or FPS)
        self.layout_now = Layout(1, 1, (0,), 0, 1)
        self._arranged_for = (0, 0, 0, 0, False)
        self._drawn: tuple[int, tuple[int, int]] | None = None
        self._redraw = True
        self._reads_on = False
        self._opens = False
        """Whether the lanes are drawn of a run that is not opened yet."""
        self._framed_s = float("-inf")
        """When the newest moment of a run that goes on was last made a frame."""
        self._made_s = float("-inf")
        """When the last frame was made."""
        self.frame: Frame = session.frame(self._newest_ns())
        if not session.opened:
            lanes = (replace(lane, state="starting", stage="opening", stage_s=None) for lane in self.frame.lanes)
            self.frame = replace(self.frame, lanes=tuple(lanes))

    def get_default_screen(self) -> Screen[None]:
        return TightScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield CellGrid(self.cell_theme, id="ranking")
        yield CellGrid(self.cell_theme, id="race")
        self._panes = [LanePane(self.cell_theme, lane.index) for lane in self.frame.lanes]
        yield Grid(*self._panes, id="lanes")
        yield CellGrid(self.cell_theme, id="notice")
        yield FooterLine(self.cell_theme, id="keys")

    def on_mount(self) -> None:
        self.pace.watch(self._driver)
        self._arrange()
        self.redraw_soon()
        self.set_timer(_OPENS_AT_LAST_S, self._open)
        for problem in self.config.problems:
            self.notify(problem, severity="warning", markup=False)
        if self.fixed_ns is None:
            self._slow = self.set_interval(1 / self.pace.fps, self.tick)
            self._fast = self.set_interval(self.pace.fast_interval_s, self._fast_tick, pause=True)

    def on_resize(self, event: Resize) -> None:
        self._arrange()
        self.redraw_soon()

    @property
    def main(self) -> Screen[object]:
        """The screen with the lanes, whatever lies on it."""
        return self.screen_stack[0]

    # -- frames

    def redraw_soon(self) -> None:
        """Draw once the layout is settled, even if no time has passed."""
        self._redraw = True
        self.call_after_refresh(self.tick)

    def tick(self) -> None:
        """Read what is new and, unless the terminal is behind, draw the moment."""
        if self._rests() and not is_behind(self._driver):
            self._draw_clock()
            return
        if not self.session.opened:
            self._draw_frame()
            self._opens = True
            if len(self.screen_stack) > 1:  # a key came first: the lanes are not seen anyhow
                self._open()
            return
        reading = self.session.reading is not None
        if reading and not self._redraw and time.monotonic() - self._made_s < _READING_LOOK_S:
            self._draw_notice()
            return
        changed = reading or self.session.poll()
        self._finisher.look()
        at_ns = self._moment_ns()
        shown = (at_ns, (self.size.width, self.size.height))
        if not changed and not self._redraw and self._drawn == shown:
            return
        if is_behind(self._driver):
            self.pace.skipped += 1
            return
        if len(self.session.logs) > len(self._panes):
            self._add_panes()
        self._drawn = shown
        self.frame = self.session.frame(at_ns)
        self._made_s = time.monotonic()
        self._framed_s = self._made_s if self._follows_newest() else float("-inf")
        self._draw_frame()
        self.pace.drew()
        self._hurry()
        if self.session.reading is not None:
            self.call_later(self._read_on)

    def post_display_hook(self) -> None:
        """Once lanes and keys are painted, the run is opened."""
        if self._opens:
            self._opens = False
            self.call_later(self._open)

    def _open(self) -> None:
        """Read what is recorded."""
        if self.session.opened:
            return
        self.session.open(_OPENS_FOR_S)
        self._redraw = True
        self.tick()

    def _rests(self) -> bool:
        """Whether nothing is asked for but the clock: nothing moves fast, and the figures are fresh."""
        if self._redraw or self.pace.fps > FPS or time.monotonic() - self._framed_s >= _LOOK_S:
            return False
        if self.session.reading is not None or not (self.session.live and self._follows_newest()):
            return False
        lanes = zip(self.frame.lanes, self.session.logs, strict=False)
        alike = all((lane.state == "training") == (log.words_waiting > 0) for lane, log in lanes)
        return alike and not self.pace.hurries(self._stall_grows())

    def _draw_clock(self) -> None:
        """Move the clock of the figures at hand."""
        now_ns = self._moment_ns()
        self.frame = replace(self.frame, time_ns=now_ns, elapsed_s=(now_ns - self.frame.start_ns) / 1e9)
        self._draw_top()
        self.pace.drew()

    def _draw_frame(self) -> None:
        """Draw the frame on all screens."""
        self._redraw = False
        self._draw(self.frame.time_ns)
        for screen in self.screen_stack[1:]:
            if hasattr(screen, "follow"):
                cast(FollowsFrame, screen).follow()

    def _read_on(self) -> None:
        """Go on reading a long recording between the frames; keys have their turn after each piece."""
        if self.session.reading is not None and not self._reads_on:
            self._reads_on = True
            self.set_timer(_BREATH_S, self._read_a_piece)

    def _read_a_piece(self) -> None:
        self._reads_on = False
        self.session.poll(_PIECE_S)
        if self.session.reading is None:
            self._redraw_now()
        else:
            self._read_on()

    def _fast_tick(self) -> None:
        self.tick()
        if not self.pace.hurries(self._stall_grows()):
            self._fast.pause()

    def _hurry(self) -> None:
        """Draw more often while something moves fast; not while a long recording is read, whose frames take long."""
        if self.fixed_ns is not None or not hasattr(self, "_fast") or self.session.reading is not None:
            return
        if self.pace.hurries(self._stall_grows()):
            self._fast.resume()

    def _stall_grows(self) -> bool:
        return self.view_end_ns is None and any(lane.current_stall for lane in self.frame.lanes)

    def _newest_ns(self) -> int:
        """The newest moment that may be shown."""
        if self.clock is not None:
            return self.clock.now_ns()
        return self.session.newest_ns if self.fixed_ns is None else self.fixed_ns

    def _moment_ns(self) -> int:
        return self._newest_ns() if self.view_end_ns is None else self.view_end_ns

    @property
    def moment_ns(self) -> int:
        """The moment shown."""
        return self._moment_ns()

    # -- places

    def _arrange(self) -> None:
        """Put the panes where the layout says."""
        self._arranged_for = self._place_asked()
        self.layout_now = place(*self._arranged_for)
        self.main.query_one("#race").styles.height = self.layout_now.race
        self.main.query_one("#notice").styles.height = self.layout_now.notice
        grid = self.main.query_one("#lanes", Grid)
        grid.styles.grid_size_columns = self.layout_now.columns
        grid.styles.grid_size_rows = self.layout_now.rows
        for pane in self._panes:
            pane.display = pane.index in self.layout_now.lanes

    def _place_asked(self) -> tuple[int, int, int, int, bool]:
        """What the layout is made of: width, height, lanes, the focused one, whether there is a notice."""
        return (*self.size, len(self.frame.lanes), self.focused_lane, bool(self._notice()))

    def _add_panes(self) -> None:
        """Lanes that were started while the screen is open get their panes."""
        grid = self.main.query_one("#lanes", Grid)
        added = [LanePane(self.cell_theme, index) for index in range(len(self._panes), len(self.session.logs))]
        self._panes += added
        grid.mount(*added)
        self.call_after_refresh(self._arrange)
        self.redraw_soon()

    # -- drawing

    def _draw(self, at_ns: int) -> None:
        main = self.main
        if self._place_asked() != self._arranged_for:  # a resize is told before the size is known
            self._arrange()
            self.redraw_soon()
        self._draw_top()
        if self._too_small:
            return
        if self.layout_now.race:
            bars = main.query_one("#race", CellGrid)
            rows = Canvas(bars.size.height, bars.size.width)
            race.draw(rows, self.frame, self.focused_lane)
            bars.show(rows)
        self._draw_notice()
        main.query_one(FooterLine).draw(self.config.commands, self.cost_words())
        self._draw_lanes(at_ns)

    @property
    def _too_small(self) -> bool:
        return self.size.width < LEAST_WIDTH or self.size.height < LEAST_HEIGHT

    def _draw_top(self) -> None:
        """The top line: the verdict, or all that is said where there are no bars, and the moment."""
        line = self.main.query_one("#ranking", CellGrid)
        canvas = Canvas(1, line.size.width)
        if self._too_small:
            canvas.put(0, 0, "too small", "warn")
        elif not self.session.opened:
            canvas.put(0, 1, clip(f"fwtui · {self.frame.name}", canvas.width - 2), "dim")
        else:
            (ranking.draw_verdict if self.layout_now.race else ranking.draw)(canvas, self.frame, *self._moment())
        line.show(canvas)

    def _draw_notice(self) -> None:
        notice = self.main.query_one("#notice", CellGrid)
        words = Canvas(1, notice.size.width)
        words.put(0, 1, clip(self._notice(), words.width - 2), "notice")
        notice.show(words)

    def _moment(self) -> tuple[str, bool]:
        """The moment in words, and whether it must be read: it is not the newest."""
        elapsed = show(self.frame.elapsed_s, "s")
        if self.clock is not None:
            speed = f"replay {self.clock.speed:g}x" if self.clock.playing else "paused"
            return f"{speed} at {elapsed}", True
        if self.paused:
            return f"paused at {elapsed}", True
        if self.view_end_ns is not None:
            return f"at {elapsed}", True
        return (elapsed if self.frame.live else f"{self.frame.status} · {elapsed}"), False

    def _notice(self) -> str:
        """The line above the keys: what must be known now; empty: there is no such line."""
        if self.frame.notice:
            return self.frame.notice
        if self.session.reading is not None:
            return self.session.reading.words
        if self.frame.schedule == "together" and self.frame.live:
            return "the lanes share the machine: they slow each other"
        return ""

    def cost_words(self) -> str:
        """What the screen itself takes of the machine."""
        cost = self.pace.cost_now_and_then() if self.fixed_ns is None else None
        if cost is None:
            return ""
        cpu, sent, fps = cost
        return f"screen {cpu * 100:.0f} % cpu · {sent / 1000:.1f} kB/s · {fps:.0f} fps"

    def _draw_lanes(self, at_ns: int) -> None:
        panes = [pane for pane in self._panes if pane.display and pane.size.width]
        if not panes:
            return
        cells = chart_cells(min(pane.size.width for pane in panes))
        self.cell_s = self.cell_s_for(cells)
        medians = [lane.step_ms.median for lane in self.frame.lanes if lane.step_ms is not None]
        self.top_ms = chart.top_of(medians, self.top_ms)
        rows = frozenset().union(*(rows_of(self.frame.lanes[pane.index], pane.size.width) for pane in panes))
        moving = self._moves()
        for pane in panes:
            lane = self.frame.lanes[pane.index]
            window = Window(self.session, pane.index, at_ns, cells, self.cell_s)
            draw = pane.update if self.session.opened else pane.show_title
            draw(
                PaneData(
                    lane=lane,
                    window=window,
                    scale=self.scale_of(lane.step_ms.median if lane.step_ms else None),
                    focused=pane.index == self.focused_lane and len(self.frame.lanes) > 1,
                    rows=rows,
                    page=self._page(pane.index),
                    moving=moving,
                    divided=self.layout_now.lanes.index(pane.index) % self.layout_now.columns > 0,
                    raced=bool(self.layout_now.race),
                    fair=self.frame.comparison is None or self.frame.comparison.fair,
                )
            )

    def _follows_newest(self) -> bool:
        """Whether the newest moment is shown of a run that goes on, or of a recording that is still read."""
        goes_on = self.frame.live or self.session.reading is not None
        return goes_on and self.clock is None and self.fixed_ns is None and self.view_end_ns is None

    def _moves(self) -> bool:
        """Whether the moment shown goes on by itself."""
        if self.clock is not None:
            return self.clock.playing and not self.clock.ended
        goes_on = self.frame.live or self.session.reading is not None
        return goes_on and self.fixed_ns is None and self.view_end_ns is None

    def _page(self, index: int) -> str:
        if self.layout_now.pages < 2 or index != self.layout_now.lanes[-1]:
            return ""
        return f"{self.layout_now.page + 1}/{self.layout_now.pages} tab"

    def cell_s_for(self, cells: int) -> float:
        """Seconds a cell: as zoomed, else so that the run fits; a live run scrolls once it is longer than a minute."""
        if self.zoom is not None and not self.fit_all:
            return chart.STEPS_S[self.zoom]
        moving = self.frame.live or self.clock is not None
        if not moving:
            return chart.fitting(self.frame.elapsed_s, cells)
        elapsed = self.frame.elapsed_s if self.fit_all else min(self.frame.elapsed_s, 60.0)
        return next((step for step in chart.STEPS_S[1:] if step * cells >= elapsed), chart.STEPS_S[-1])

    def scale_of(self, own_median_ms: float | None) -> chart.Scale | None:
        """The y axis of a lane."""
        top = self.top_ms
        if not self.shared and own_median_ms is not None:
            top = chart.top_of([own_median_ms], None)
        if top is None:
            return None
        return chart.Scale(top * 3, top / 300) if self.logarithmic else chart.Scale(top)

    def _redraw_now(self) -> None:
        """Show at once what a key has changed; a frame of this very moment will do."""
        self._redraw = True
        within_s = _FRESH_S if self.session.reading is None else _READING_LOOK_S
        fresh = self._follows_newest() and time.monotonic() - self._framed_s < within_s
        if fresh and not is_behind(self._driver):
            self._draw_frame()
        else:
            self.tick()

    def _begin_update(self) -> None:
        if self.config.sync:
            super()._begin_update()

    def _end_update(self) -> None:
        if self.config.sync:
            super()._end_update()
