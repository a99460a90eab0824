"""What every picture shares: its size, its heading, its PNG, and the process it is drawn in.

Rule 1: a picture is drawn by a process of its own that reads one JSON spec from standard input and writes a PNG to
        standard output, so that the bot itself never holds Pillow.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from PIL import Image, ImageDraw

from bot.views.chartink import AMBER, BACKGROUND, MUTED, TEXT, Ink, shade
from core.domain.errors import BadData

S = TypeVar("S")

SIZE = 1080
MARGIN = 32


def drawn(paint: Callable[[Ink], None]) -> bytes:
    """What ``paint`` draws, as PNG bytes, SIZE × SIZE pixels."""
    image = Image.new("RGB", (SIZE, SIZE), BACKGROUND)
    paint(Ink(ImageDraw.Draw(image)))
    body = io.BytesIO()
    image.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(body, "PNG", compress_level=6)
    return body.getvalue()


def heading(ink: Ink, title: str, subtitle: str, badge: str) -> int:
    """Title, subtitle and a badge in the corner; the row below them."""
    room = SIZE - 2 * MARGIN
    if badge:
        width = ink.width(badge, 24) + 28
        ink.box(SIZE - MARGIN - width, 34, SIZE - MARGIN, 76, shade(AMBER), AMBER)
        ink.text(SIZE - MARGIN - width // 2, 55, badge, 24, AMBER, "mm")
        room -= width + 20
    ink.text(MARGIN, 54, ink.fitted(title, 46, room), 46, TEXT, "lm", bold=True)
    ink.text(MARGIN, 108, ink.fitted(subtitle, 29, SIZE - 2 * MARGIN), 29, MUTED, "lm")
    return 146 if subtitle else 100


def serve(read: Callable[[bytes], S], draw: Callable[[S], bytes]) -> int:
    """Draw the spec on standard input to standard output; 0, or 2 with one line on standard error."""
    os.nice(5)
    try:
        spec = read(sys.stdin.buffer.read())
    except BadData as error:
        print(error.user_text, file=sys.stderr)
        return 2
    sys.stdout.buffer.write(draw(spec))
    return 0
