"""What a program printed, made harmless: colours stay, everything else that steers a terminal is gone."""

from __future__ import annotations

import re
from functools import lru_cache

from rich.text import Text

_ESCAPES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # titles, clipboard, links, pictures
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # cursor, erasing, modes, colours
    r"|\x1b[ -/]*[0-~]?"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_BACKSPACE = re.compile("[^\x08]\x08")


def styled(line: str) -> Text:
    """A line as a terminal would have left it: what a carriage return or a backspace took back is gone."""
    text = Text.from_ansi(_only_colours(line))
    text.plain = "".join(letter if letter.isprintable() else "·" for letter in text.plain)
    return text


@lru_cache(maxsize=256)
def plain(line: str) -> str:
    """The same without colours."""
    return styled(line).plain


def _only_colours(line: str) -> str:
    line = line.rstrip("\r").rpartition("\r")[2]
    line = _ESCAPES.sub(lambda found: found[0] if _COLOUR.fullmatch(found[0]) else "", line)
    while _BACKSPACE.search(line):
        line = _BACKSPACE.sub("", line)
    return line.replace("\b", "").replace("\x07", "").expandtabs(8)
