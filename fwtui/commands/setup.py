"""`fwtui setup`: choose workload, lanes, scripts and options on a screen, see what is missing, start."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fwtui.commands import follow, run, screen_options
from fwtui.commands.parser import Parser, UsageError
from fwtui.workloads import catalogue

if TYPE_CHECKING:
    from fwtui.tui.setup_app import Setup

_OFFERED = (
    ("torch", "PyTorch, eager"),
    ("torch:compile", "torch.compile"),
    ("torch:workers=2", "two loader workers"),
    ("keras", "Keras on TensorFlow"),
    ("keras:jit", "with XLA"),
    ("keras:backend=torch", "Keras on PyTorch"),
    ("keras:backend=jax", "Keras on JAX"),
    ("tensorflow", "a tf.function loop"),
    ("tensorflow:jit", "with XLA"),
)
_SCRIPTS_AT_MOST = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How the screen is drawn."""
    screen_options.add_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Choose, and run what was chosen."""
    if not follow.wants_screen(False):
        raise UsageError("fwtui setup needs a terminal: without one, say what to train with fwtui run --lanes …")
    follow.check_terminal()
    with follow.uninterrupted():
        from fwtui.tui.setup_app import Choices, SetupApp
    config = screen_options.config(arguments)
    scripts = sorted(str(path) for path in Path().glob("*.py"))[:_SCRIPTS_AT_MOST]
    choices = Choices(
        workloads=[(each.name, each.description) for each in catalogue.WORKLOADS.values()],
        lanes=_OFFERED,
        scripts=scripts,
        schedules=run.SCHEDULES,
    )
    chosen = SetupApp(choices, _last(scripts), check, config.make_theme()).run(mouse=config.mouse)
    if chosen is None:
        return 0
    _remember(chosen)
    return run.main(_parsed(chosen.argv()))


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="fwtui run", description="")
    run.add_arguments(parser)
    return parser.parse(argv)


def check(argv: list[str]) -> list[tuple[str, bool, str]]:
    """(lane, whether it can run, its interpreter or what is missing) of each lane that the arguments ask for."""
    from fwtui.commands import lanes

    try:
        arguments = _parsed(argv)
        wanted = [name for name in (arguments.lanes or "").split(",") if name]
        if not wanted and not arguments.targets:
            return [("", False, "take at least one lane or script")]
        found = []
        for name in wanted:
            one = argparse.Namespace(**{**vars(arguments), "lanes": name, "targets": [], "python": []})
            found.append(_check_one(lanes.lanes, one, name))
        for target in arguments.targets:
            one = argparse.Namespace(**{**vars(arguments), "lanes": None, "targets": [target], "python": []})
            one.workload = one.epochs = one.batch_size = one.steps = None
            found.append(_check_one(lanes.lanes, one, target))
        return found
    except UsageError as error:
        return [("", False, str(error))]


def _check_one(make: Any, arguments: argparse.Namespace, name: str) -> tuple[str, bool, str]:
    try:
        return name, True, str(make(arguments)[0]["python"])
    except UsageError as error:
        return name, False, str(error).removeprefix(f"lane {name}: ")


def _path() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("fwtui")) / "setup.json"


def _last(scripts: Sequence[str]) -> Setup:
    """The last choice, as far as it still exists."""
    from fwtui.tui.setup_app import Setup

    plain = Setup(catalogue.DEFAULT_WORKLOAD, tuple(catalogue.DEFAULT_LANES))
    try:
        saved = json.loads(_path().read_text(encoding="utf-8"))
        known = {each.name: saved[each.name] for each in fields(Setup) if each.name in saved}
        for name in ("lanes", "scripts"):
            known[name] = tuple(map(str, known.get(name, ())))
        known["scripts"] = tuple(name for name in known["scripts"] if name in scripts)
        last = Setup(**known)
        return last if last.workload in catalogue.WORKLOADS else plain
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return plain


def _remember(setup: Setup) -> None:
    try:
        _path().parent.mkdir(parents=True, exist_ok=True)
        _path().write_text(json.dumps(asdict(setup)), encoding="utf-8")
    except OSError:
        pass  # the choice is made all the same
