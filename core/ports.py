"""What the shell needs from the world, as protocols: adapters and the simulated world implement them.

Rule 1: the shell (``core.run``) and the bot know these names only, never an adapter.
Rule 2: whatever can fail raises the errors of ``core.domain.errors`` and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from core.domain.effects import Effect, Tell, Topic
from core.domain.events import Event
from core.domain.market import ZERO, Bar, Depth, Instrument, Quote
from core.domain.orders import Fill, Order, OrderKind, OrderState, Side
from core.domain.state import State, Trade


class Clock(Protocol):
    """Time as this mode sees it."""

    def now(self) -> datetime:
        """Aware UTC now."""

    @property
    def speed(self) -> float:
        """Seconds of this clock in one second of the wall; 1 outside demos."""


class MarketData(Protocol):
    """Public market data."""

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Rules of these symbols; BadData names an unknown symbol and its nearest match."""

    async def bars(self, symbol: str, span: timedelta, since: datetime | None, limit: int) -> Sequence[Bar]:
        """Up to ``limit`` (1..1000) **closed** bars, oldest first, from ``since`` or the newest ones."""

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Best bid and ask of each symbol."""

    async def depth(self, symbol: str, levels: int) -> Depth:
        """The order book, ``levels`` deep on each side."""

    async def server_time(self) -> datetime:
        """The exchange's clock."""


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the exchange shows it; ``waiting`` while the order that has to fill first has not.

    A ``triggered`` stop is on the book: a plain limit order from then on.
    """

    client_id: str
    symbol: str
    exchange_id: str
    state: OrderState
    filled_qty: Decimal
    list_id: str = ""
    side: Side = Side.SELL
    kind: OrderKind = OrderKind.MARKET
    qty: Decimal = ZERO
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_bips: int = 0
    waiting: bool = False
    at: datetime | None = None
    triggered: bool = False


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may do; ``too_much`` and ``missing`` are the exchange's own names of rights, empty when well.

    ``expires_at`` is when the exchange takes the right to trade away, None where it names no such moment.
    """

    too_much: tuple[str, ...]
    missing: tuple[str, ...]
    expires_at: datetime | None = None


class Broker(Protocol):
    """Where orders go. Each call may raise Refused (proven), OutcomeUnknown or RetryLater (proven not done)."""

    async def submit(self, order: Order) -> OrderReport:
        """Send one order."""

    async def submit_pair(self, stop: Order, target: Order) -> Sequence[OrderReport]:
        """Send both as one OCO list; both or none exist afterwards."""

    async def submit_bracket(self, entry: Order, stop: Order, target: Order) -> Sequence[OrderReport]:
        """Send an entry that is filled whole or not at all, with the pair that protects it from that moment (OTOCO)."""

    async def try_out(self, order: Order) -> None:
        """Let the exchange check an order and place nothing. Raises as ``submit`` does."""

    async def cancel(self, symbol: str, client_id: str) -> None:
        """Cancel an order, its whole list if it belongs to one; Refused when there is nothing to cancel."""

    async def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """The order as it stands, or None where the exchange does not know it."""

    async def open_orders(self, symbol: str = "") -> Sequence[OrderReport]:
        """All open orders of a symbol, or of every one, foreign ones included."""

    async def trades(self, symbol: str, after_id: str) -> Sequence[Fill]:
        """Our trades with an id above ``after_id`` ("" = from the first), oldest first; client ids filled in."""

    async def newest_trade_id(self, symbol: str) -> int:
        """The id of our newest trade of a symbol, -1 for none."""

    async def balances(self) -> Mapping[str, Decimal]:
        """Total of each asset held, free and locked, without zeros."""

    async def sync_clock(self) -> float:
        """Learn the exchange's time; how far our clock was off until now, milliseconds, positive when fast."""


class Account(Protocol):
    """What a real account can say of its key."""

    async def rights(self) -> Rights:
        """What the key may do. Raises where that cannot be known for certain."""


class Stream(Protocol):
    """The exchange's own word that something happened to our orders: a speed-up, never the proof."""

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Call ``heard`` with the symbol of each event and ``connected`` after each (re)connection, until cancelled."""


@dataclass(frozen=True, slots=True)
class Committed:
    """One line of the journal: an event with the effects it had."""

    seq: int
    event: Event
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the machine, to be committed: the state before and after an event, and the effects it has."""

    before: State
    after: State
    event: Event
    effects: tuple[Effect, ...]


class Journal(Protocol):
    """The record of everything that happened; what is in it happened, what is not did not."""

    async def commit(self, *changes: Change) -> None:
        """Steps that follow on each other, with their rows and messages, in one durable transaction (FULL)."""

    async def save_snapshot(self, state: State) -> None:
        """Keep ``state`` so that a start need not re-step the whole journal."""

    async def latest_snapshot(self) -> State | None:
        """The newest snapshot that can be read, or None."""

    def events_after(self, seq: int) -> AsyncIterator[Committed]:
        """Every committed line with a seq above ``seq``, in order, in constant memory."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Bars that are missing between two that exist: open times of the last before and the first after."""

    symbol: str
    span: timedelta
    last_before: datetime
    first_after: datetime


class Columns(Protocol):
    """Bars as columns, oldest first: epoch ms, then float64 open, high, low, close, volume."""

    @property
    def open_ms(self) -> Sequence[int]:
        """Open times."""

    @property
    def floats(self) -> tuple[Sequence[float], ...]:
        """Open, high, low, close, volume."""

    def part(self, start: int, stop: int) -> Columns:
        """A copy of bars ``start`` to ``stop``, exclusive."""


class BarStore(Protocol):
    """History of bars by symbol and span."""

    async def save(self, bars: Sequence[Bar]) -> int:
        """Store closed bars of one symbol and span, idempotently; how many were new."""

    async def last(self, symbol: str, span: timedelta) -> Bar | None:
        """The newest stored bar."""

    def stream(self, symbol: str, span: timedelta, since: datetime | None = None) -> AsyncIterator[Sequence[Bar]]:
        """All bars from ``since`` on, oldest first, in blocks, in constant memory."""

    def stream_columns(self, symbol: str, span: timedelta, since: datetime | None = None) -> AsyncIterator[Columns]:
        """The same bars as columns of numbers."""

    async def holes(self, symbol: str, span: timedelta) -> Sequence[Hole]:
        """Every gap in the stored history."""


class FoldStore(Protocol):
    """Folded feature state by symbol, so that a restart resumes without re-reading history."""

    async def save_fold(self, symbol: str, span: timedelta, version: str, open_at: datetime, body: bytes) -> None:
        """Keep the state after the bar that opened at ``open_at``."""

    async def load_fold(self, symbol: str, span: timedelta, version: str) -> tuple[datetime, bytes] | None:
        """State and open time of the bar it includes, or None for another version or nothing."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to the owner that is not delivered yet; ``at`` is when what it tells of happened."""

    parcel_id: int
    tell: Tell
    at: datetime
    trace: str


class Outbox(Protocol):
    """Messages committed with the event they tell of; nothing here is lost before it is delivered."""

    async def pending(self, limit: int) -> Sequence[Parcel]:
        """Undelivered messages, oldest first."""

    async def delivered(self, parcel_id: int, message_id: int) -> None:
        """Note that the chat took it; ``message_id`` 0 where it was folded into another message or dropped."""

    async def message_id(self, topic: Topic, ref: str) -> int:
        """The chat's id of the newest delivered message of this topic and reference, or 0."""


class Records(Protocol):
    """What happened, to be read again: the newest of each kind, newest first."""

    async def trades(self, limit: int) -> Sequence[Trade]:
        """Closed round trips."""

    async def orders(self, limit: int) -> Sequence[Order]:
        """Orders of any state."""

    async def seen(self, update_id: int) -> bool:
        """Whether this chat update was handled before."""

    async def note(self, update_id: int, at: datetime, text: str) -> None:
        """Keep that this chat update is handled, with the command it held."""

    async def tidy(self, before: datetime) -> int:
        """Forget delivered messages and handled updates older than ``before``; how many."""
