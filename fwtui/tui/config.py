"""The user's configuration file: a theme and other keys.

theme = "light"
fps = 2
[keys]
quit = "ctrl+q"
maximise = "enter,m"
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fwtui.tui.commands import COMMANDS, Command, remapped
from fwtui.tui.theme import THEMES, Theme, detect


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says."""

    commands: tuple[Command, ...] = COMMANDS
    theme: str | None = None
    fps: float | None = None
    mouse: bool = True
    sync: bool = True
    ascii: bool = False
    problems: tuple[str, ...] = field(default=())
    """Sentences about what could not be understood; the rest holds."""

    def make_theme(self) -> Theme:
        """How the terminal is drawn on: as chosen, else as it says."""
        found = detect()
        return Theme(self.theme or found.name, self.ascii or found.ascii_only)


def path() -> Path:
    """Where the file is looked for."""
    import platformdirs

    return Path(platformdirs.user_config_dir("fwtui")) / "config.toml"


def read(file: Path | None = None) -> Config:
    """The configuration; the defaults where there is none."""
    file = file or path()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        return Config(problems=(f"{file} cannot be read: {error}",))
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Config(problems=(f"{file} is not understood: {error}",))
    return _config(values, file)


_KINDS: dict[str, type | tuple[type, ...]] = {
    "theme": str,
    "fps": (int, float),
    "mouse": bool,
    "sync": bool,
    "ascii": bool,
    "keys": dict,
}


def _config(values: dict[str, Any], file: Path) -> Config:
    problems: list[str] = []
    known: dict[str, Any] = {}
    for name, value in values.items():
        kind = _KINDS.get(name)
        if kind is None:
            problems.append(f"{file}: there is no setting {name!r}: there are {', '.join(_KINDS)}")
        elif not isinstance(value, kind) or (name == "theme" and value not in THEMES):
            problems.append(f"{file}: {name} cannot be {value!r}")
        else:
            known[name] = value
    commands = COMMANDS
    try:
        commands = remapped({name: str(key) for name, key in known.pop("keys", {}).items()})
    except ValueError as error:
        problems.append(f"{file}: {error}")
    return Config(commands=commands, problems=tuple(problems), **known)
