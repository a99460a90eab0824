"""A market for a short life: many symbols that rise with pauses, each at another moment, drawn from a seed.

Rule 1: each leg falls far enough to count as a pause, climbs over its old high, and ends in a spike to the target.
Rule 2: one leg in four breaks its high and falls through the stop instead; which ones follows from the seed.
Rule 3: the symbols are spread over the length of a leg, so that some of them buy and sell in every few bars.
Rule 4: in a still market they break their highs together soon after the start, and then nothing reaches a barrier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from random import Random

PRICES = {
    "BTCUSDT": 16_000.0,
    "ETHUSDT": 1_200.0,
    "LINKUSDT": 6.0,
    "SOLUSDT": 20.0,
    "LTCUSDT": 60.0,
    "BNBUSDT": 250.0,
    "DOTUSDT": 5.0,
    "AVAXUSDT": 12.0,
    "TRXUSDT": 0.06,
    "ADAUSDT": 0.3,
    "XRPUSDT": 0.4,
    "DOGEUSDT": 0.08,
}
SYMBOLS = tuple(PRICES)
HISTORY = 1_000
STEP, FALL = 0.0035, 0.015
WICK, SPIKE = 0.0002, 0.018
DOWN, UP, FAIL = 4, 24, 20
LEG = DOWN + UP
FAILING = 0.25
SPAN_MS = 60_000
AHEAD = 5  # of the first breaks of a still market, bars after its start
MOVING = 8


def write(
    folder: Path, seed: int, start: datetime, bars: int, symbols: Sequence[str] = SYMBOLS, *, still: bool = False
) -> Path:
    """``folder`` with minute bars for each symbol: HISTORY before ``start`` and ``bars`` after it."""
    folder.mkdir(parents=True, exist_ok=True)
    first_ms = int(start.timestamp() * 1000) - HISTORY * SPAN_MS
    for place, symbol in enumerate(symbols):
        moves = _still() if still else _moves(Random(f"{seed} {symbol}"), place * LEG // len(symbols))
        lines = _lines(PRICES[symbol], first_ms, HISTORY + bars, moves)
        (folder / f"{symbol}_1m.csv").write_text("\n".join(lines) + "\n")
    return folder


def _moves(rng: Random, wait: int, failing: float = FAILING) -> Iterator[tuple[float, float]]:
    """Each bar's change and how far its high lies above both ends, as fractions."""
    yield from [(STEP / 4, WICK)] * wait
    while True:
        fails = rng.random() < failing
        yield from [(STEP, WICK)] * (FAIL if fails else UP)
        yield (-FALL, WICK if fails else SPIKE)
        yield from [(-FALL, WICK)] * (DOWN - 1)


def _still() -> Iterator[tuple[float, float]]:
    """Winning legs until shortly after the start, then no move worth the name."""
    legs = _moves(Random(), AHEAD, failing=0.0)
    yield from (next(legs) for _ in range(HISTORY + MOVING))
    while True:
        yield from [(STEP / 8, WICK), (-STEP / 8, WICK)]


def _lines(price: float, first_ms: int, count: int, moves: Iterator[tuple[float, float]]) -> Iterator[str]:
    base = price
    for i in range(count):
        move, reach = next(moves)
        before, price = price, price * (1 + move)
        high, low = max(before, price) * (1 + reach), min(before, price) * (1 - WICK)
        digits = 2 if base > 100 else 5
        prices = ",".join(f"{x:.{digits}f}" for x in (before, high, low, price))
        yield f"{first_ms + i * SPAN_MS},{prices},{4_000_000 / price:.3f}"
