"""Cost of a bar, live, from history, and by ta on pandas: `python bench/bench_features.py`.

Three ways on the same seeded walk: the analyst bar by bar (``Bar`` in, forecast out), the analyst over columns, and
the features alone; against them ta + pandas over the whole frame at once, and over the last 1,000 rows for one bar,
which is how a bot on ta follows a live market.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from core.domain.market import Bar, as_decimal, from_ms
from core.learn import features
from core.learn.analyst import Analyst

BARS = 20_000
LIVE_ROWS = 1_000
HOUR = timedelta(hours=1)
Columns = tuple[list[float], list[float], list[float], list[float], list[float]]


def walk(bars: int) -> Columns:
    rng, close = random.Random(7), 20_000.0
    rows = []
    for _ in range(bars):
        open_ = close
        close = open_ * math.exp(rng.gauss(0.0001, 0.006))
        wick = 1 + abs(rng.gauss(0, 0.002))
        rows.append((open_, max(open_, close) * wick, min(open_, close) / wick, close, rng.expovariate(0.001)))
    opens, highs, lows, closes, volumes = (list(column) for column in zip(*rows, strict=True))
    return opens, highs, lows, closes, volumes


def us_per_bar(work: Callable[[], object], bars: int) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / bars * 1e6


def by_ta(columns: Columns) -> None:
    """Every feature that ta has, with pandas for the rest, over the whole frame."""
    import numpy as np
    import pandas as pd
    import ta

    _, high, low, close, volume = (pd.Series(column) for column in columns)
    for n in (20, 50, 200):
        ta.trend.EMAIndicator(close, n).ema_indicator()
    ta.momentum.RSIIndicator(close, 14).rsi()
    macd = ta.trend.MACD(close)
    macd.macd(), macd.macd_signal(), macd.macd_diff()
    ta.volatility.AverageTrueRange(high, low, close, 14).average_true_range()
    adx = ta.trend.ADXIndicator(high, low, close, 14)
    adx.adx(), adx.adx_pos(), adx.adx_neg()
    bands = ta.volatility.BollingerBands(close, 20, 2)
    bands.bollinger_pband(), bands.bollinger_wband()
    for n in (20, 55):
        close / high.rolling(n).max(), close / low.rolling(n).min()
    volume / volume.rolling(20).mean()
    logs = pd.Series(np.log(close))
    for k in (1, 3, 12, 24):
        logs.diff(k)
    (logs.diff() ** 2).ewm(span=100, adjust=False).mean()


def main() -> None:
    columns = walk(BARS)
    open_ms = [k * 3_600_000 for k in range(BARS)]
    bars = [
        Bar("BTCUSDT", from_ms(at), HOUR, *map(as_decimal, row)) for at, *row in zip(open_ms, *columns, strict=True)
    ]
    live, read = (Analyst("BTCUSDT", HOUR) for _ in range(2))
    rows = features.fold(open_ms, columns, features.new_state(HOUR))
    found = {
        "analyst, live bar by bar": us_per_bar(
            lambda: [live.by_rule(look) for bar in bars if not (look := live.look(bar)).silence], BARS
        ),
        "analyst, reading history": us_per_bar(
            lambda: [read.take(*row) for row in zip(open_ms, *columns, strict=True)], BARS
        ),
        "features alone": us_per_bar(lambda: [row[0] for row in rows], BARS),
    }
    last = tuple(column[-LIVE_ROWS:] for column in columns)
    by_ta(last)  # type: ignore[arg-type]
    found["ta + pandas, whole frame"] = us_per_bar(lambda: by_ta(columns), BARS)
    found[f"ta + pandas, {LIVE_ROWS} rows a bar"] = us_per_bar(lambda: by_ta(last), 1)  # type: ignore[arg-type]
    base = found["features alone"]
    print(f"{len(features.NAMES)} features, {BARS} bars, Python {sys.version.split()[0]}")
    for name, cost in found.items():
        print(f"{name:30s} {cost:12.1f} us/bar {cost / base:10.2f} x features alone")
    body = live.dump()
    print(f"saved state of one symbol      {len(body):12d} bytes, same after both ways: {body == read.dump()}")


if __name__ == "__main__":
    main()
