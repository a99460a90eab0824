from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that could be bet on, as a data set holds them."""

    symbol: np.ndarray
    start_ms: np.ndarray
    end_ms: np.ndarray
    move: np.ndarray
    win: np.ndarray
    loss: np.ndarray

    def first(self, count: int) -> Candidates:
        """The first ``count`` rows."""
        return Candidates(*(getattr(self, name)[:count] for name in self.__slots__))


def rows_of(*rows: tuple[int, int, int, float]) -> Candidates:
    """Rows of (symbol, start hour, end hour, move) with 6 % to win and 3 % to lose."""
    symbol, start, end, move = (np.array(column) for column in zip(*rows, strict=True))
    n, hours = len(rows), np.int64(HOUR_MS)
    return Candidates(symbol, start * hours, end * hours, move.astype(float), np.full(n, 0.06), np.full(n, 0.03))
