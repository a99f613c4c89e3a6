"""Draws a screen of terminal cells as a picture: letters by DejaVu Sans Mono, braille, blocks and lines as geometry.

No monospaced font in common use has braille in cell width, so those cells are drawn as what they stand for.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from PIL import Image, ImageColor, ImageDraw, ImageFont
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme

CELL = (10, 20)
FONTS = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono"
BACKGROUND, FOREGROUND = "#121212", "#d8d8d8"


def _ansi(colours: str) -> list[tuple[int, ...]]:
    return [tuple(bytes.fromhex(colour)) for colour in colours.split()]


_THEME = TerminalTheme(
    (18, 18, 18),
    (216, 216, 216),
    _ansi("000000 cd3131 0dbc79 e5e510 2472c8 bc3fbc 11a8cd e5e5e5"),
    _ansi("666666 f14c4c 23d18b f5f543 3b8eea d670d6 29b8db ffffff"),
)
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""(column, row) of each bit of a braille cell."""
_LINES = {
    **{"│": "ns", "─": "ew", "┤": "nsw", "├": "nse", "┼": "nsew", "└": "ne", "┘": "nw", "┌": "se", "┐": "sw"},
    **{"╭": "se", "╮": "sw", "╰": "ne", "╯": "nw", "┴": "new", "┬": "sew", "╸": "w", "╺": "e", "━": "ew", "┃": "ns"},
}


@lru_cache
def _font(bold: bool, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(f"{FONTS}{'-Bold' if bold else ''}.ttf", size)


def picture(rows: Iterable[Iterable[Segment]], width: int, height: int, scale: float = 1.0) -> Image.Image:
    """Rows of styled text, `width` x `height` cells, as a picture."""
    cw, ch = round(CELL[0] * scale), round(CELL[1] * scale)
    image = Image.new("RGB", (width * cw, height * ch), BACKGROUND)
    pen = ImageDraw.Draw(image)
    rows = [[part for part in row if not part.control] for row in rows]
    for papers in (True, False):  # letters reach below their cell: all papers first
        for y, row in enumerate(rows):
            x = 0
            for text, style, _ in row:
                ink, paper = _colours(style)
                if papers:
                    pen.rectangle((x * cw, y * ch, (x + len(text)) * cw - 1, y * ch + ch - 1), fill=paper)
                    x += len(text)
                    continue
                for letter in text:
                    _cell(pen, x * cw, y * ch, cw, ch, letter, ink, bool(style and style.bold))
                    if style and style.underline:
                        pen.line((x * cw, y * ch + ch - 2, (x + 1) * cw - 1, y * ch + ch - 2), fill=ink)
                    x += 1
    return image


def _colours(style: Style | None) -> tuple[str | tuple[int, ...], str | tuple[int, ...]]:
    ink: str | tuple[int, ...] = FOREGROUND
    paper: str | tuple[int, ...] = BACKGROUND
    if style is not None:
        if style.color is not None and not style.color.is_default:
            ink = tuple(style.color.get_truecolor(_THEME, True))
        if style.bgcolor is not None and not style.bgcolor.is_default:
            paper = tuple(style.bgcolor.get_truecolor(_THEME, False))
        if style.dim:
            full = ImageColor.getrgb(ink) if isinstance(ink, str) else ink
            back = ImageColor.getrgb(paper) if isinstance(paper, str) else paper
            ink = tuple((2 * a + b) // 3 for a, b in zip(full, back, strict=True))
        if style.reverse:
            ink, paper = paper, ink
    return ink, paper


def _cell(pen, x, y, w, h, letter, ink, bold) -> None:  # type: ignore[no-untyped-def]
    code = ord(letter)
    if letter == " " or code == 0x2800:
        return
    if 0x2800 < code <= 0x28FF:
        dot = max(1, round(w * 0.3))
        for bit, (column, row) in enumerate(_DOTS):
            if code >> bit & 1:
                px = x + round(w * (0.25 + 0.5 * column) - dot / 2)
                py = y + round(h * (0.125 + 0.25 * row) - dot / 2)
                pen.rectangle((px, py, px + dot - 1, py + dot - 1), fill=ink)
    elif 0x2581 <= code <= 0x2588:
        pen.rectangle((x, y + h - round(h * (code - 0x2580) / 8), x + w - 1, y + h - 1), fill=ink)
    elif 0x2589 <= code <= 0x258F:
        pen.rectangle((x, y, x + round(w * (0x2590 - code) / 8) - 1, y + h - 1), fill=ink)
    elif letter in "▔▀":
        pen.rectangle((x, y, x + w - 1, y + round(h * (0.125 if letter == "▔" else 0.5)) - 1), fill=ink)
    elif letter in _LINES:
        thick = 2 if letter in "━┃╸╺" else 1
        mx, my = x + w // 2, y + h // 2
        for side in _LINES[letter]:
            last = thick - 1
            box = {
                "n": (mx, y, mx + last, my),
                "s": (mx, my, mx + last, y + h - 1),
                "e": (mx, my, x + w - 1, my + last),
                "w": (x, my, mx, my + last),
            }[side]
            pen.rectangle(box, fill=ink)
    else:
        font = _font(bold, round(h * 0.8))
        pen.text((x, y + round(h * 0.05)), letter, font=font, fill=ink)
