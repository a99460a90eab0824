"""How often the exchange may be asked: one gate for each address, shared by every account of this process.

Rule 1: once the exchange asks for patience, no call to that address leaves before the time is up.
Rule 2: reads keep to a pace that stays below the limit; what changes something never queues behind a read.
Rule 3: only clocks that cannot be set count here: a step of the wall's clock neither bars the way nor opens it.
"""

from __future__ import annotations

import asyncio
import time

from core.domain.errors import RetryLater


class Pace:
    """A bucket of weight that refills; what is taken beyond its bottom has to be waited for."""

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at = time.monotonic()

    def take(self, weight: float, now: float) -> float:
        """Take ``weight`` at the moment ``now`` (monotonic seconds); how many seconds to wait before using it."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_s) - weight
        self._at = max(self._at, now)
        return max(0.0, -self._left / self._per_s)


class Gate:
    """Shut while the exchange wants to be left alone, and paced while it does not."""

    def __init__(self) -> None:
        self._open_at = 0.0
        # weights as ccxt counts them: 1200 a minute are allowed; 200 + 60 * 15 leave room for orders
        self._pace = Pace(200.0, 15.0)

    def shut(self, seconds: float) -> None:
        """Let nothing through for ``seconds`` from now; a longer ban already running stays."""
        self._open_at = max(self._open_at, time.monotonic() + seconds)

    def check(self) -> None:
        """Raises RetryLater with the seconds left, while shut."""
        left = self._open_at - time.monotonic()
        if left > 0:
            raise RetryLater(f"The exchange asked to be left alone for another {left:.0f} s", left)

    async def turn(self, weight: float, at_once: bool) -> None:
        """Wait for the turn of a call of this weight, first come first served; ``at_once`` counts but does not wait."""
        wait_s = self._pace.take(weight, time.monotonic())
        if wait_s and not at_once:
            await asyncio.sleep(wait_s)


_GATES: dict[str, Gate] = {}


def gate_of(origin: str) -> Gate:
    """The one gate of this scheme, host and port."""
    return _GATES.setdefault(origin, Gate())
