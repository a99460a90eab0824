"""Request weight and order counts, as the exchange keeps and enforces them.

Rule 1: windows follow the exchange's own clock: a minute of a demo at 60 times speed is one second of the wall.
Rule 2: in lock-step they are counted but not enforced: a standing clock would never open the next window.
"""

from __future__ import annotations

from core.sim.exchange.errors import fail
from core.sim.exchange.public import ORDERS_PER_10S, WEIGHT_LIMIT

MINUTE_MS = 60_000
TEN_S_MS = 10_000


class Budget:
    """What was used in the running windows."""

    def __init__(self, enforced: bool, weight_max: int = WEIGHT_LIMIT, orders_max: int = ORDERS_PER_10S) -> None:
        self._enforced = enforced
        self._weight_max = weight_max
        self._orders_max = orders_max
        self._minute = self._ten_s = -1
        self.weight = 0
        self.orders = 0

    def spend(self, now_ms: int, weight: int, orders: int) -> None:
        """Take in one request. Raises -1003 or -1015 with the seconds until the window opens."""
        if now_ms // MINUTE_MS != self._minute:
            self._minute, self.weight = now_ms // MINUTE_MS, 0
        if now_ms // TEN_S_MS != self._ten_s:
            self._ten_s, self.orders = now_ms // TEN_S_MS, 0
        self.weight += weight
        self.orders += orders
        if not self._enforced:
            return
        if self.weight > self._weight_max:
            raise fail("busy", _seconds_left(now_ms, MINUTE_MS), limit=self._weight_max)
        if orders and self.orders > self._orders_max:
            raise fail("orders_busy", _seconds_left(now_ms, TEN_S_MS), limit=self._orders_max)


def _seconds_left(now_ms: int, window_ms: int) -> int:
    return (window_ms - now_ms % window_ms + 999) // 1000
