"""The live screen: opens a run folder, pulls frames at its own rate, and draws them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Grid
from textual.events import Click, Resize
from textual.screen import Screen
from textual.widgets import Footer, Static

from fwtui.recording.control import ControlError, send
from fwtui.recording.run_folder import RunFolder
from fwtui.tui import chart, commands, ranking
from fwtui.tui.cells import Canvas, CellGrid
from fwtui.tui.lane_pane import LanePane, PaneData, chart_cells, rows_of
from fwtui.tui.panels import FindingsPanel, HelpPanel, LeavePanel, OutputPanel
from fwtui.tui.theme import Theme, detect
from fwtui.view.frame import Columns, Frame
from fwtui.view.session import Session
from fwtui.view.units import show

LEAST_WIDTH, LEAST_HEIGHT = 20, 6
LANE_WIDTH = 36
_OUTPUT_BYTES = 200_000


class FwtuiApp(App[str]):
    """The main screen over one run."""

    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings()]
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "f12"  # ctrl+p and / stand in the table of commands
    TITLE = "fwtui"
    RATE_S: ClassVar[float] = 0.25
    FAST_RATE_S: ClassVar[float] = 0.1

    def __init__(self, session: Session, at_ns: int | None = None, theme: Theme | None = None) -> None:
        super().__init__()
        self.session = session
        self.cell_theme = theme or detect()
        self.fixed_ns = at_ns
        """The moment shown; None: the newest."""
        self.paused = False
        self.view_end_ns: int | None = None
        """The chart's right edge while looking at history."""
        self.zoom: int | None = None
        """Index into the zoom levels; None: as wide as the run, up to a minute or two."""
        self.focused_lane = 0
        self.maximised = False
        self.shared = True
        self.logarithmic = False
        self.on_quit = "ask"
        """What `q` does to lanes that train: `ask`, `stop` or `detach`."""
        self.top_ms: float | None = None
        self.cell_s = 0.5
        self.frame: Frame = session.frame(at_ns)

    def compose(self) -> ComposeResult:
        yield CellGrid(self.cell_theme, id="ranking")
        with Grid(id="lanes"):
            for lane in self.frame.lanes:
                yield LanePane(self.cell_theme, lane.index)
        yield Static("", id="notice", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._arrange()
        self.call_after_refresh(self.tick)
        if self.fixed_ns is None:
            self.set_interval(self.RATE_S, self.tick)

    def on_resize(self, event: Resize) -> None:
        self._arrange()
        self.call_after_refresh(self.tick)

    def _arrange(self) -> None:
        """Put the panes into columns that are wide enough; a low and narrow screen shows the focused lane only."""
        width, height = self.size
        count = len(self.frame.lanes)
        alone = self.maximised or width < LANE_WIDTH * 2 or height < 14
        columns = 1 if alone else max(1, min(count, width // LANE_WIDTH))
        rows = -(-count // columns)
        while not alone and rows > 1 and (height - 3) // rows < 8 and columns < count:
            columns += 1
            rows = -(-count // columns)
        grid = self.query_one("#lanes", Grid)
        grid.styles.grid_size_columns = columns
        grid.styles.grid_size_rows = 1 if alone else rows
        for pane in self.query(LanePane):
            pane.display = not alone or pane.index == self.focused_lane

    def tick(self) -> None:
        """Read what is new and draw the moment."""
        self.session.poll()
        if len(self.session.logs) > len(self.query(LanePane)):
            self._add_panes()
        at_ns = self._moment_ns()
        self.frame = self.session.frame(at_ns)
        self._draw(at_ns)

    def _add_panes(self) -> None:
        grid = self.query_one("#lanes", Grid)
        for index in range(len(self.query(LanePane)), len(self.session.logs)):
            grid.mount(LanePane(self.cell_theme, index))
        self._arrange()

    def _moment_ns(self) -> int:
        return self._newest_ns() if self.view_end_ns is None else self.view_end_ns

    def _newest_ns(self) -> int:
        """The newest moment that may be shown."""
        return self.session.newest_ns if self.fixed_ns is None else self.fixed_ns

    def _draw(self, at_ns: int) -> None:
        line = self.query_one("#ranking", CellGrid)
        width, height = self.size
        canvas = Canvas(1, line.size.width)
        if width < LEAST_WIDTH or height < LEAST_HEIGHT:
            canvas.put(0, 0, "too small", "warn")
            line.show(canvas)
            return
        ranking.draw(canvas, self.frame, self._moment())
        line.show(canvas)
        notice = self.query_one("#notice", Static)
        text = self._notice()
        if str(notice.content) != text:
            notice.update(text)
            notice.display = bool(text)
        self._draw_lanes(at_ns)

    def _moment(self) -> str:
        elapsed = show(self.frame.elapsed_s, "s")
        if self.paused:
            return f"paused at {elapsed}"
        if self.view_end_ns is not None:
            return f"at {elapsed}"
        return elapsed if self.frame.live else f"{self.frame.status} · {elapsed}"

    def _notice(self) -> str:
        """A line at the bottom: what must be known now, or the verdict of a run that is over."""
        if self.frame.notice:
            return self.frame.notice
        if not self.frame.live and self.frame.headline:
            return self.frame.headline
        return "" if self.frame.schedule != "together" else "the lanes share the machine: they slow each other"

    def _draw_lanes(self, at_ns: int) -> None:
        panes = [pane for pane in self.query(LanePane) if pane.display and pane.size.width]
        if not panes:
            return
        self.cell_s = self._cell_s(chart_cells(panes[0].size.width))
        medians = [lane.step_ms.median for lane in self.frame.lanes if lane.step_ms is not None]
        self.top_ms = chart.top_of(medians, self.top_ms)
        rows = frozenset().union(*(rows_of(lane) for lane in self.frame.lanes))
        for pane in panes:
            pane.update(self._pane_data(pane, at_ns, self.cell_s, rows))

    def _cell_s(self, cells: int) -> float:
        """Seconds a cell: as zoomed, else so that the run fits; a live run scrolls once it is longer than a minute."""
        if self.zoom is not None:
            return chart.STEPS_S[self.zoom]
        elapsed = min(self.frame.elapsed_s, 60.0) if self.frame.live else self.frame.elapsed_s
        return next((step for step in chart.STEPS_S[1:] if step * cells >= elapsed), chart.STEPS_S[-1])

    def _pane_data(self, pane: LanePane, at_ns: int, cell_s: float, rows: frozenset[str]) -> PaneData:
        lane, cells = self.frame.lanes[pane.index], chart_cells(pane.size.width)
        slot_ns = cell_s * 1e9 / 2
        newest = int((at_ns - self.session.start_ns) // (slot_ns * 2))
        first = max(0, newest - cells + 1)
        session, index = self.session, pane.index
        shown = session.columns(index, slot_ns, first * 2, cells * 2, at_ns)
        _hide_future(shown, (newest - first) * 2 + 2)
        cell_ns = cell_s * 1e9
        return PaneData(
            lane=lane,
            columns=shown,
            loss=session.loss(index, slot_ns, first * 2, cells * 2),
            cpu=session.series(index, "cpu_cores", cell_ns, first, cells),
            memory=session.series(index, "rss_bytes", cell_ns, first, cells),
            gpu=session.series(index, "gpu_util", cell_ns, first, cells),
            first_cell=first,
            cell_s=cell_s,
            scale=self._scale(lane.step_ms.median if lane.step_ms else None),
            focused=index == self.focused_lane and len(self.frame.lanes) > 1,
            rows=rows,
        )

    def _scale(self, own_median_ms: float | None) -> chart.Scale | None:
        top = self.top_ms
        if not self.shared and own_median_ms is not None:
            top = chart.top_of([own_median_ms], None)
        if top is None:
            return None
        return chart.Scale(top * 3, top / 300) if self.logarithmic else chart.Scale(top)

    def on_click(self, event: Click) -> None:
        if isinstance(event.widget, LanePane):
            self.action_focus_lane(event.widget.index)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for command in commands.COMMANDS:
            if command.palette:
                yield SystemCommand(f"{command.name} ({command.shown})", command.help, self._runner(command.action))

    def _runner(self, action: str):  # type: ignore[no-untyped-def]
        async def run() -> None:
            await self.run_action(action)

        return run

    # -- commands, in the order of their table

    def action_leave(self) -> None:
        if not self.frame.live:
            self.exit("left")
        elif self.on_quit == "ask":
            self.push_screen(LeavePanel(), self._leave)
        else:
            self._leave("stopped" if self.on_quit == "stop" else "detached")

    def _leave(self, answer: str | None, reason: str = "stopped by the user") -> None:
        if answer == "stopped":
            self._control("stop", reason=reason)
        if answer:
            self.exit(answer)

    def action_interrupt(self) -> None:
        self._leave("stopped" if self.frame.live else "left", "interrupted")

    def action_help(self) -> None:
        self.push_screen(HelpPanel())

    def action_pause(self) -> None:
        """Hold the view, never the training."""
        self.paused = not self.paused
        self.view_end_ns = self._moment_ns() if self.paused else None
        self.tick()

    def action_next_lane(self) -> None:
        self.action_focus_lane((self.focused_lane + 1) % len(self.frame.lanes))

    def action_previous_lane(self) -> None:
        self.action_focus_lane((self.focused_lane - 1) % len(self.frame.lanes))

    def action_focus_lane(self, index: int) -> None:
        if index < len(self.frame.lanes):
            self.focused_lane = index
            self._arrange()
            self.call_after_refresh(self.tick)

    def action_maximise(self) -> None:
        self.maximised = not self.maximised
        self._arrange()
        self.call_after_refresh(self.tick)

    def action_history(self, direction: int) -> None:
        window_ns = self.cell_s * 1e9 * max(4, chart_cells(self.size.width) // 2)
        newest = self._newest_ns()
        moment = self._moment_ns() + int(direction * window_ns / 4)
        if moment >= newest:
            self.action_live()
            return
        self.view_end_ns = max(self.session.start_ns, moment)
        self.tick()

    def action_oldest(self) -> None:
        self.view_end_ns = self.session.start_ns + int(self.cell_s * 1e9 * 10)
        self.tick()

    def action_live(self) -> None:
        self.paused, self.view_end_ns = False, None
        self.tick()

    def action_zoom(self, direction: int) -> None:
        now = chart.STEPS_S.index(self.cell_s)
        self.zoom = min(len(chart.STEPS_S) - 1, max(0, now + direction))
        self.tick()

    def action_findings(self) -> None:
        self.push_screen(FindingsPanel(self.frame))

    def action_output(self) -> None:
        lane = self.frame.lanes[self.focused_lane]
        self.push_screen(OutputPanel(lane.name, _tail(self.session.folder.output_path(lane.name))))

    def action_shot(self) -> None:
        try:
            path = self.save_screenshot(path=str(self.session.folder.path))
        except OSError as error:
            self.notify(f"the screenshot cannot be written: {error}", severity="error", markup=False)
            return
        self.notify(f"saved {path}", markup=False)

    def action_shared_scale(self) -> None:
        self.shared = not self.shared
        self.tick()

    def action_log_scale(self) -> None:
        self.logarithmic = not self.logarithmic
        self.tick()

    def action_pause_lane(self) -> None:
        lane = self.session.manifest["lanes"][self.focused_lane]
        self._control("resume" if lane.get("paused") else "pause", lane=lane["name"])

    def action_schedule(self) -> None:
        self._control("schedule", value="together" if self.frame.schedule == "turns" else "turns")

    def action_detach(self) -> None:
        self.exit("detached" if self.frame.live else "left")

    def _control(self, what: str, **values: str) -> None:
        try:
            reply = send(self.session.folder, {"do": what, **values})
        except ControlError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if not reply.get("ok"):
            self.notify(str(reply.get("error")), severity="error", markup=False)


def _hide_future(columns: Columns, count: int) -> None:
    """Clear the slots after the moment shown."""
    for series in (columns.mean_ms, columns.low_ms, columns.high_ms):
        series[count:] = float("nan")
    columns.stalls[count:], columns.lost[count:], columns.why[count:], columns.state[count:] = 0, 0, "", 0


def _tail(path: os.PathLike[str]) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _OUTPUT_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def run_app(folder: RunFolder, *, attach: bool = False, on_quit: str = "ask", session: Session | None = None) -> str:
    """Show a run until the user leaves.

    Args:
        folder: the run.
        attach: whether somebody else started it.
        on_quit: what `q` does to lanes that train: `ask`, `stop` or `detach`.
        session: the run, opened already; it is closed at the end.

    Returns:
        `left`, `stopped` (the user asked to stop the lanes) or `detached` (they train on).

    Raises:
        RunFolderError: the folder is no run.
    """
    session = session or Session(folder)
    try:
        app = FwtuiApp(session)
        app.on_quit = on_quit
        return app.run() or "left"
    finally:
        session.close()
