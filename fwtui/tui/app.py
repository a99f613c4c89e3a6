"""The live screen: opens a run folder, pulls frames at its own rate, draws them, and asks the recorder for things."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from textual.app import SystemCommand
from textual.screen import Screen

from fwtui.recording.control import ControlError, send
from fwtui.recording.run_folder import RunFolder
from fwtui.tui.config import Config, read
from fwtui.tui.driven_app import DrivenApp
from fwtui.tui.explain_sheet import ExplainScreen
from fwtui.tui.theme import Theme
from fwtui.view.clock import Clock
from fwtui.view.session import Session

GONE_S = 3.0
PATIENCE_S = 0.03
"""A long recording is read in pieces of this length, so that keys are answered meanwhile."""


class FwtuiApp(DrivenApp):
    """The screen of a run with all its commands."""

    on_quit = "ask"
    """What `q` does to lanes that train: `ask`, `stop` or `detach`."""

    def on_mount(self) -> None:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
            loop.add_signal_handler(signal.SIGTERM, self._terminate)

    def _hang_up(self) -> None:
        """The terminal is gone: leave the run to itself. What cannot be written to it any more is not waited for."""
        end = threading.Timer(GONE_S, os._exit, (0,))
        end.daemon = True
        end.start()
        self.exit("detached")

    def _terminate(self) -> None:
        """Somebody ended the screen; as with `q`, except that nobody can be asked: then the lanes train on."""
        answer = "stopped" if self.on_quit == "stop" else "detached"
        self._leave(answer if self.frame.live else "left", "fwtui was ended by SIGTERM")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for command in self.config.commands:
            if command.palette:
                yield SystemCommand(f"{command.name} ({command.shown})", command.help, self._runner(command.action))

    def _runner(self, action: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await self.run_action(action)

        return run

    # -- panels; imported when they are first asked for, as the screen should be there at once

    def action_help(self) -> None:
        from fwtui.tui.panels import HelpPanel

        self.push_screen(HelpPanel(self.config.commands))

    def action_maximise(self) -> None:
        from fwtui.tui.lane_sheet import LaneScreen

        self.push_screen(LaneScreen())

    def action_compare(self) -> None:
        from fwtui.tui.compare_sheet import CompareScreen

        self.push_screen(CompareScreen())

    def action_explain(self) -> None:
        self.push_screen(ExplainScreen())

    def action_findings(self) -> None:
        from fwtui.tui.panels import FindingsPanel

        self.push_screen(FindingsPanel(self.frame))

    def action_output(self) -> None:
        from fwtui.tui.output_panel import OutputPanel

        lane = self.frame.lanes[self.focused_lane]
        self.push_screen(OutputPanel(lane.name, self.session.folder.output_path(lane.name), follow=self.frame.live))

    def action_stall(self, direction: int) -> None:
        """Go to the next or the previous stall of the focused lane; from the newest moment, back to its last one."""
        from fwtui.tui.panels import StallPanel

        stalls = self.session.stalls(self.focused_lane)
        now = self._moment_ns()
        later = [stall for stall in stalls if stall.end_ns > now]
        earlier = [stall for stall in stalls if stall.end_ns < now]
        chosen = (later[:1] if direction > 0 else []) or (earlier[-1:] if direction < 0 or not later else [])
        current = self.frame.lanes[self.focused_lane].current_stall
        if current is not None and direction > 0 and not later:
            self.push_screen(StallPanel(current, len(stalls) + 1, len(stalls) + 1, self.session.start_ns))
            return
        if not chosen:
            self.notify(f"no stall of lane {self.focused_lane + 1} {'after' if direction > 0 else 'before'} this one")
            return
        self.go_to(min(chosen[0].end_ns, self._newest_ns() - 1))
        number = stalls.index(chosen[0]) + 1
        if isinstance(self.screen, StallPanel):
            self.pop_screen()
        self.push_screen(StallPanel(chosen[0], number, len(stalls), self.session.start_ns))

    def action_stack(self) -> None:
        """Ask where the focused lane stands now."""
        from fwtui.tui.panels import StackPanel

        name = self.frame.lanes[self.focused_lane].name
        request = {"do": "stack", "lane": name}
        self._ask(request, lambda reply: self.push_screen(StackPanel(name, reply.get("stacks") or [])))

    def action_shot(self) -> None:
        folder = self.session.folder.path
        if folder.is_relative_to(tempfile.gettempdir()) and folder.parent.name.startswith("fwtui-"):
            folder = Path.cwd()  # a recording that was unpacked to be looked at goes when the screen does
        try:
            path = self.save_screenshot(path=str(folder))
        except OSError as error:
            self.notify(f"the screenshot cannot be written: {error}", severity="error", markup=False)
            return
        self.notify(f"saved {path}", markup=False)

    # -- leaving

    def action_leave(self) -> None:
        from fwtui.tui.panels import QuestionPanel

        if not self.frame.live:
            self.exit("left")
        elif self.on_quit == "ask":
            question = QuestionPanel(
                "Lanes are still training.",
                (("s", "stopped", "Stop them"), ("d", "detached", "Detach"), ("escape", "", "Stay")),
            )
            self.push_screen(question, self._leave)
        else:
            self._leave("stopped" if self.on_quit == "stop" else "detached")

    def _leave(self, answer: str | None, reason: str = "stopped by the user") -> None:
        if answer == "stopped":
            self.notify("stopping the lanes …", markup=False)
            self._ask({"do": "stop", "reason": reason}, lambda reply: self.exit("stopped"), always=True)
        elif answer:
            self.exit(answer)

    def action_interrupt(self) -> None:
        self._leave("stopped" if self.frame.live else "left", "interrupted")

    def action_detach(self) -> None:
        self.exit("detached" if self.frame.live else "left")

    # -- what the recorder is asked for

    def action_pause_lane(self) -> None:
        lane = self.session.manifest["lanes"][self.focused_lane]
        self._ask({"do": "resume" if lane.get("paused") else "pause", "lane": lane["name"]})

    def action_deep(self) -> None:
        name = self.frame.lanes[self.focused_lane].name
        self._ask({"do": "deep", "lane": name}, self._say(f"a profiler looks into {name} for some steps"))

    def action_restart(self) -> None:
        from fwtui.tui.panels import QuestionPanel

        name = self.frame.lanes[self.focused_lane].name
        question = QuestionPanel(
            f"Start {name} again from its beginning? What it has trained so far is given up.",
            (("r", "restart", "Restart it"), ("escape", "", "Leave it")),
        )
        self.push_screen(question, lambda answer: self._ask({"do": "restart", "lane": name}) if answer else None)

    def action_schedule(self) -> None:
        self._ask({"do": "schedule", "value": "together" if self.frame.schedule == "turns" else "turns"})

    def action_try_advice(self) -> None:
        """Start a lane with the fix of the focused lane's first finding that has one."""
        from fwtui.tui.fixes import fix_of

        lane = self.frame.lanes[self.focused_lane]
        if not lane.findings:
            self.notify(f"{lane.name}: nothing found, so there is nothing to try", markup=False)
            return
        built_in = self.session.manifest["lanes"][self.focused_lane].get("kind") == "workload"
        for finding in lane.findings:
            name = fix_of(lane.name, finding.code) if built_in else None
            if name is not None and name not in [other.name for other in self.frame.lanes]:
                self._ask({"do": "add", "like": lane.name, "name": name}, self._say(f"{name} starts beside the others"))
                return
        first = lane.findings[0]
        self.notify(f"{first.code}: {first.advice}", title="to be done by hand", markup=False, timeout=12)

    def _say(self, words: str) -> Callable[[dict[str, Any]], object]:
        return lambda reply: self.notify(words, markup=False)

    def _ask(
        self, request: dict[str, Any], then: Callable[[dict[str, Any]], object] | None = None, always: bool = False
    ) -> None:
        """Ask the recorder without waiting; `then` gets the answer, with `always` also a refusal."""
        if not self.session.live and not always:
            self.notify("this run is over: no lane trains any more", severity="warning", markup=False)
            return

        async def ask() -> None:
            reply: dict[str, Any]
            try:
                reply = await asyncio.to_thread(send, self.session.folder, request)
            except ControlError as error:
                reply = {"ok": False, "error": str(error)}
            if not reply.get("ok") and not always:
                self.notify(str(reply.get("error")), severity="error", markup=False)
            elif then is not None:
                then(reply)

        self.run_worker(ask(), group="control")


def run_app(
    folder: RunFolder,
    *,
    attach: bool = False,
    on_quit: str = "ask",
    session: Session | None = None,
    clock: Clock | None = None,
    config: Config | None = None,
    theme: Theme | None = None,
) -> str:
    """Show a run until the user leaves.

    Args:
        folder: the run.
        attach: whether somebody else started it.
        on_quit: what `q` does to lanes that train: `ask`, `stop` or `detach`.
        session: the run, opened already; it is closed at the end.
        clock: the moving moment of a replay.
        config: the user's configuration; read from their file by default.
        theme: how the terminal is drawn on; by default as the configuration and the terminal say.

    Returns:
        `left`, `stopped` (the user asked to stop the lanes) or `detached` (they train on).

    Raises:
        RunFolderError: the folder is no run.
    """
    for name in ("COLUMNS", "LINES"):  # a size from when the shell started would hide every later one
        os.environ.pop(name, None)
    session = session or Session(folder, patience_s=PATIENCE_S)
    session.patience_s = PATIENCE_S
    try:
        config = config or read()
        app = FwtuiApp(session, theme=theme or config.make_theme(), clock=clock, config=config)
        app.on_quit = on_quit
        return app.run(mouse=config.mouse) or "left"
    finally:
        session.close()
