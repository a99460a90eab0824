"""What is traded and what it did: instruments, bars, quotes.

Rule 1: an impossible bar cannot be built.
Rule 2: a bar is named by its open time; it is only ever used once closed.
Rule 3: prices and quantities are Decimal on the instrument's own grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from core.domain.errors import BadData

ZERO = Decimal(0)

SPANS: dict[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
}


def span_name(span: timedelta) -> str:
    """Name of a bar length as Binance writes it, e.g. ``1h``."""
    return next(name for name, length in SPANS.items() if length == span)


def to_ms(at: datetime) -> int:
    """Milliseconds since the epoch of an aware time, exactly."""
    return (at - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """Aware UTC time of ``ms`` milliseconds since the epoch, exactly."""
    return _EPOCH + timedelta(milliseconds=ms)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def as_float(money: Decimal) -> float:
    """Money, price or quantity as a float for statistics: one of the two bridges between both worlds."""
    return float(money)


def as_decimal(number: float) -> Decimal:
    """The shortest Decimal that reads back as the same float: the other bridge. Raises BadData on NaN or infinity."""
    value = Decimal(repr(float(number)))
    if not value.is_finite():
        raise BadData(f"{number} is not a usable number")
    return value


@dataclass(frozen=True, slots=True)
class Instrument:
    """One spot pair and the exchange's rules for it.

    ``buy_price_max`` and ``sell_price_min`` bound a limit price as multiples of the market's; ``notional_max`` and
    ``market_qty_max`` one order; ``orders_max`` and ``stops_max`` what may be open at once; ``trail_min_bips`` to
    ``trail_max_bips`` a trailing stop, 0 and 0 where there is none; ``lists`` whether an entry may bring its exits.
    """

    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    qty_min: Decimal
    notional_min: Decimal
    maker_fee: Decimal = Decimal("0.001")
    taker_fee: Decimal = Decimal("0.001")
    qty_max: Decimal = Decimal(9_000_000_000)
    price_min: Decimal = ZERO
    price_max: Decimal = Decimal(1_000_000_000)
    status: str = "TRADING"
    buy_price_max: Decimal = Decimal(5)
    sell_price_min: Decimal = Decimal("0.2")
    sell_price_max: Decimal = Decimal(5)
    notional_max: Decimal = Decimal(9_000_000)
    market_qty_max: Decimal = Decimal(9_000_000_000)
    orders_max: int = 200
    stops_max: int = 5
    trail_min_bips: int = 0
    trail_max_bips: int = 0
    lists: bool = True

    def floor_qty(self, qty: Decimal) -> Decimal:
        """Largest quantity on the lot grid not above ``qty``, base units."""
        return _on_grid(qty, self.lot, ROUND_FLOOR)

    def round_price(self, price: Decimal) -> Decimal:
        """Nearest price on the tick grid, quote per base."""
        return _on_grid(price, self.tick, ROUND_HALF_EVEN)

    def floor_price(self, price: Decimal) -> Decimal:
        """Largest price on the tick grid not above ``price``."""
        return _on_grid(price, self.tick, ROUND_FLOOR)

    def ceil_price(self, price: Decimal) -> Decimal:
        """Smallest price on the tick grid not below ``price``."""
        return _on_grid(price, self.tick, ROUND_CEILING)


def _on_grid(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step <= 0:
        return value
    return (value / step).to_integral_value(rounding) * step


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle: open, high, low, close in quote per base, volume in base units."""

    symbol: str
    open_at: datetime
    span: timedelta
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def __post_init__(self) -> None:
        fault = bar_fault(self.open, self.high, self.low, self.close, self.volume)
        if fault:
            raise BadData(f"{self.symbol} {self.open_at:%Y-%m-%d %H:%M}: {fault}")

    @property
    def close_at(self) -> datetime:
        """The moment this bar is complete: open time plus span."""
        return self.open_at + self.span


def bar_fault(
    open_: Decimal | float, high: Decimal | float, low: Decimal | float, close: Decimal | float, volume: Decimal | float
) -> str:
    """Why these five numbers cannot be a bar, or an empty string."""
    prices = (open_, high, low, close)
    # NaN is the one number that is not equal to itself; a Decimal NaN refuses to be compared in any other way
    if not all(p == p and 0 < p < float("inf") for p in prices):
        return "a price is not a positive number"
    if not (volume == volume and 0 <= volume < float("inf")):
        return "volume is negative or not a number"
    if not (low <= open_ <= high and low <= close <= high):
        return "open or close lies outside low..high"
    return ""


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask at one moment: quote per base, and base units offered there."""

    symbol: str
    at: datetime
    bid: Decimal
    ask: Decimal
    bid_qty: Decimal = ZERO
    ask_qty: Decimal = ZERO

    @property
    def mid(self) -> Decimal:
        """Middle of bid and ask."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Depth:
    """Order book: (price, quantity) levels, best first on both sides."""

    symbol: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
