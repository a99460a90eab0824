"""The drawing of a chart: a ChartSpec in, a PNG of 1080 × 1080 pixels out, fit for a phone.

Rule 1: it is drawn by a process of its own (``bot.views.canvas``): ``python -m bot.views.chart``.
Rule 2: no font file is needed: Pillow carries one; characters it lacks are written in those it has.
Rule 3: labels never cover each other; what is off the scale is shown at its edge, never left out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise

from bot.views import chartscale as scales
from bot.views.canvas import MARGIN, SIZE, drawn, heading, serve
from bot.views.chartink import (
    AMBER,
    BACKGROUND,
    BLUE,
    EDGE,
    GREEN,
    GRID,
    MUTED,
    PANEL,
    RED,
    TEXT,
    Color,
    Ink,
    shade,
)
from bot.views.chartspec import ChartSpec, PriceLine, Spoke, Tone, from_json

GAP_BARS_MIN = 1.5
SPOKEN_MAX = 5
SPOKEN_ROW = 58
PILL = 40
TAG_MAX = 220
_TONES: dict[Tone, Color] = {Tone.ENTRY: BLUE, Tone.STOP: RED, Tone.TARGET: GREEN, Tone.LAST: AMBER}


def draw_chart(spec: ChartSpec) -> bytes:
    """The picture of ``spec`` as PNG bytes, 1080 × 1080 pixels."""

    def paint(ink: Ink) -> None:
        top = heading(ink, spec.title, spec.subtitle, spec.badge)
        bottom = _footer(ink, spec)
        bottom = _spoken(ink, spec, bottom)
        _market(ink, spec, top, bottom)

    return drawn(paint)


def _footer(ink: Ink, spec: ChartSpec) -> int:
    """The small print at the foot; the row above it."""
    if not spec.footer:
        return SIZE - 24
    ink.text(MARGIN, SIZE - 30, ink.fitted(spec.footer, 25, SIZE - 2 * MARGIN), 25, MUTED, "lm")
    return SIZE - 62


def _spoken(ink: Ink, spec: ChartSpec, bottom: int) -> int:
    """Two columns of bars, what spoke for and what spoke against; the row above them."""
    columns = ((spec.spoke_for, "Spoke for", GREEN), (spec.spoke_against, "Spoke against", RED))
    rows = min(SPOKEN_MAX, max(len(spoken) for spoken, _, _ in columns))
    if not rows:
        return bottom
    top = bottom - 76 - rows * SPOKEN_ROW
    width = (SIZE - 2 * MARGIN - 24) // 2
    for column, (spoken, title, color) in enumerate(columns):
        left = MARGIN + column * (width + 24)
        ink.box(left, top, left + width, bottom - 8, PANEL, EDGE)
        ink.text(left + 22, top + 32, title, 29, color, "lm", bold=True)
        _column(ink, spoken, color, left + 22, left + width - 22, top + 58)
    return top - 14


def _column(ink: Ink, spoken: tuple[Spoke, ...], color: Color, left: int, right: int, top: int) -> None:
    if not spoken:
        ink.text(left, top + 22, "nothing", 27, MUTED, "lm")
    ranked = sorted(spoken, key=lambda one: -one.strength)
    shown = ranked if len(ranked) <= SPOKEN_MAX else ranked[: SPOKEN_MAX - 1]
    for row, one in enumerate(shown):
        y = top + row * SPOKEN_ROW
        ink.text(left, y + 16, ink.fitted(one.label, 27, right - left), 27, TEXT, "lm")
        ink.bar(left, y + 37, right, y + 47, EDGE)
        if one.strength > 0:
            ink.bar(left, y + 37, left + max(10, round((right - left) * one.strength)), y + 47, color)
    if len(shown) < len(ranked):
        ink.text(left, top + len(shown) * SPOKEN_ROW + 20, f"and {len(ranked) - len(shown)} more", 27, MUTED, "lm")


def _market(ink: Ink, spec: ChartSpec, top: int, bottom: int) -> None:
    """Candles, volume, both axes, price lines and fills between the rows ``top`` and ``bottom``."""
    floor = bottom - 44
    volume_top = floor - (floor - top) // 6
    scale = scales.price_scale(spec, top + 10, volume_top - 14)
    texts = [scales.price_text(price, spec.decimals) for price in (scale.high, *(x.price for x in spec.lines))]
    axis = SIZE - MARGIN - max(ink.width(text, 26) for text in texts) - 20
    tags = max((ink.width(ink.fitted(line.label, 24, TAG_MAX), 24) + 44 for line in spec.lines), default=8)
    _Plot(ink, spec, scale, axis, axis - tags, top, volume_top, floor).draw()


@dataclass(frozen=True, slots=True)
class _Plot:
    """The market part of one picture: columns of the price axis and of the last bar's end, rows of its three edges."""

    ink: Ink
    spec: ChartSpec
    scale: scales.Scale
    axis: int
    right: int
    top: int
    volume_top: int
    floor: int

    def draw(self) -> None:
        """Everything, from the back to the front."""
        rows = [self.scale.row(line.price) for line in self.spec.lines]
        label_rows = scales.apart(rows, PILL + 4, self.top, self.floor)
        self._grid(label_rows)
        self._times()
        self._holes()
        self._lines()
        self._volume()
        self._candles()
        self._fills()
        for line, row in zip(self.spec.lines, label_rows, strict=True):
            self._label(line, row)

    @property
    def _step(self) -> float:
        """Pixels from bar to bar; a few bars stay candles, they are not blown up to blocks."""
        return min(40.0, (self.right - MARGIN) / len(self.spec.candles))

    def _edge(self, index: int) -> float:
        """Pixel column where bar ``index`` begins; the last one ends at ``right``."""
        return self.right - self._step * (len(self.spec.candles) - index)

    def _middle(self, index: int) -> int:
        """Pixel column of the middle of bar ``index``."""
        return round(self._edge(index) + 0.5 * self._step)

    def _grid(self, taken: list[int]) -> None:
        ticks = scales.round_ticks(self.scale.low, self.scale.high, 6)
        decimals = scales.tick_decimals(ticks, self.spec.decimals)
        for tick in ticks:
            row = self.scale.row(tick)
            self.ink.line(MARGIN, row, self.axis, row, GRID)
            if all(abs(row - label) > PILL // 2 + 15 for label in taken):
                self.ink.text(self.axis + 12, row, scales.price_text(tick, decimals), 26, MUTED, "lm")
        self.ink.line(self.axis, self.top, self.axis, self.floor, EDGE)
        self.ink.line(MARGIN, self.floor, self.axis, self.floor, EDGE)

    def _times(self) -> None:
        free_from = MARGIN
        for tick in scales.time_ticks([c.open_ms for c in self.spec.candles], self.spec.time_zone, 7):
            x, half = self._middle(tick.index), self.ink.width(tick.text, 26) // 2
            self.ink.line(x, self.top, x, self.floor, EDGE if tick.strong else GRID)
            if x - half >= free_from and x + half <= SIZE - MARGIN:
                self.ink.text(x, self.floor + 24, tick.text, 26, TEXT if tick.strong else MUTED, "mm")
                free_from = x + half + 18

    def _holes(self) -> None:
        """Where bars are missing the picture says so: neighbours on it are not neighbours in time."""
        opens = [c.open_ms for c in self.spec.candles]
        steps = [later - earlier for earlier, later in pairwise(opens)]
        for index, step in enumerate(steps):
            if step > GAP_BARS_MIN * min(steps):
                x = round(self._edge(index + 1))
                self.ink.dashes(x, self.top, x, self.floor, AMBER)
                self.ink.text(x, self.top - 2, "gap", 22, AMBER, "mb")

    def _lines(self) -> None:
        for line in self.spec.lines:
            if self.scale.holds(line.price):
                row, color = self.scale.row(line.price), _TONES[line.tone]
                if line.tone is Tone.LAST:
                    self.ink.dashes(MARGIN, row, self.right, row, color)
                else:
                    self.ink.line(MARGIN, row, self.right, row, color, 2)

    def _volume(self) -> None:
        most = max(c.volume for c in self.spec.candles)
        for index, c in enumerate(self.spec.candles):
            if c.volume > 0:
                height = max(1, round((self.floor - self.volume_top) * c.volume / most))
                left, right = self._body(index)
                color = shade(GREEN if c.close >= c.open else RED)
                self.ink.fill(left, self.floor - height, right, self.floor - 1, color)

    def _candles(self) -> None:
        for index, c in enumerate(self.spec.candles):
            color = GREEN if c.close >= c.open else RED
            x, (left, right) = self._middle(index), self._body(index)
            self.ink.line(x, self.scale.row(c.high), x, self.scale.row(c.low), color, 2 if self._step >= 6 else 1)
            self.ink.fill(
                left, self.scale.row(max(c.open, c.close)), right, self.scale.row(min(c.open, c.close)), color
            )

    def _body(self, index: int) -> tuple[int, int]:
        half = max(0, round(self._step * 0.34))
        return self._middle(index) - half, self._middle(index) + half

    def _fills(self) -> None:
        opens = [c.open_ms for c in self.spec.candles]
        for fill in self.spec.fills:
            if fill.at_ms >= opens[0]:
                index = sum(1 for open_ms in opens if open_ms <= fill.at_ms) - 1
                self.ink.arrow(self._middle(index), self.scale.row(fill.price), fill.buy, GREEN if fill.buy else RED)

    def _label(self, line: PriceLine, row: int) -> None:
        """The price on the axis and the line's name beside it, joined to the line where they had to move."""
        color, left, half = _TONES[line.tone], self.right + 18, PILL // 2
        self.ink.line(self.right, self.scale.row(line.price), left, row, color, 2)
        self.ink.box(left, row - half, self.axis - 4, row + half, shade(color), color)
        self.ink.text((left + self.axis - 4) // 2, row, self.ink.fitted(line.label, 24, TAG_MAX), 24, TEXT, "mm")
        self.ink.box(self.axis + 2, row - half, SIZE - MARGIN + 10, row + half, color, color)
        self.ink.text(self.axis + 12, row, scales.price_text(line.price, self.spec.decimals), 26, BACKGROUND, "lm")
        if not self.scale.holds(line.price):
            self.ink.arrow(self.right, row, line.price > self.scale.high, color)


if __name__ == "__main__":
    sys.exit(serve(from_json, draw_chart))
