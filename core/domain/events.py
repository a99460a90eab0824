"""What can happen: the events the machine steps by.

Rule 1: an event carries everything ``step`` needs, its own time ``at`` included: the machine has no clock.
Rule 2: every class here can be written as JSON and read back as itself; its class name is its kind in the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.forecast import Forecast
from core.domain.market import Bar, Instrument
from core.domain.orders import Fill, Order
from core.domain.state import Config, Limits, Trust


@dataclass(frozen=True, slots=True)
class Event:
    """Anything that happens, at a moment of the mode's own clock; ``trace`` ties it to what it causes."""

    at: datetime
    trace: str


@dataclass(frozen=True, slots=True)
class Configured(Event):
    """The owner's configuration as read at start."""

    config: Config


@dataclass(frozen=True, slots=True)
class InstrumentsSeen(Event):
    """The exchange's rules for the symbols we watch, new or changed."""

    instruments: Mapping[str, Instrument]


@dataclass(frozen=True, slots=True)
class BalancesSeen(Event):
    """Totals per asset as the exchange holds them, every trade booked: adopted at the first start, then compared."""

    balances: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class BarSeen(Event):
    """A closed bar with the analyst's forecast; ``silence`` says why there is none."""

    bar: Bar
    forecast: Forecast | None
    silence: str = ""


@dataclass(frozen=True, slots=True)
class PeersSeen(Event):
    """The symbols whose returns move with another's, for each symbol of which that is news."""

    peers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Ticked(Event):
    """Time passed: approvals run out, what is missing is noticed."""


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    """The exchange proved that it has the order; ``list_id`` is its number of the pair the order belongs to."""

    client_id: str
    exchange_id: str
    list_id: str = ""


@dataclass(frozen=True, slots=True)
class Rejected(Event):
    """The exchange proved that it does not have the order and never will."""

    client_id: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Unknown(Event):
    """An order was sent and nobody can say yet whether it exists."""

    client_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Absent(Event):
    """The watch over an unknown order ended: it does not exist."""

    client_id: str


@dataclass(frozen=True, slots=True)
class StillHeld(Event):
    """A sale is in doubt, no read shows it, and the balance was read again: ``total`` base units are in the account."""

    client_id: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class OrdersFound(Event):
    """Orders with our mark stand on the exchange that the state does not hold."""

    symbol: str
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class TradesBegan(Event):
    """Our newest trade of a symbol when it was first looked at, -1 for none: only later ones are to be booked."""

    symbol: str
    newest_id: int


@dataclass(frozen=True, slots=True)
class Unproven(Event):
    """Nothing has shown since ``since`` that the stops of these symbols still stand."""

    symbols: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Proven(Event):
    """The stops of these symbols were seen again."""

    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopRanPast(Event):
    """A stop was triggered and sells nothing: the market fell through its limit."""

    client_id: str


@dataclass(frozen=True, slots=True)
class AccessLost(Event):
    """The exchange does not accept our key any more, or the key may do what it must not."""

    text: str


@dataclass(frozen=True, slots=True)
class KeyExpires(Event):
    """The exchange will take the key's right to trade away at ``expires_at``."""

    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Filled(Event):
    """One trade of one of our orders."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class Canceled(Event):
    """The exchange proved that the order ended unfilled or partly filled; ``expired`` when by its own rule."""

    client_id: str
    expired: bool = False


@dataclass(frozen=True, slots=True)
class CancelRefused(Event):
    """The exchange had nothing to cancel: the order is done or gone; its fills will tell."""

    client_id: str
    text: str


@dataclass(frozen=True, slots=True)
class LabSpoke(Event):
    """The lab has news in ``text``; ``trust`` is set where another model forecasts or one is trusted otherwise."""

    text: str
    trust: Trust | None = None
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class OwnerEvent(Event):
    """A word of the owner, known by the chat update it came in: the same update acts once."""

    update_id: int


@dataclass(frozen=True, slots=True)
class OwnerApproved(OwnerEvent):
    """The owner pressed Approve on a proposal; ``price`` is what it would cost now, None where nobody could say."""

    intent: str
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OwnerSkipped(OwnerEvent):
    """The owner pressed Skip on a proposal."""

    intent: str


@dataclass(frozen=True, slots=True)
class OwnerPaused(OwnerEvent):
    """The owner wants no new entries."""


@dataclass(frozen=True, slots=True)
class OwnerResumed(OwnerEvent):
    """The owner lifts a pause ("pause") or, by a ``proof`` (button, code, terminal), a halt."""

    proof: str = ""


@dataclass(frozen=True, slots=True)
class OwnerPanicked(OwnerEvent):
    """The owner confirmed: cancel everything, sell everything, halt."""


@dataclass(frozen=True, slots=True)
class OwnerMovedStop(OwnerEvent):
    """The owner moves the stop of a position up to ``stop``, or lets it follow the price from where it is (None)."""

    symbol: str
    stop: Decimal | None


@dataclass(frozen=True, slots=True)
class OwnerSetLimits(OwnerEvent):
    """The owner changed limits; what is looser came with a ``proof`` (button, code, terminal)."""

    limits: Limits
    proof: str = ""


@dataclass(frozen=True, slots=True)
class OwnerSetTimeZone(OwnerEvent):
    """The owner lives in another time zone."""

    time_zone: str


@dataclass(frozen=True, slots=True)
class OwnerTrained(OwnerEvent):
    """The owner wants a training begun, or the one under way to ``stop``."""

    stop: bool = False


@dataclass(frozen=True, slots=True)
class OwnerPromoted(OwnerEvent):
    """The owner lets a model forecast, the challenger or one of before, by a ``proof`` (button, code, terminal)."""

    model_id: str
    proof: str
