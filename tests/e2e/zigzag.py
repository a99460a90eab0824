"""A market drawn by hand, as files: rises with pauses, so that the rule buys often, wins mostly and loses sometimes.

Rule 1: the price climbs in legs; each falls back far enough to count as a pause, breaks its old high and ends in a
        spike that reaches the target.
Rule 2: every fifth leg breaks its high and falls through the stop; the symbol in FLAT then goes nowhere for so long
        that its position is left by time.
Rule 3: the numbers are a function of the symbol's place alone: the same files every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=UTC)
HISTORY = 1500
BARS = 130
SYMBOLS = ("BTCUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT")
FLAT = "SOLUSDT"
PRICES = {"BTCUSDT": 16_000.0, "ETHUSDT": 1_200.0, "LINKUSDT": 6.0, "SOLUSDT": 20.0}
STEP = 0.0035
WICK = 0.0002
FALL = 0.015
DOWN, UP, FAIL = 4, 24, 20
SPIKE = 0.018
SPANS_MS = {"1m": 60_000, "1h": 3_600_000}


def write(
    folder: Path, *, symbols: Sequence[str] = SYMBOLS, span: str = "1h", start: datetime = START, bars: int = BARS
) -> Path:
    """``folder`` with a CSV for each symbol: HISTORY bars before ``start`` and ``bars`` after it."""
    folder.mkdir(parents=True, exist_ok=True)
    length = SPANS_MS[span]
    first_ms = int(start.timestamp() * 1000) - HISTORY * length
    for place, symbol in enumerate(symbols):
        bars_made = _bars(place, PRICES[symbol], HISTORY + bars, flat=symbol == FLAT)
        lines = [_line(first_ms + i * length, *prices) for i, prices in enumerate(bars_made)]
        (folder / f"{symbol}_{span}.csv").write_text("\n".join(lines) + "\n")
    return folder


def _bars(place: int, price: float, count: int, *, flat: bool) -> Iterator[tuple[float, float, float]]:
    """Open, close, and how far the high lies above both, as a fraction."""
    moves = _moves(place, flat)
    for _ in range(count):
        move, reach = next(moves)
        yield price, price * (1 + move), reach
        price *= 1 + move


def _moves(place: int, flat: bool) -> Iterator[tuple[float, float]]:
    """Each bar's change and reach; ``place`` shifts the legs so that the symbols do not move as one."""
    yield from [(STEP / 4, WICK)] * place * 5
    made, leg = place * 5, 0
    while True:
        leg += 1
        failing = leg % 5 == place
        climb = FAIL if failing else UP
        yield from [(STEP, WICK)] * climb
        made += climb + DOWN
        if flat and made > HISTORY:
            yield from [(STEP / 8, WICK), (-STEP / 8, WICK)] * BARS
        yield (-FALL, WICK if failing else SPIKE)
        yield from [(-FALL, WICK)] * (DOWN - 1)


def _line(open_ms: int, open_: float, close: float, reach: float) -> str:
    high, low = max(open_, close) * (1 + reach), min(open_, close) * (1 - WICK)
    digits = 2 if close > 100 else 4
    prices = ",".join(f"{x:.{digits}f}" for x in (open_, high, low, close))
    return f"{open_ms},{prices},{4_000_000 / close:.3f}"
