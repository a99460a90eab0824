"""How far which model is trusted: the value that the state holds, and the words for the owner.

Rule 1: it follows from the champion and what is remembered of it, and from nothing else; nothing here asks anybody.
"""

from __future__ import annotations

from decimal import Decimal

from core.domain.model import Model
from core.domain.state import Trust
from core.learn.drift import Level
from core.run.lab_memory import Memory

REDUCED = Decimal("0.5")


def trust_in(champion: Model | None, memory: Memory) -> Trust:
    """Who forecasts, with which share of the usual size: the whole, or REDUCED from that level of drift on."""
    if champion is None:
        return Trust()
    if memory.level >= Level.REDUCE:
        return Trust(champion.id, REDUCED, memory.why)
    return Trust(champion.id)


def who(champion: Model | None, nobody: str) -> str:
    """Who forecasts from now on, and why it is the rule where it is."""
    if champion is None:
        return f"{nobody} The rule forecasts, on paper only. /model tells more."
    made = champion.manifest
    return (
        f"The model {champion.id} of {made.created_at:%Y-%m-%d} forecasts from now on, learned from {made.rows:,} bets."
    )


def halved(trust: Trust) -> str:
    """That its size is not the usual one, and why; "" where it is."""
    return f"New positions stay halved. {trust.why}" if trust.share < 1 else ""
