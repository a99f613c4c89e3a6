"""The screen over recorded runs, at moments moved by hand: every state draws, every size holds, keys act."""

from __future__ import annotations

import random
import threading

import pytest
import scenarios

from fwtui.tui import app as app_module
from fwtui.tui import config as configuration
from fwtui.tui.app import FwtuiApp
from fwtui.tui.commands import COMMANDS, markdown, remapped
from fwtui.tui.config import Config
from fwtui.tui.fixes import fix_of
from fwtui.tui.layout import arrange
from fwtui.tui.pace import Pace, is_behind
from fwtui.tui.theme import THEMES, Theme, detect
from fwtui.view.clock import Clock
from fwtui.view.session import Session

pytestmark = pytest.mark.usefixtures("quick_pilot")


def app_over(name, tmp_path, cut_s=None, theme=None, **options):
    folder = scenarios.write(name, tmp_path / "run", cut_s=cut_s)
    return FwtuiApp(Session(folder), at_ns=folder.end_ns, theme=theme or Theme(), **options)


def text_of(app):
    """The letters on the screen, a line a row."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


async def settled(pilot):
    """All messages and the redraw after them are through."""
    for _ in range(3):
        await pilot.pause()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("healthy", ["fastest", "as long"]),
        ("stalls", ["▲", "lost"]),
        ("importing", ["importing"]),
        ("compiling", ["torch", "keras"]),
        ("killed_mid_step", ["SIGKILL"]),
        ("failed", ["exit code 1"]),
        ("finished", ["finished", "test accuracy"]),
        ("unfair", ["UNFAIR"]),
        ("gpu", ["gpu"]),
        ("identical", ["torch-2"]),
        ("six_lanes", ["keras:jit", "torch:compile"]),
        ("no_steps", ["train"]),
    ],
)
async def test_every_state_says_what_it_is(name, words, tmp_path):
    app = app_over(name, tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        shown = text_of(app)
    for word in words:
        assert word in shown


async def test_a_lane_waiting_for_its_turn_and_a_paused_view_say_so(tmp_path):
    app = app_over("healthy", tmp_path, cut_s=9.3)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        assert "waiting for its turn" in text_of(app)
        await pilot.press("space")
        await settled(pilot)
        assert "paused at" in text_of(app)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 35), (200, 50), (240, 70)])
@pytest.mark.parametrize("name", ["stalls", "six_lanes"])
async def test_nothing_is_cut_at_the_designed_sizes(name, size, tmp_path):
    app = app_over(name, tmp_path)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        lines = text_of(app).split("\n")
    assert len(lines) == size[1]
    assert "q quit" in lines[-1]
    if name == "stalls" and size[0] >= 40:
        assert "[" in lines[0], "the ranking keeps its interval"


async def test_a_storm_of_sizes_down_to_one_cell(tmp_path):
    app = app_over("six_lanes", tmp_path)
    chance = random.Random(3)
    sizes = [(1, 1), (2, 40), (300, 2), (36, 7), (35, 6), (20, 6)]
    sizes += [(chance.randint(1, 250), chance.randint(1, 75)) for _ in range(12)]
    async with app.run_test(size=(200, 50)) as pilot:
        for number, size in enumerate(sizes):
            await pilot.resize_terminal(*size)
            if number == 6:
                await pilot.press("enter")
            if number == 10:
                await pilot.press("escape", "c")
        await pilot.press("escape")
        await pilot.resize_terminal(120, 35)
        await settled(pilot)
        assert "q quit" in text_of(app)


@pytest.mark.parametrize(
    ("width", "height", "count", "expected"),
    [
        (80, 21, 2, (2, 1)),
        (80, 21, 4, (2, 2)),
        (200, 47, 4, (4, 1)),
        (200, 47, 6, (3, 2)),
        (200, 47, 5, (5, 1)),
        (40, 9, 3, (1, 1)),
        (1, 1, 6, (1, 1)),
    ],
)
def test_lanes_are_placed_evenly(width, height, count, expected):
    placed = arrange(width, height, count, focused=count - 1)
    assert (placed.columns, placed.rows) == expected
    assert count - 1 in placed.lanes


async def test_keys_move_the_view_and_never_the_run(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        await pilot.press("tab")
        assert app.focused_lane == 1
        await pilot.press("1")
        assert app.focused_lane == 0
        before = app.moment_ns
        await pilot.press("left")
        assert app.moment_ns < before
        await pilot.press("full_stop")
        assert app.paused
        await pilot.press("end")
        assert (app.moment_ns, app.paused) == (before, False)
        await pilot.press("home")
        assert app.moment_ns < app.session.start_ns + 20e9
        cell_s = app.cell_s
        await pilot.press("plus")
        assert app.cell_s < cell_s
        await pilot.press("y", "l", "end")
        assert app.logarithmic
        assert not app.shared


async def test_stalls_are_walked_through_with_their_panel(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        await pilot.press("N")
        last = app.moment_ns
        await pilot.press("N")
        assert app.moment_ns < last
        assert "stack, innermost first" in text_of(app)
        await pilot.press("n")
        assert app.moment_ns == last


@pytest.mark.parametrize(
    ("key", "panel"),
    [
        ("question_mark", "HelpPanel"),
        ("f", "FindingsPanel"),
        ("o", "OutputPanel"),
        ("enter", "LaneScreen"),
        ("c", "CompareScreen"),
        ("n", "StallPanel"),
        ("ctrl+p", "CommandPalette"),
    ],
)
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_panels_open_and_close(key, panel, size, tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press(key)
        assert type(app.screen).__name__ == panel
        await settled(pilot)
        await pilot.press("escape")
        assert type(app.screen).__name__ != panel


async def test_a_maximised_lane_shows_all_that_is_known(tmp_path):
    app = app_over("gpu", tmp_path)
    async with app.run_test(size=(200, 120)) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        shown = text_of(app)
        for words in (
            "step times",
            "median",
            "p99",
            "phases over time",
            "findings",
            "facts",
            "optimizer.name",
            "output",
        ):
            assert words in shown
        await pilot.press("tab")
        await settled(pilot)
        assert "2 keras" in text_of(app)


async def test_the_comparison_shows_distributions_gap_and_parity(tmp_path):
    app = app_over("healthy", tmp_path)
    async with app.run_test(size=(120, 60)) as pilot:
        await settled(pilot)
        await pilot.press("c")
        await settled(pilot)
        shown = text_of(app)
    for words in ("keras against torch", "of the gap", "same work?", "✓ parameters", "█"):
        assert words in shown


async def test_output_is_searched_and_its_control_sequences_are_harmless(tmp_path):
    app = app_over("healthy", tmp_path)
    path = app.session.folder.output_path("torch")
    path.write_text(
        "\x1b[31mred\x1b[0m [bold]not markup[/bold]\nold\rnew\x07 bell\n" + "line\n" * 300 + "needle here\n"
    )
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        await pilot.press("o")
        await settled(pilot)
        assert "needle here" in text_of(app)
        await pilot.press("slash", *"not", "enter")
        await settled(pilot)
        shown = text_of(app)
    assert "[bold]not markup[/bold]" in shown
    assert "new" in shown
    assert " old" not in shown
    assert "\x07" not in shown


async def test_a_screenshot_is_saved_in_the_run_folder(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        await pilot.press("s")
        await settled(pilot)
    assert list((tmp_path / "run").glob("*.svg"))


async def test_leaving_a_live_run_asks_and_a_finished_one_does_not(tmp_path):
    app = app_over("healthy", tmp_path, cut_s=10)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert app.frame.live
        await pilot.press("q")
        assert "still training" in text_of(app)
        await pilot.press("escape", "q", "d")
    assert app.return_value == "detached"


async def test_a_recorder_that_does_not_answer_never_freezes_the_screen(tmp_path, monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def slow(folder, request, timeout_s=2.0):
        asked.set()
        answer.wait(30)
        return {"ok": False, "error": "not now"}

    monkeypatch.setattr(app_module, "send", slow)
    app = app_over("healthy", tmp_path, cut_s=10)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await pilot.press("tab")
        assert asked.wait(10)
        assert app.focused_lane == 1
        answer.set()
        await app.workers.wait_for_complete()
        assert "not now" in [each.message for each in app._notifications]


async def test_advice_is_tried_in_a_lane_of_its_own(tmp_path, monkeypatch):
    requests = []
    monkeypatch.setattr(app_module, "send", lambda folder, request: requests.append(request) or {"ok": True})
    app = app_over("input_starved", tmp_path, cut_s=12)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        await pilot.press("w")
        await app.workers.wait_for_complete()
    assert requests == [{"do": "add", "like": "torch", "name": "torch:workers=2"}]


def test_fixes_are_lanes():
    assert fix_of("torch", "input-bound") == "torch:workers=2"
    assert fix_of("torch:callback_ms=5", "slow-callback") == "torch"
    assert fix_of("keras", "slow-callback") is None
    assert fix_of("torch:workers=2", "input-bound") is None


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_every_kind_of_terminal_is_drawn_for(name, ascii_only, tmp_path):
    app = app_over("stalls", tmp_path, theme=Theme(name, ascii_only))
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        shown = text_of(app)
        await pilot.press("f")
        await settled(pilot)
        behind = text_of(app).split("\n")
    assert shown.isascii() is ascii_only
    assert ("^" if ascii_only else "▲") in shown
    assert "esc closes" in "\n".join(behind)
    assert behind[0] == shown.split("\n")[0] != ""  # a panel leaves what is beside it to be seen


def test_the_terminal_tells_its_theme():
    assert detect({"TERM": "xterm-256color"}, "utf-8").name == "dark"
    assert detect({"TERM": "screen"}, "utf-8").name == "16"
    assert detect({"TERM": "xterm", "NO_COLOR": "1"}, "utf-8").name == "none"
    assert detect({"TERM": "xterm", "COLORTERM": "truecolor"}, "latin-1").ascii_only


def test_keys_are_remapped_in_the_configuration_file(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('theme = "light"\nfps = 2\ncolour = 1\n[keys]\nquit = "ctrl+q,j"\n')
    found = configuration.read(file)
    assert found.theme == "light"
    assert "colour" in found.problems[0]
    assert {command.id: command.keys for command in found.commands}["quit"] == "ctrl+q,j"
    file.write_text('[keys]\nquit = "f"\n')
    assert "both" in configuration.read(file).problems[0]
    assert configuration.read(tmp_path / "none.toml") == Config()


async def test_a_remapped_key_acts_and_is_shown(tmp_path):
    app = app_over("healthy", tmp_path, config=Config(commands=remapped({"compare": "v"})))
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        assert "v compare" in text_of(app)
        await pilot.press("v")
        assert type(app.screen).__name__ == "CompareScreen"


def test_one_table_of_commands():
    assert len({command.id for command in COMMANDS}) == len(COMMANDS)
    assert remapped({}) == COMMANDS
    assert all(command.shown.split()[0] in markdown() for command in COMMANDS)
    assert all(hasattr(FwtuiApp, "action_" + command.action.partition("(")[0]) for command in COMMANDS)


def test_frames_are_skipped_while_the_terminal_is_behind():
    class Queue:
        def qsize(self):
            return 3

    class Writer:
        _queue = Queue()

    class Driver:
        _writer_thread = Writer()

    assert is_behind(Driver())
    assert not is_behind(object())


def test_the_pace_quickens_while_a_key_is_held_or_a_stall_grows():
    pace = Pace(4.0)
    assert not pace.hurries(False)
    assert pace.hurries(True)
    pace.key()
    assert pace.hurries(False)
    assert pace.fast_interval_s == pytest.approx(0.1)


async def test_the_setup_screen_says_what_is_missing_and_gives_the_command(tmp_path):
    from fwtui.tui.setup_app import Choices, Setup, SetupApp

    def check(argv):
        return [("torch", True, "/usr/bin/python3"), ("keras", "keras" not in argv[3], "has no keras")]

    choices = Choices(
        [("mnist-mlp", "digits")], [("torch", "PyTorch"), ("keras", "Keras")], ["train.py"], ["turns", "solo"]
    )
    app = SetupApp(choices, Setup("mnist-mlp", ("torch", "keras")), check, Theme())
    async with app.run_test(size=(100, 32)) as pilot:
        await app.workers.wait_for_complete()
        await settled(pilot)
        shown = text_of(app)
        assert "has no keras" in shown
        assert "fwtui run --workload mnist-mlp --lanes torch,keras" in shown
        await pilot.press("f5")
        assert app.is_running
        app.query_one("#lanes").deselect("keras")
        await settled(pilot)
        await app.workers.wait_for_complete()
        await pilot.press("f5")
        await settled(pilot)
    assert app.return_value == Setup("mnist-mlp", ("torch",))
    assert app.return_value.argv() == ["--workload", "mnist-mlp", "--lanes", "torch", "--schedule", "turns"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[2J\x1b[H\x1b[31mred\x1b[0m text", "red text"),
        ("a\x1b]52;c;aGVsbG8=\x07b\x1b]0;title\x1b\\c", "abc"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("[bold]x[/bold] [@click=app.quit]y[/]", "[bold]x[/bold] [@click=app.quit]y[/]"),
        ("10 %\r50 %\r100 % done\r", "100 % done"),
        ("loss 0.31\b\b\b\b1.25", "loss 1.25"),
        ("\x1bPq#0\x1b\\\x9b31mc1\x1b[?25l\x1b[5A up", "c1 up"),
        ("日本語 \u202eabc", "日本語 ·abc"),
        ("half \x1b]52;c;never ended", "half "),
    ],
)
def test_what_a_program_prints_cannot_steer_the_terminal(line, shown):
    from fwtui.tui.printed import styled

    assert styled(line).plain == shown
    assert not any(span.style.link for span in styled(line).spans)


ENDING = {"quit", "detach", "stop"}


@pytest.mark.parametrize(
    ("name", "cut_s", "clock"),
    [("importing", None, False), ("no_steps", None, False), ("stalls", 9, False), ("six_lanes", None, True)],
)
async def test_every_key_acts_in_every_state(name, cut_s, clock, tmp_path, monkeypatch):
    """No key fails where there is nothing for it; each screen it opens is left by escape."""
    monkeypatch.setattr(app_module, "send", lambda folder, request: {"ok": False, "error": "no recorder"})
    monkeypatch.setattr("fwtui.view.explain_process.start", lambda folder: None)
    folder = scenarios.write(name, tmp_path / "run", cut_s=cut_s)
    session = Session(folder)
    at = {"clock": Clock(session, at_ns=session.newest_ns)} if clock else {"at_ns": folder.end_ns}
    app = FwtuiApp(session, theme=Theme(), **at)
    keys = [key for command in COMMANDS if command.id not in ENDING for key in command.keys.split(",")]
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        for key in [*keys, *"19"]:
            await pilot.press(key)
            await settled(pilot)
            for _ in range(3):
                if len(app.screen_stack) > 1:
                    await pilot.press("escape")
                    await settled(pilot)
            assert app.is_running
            assert len(app.screen_stack) == 1, key
        await app.workers.wait_for_complete()
        assert "quit" in text_of(app)


async def test_the_mouse_focuses_maximises_zooms_and_opens_findings(tmp_path):
    app = app_over("stalls", tmp_path)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        await pilot.click("#lane-1", offset=(20, 10))
        await settled(pilot)
        assert app.focused_lane == 1
        await pilot.click("#race", offset=(10, 0))
        await settled(pilot)
        assert app.focused_lane == 0
        before = app.cell_s
        app.on_mouse_scroll_up(None)
        await settled(pilot)
        assert app.cell_s < before
        row = next(number for number, line in enumerate(text_of(app).split("\n")) if "input-bound" in line)
        await pilot.click("#lane-0", offset=(10, row - app.query_one("#lane-0").region.y))
        await settled(pilot)
        assert type(app.screen).__name__ == "FindingsPanel"
        await pilot.press("escape")
        await pilot.click("#lane-1", offset=(20, 10), times=2)
        await settled(pilot)
        assert type(app.screen).__name__ == "LaneScreen"
        assert "2 keras" in text_of(app)


async def test_a_lanes_stack_is_shown_on_request_and_a_refusal_in_words(tmp_path, monkeypatch):
    frames = [["/v/site-packages/torch/nn/linear.py", 12, "forward"], ["train.py", 7, "main"]]
    row = {
        "rank": 0,
        "location": "train.py:7",
        "function": "main",
        "framework": "/v/site-packages/torch/nn/linear.py:12",
    }
    answers = [{"ok": True, "stacks": [{**row, "frames": frames}]}, {"ok": False, "error": "py-spy is not installed"}]
    monkeypatch.setattr(app_module, "send", lambda folder, request: answers.pop(0))
    app = app_over("stalls", tmp_path, cut_s=12)
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        await pilot.press("k")
        await app.workers.wait_for_complete()
        await settled(pilot)
        assert "at train.py:7 in main, inside torch/nn/linear.py:12" in text_of(app)
        await pilot.press("escape", "k")
        await app.workers.wait_for_complete()
        assert "py-spy is not installed" in [each.message for each in app._notifications]


async def test_lanes_and_keys_are_painted_before_a_run_is_read(tmp_path):
    app = FwtuiApp(Session(scenarios.write("healthy", tmp_path / "run"), later=True), theme=Theme())
    painted = []
    display = app._display

    def record(screen, update):
        display(screen, update)
        painted.append((app.session.opened, text_of(app)))

    app._display = record
    async with app.run_test(size=(120, 35)) as pilot:
        await settled(pilot)
        assert app.session.opened
    before = [text for opened, text in painted if not opened]
    assert "q quit" in before[-1]
    assert "opening" in before[-1]
    assert "it/s" not in before[-1]
    assert "it/s" in painted[-1][1]


async def test_a_key_that_comes_before_a_run_is_read_is_not_lost(tmp_path):
    app = FwtuiApp(Session(scenarios.write("healthy", tmp_path / "run"), later=True), theme=Theme())
    async with app.run_test(size=(120, 35)) as pilot:
        assert not app.session.opened
        await pilot.press("c")
        await settled(pilot)
        assert type(app.screen).__name__ == "CompareScreen"
        for _ in range(400):  # until the first tick: the sheet has nothing to paint that would hurry it
            if app.session.opened:
                break
            await pilot.pause(0.01)
        assert app.session.opened
