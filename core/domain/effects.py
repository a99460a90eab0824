"""What shall be done: the effects of a step.

Rule 1: an effect is a value; the executor acts on it only after it is committed.
Rule 2: every class here can be written as JSON and read back as itself; its class name is its kind in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain.orders import Fill, Order
from core.domain.state import Decision, Position, Trade


@dataclass(frozen=True, slots=True)
class Effect:
    """Anything that shall be done once it is committed."""


@dataclass(frozen=True, slots=True)
class Submit(Effect):
    """Send one order."""

    order: Order


@dataclass(frozen=True, slots=True)
class SubmitPair(Effect):
    """Send a stop and a target of which the first to fill cancels the other (OCO)."""

    stop: Order
    target: Order


@dataclass(frozen=True, slots=True)
class SubmitBracket(Effect):
    """Send an entry that is filled whole or not at all, with the pair that protects it from that moment (OTOCO)."""

    entry: Order
    stop: Order
    target: Order


@dataclass(frozen=True, slots=True)
class Cancel(Effect):
    """Cancel one order; a leg of a pair takes its sister with it."""

    symbol: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Decided(Effect):
    """Keep this decision among the signals."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class OrdersDone(Effect):
    """Keep these orders as they were when they left the state."""

    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class TradeDone(Effect):
    """Keep this closed round trip among the trades."""

    trade: Trade


class Topic(StrEnum):
    """What a message to the owner is about; the courier and the views choose by it."""

    SIGNAL = "SIGNAL"
    ORDERED = "ORDERED"
    FILL = "FILL"
    PROTECTED = "PROTECTED"
    CLOSED = "CLOSED"
    REFUSAL = "REFUSAL"
    EXPIRED = "EXPIRED"
    STATE = "STATE"
    MODEL = "MODEL"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Tell(Effect):
    """One message to the owner: a topic, what it refers to, and the values a view needs."""

    topic: Topic
    ref: str
    text: str = ""
    urgent: bool = False
    decision: Decision | None = None
    fill: Fill | None = None
    position: Position | None = None
    trade: Trade | None = None
