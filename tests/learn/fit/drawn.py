"""Drawn bets: rows of some symbols on one time line, with overlapping labels and as much signal as asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core.learn.data.dataset import Dataset
from core.learn.features import MODEL_NAMES

HOUR_MS = 3_600_000
START_MS = 1_577_836_800_000
SYMBOLS = ("ADAUSDT", "BTCUSDT", "ETHUSDT")
SIGNAL = 2  # the column that knows something, where one does


def drawn(
    bars: int,
    seed: int = 1,
    strength: float = 0.0,
    features: int = 6,
    symbols: int = 2,
    stride: int = 4,
    heard: Callable[[Any], Any] = lambda signal: signal,
) -> Dataset:
    """A row of each symbol every ``stride``-th of ``bars`` hours; ``strength`` of what is ``heard`` of column SIGNAL, 0
    for nothing to learn."""
    rng = np.random.default_rng(seed)
    n = bars // stride * symbols
    symbol = np.tile(np.arange(symbols, dtype=np.int32), bars // stride)
    start_ms = START_MS + np.repeat(np.arange(bars // stride) * stride * HOUR_MS, symbols)
    x = rng.normal(size=(n, features))
    chance = 1 / (1 + np.exp(0.7 - strength * heard(x[:, SIGNAL])))
    won = rng.random(n) < chance
    loss = np.full(n, 0.03)
    move = np.where(won, 0.06, -0.03)
    late = rng.random(n) < 0.2
    move[late] = rng.uniform(-0.03, 0.06, n)[late] * np.where(won, 1.0, 0.5)[late]
    hours = rng.integers(1, 40, n)
    return Dataset(
        names=MODEL_NAMES[:features],
        symbols=SYMBOLS[:symbols],
        symbol=symbol,
        start_ms=start_ms,
        end_ms=start_ms + hours * HOUR_MS,
        x=x,
        outcome=np.clip((move + loss) / 0.09, 0, 1),
        move=move,
        win=np.full(n, 0.06),
        loss=loss,
        weight=np.ones(n),
        rule=rng.random(n) < 0.05,
    )
