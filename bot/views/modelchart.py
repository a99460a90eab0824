"""The picture of a model: how often what it said came true, and how often it said so; 1080 × 1080 pixels.

Rule 1: it is drawn by a process of its own (``bot.views.canvas``): ``python -m bot.views.modelchart``.
Rule 2: both axes have one scale, so the diagonal is the truth: a dot under it came less often than it was said.
Rule 3: no dot without its count, which stands in a row under it; counts that would cover each other are left to bars.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from bot.views import chartscale as scales
from bot.views.canvas import MARGIN, SIZE, drawn, heading, serve
from bot.views.chartink import AMBER, BLUE, EDGE, GRID, MUTED, PANEL, TEXT, Color, Ink, shade
from bot.views.modelspec import ModelSpec, Series, from_json

LEFT = 130
RIGHT = SIZE - MARGIN - 8
STRIP = 96
NOTE = 38
RANGE_MIN = 0.10
ROOM = 0.06
DOT = 11


@dataclass(frozen=True, slots=True)
class _Scale:
    """One scale for both axes: shares ``low``..``high`` over LEFT..RIGHT and ``bottom``..``top``."""

    low: float
    high: float
    top: int
    bottom: int

    def _part(self, share: float) -> float:
        return min(1.0, max(0.0, (share - self.low) / (self.high - self.low)))

    def column(self, share: float) -> int:
        """Pixel column of a forecast."""
        return round(LEFT + self._part(share) * (RIGHT - LEFT))

    def row(self, share: float) -> int:
        """Pixel row of an outcome."""
        return round(self.bottom - self._part(share) * (self.bottom - self.top))


def draw_model(spec: ModelSpec) -> bytes:
    """The picture of ``spec`` as PNG bytes, 1080 × 1080 pixels."""

    def paint(ink: Ink) -> None:
        top = heading(ink, spec.title, spec.subtitle, spec.badge)
        bottom = _notes(ink, spec)
        told = [(series, color) for series, color in ((spec.tested, BLUE), (spec.live, AMBER)) if series.dots]
        strips = bottom - STRIP * len(told)
        scale = _scale(spec, top + 62, strips - 70)
        _legend(ink, spec, top + 24)
        _axes(ink, scale)
        for series, color in told:
            _record(ink, scale, series, color)
        for place, (series, color) in enumerate(told):
            _counts(ink, scale, series, color, strips + place * STRIP, strips + (place + 1) * STRIP - 14)

    return drawn(paint)


def _notes(ink: Ink, spec: ModelSpec) -> int:
    """The lines at the foot; the row above them."""
    lines = [(note, 27, TEXT) for note in spec.notes] + [(spec.footer, 25, MUTED)] * bool(spec.footer)
    top = SIZE - 24 - NOTE * len(lines)
    for place, (line, size, color) in enumerate(lines):
        y = top + place * NOTE + NOTE // 2
        ink.text(MARGIN, y, ink.fitted(line, size, SIZE - 2 * MARGIN), size, color, "lm")
    return top - 10


def _scale(spec: ModelSpec, top: int, bottom: int) -> _Scale:
    """A scale that holds every dot with its error, at least RANGE_MIN wide."""
    dots = [*spec.tested.dots, *spec.live.dots]
    shares = [share for dot in dots for share in (dot.said, dot.came - dot.error, dot.came + dot.error)] or [0.0, 1.0]
    low, high = max(0.0, min(shares)), min(1.0, max(shares))
    spare = max(0.0, RANGE_MIN - (high - low)) / 2 + ROOM * (high - low)
    return _Scale(max(0.0, low - spare), min(1.0, high + spare), top, bottom)


def _legend(ink: Ink, spec: ModelSpec, y: int) -> None:
    x = MARGIN
    for series, color in ((spec.tested, BLUE), (spec.live, AMBER)):
        _dot(ink, x + DOT, y, color)
        text = f"{series.name}: {_total(series)}"
        ink.text(x + 2 * DOT + 10, y, ink.fitted(text, 27, SIZE - MARGIN - x - 32), 27, TEXT, "lm")
        x += 2 * DOT + 10 + ink.width(text, 27) + 36


def _total(series: Series) -> str:
    return f"{sum(dot.count for dot in series.dots):,}" if series.dots else "nothing yet"


def _axes(ink: Ink, scale: _Scale) -> None:
    """Grid, percentages, the diagonal, and what the axes are."""
    ticks = scales.round_ticks(scale.low, scale.high, 6)
    for tick in ticks:
        x, y, text = scale.column(tick), scale.row(tick), f"{tick:.0%}"
        ink.line(x, scale.top, x, scale.bottom, GRID)
        ink.line(LEFT, y, RIGHT, y, GRID)
        ink.text(x, scale.bottom + 24, text, 26, MUTED, "mm")
        ink.text(LEFT - 12, y, text, 26, MUTED, "rm")
    ink.line(LEFT, scale.bottom, RIGHT, scale.bottom, EDGE)
    ink.line(LEFT, scale.top, LEFT, scale.bottom, EDGE)
    ink.line(LEFT, scale.bottom, RIGHT, scale.top, MUTED, 2)
    ink.text(LEFT + 18, scale.top + 22, "came true this often", 26, MUTED, "lm")
    ink.text(RIGHT - 6, scale.bottom - 22, "when it said this", 26, MUTED, "rm")


def _record(ink: Ink, scale: _Scale, series: Series, color: Color) -> None:
    """Dots with what chance alone could move them by, joined from low to high."""
    places = [(scale.column(dot.said), scale.row(dot.came)) for dot in series.dots]
    for (x1, y1), (x2, y2) in pairwise(places):
        ink.line(x1, y1, x2, y2, shade(color), 3)
    for dot, (x, y) in zip(series.dots, places, strict=True):
        if dot.error:
            low, high = scale.row(dot.came - dot.error), scale.row(dot.came + dot.error)
            ink.line(x, high, x, low, color, 2)
            for end in (high, low):
                ink.line(x - 8, end, x + 8, end, color, 2)
        _dot(ink, x, y, color)


def _dot(ink: Ink, x: int, y: int, color: Color) -> None:
    ink.bar(x - DOT, y - DOT, x + DOT, y + DOT, color)


def _counts(ink: Ink, scale: _Scale, series: Series, color: Color, top: int, bottom: int) -> None:
    """A bar and a number under each dot: how many forecasts it stands for."""
    most = max(1, *(dot.count for dot in series.dots))
    ink.fill(LEFT, top, RIGHT, bottom, PANEL)
    ink.text(LEFT - 12, (top + bottom) // 2, "times", 26, color, "rm")
    for dot in series.dots:
        x, height = scale.column(dot.said), round((bottom - top - 34) * dot.count / most)
        ink.fill(max(LEFT, x - 12), bottom - max(1, height), min(RIGHT, x + 12), bottom, shade(color))
    free_from = LEFT
    for x, text in _texts(scale, series):
        half = ink.width(text, 24) // 2
        x = min(max(x, LEFT + half), RIGHT - half)
        if x - half >= free_from:
            ink.text(x, top + 16, text, 24, TEXT, "mm")
            free_from = x + half + 12


def _texts(scale: _Scale, series: Series) -> Iterable[tuple[int, str]]:
    return [(scale.column(dot.said), scales.short_count(dot.count)) for dot in series.dots]


if __name__ == "__main__":
    sys.exit(serve(from_json, draw_model))
