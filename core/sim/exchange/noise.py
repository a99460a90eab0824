"""What a user stream makes of its events: loses, doubles, turns round, falls silent or ends.

Rule 1: as often as the line beside it fails, drawn from a seed of its own.
"""

from __future__ import annotations

from random import Random
from typing import Any

from core.sim.exchange.faults import FaultyLine

Event = dict[str, Any]


class Noise:
    """What becomes of the user stream's events: nothing, twice, in the wrong order, or the end of the connection."""

    def __init__(self, line: FaultyLine, seed: int) -> None:
        self._line = line
        self._rng = Random(f"stream {seed}")

    def spoiled(self, events: list[Event]) -> list[Event] | None:
        """What is sent in place of ``events``; None where the connection ends instead."""
        if self._rng.random() >= self._line.share:
            return events
        fate = self._rng.randrange(4)
        return (None, [], events * 2, events[::-1])[fate]
