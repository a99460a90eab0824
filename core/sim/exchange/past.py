"""The account as it stood some time ago, for reads that lag.

Rule 1: a Venue is one immutable value, so the past costs a reference a change; a minute and a half of it is kept.
"""

from __future__ import annotations

import copy
from collections import deque

from core.decide.venue import Moves, Venue
from core.sim.exchange.history import History
from core.sim.exchange.world import SimExchange

KEPT_MS = 90_000


class Past:
    """The account as it stood at some moments, for reads that lag."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange
        self._kept: deque[tuple[int, Venue, History]] = deque()
        self._note(())
        exchange.listeners.append((self._note, lambda: None))

    def _note(self, moves: Moves) -> None:
        at_ms = self._exchange.tape.now_ms
        if self._kept and self._exchange.venue is self._kept[-1][1]:
            return
        self._kept.append((at_ms, self._exchange.venue, _copied(self._exchange.history)))
        while len(self._kept) > 1 and self._kept[1][0] < at_ms - KEPT_MS:
            self._kept.popleft()

    def at(self, at_ms: int) -> SimExchange:
        """The exchange with its account as of then; everything else is as it is."""
        _, venue, history = next((k for k in reversed(self._kept) if k[0] <= at_ms), self._kept[0])
        seen = copy.copy(self._exchange)
        seen._venue, seen.history = venue, history
        seen._speed = None  # a picture moves no market
        return seen


def _copied(history: History) -> History:
    twin = copy.copy(history)
    for name, value in vars(history).items():
        if isinstance(value, dict):
            setattr(twin, name, {key: list(v) if isinstance(v, list) else v for key, v in value.items()})
        elif isinstance(value, list):
            setattr(twin, name, list(value))
    return twin
