"""What the simulated exchange trades on: one interface, two markets.

Rule 1: a market knows its whole future; the exchange serves nothing beyond its own clock.
Rule 2: a bar that is missing stays missing.
Rule 3: inside a bar the price walks a path that is a pure function of the bar, so every client, every speed and every
        restart sees the same steps, and their union is the bar again.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import NamedTuple, Protocol

from core.sim.pairs import Pair

STEPS = 12


class Row(NamedTuple):
    """One bar: open time in epoch ms, prices in quote per base, volume in base units."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Market(Protocol):
    """Bars of one length for some symbols, from ``first_ms`` on."""

    label: str
    simulated: bool
    symbols: tuple[str, ...]
    span_ms: int

    @property
    def first_ms(self) -> int:
        """Open time of the earliest bar of any symbol."""

    def pair(self, symbol: str) -> Pair:
        """Rules and size of the pair. Raises KeyError for a symbol this market does not have."""

    def row(self, symbol: str, open_ms: int) -> Row | None:
        """The bar that opens then, or None where there is none."""

    def rows(self, symbol: str, since_ms: int, until_ms: int, limit: int, newest: bool = False) -> list[Row]:
        """Up to ``limit`` bars with since <= open < until, oldest first: the first ones, or the newest."""

    def next_open(self, at_ms: int) -> int | None:
        """Open time of the first bar of any symbol at or after ``at_ms``; None at the end of the record."""


def steps_of(symbol: str, row: Row, span_ms: int, digits: int) -> tuple[Row, ...]:
    """The bar as ``STEPS`` small bars that join without a gap and whose union is the bar exactly."""
    rng = Random(f"{symbol}:{row.open_ms}")
    points = _walk(rng, row, digits)
    weights = [0.5 + rng.random() for _ in range(STEPS)]
    scale = row.volume / sum(weights)
    volumes = [round(w * scale, 8) for w in weights[:-1]]
    volumes.append(max(round(row.volume - sum(volumes), 8), 0.0))
    return tuple(
        Row(row.open_ms + i * span_ms // STEPS, a, max(a, b), min(a, b), b, volumes[i])
        for i, (a, b) in enumerate(pairwise(points))
    )


def _walk(rng: Random, row: Row, digits: int) -> list[float]:
    """Prices at the STEPS + 1 borders: open, one extreme, the other, close; jitter stays inside the bar."""
    rising = row.close >= row.open
    first, second = (row.low, row.high) if rising else (row.high, row.low)
    turn = rng.randint(1, STEPS // 2 - 1)
    back = rng.randint(STEPS // 2, STEPS - 1)
    anchors = ((0, row.open), (turn, first), (back, second), (STEPS, row.close))
    jitter = (row.high - row.low) * 0.15
    points = [row.open]
    for (start, a), (end, b) in pairwise(anchors):
        for i in range(start + 1, end):
            middle = a + (b - a) * (i - start) / (end - start) + rng.uniform(-jitter, jitter)
            points.append(min(max(round(middle, digits), row.low), row.high))
        points.append(b)
    return points
