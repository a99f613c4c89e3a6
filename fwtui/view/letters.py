"""Letters for a terminal or a file that knows ASCII only."""

from __future__ import annotations

BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = {
    **dict(zip(BLOCKS[1:], ".:-=+*##", strict=True)),
    **{"▲": "^", "│": "|", "┤": "|", "├": "|", "┼": "+", "─": "-", "▌": ">", "◀": "<", "·": ".", "–": "-", "…": "~"},
    **{"━": "=", "╸": "-", "×": "x", "▏": "|", "└": "+", "≤": "<", "░": ".", "→": ">", "←": "<", "●": "*", "◌": "o"},
    **{"✓": "v", "■": "#", "◆": "*", "±": "~", "≠": "!", "▶": ">", "−": "-", "▐": "|", "⏸": "=", "█": "#"},
    **{"✗": "x", "╌": "-", "—": "-", "µ": "u", "“": '"', "”": '"', "’": "'"},
}


def to_ascii(text: str) -> str:
    """The nearest ASCII letter for each letter; `?` where none is near."""
    return "".join(map(_letter, text))


def _letter(letter: str) -> str:
    if letter < "\x7f":
        return letter
    if "⠀" <= letter <= "⣿":
        return "*" if letter > "⠀" else " "
    return _ASCII.get(letter, "?")
