"""Orders, fills and the values they grow from: wanted, approved, refused.

Rule 1: quantities are base units, prices quote per base, both Decimal.
Rule 2: an Order's state is changed by ``core.decide.orders`` alone; an Approved is built by ``core.decide.risk`` alone.
Rule 3: a fill is known by (symbol, trade_id) and never counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.forecast import Forecast
from core.domain.market import ZERO


class Side(StrEnum):
    """Direction of an order."""

    BUY = "BUY"
    SELL = "SELL"


class OrderKind(StrEnum):
    """Binance's spot order types, by their own names."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class Tif(StrEnum):
    """How long an order works: until cancelled, at once or not, all at once or not at all."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Purpose(StrEnum):
    """What an order is for in the life of a position; the value is its mark in the client id."""

    ENTRY = "e"
    STOP = "s"
    TARGET = "t"
    EXIT = "x"


class OrderState(StrEnum):
    """Where an order stands; ``MAYBE_SENT`` means its fate is not proven yet."""

    PLANNED = "PLANNED"
    MAYBE_SENT = "MAYBE_SENT"
    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    ABSENT = "ABSENT"


FINAL_STATES = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.ABSENT}
)


@dataclass(frozen=True, slots=True)
class Order:
    """One order of ours, from plan to end.

    ``waits_for`` is the client id of the order of the same list whose full fill places this one, empty where it works
    by itself; ``trail_bips`` lets the exchange move the stop after the price, in hundredths of a percent;
    ``send_by`` is the moment after which it must not be sent any more; ``asked_at`` when it was last sent again;
    ``stray`` marks an order of ours that was found beside a position it does not belong to.
    """

    client_id: str
    symbol: str
    side: Side
    kind: OrderKind
    purpose: Purpose
    qty: Decimal
    created_at: datetime
    price: Decimal | None = None
    stop_price: Decimal | None = None
    state: OrderState = OrderState.PLANNED
    exchange_id: str = ""
    list_id: str = ""
    filled_qty: Decimal = ZERO
    filled_quote: Decimal = ZERO
    trade_ids: tuple[str, ...] = ()
    reason: str = ""
    tif: Tif = Tif.GTC
    waits_for: str = ""
    trail_bips: int = 0
    send_by: datetime | None = None
    asked_at: datetime | None = None
    stray: bool = False

    @property
    def live(self) -> bool:
        """Whether this order can still fill."""
        return self.state not in FINAL_STATES

    @property
    def remaining(self) -> Decimal:
        """Quantity not filled yet, base units."""
        return max(ZERO, self.qty - self.filled_qty)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of one order of ours, as the exchange's ledger has it."""

    symbol: str
    trade_id: str
    client_id: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    at: datetime
    maker: bool = False

    @property
    def quote_qty(self) -> Decimal:
        """Money that changed hands, quote units, before the fee."""
        return self.qty * self.price


@dataclass(frozen=True, slots=True)
class SizeStep:
    """One step of the sizing: a name, the share of equity (0..1) after it, and the sentence for it."""

    name: str
    share: Decimal
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry the signal asks for: base quantity, reference price, both barriers, how it was sized."""

    symbol: str
    side: Side
    qty: Decimal
    ref_price: Decimal
    stop: Decimal
    target: Decimal
    horizon_bars: int
    forecast: Forecast
    steps: tuple[SizeStep, ...]


@dataclass(frozen=True, slots=True)
class Approved:
    """A Wanted that passed every limit, possibly cut down to ``qty``."""

    wanted: Wanted
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no order follows: a code, its numbers and one plain sentence."""

    code: str
    sentence: str
    numbers: tuple[tuple[str, str], ...] = ()
