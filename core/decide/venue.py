"""A venue as values: our balances, our open orders, what moved.

Rule 1: a Venue is one immutable value; ``core.decide.matching`` makes the next one, nothing else does.
Rule 2: free + locked of an asset changes by fills and their fees only, exactly.
Rule 3: it holds OUR orders; the rest of the market is a quote (``Liquidity``) or a bar.
Rule 4: times are epoch milliseconds, because this is what a venue prints and stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from core.domain.market import ZERO, Instrument
from core.domain.orders import OrderKind, Side, Tif

NO_LIST = -1
BIPS = 10_000
STOP_KINDS = frozenset({OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT})


class Status(StrEnum):
    """Where an order stands, by Binance's names; PENDING_NEW waits for its working order to fill."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


FINAL = frozenset({Status.FILLED, Status.CANCELED, Status.EXPIRED})


class Motion(StrEnum):
    """What happened to an order, by the names of Binance's execution reports; TRIGGERED is a stop that went live."""

    NEW = "NEW"
    TRIGGERED = "TRIGGERED"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class ListKind(StrEnum):
    """OCO: one cancels the other. OTO: the first order, fully filled, places the rest (OTOCO: a pair)."""

    OCO = "OCO"
    OTO = "OTO"


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset: what can be used and what open orders hold, both >= 0."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class Placement:
    """An order as asked for; a MARKET order names ``qty`` (base) or ``quote_qty`` (quote).

    ``trail_bips`` makes a stop follow the best price at that distance, hundredths of a percent.
    """

    symbol: str
    side: Side
    kind: OrderKind
    client_id: str
    qty: Decimal | None = None
    quote_qty: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    tif: Tif = Tif.GTC
    trail_bips: int = 0


@dataclass(frozen=True, slots=True)
class ListPlacement:
    """Several orders tied together. OCO: two ``legs``. OTO and OTOCO: ``working`` first, then one or two legs."""

    client_id: str
    legs: tuple[Placement, ...]
    working: Placement | None = None


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order the venue took; ``held`` of ``held_asset`` is locked for what is left of it.

    ``best`` is the best price a trailing stop has seen since it follows the market, 0 before; ``trail_ms`` since when.
    """

    order_id: int
    list_id: int
    client_id: str
    symbol: str
    side: Side
    kind: OrderKind
    tif: Tif
    qty: Decimal
    price: Decimal
    stop_price: Decimal
    quote_qty: Decimal
    placed_ms: int
    updated_ms: int
    held_asset: str
    held: Decimal = ZERO
    status: Status = Status.NEW
    filled_qty: Decimal = ZERO
    filled_quote: Decimal = ZERO
    triggered: bool = False
    working_ms: int = -1
    trail_bips: int = 0
    best: Decimal = ZERO
    trail_ms: int = -1

    @property
    def remaining(self) -> Decimal:
        """Base units not filled yet."""
        return self.qty - self.filled_qty

    @property
    def awaits_trigger(self) -> bool:
        """Whether this is a stop whose price has not been touched."""
        return self.kind in STOP_KINDS and not self.triggered

    @property
    def trigger_price(self) -> Decimal | None:
        """Where this stop goes live now; None for a trailing one that does not follow the market yet."""
        if not self.trail_bips:
            return self.stop_price
        if not self.best:
            return None
        away = BIPS + self.trail_bips if self.side is Side.BUY else BIPS - self.trail_bips
        return self.best * away / BIPS

    @property
    def live(self) -> bool:
        """Whether it can still fill or be cancelled."""
        return self.status not in FINAL


@dataclass(frozen=True, slots=True)
class OrderList:
    """Orders tied together; ``done`` once none of them can fill any more."""

    list_id: int
    kind: ListKind
    symbol: str
    client_id: str
    order_ids: tuple[int, ...]
    client_ids: tuple[str, ...]
    at_ms: int
    done: bool = False


@dataclass(frozen=True, slots=True)
class VenueTrade:
    """One execution of one of our orders; ``fee`` in ``fee_asset``."""

    trade_id: int
    order_id: int
    list_id: int
    client_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    at_ms: int
    maker: bool


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happened to one order: the order as it is now, and the trade if it was one."""

    motion: Motion
    order: VenueOrder
    trade: VenueTrade | None = None


@dataclass(frozen=True, slots=True)
class ListMove:
    """An order list began or ended."""

    orders: OrderList


Moves = tuple[Move | ListMove, ...]


@dataclass(frozen=True, slots=True)
class Venue:
    """Everything of ours at one venue. Only open orders and lists live here; ``finished`` is a bounded tail."""

    balances: Mapping[str, Balance] = field(default_factory=dict)
    open: Mapping[str, tuple[VenueOrder, ...]] = field(default_factory=dict)
    lists: Mapping[int, OrderList] = field(default_factory=dict)
    finished: tuple[VenueOrder, ...] = ()
    next_order_id: int = 1
    next_trade_id: int = 1
    next_list_id: int = 1

    def totals(self) -> dict[str, Decimal]:
        """Total of each asset, free and locked, without zeros."""
        return {asset: b.total for asset, b in self.balances.items() if b.total}


@dataclass(frozen=True, slots=True)
class Liquidity:
    """The market an order meets: best prices, base volume of a typical bar, its volatility as a fraction of price."""

    bid: Decimal
    ask: Decimal
    volume: Decimal
    sigma: Decimal = ZERO

    @property
    def mid(self) -> Decimal:
        """Middle of bid and ask, the reference for percent-price and notional rules."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What the venue allows for one symbol: the instrument's own rules, and those nobody has to plan with.

    ``buy_price_min`` is a multiple of the market's price; ``market_step`` 0 where market orders know no grid of their
    own; ``lists_max`` how many order lists may be open.
    """

    instrument: Instrument
    buy_price_min: Decimal = Decimal("0.2")
    market_step: Decimal = ZERO
    notional_min_applies_to_market: bool = True
    notional_max_applies_to_market: bool = False
    lists_max: int = 20
