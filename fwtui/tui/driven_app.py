"""The part of the screen that is driven: keys, the mouse, and the commands that change what is looked at."""

from __future__ import annotations

import numpy as np
from textual.events import Click, Event, Key, MouseScrollDown, MouseScrollUp

from fwtui.tui import chart, palettes
from fwtui.tui.cells import CellGrid
from fwtui.tui.lane_pane import LanePane, chart_cells
from fwtui.tui.theme import THEMES, Theme
from fwtui.tui.view_app import ViewApp


class DrivenApp(ViewApp):
    """The main screen, of which a user chooses the moment, the zoom, the lane and the colours."""

    # -- keys and the mouse

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key):
            self.pace.key()
            self._hurry()
            event = self._without_alt(event)
        await super().on_event(event)

    def _without_alt(self, event: Key) -> Key:
        """Escape, where a letter followed it so fast that both came as Alt and the letter; the letter comes after.

        Most terminals send the same for both, and a slow connection or a busy machine brings keys in bundles.
        """
        letter = event.character
        if not event.key.startswith("alt+") or not letter or event.key in self._bindings.key_to_bindings:
            return event
        self.screen.call_after_refresh(self.post_message, Key(letter, letter))
        return Key("escape", None)

    def on_click(self, event: Click) -> None:
        action = None
        if isinstance(event.widget, CellGrid):
            action = event.widget.canvas.links.get(int(event.screen_y) - event.widget.region.y)
        if isinstance(event.widget, LanePane):
            self.action_focus_lane(event.widget.index)
            if action is None and event.chain == 2:
                action = "maximise"
        if action is not None:
            self.run_action_soon(action)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        if len(self.screen_stack) == 1:  # elsewhere the wheel scrolls
            self.action_zoom(-1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        if len(self.screen_stack) == 1:
            self.action_zoom(1)

    def run_action_soon(self, action: str) -> None:
        """Run an action after the present message."""
        self.call_later(self.run_action, action)

    # -- commands that change what is looked at

    def action_pause(self) -> None:
        """Hold the view, never the training."""
        if self.clock is not None:
            self.clock.toggle()
            self.paused = not self.clock.playing
        else:
            self.paused = not self.paused
            self.view_end_ns = self._moment_ns() if self.paused else None
        self._redraw_now()

    def action_one_frame(self) -> None:
        """Hold, and go on by one step in a replay, by one column otherwise."""
        self.paused = True
        if self.clock is not None:
            self.clock.step(1)
        else:
            moment = self._moment_ns()
            self.view_end_ns = min(self._newest_ns(), moment + int(self.cell_s * 1e9)) if moment else moment
        self._redraw_now()

    def action_next_lane(self) -> None:
        self.action_focus_lane((self.focused_lane + 1) % len(self.frame.lanes))

    def action_previous_lane(self) -> None:
        self.action_focus_lane((self.focused_lane - 1) % len(self.frame.lanes))

    def action_focus_lane(self, index: int) -> None:
        """Focus a lane; its page is shown."""
        if index < len(self.frame.lanes):
            before, self.focused_lane = self.layout_now, index
            self._arrange()
            if self.layout_now.lanes != before.lanes:
                self.redraw_soon()
            else:
                self._redraw_now()

    def action_history(self, direction: int) -> None:
        """A quarter of the window back or on."""
        cells = chart_cells(self.size.width // self.layout_now.columns)
        self.go_to(self._moment_ns() + int(direction * self.cell_s * 1e9 * max(4, cells) / 4))

    def go_to(self, moment_ns: int) -> None:
        """Look at a moment; at the newest one the view goes on."""
        moment_ns = max(self.session.start_ns, moment_ns)
        if self.clock is not None:
            self.clock.seek(moment_ns)
        elif moment_ns >= self._newest_ns():
            self.paused, self.view_end_ns = False, None
        else:
            self.view_end_ns = moment_ns
        self._redraw_now()

    def action_oldest(self) -> None:
        self.go_to(self.session.start_ns + int(self.cell_s * 1e9 * 10))

    def action_live(self) -> None:
        self.go_to(self.session.newest_ns)

    def action_zoom(self, direction: int) -> None:
        steps = np.array(chart.STEPS_S)
        now = int(np.searchsorted(steps, self.cell_s * 1.001)) - (
            1 if direction > 0 or self.cell_s in chart.STEPS_S else 0
        )
        self.zoom, self.fit_all = min(len(chart.STEPS_S) - 1, max(0, now + direction)), False
        self._redraw_now()

    def action_whole_run(self) -> None:
        self.fit_all = not self.fit_all
        self._redraw_now()

    def action_speed(self, direction: int) -> None:
        """Replay faster or slower."""
        if self.clock is None:
            self.notify("only a replay has a speed: fwtui replay", markup=False)
            return
        self.clock.speed = self.clock.speed * 2.0**direction
        self._redraw_now()

    def action_shared_scale(self) -> None:
        self.shared = not self.shared
        self._redraw_now()

    def action_log_scale(self) -> None:
        self.logarithmic = not self.logarithmic
        self._redraw_now()

    def action_next_theme(self) -> None:
        """The next theme; the terminal's own abilities are not asked."""
        name = THEMES[(THEMES.index(self.cell_theme.name) + 1) % len(THEMES)]
        self.cell_theme = Theme(name, self.cell_theme.ascii_only)
        self.theme = palettes.textual_name(name)
        for screen in self.screen_stack:
            for grid in screen.query(CellGrid):
                grid.cell_theme = self.cell_theme
                grid.refresh()
        self.redraw_soon()
        self.notify(f"theme {name}", markup=False, timeout=2)
