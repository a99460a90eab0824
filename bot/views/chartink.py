"""Pen and letters: the few drawing verbs a chart needs, over Pillow.

Rule 1: coordinates are whole pixels, both ends included.
Rule 2: text is only ever written in characters the carried font has.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageDraw, ImageFont

Color = tuple[int, int, int]

BACKGROUND: Color = (14, 18, 25)
PANEL: Color = (21, 27, 37)
GRID: Color = (26, 33, 44)
EDGE: Color = (42, 52, 67)
TEXT: Color = (232, 238, 246)
MUTED: Color = (145, 158, 177)
GREEN: Color = (38, 190, 150)
RED: Color = (242, 92, 92)
BLUE: Color = (88, 166, 255)
AMBER: Color = (240, 180, 70)

_SPELLED = {"—": "-", "–": "-", "−": "-", "→": "->", "←": "<-", "×": "x", "≤": "<=", "≥": ">=", "’": "'", "µ": "u"}
_MISSING = "\ufffe"


def shade(color: Color) -> Color:
    """``color`` dimmed towards the background, for areas behind text."""
    red, green, blue = ((own * 3 + under * 7) // 10 for own, under in zip(color, BACKGROUND, strict=True))
    return red, green, blue


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, ``size`` pixels high."""
    made = ImageFont.load_default(size=size)
    if not isinstance(made, ImageFont.FreeTypeFont):
        raise RuntimeError("This build of Pillow has no FreeType: install the wheel from the registry")
    return made


@lru_cache(maxsize=512)
def _spelled(char: str) -> str:
    """``char``, or the nearest the font can write; ``?`` where there is none."""
    if " " <= char <= "~" or _has_glyph(char):
        return char
    if char in _SPELLED:
        return _SPELLED[char]
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if " " <= part <= "~")
    return plain or ("" if unicodedata.category(char).startswith("M") else "?")


def _has_glyph(char: str) -> bool:
    drawn, missing = font(20).getmask(char), font(20).getmask(_MISSING)
    return drawn.getbbox() is not None and bytes(drawn) != bytes(missing)


def spelled(text: str) -> str:
    """``text`` on one line in characters the font has."""
    return "".join(_spelled(char) for char in " ".join(text.split()))


class Ink:
    """Drawing on one canvas."""

    def __init__(self, pen: ImageDraw.ImageDraw) -> None:
        self._pen = pen

    def width(self, text: str, size: int) -> int:
        """Pixels ``text`` takes in a row."""
        return round(font(size).getlength(spelled(text)))

    def fitted(self, text: str, size: int, room: int) -> str:
        """``text``, cut with an ellipsis where it is wider than ``room`` pixels."""
        if self.width(text, size) <= room:
            return text
        while text and self.width(text + "…", size) > room:
            text = text[:-1]
        return text.rstrip() + "…"

    def text(self, x: int, y: int, text: str, size: int, color: Color, anchor: str, *, bold: bool = False) -> None:
        """``text`` at (x, y); ``anchor`` in Pillow's letters, e.g. ``lm`` for left and middle."""
        # the carried font has no bold cut; half a pixel of outline reads as one
        stroke = 0.5 if bold else 0
        self._pen.text((x, y), spelled(text), font=font(size), fill=color, anchor=anchor, stroke_width=stroke)

    def line(self, x1: int, y1: int, x2: int, y2: int, color: Color, width: int = 1) -> None:
        """A straight line."""
        self._pen.line((x1, y1, x2, y2), fill=color, width=width)

    def dashes(self, x1: int, y1: int, x2: int, y2: int, color: Color) -> None:
        """A broken line along a row or a column."""
        for at in range(x1, x2, 14) if y1 == y2 else range(y1, y2, 14):
            ends = (at, y1, min(at + 7, x2), y2) if y1 == y2 else (x1, at, x2, min(at + 7, y2))
            self._pen.line(ends, fill=color, width=2)

    def fill(self, left: int, top: int, right: int, bottom: int, color: Color) -> None:
        """A plain rectangle, at least one row high."""
        self._pen.rectangle((left, top, right, max(top, bottom)), fill=color)

    def box(self, left: int, top: int, right: int, bottom: int, color: Color, edge: Color) -> None:
        """A rectangle with round corners and an edge."""
        self._pen.rounded_rectangle((left, top, right, bottom), radius=8, fill=color, outline=edge, width=2)

    def bar(self, left: int, top: int, right: int, bottom: int, color: Color) -> None:
        """A bar with round ends."""
        self._pen.rounded_rectangle((left, top, right, bottom), radius=(bottom - top) // 2, fill=color)

    def arrow(self, x: int, y: int, up: bool, color: Color) -> None:
        """A triangle whose tip touches (x, y): pointing up from below, or down from above."""
        foot = y + 22 if up else y - 22
        self._pen.polygon(((x, y), (x - 13, foot), (x + 13, foot)), fill=color, outline=TEXT, width=2)
