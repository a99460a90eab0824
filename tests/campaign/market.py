"""A market made for trouble: short bars that zigzag, so that stops and targets trigger within minutes.

Rule 1: the whole of it follows from the seed; inside a bar the usual steps lead from border to border.
"""

from __future__ import annotations

from bisect import bisect_left
from random import Random

from core.sim.market import Row
from core.sim.pairs import Pair, pair

SPAN_MS = 60_000
HISTORY = 70


class Zigzag:
    """Bars of a minute for some symbols; ``thin`` (0..1] scales the volume, so that orders fill in small parts."""

    simulated = True
    span_ms = SPAN_MS

    def __init__(
        self, symbols: tuple[str, ...], seed: int, first_ms: int, bars: int, swing: float, thin: float
    ) -> None:
        self.label = f"zigzag:{seed}"
        self.symbols = symbols
        self._pairs = {symbol: pair(symbol) for symbol in symbols}
        self._first_ms = first_ms
        self._rows = {s: self._made(s, Random(f"{seed} {s}"), bars, swing, thin) for s in symbols}

    def _made(self, symbol: str, rng: Random, bars: int, swing: float, thin: float) -> list[Row]:
        usual = self._pairs[symbol]
        tick = float(usual.rules.instrument.tick)
        digits = max(0, -usual.rules.instrument.tick.normalize().as_tuple().exponent)  # type: ignore[operator]
        price, leg, left, rows = usual.price, 0.0, 0, []
        for i in range(bars):
            if left == 0:
                leg, left = rng.choice((-1, 1)) * rng.uniform(0.1, 1.0) * swing, rng.randint(2, 6)
            left -= 1
            jump = rng.gauss(0, swing * 2) if rng.random() < 0.03 else 0.0
            opens = price * (1 + jump)
            closes = opens * (1 + leg + rng.gauss(0, swing / 3))
            high = max(opens, closes) * (1 + abs(rng.gauss(0, swing / 3)))
            low = min(opens, closes) * (1 - abs(rng.gauss(0, swing / 3)))
            o, h, lo, c = (round(round(x / tick) * tick, digits) for x in (opens, high, low, closes))
            volume = round(usual.turnover / 60 / price * thin * rng.lognormvariate(0, 0.7), 8)
            rows.append(Row(self._first_ms + i * SPAN_MS, o, max(o, h, c), min(o, lo, c), c, volume))
            price = c
            # a walk that strays too far comes home
            price *= 1 + (usual.price / price - 1) * 0.02
            price = round(round(price / tick) * tick, digits)
        return rows

    @property
    def first_ms(self) -> int:
        return self._first_ms

    def pair(self, symbol: str) -> Pair:
        return self._pairs[symbol]

    def row(self, symbol: str, open_ms: int) -> Row | None:
        index, inside = divmod(open_ms - self._first_ms, SPAN_MS)
        rows = self._rows[symbol]
        return rows[index] if not inside and 0 <= index < len(rows) else None

    def rows(self, symbol: str, since_ms: int, until_ms: int, limit: int, newest: bool = False) -> list[Row]:
        rows = self._rows[symbol]
        start = bisect_left(rows, since_ms, key=lambda r: r.open_ms)
        stop = bisect_left(rows, until_ms, key=lambda r: r.open_ms)
        return rows[max(start, stop - limit) : stop] if newest else rows[start : min(stop, start + limit)]

    def next_open(self, at_ms: int) -> int | None:
        opens = max(self._first_ms, -(-at_ms // SPAN_MS) * SPAN_MS)
        last = self._first_ms + (len(next(iter(self._rows.values()))) - 1) * SPAN_MS
        return opens if opens <= last else None
