"""The wall's clock."""

from __future__ import annotations

from datetime import UTC, datetime


class WallClock:
    """Time as the machine has it."""

    speed = 1.0

    def now(self) -> datetime:
        """Aware UTC now."""
        return datetime.now(UTC)
