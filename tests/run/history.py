"""Hours of three symbols for the tests of feed and analysts: enough past to be warm by START, and a day after it."""

from __future__ import annotations

from core.domain.market import Bar, as_decimal, from_ms, to_ms
from tests.learn.markets import walk
from tests.run.samples import HOUR, START

SYMBOLS = ("BTCUSDT", "ETHUSDT", "LINKUSDT")
PAST = 620
FUTURE = 24


def hours(symbol: str) -> list[Bar]:
    """Hours of a seeded walk: PAST of them closed by START, FUTURE after it."""
    first_ms = to_ms(START - PAST * HOUR)
    rows = zip(*walk(PAST + FUTURE, SYMBOLS.index(symbol), drift=0.0005), strict=True)
    return [
        Bar(symbol, from_ms(first_ms + n * 3_600_000), HOUR, *map(as_decimal, map(float, row)))
        for n, row in enumerate(rows)
    ]


BARS = {symbol: hours(symbol) for symbol in SYMBOLS}
