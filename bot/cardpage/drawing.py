"""Pictures as inline SVG: an axis, and the few marks a chart needs.

Rule 1: a drawing is WIDTH units wide and is scaled to its place, so that its letters are readable on a phone; colours
        are classes, which the page's style gives a light and a dark one.
Rule 2: no number can break a drawing: what lies beyond REACH, or outside its axis, is drawn at its end.
Rule 3: a text never runs over its room: what is too long ends in three dots, and is there in full to be pointed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from bot.cardpage.markup import element
from bot.views.chartscale import round_ticks

WIDTH = 360.0
REACH = 1e6
LETTER = 7.0  # units a letter of the usual size takes on average
ROW = 16.0
ROOM = 0.06
LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Axis:
    """Values ``low`` .. ``high`` over the places ``start`` .. ``end``; upwards where ``end`` is the smaller."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value is drawn."""
        part = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, part)) * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round values on the axis."""
        return round_ticks(self.low, self.high, about)


def axis(values: Iterable[float], start: float, end: float, least: float = LEAST) -> Axis:
    """An axis from ``start`` to ``end`` that holds all ``values`` and is at least ``least`` long."""
    held = [min(REACH, max(-REACH, value)) for value in values] or [0.0]
    low, high = min(held), max(held)
    spare = max(0.0, least - (high - low)) / 2 + ROOM * (high - low)
    return Axis(low - spare, high + spare, start, end)


def drawing(said: str, height: float, marks: Iterable[Element]) -> Element:
    """A picture ``height`` units high; ``said`` tells what it shows to whoever cannot see it."""
    made = element("svg", role="img", aria_label=said, viewBox=f"0 0 {WIDTH:.0f} {height:.0f}")
    made.extend(marks)
    return made


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start", room: float = WIDTH) -> Element:
    """Letters on the line ``y``, from, around or up to ``x`` (``anchor`` start, middle, end), in so much ``room``."""
    letters = max(1, int(room / LETTER))
    shown = said if len(said) <= letters else f"{said[: letters - 1].rstrip()}\u2026"
    hint = element("title", said) if shown != said else None
    # after a title no letter would be shown before it, so the hint stands last
    return element("text", shown, hint, x=x, y=y, class_=kind, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def bar(x1: float, x2: float, y: float, height: float, kind: str, hint: str = "") -> Element:
    """A bar between two columns; one of no length is a hair."""
    left, wide = min(x1, x2), max(1.0, abs(x2 - x1))
    said = element("title", hint) if hint else None
    return element("rect", said, x=left, y=y, width=wide, height=height, class_=kind)


def dot(x: float, y: float, kind: str, hint: str = "") -> Element:
    """A dot, with what it stands for to be pointed at."""
    return element("circle", element("title", hint) if hint else None, cx=x, cy=y, r=4.0, class_=kind)


def free(places: Sequence[tuple[float, str]], gap: float = 6.0) -> list[tuple[float, str]]:
    """Those of some texts (middle, said), from left to right, that do not cover one before them."""
    found, end = list[tuple[float, str]](), float("-inf")
    for x, said in places:
        half = len(said) * LETTER / 2
        if x - half >= end:
            found.append((x, said))
            end = x + half + gap
    return found
