"""The wall's clock, made fit to measure with.

Rule 1: it never goes back: where the wall is set back it runs a little slower until the wall has caught up, so that
        what counts seconds (a watch, an alarm) neither starts again nor waits for ever.
Rule 2: a start goes on where the last run's clock was, unless the wall was set back by more than a mistake of minutes.
Rule 3: where the wall goes forward it follows at once: a machine that slept has slept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from core.domain.market import from_ms

CATCHES_UP = 0.98  # seconds of this clock in one real second while it is ahead of the wall
SET_BACK_MAX = timedelta(hours=1)  # more is a clock that was wrong altogether: to follow it would take days


class WallClock:
    """Aware UTC time, one second a second; ``wall`` and ``steady`` are seconds, the second can never be set.

    ``last`` is the newest time that an earlier run wrote down.
    """

    speed = 1.0

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        last: datetime | None = None,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._told = wall()
        self._at = steady()
        if last and last - self.now() < SET_BACK_MAX:
            self._told = max(self._told, last.timestamp())

    def now(self) -> datetime:
        """Aware UTC now, never earlier than it said before."""
        wall, at = self._wall(), self._steady()
        self._told = max(wall, self._told + max(0.0, at - self._at) * CATCHES_UP)
        self._at = at
        return from_ms(0) + timedelta(microseconds=round(self._told * 1_000_000))
