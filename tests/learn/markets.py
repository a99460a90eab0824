"""Bars for the tests: seeded walks with trends, holes of trading and gaps, and the recorded hours where present."""

from __future__ import annotations

import csv
import gzip
import math
import random
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
HOUR_MS = 3_600_000
START_MS = 1_577_836_800_000

Columns = tuple[list[float], list[float], list[float], list[float], list[float]]


def walk(bars: int, seed: int, flat_share: float = 0.0, drift: float = 0.0) -> Columns:
    """A seeded random walk of ``bars`` possible bars; ``flat_share`` of them without any trade."""
    rng = random.Random(seed)
    close = math.exp(rng.uniform(-5, 11))
    opens, highs, lows, closes, volumes = [], [], [], [], []
    for _ in range(bars):
        flat = rng.random() < flat_share
        open_ = close if flat else close * math.exp(rng.gauss(0, 0.002))
        close = open_ if flat else open_ * math.exp(rng.gauss(drift, 0.01))
        opens.append(open_)
        highs.append(max(open_, close) * (1 if flat else 1 + abs(rng.gauss(0, 0.004))))
        lows.append(min(open_, close) / (1 if flat else 1 + abs(rng.gauss(0, 0.004))))
        closes.append(close)
        volumes.append(0.0 if flat else rng.expovariate(0.001))
    return opens, highs, lows, closes, volumes


def times(bars: int, start_ms: int = START_MS) -> list[int]:
    """Open times of ``bars`` hours without a hole."""
    return [start_ms + k * HOUR_MS for k in range(bars)]


def recorded(symbol: str, bars: int | None = None) -> tuple[list[int], Columns]:
    """The first ``bars`` recorded hours of a symbol; skips the test where the recordings are absent."""
    path = DATA / f"binance_{symbol}_1h.csv.gz"
    if not path.exists():
        pytest.skip(f"no recorded bars at {path}")
    with gzip.open(path, "rt") as lines:
        rows = list(csv.reader(lines))[1:][:bars]
    open_ms = [int(row[0]) for row in rows]
    opens, highs, lows, closes, volumes = ([float(row[k]) for row in rows] for k in range(1, 6))
    return open_ms, (opens, highs, lows, closes, volumes)
