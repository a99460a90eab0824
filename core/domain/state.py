"""Everything the machine knows, as one immutable value.

Rule 1: ``core.decide.step`` makes the next State; nothing else does.
Rule 2: what is bounded stays bounded: final orders leave with their position, update ids and order times are windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from core.domain.errors import BadData
from core.domain.forecast import Forecast
from core.domain.market import ZERO, Bar, Instrument
from core.domain.orders import Order, Refusal, SizeStep, Wanted

K = TypeVar("K")
V = TypeVar("V")


def put(mapping: Mapping[K, V], key: K, value: V) -> dict[K, V]:
    """A copy of ``mapping`` with ``key`` set."""
    return {**mapping, key: value}


def drop(mapping: Mapping[K, V], key: K) -> dict[K, V]:
    """A copy of ``mapping`` without ``key``."""
    return {k: v for k, v in mapping.items() if k != key}


class TradingState(StrEnum):
    """ACTIVE trades; REDUCING only leaves positions; HALTED starts nothing until the owner lifts it."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class Trading:
    """Trading state with its reason and since when."""

    state: TradingState = TradingState.ACTIVE
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The owner's limits. Shares are fractions of equity (0..1), counts are whole numbers."""

    kelly_fraction: Decimal = Decimal("0.25")
    target_volatility: Decimal = Decimal("0.60")
    day_loss_max: Decimal = Decimal("0.03")
    drawdown_max: Decimal = Decimal("0.15")
    symbol_exposure_max: Decimal = Decimal("0.20")
    gross_exposure_max: Decimal = Decimal("0.60")
    bucket_exposure_max: Decimal = Decimal("0.40")
    orders_open_max: int = 20
    orders_per_min_max: int = 10
    stale_bars: int = 2

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            top = 5 if spec.name == "target_volatility" else 1
            if isinstance(value, Decimal) and (value.is_nan() or not 0 <= value <= top):
                raise BadData(f"{spec.name} must lie between 0 and {top}, not {value}")
            if spec.name == "stale_bars" and value < 1:
                raise BadData(f"stale_bars must be at least 1, not {value}: data is never fresher than one bar")
            if isinstance(value, int) and value < 0:
                raise BadData(f"{spec.name} must not be negative, not {value}")


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of one symbol and how it is meant to end.

    ``qty`` base units held after fees; ``cost`` quote paid for them, fees in quote included;
    ``horizon_bars`` bars it may last in all, ``bars_held`` bars seen since the entry;
    ``leaving`` is why it is being sold, empty while it is not; ``cancel_at`` when its protection was last asked to go;
    ``bare_since`` since when its protection may be gone for it;
    ``alarmed`` whether the owner knows that nothing is proven to protect it;
    ``trail_bips`` how far its stop follows the highest price, in hundredths of a percent, 0 where it stands still;
    ``high`` that highest price;
    ``adopted`` whether it was pieced together from what the exchange shows; ``sold_at`` when it was last sold from.
    """

    symbol: str
    intent: str
    stop: Decimal
    target: Decimal
    horizon_bars: int
    opened_at: datetime
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    bought_qty: Decimal = ZERO
    bought_quote: Decimal = ZERO
    sold_qty: Decimal = ZERO
    sold_quote: Decimal = ZERO
    fees: tuple[tuple[str, Decimal], ...] = ()
    bars_held: int = 0
    leaving: str = ""
    tries: int = 0
    cancel_at: datetime | None = None
    bare_since: datetime | None = None
    alarmed: bool = False
    trail_bips: int = 0
    high: Decimal = ZERO
    adopted: bool = False
    sold_at: datetime | None = None

    @property
    def entry_price(self) -> Decimal:
        """Average price paid, quote per base; zero before the first fill."""
        return self.bought_quote / self.bought_qty if self.bought_qty else ZERO


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed round trip; ``profit`` in quote after every fee, fees in other assets at their mark."""

    symbol: str
    intent: str
    qty: Decimal
    entry_price: Decimal
    exit_price: Decimal
    profit: Decimal
    fees: tuple[tuple[str, Decimal], ...]
    opened_at: datetime
    closed_at: datetime
    bars_held: int
    why: str
    dust: Decimal = ZERO


class Outcome(StrEnum):
    """What became of one look at one bar."""

    ORDERED = "ORDERED"
    PROPOSED = "PROPOSED"
    REFUSED = "REFUSED"
    QUIET = "QUIET"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one closed bar, and why: the answer to /why, order or not."""

    symbol: str
    at: datetime
    bar_open_at: datetime
    price: Decimal
    outcome: Outcome
    refusal: Refusal | None
    forecast: Forecast | None
    steps: tuple[SizeStep, ...] = ()
    qty: Decimal = ZERO
    stop: Decimal = ZERO
    target: Decimal = ZERO
    intent: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry waiting for the owner's thumb until ``expires_at``."""

    intent: str
    wanted: Wanted
    qty: Decimal
    decision: Decision
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """Last closed bar of a symbol: its price marks positions, its time says how old that is."""

    bar: Bar


@dataclass(frozen=True, slots=True)
class Day:
    """Equity at the start of the UTC day and the highest ever, quote units."""

    date: date | None = None
    start_equity: Decimal = ZERO
    peak_equity: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Doubt:
    """How the exchange's balances differ from ours, asset by asset (theirs less ours), and since when.

    ``told`` once the owner knows of it.
    """

    changes: tuple[tuple[str, Decimal], ...]
    since: datetime
    told: bool = False


@dataclass(frozen=True, slots=True)
class Trust:
    """Who forecasts (the rule where ``model_id`` is empty), trusted with which share, 0..1, of the usual size."""

    model_id: str = ""
    share: Decimal = Decimal(1)
    why: str = ""

    def __post_init__(self) -> None:
        if self.share.is_nan() or not 0 <= self.share <= 1:
            raise BadData(f"a model is trusted with a share between 0 and 1, not {self.share}")


@dataclass(frozen=True, slots=True)
class Config:
    """The owner's configuration as last read at a start; ``install`` marks the client ids of this installation.

    ``send_window_s`` is how long after its decision an entry may still be sent, ``told_after_s`` how long a stop may be
    unproven before the owner hears of it, both on the mode's own clock; the first ``first_trades`` entries
    are cut to ``first_share`` (0..1) of their size; ``trail_stops`` lets every new stop follow the price;
    with ``real_money`` only a learned model that passed its gate enters.
    """

    install: str = "fm"
    quote: str = "USDT"
    approve_auto: bool = False
    approve_window_s: int = 900
    limits: Limits = Limits()
    time_zone: str = "UTC"
    send_window_s: int = 30
    told_after_s: int = 7
    first_trades: int = 0
    first_share: Decimal = Decimal("0.25")
    trail_stops: bool = False
    real_money: bool = False


# without slots: to copy one dictionary is ten times quicker than dataclasses.replace, and every event comes by with_
@dataclass(frozen=True)
class State:
    """The whole of it. ``balances`` are totals per asset, free and locked together; ``last_trades`` the highest
    trade id booked per symbol; ``doubt`` is how the exchange's balances differ from ours; ``entries`` counts the
    entries that bought something; ``fee_asset`` is what the newest buy paid its fee in; ``fences`` until when a sale
    that was given up could still arrive and sell what is bought anew;
    ``limits`` and ``time_zone`` are the configured ones until the owner changes them
    in the chat. ``adopted_at`` is when the balances were taken over: trades before it are in them already.
    ``peers`` are, for each symbol, those whose returns move with its own: one bucket of exposure.
    ``expiry_told_at`` is when the owner was last told that the key's right to trade will end.
    """

    config: Config = Config()
    seq: int = 0
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    balances: Mapping[str, Decimal] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    last_trades: Mapping[str, int] = field(default_factory=dict)
    limits: Limits = Limits()
    day: Day = Day()
    trading: Trading = Trading()
    order_times: tuple[datetime, ...] = ()
    updates: tuple[int, ...] = ()
    doubt: Doubt | None = None
    entries: int = 0
    fee_asset: str = ""
    fences: Mapping[str, datetime] = field(default_factory=dict)
    time_zone: str = "UTC"
    adopted_at: datetime | None = None
    expiry_told_at: datetime | None = None
    trust: Trust = Trust()

    @property
    def install(self) -> str:
        """Mark of this installation in client ids."""
        return self.config.install

    @property
    def quote(self) -> str:
        """The asset money is counted in."""
        return self.config.quote

    def with_(self, **changes: object) -> State:
        """This state with some fields replaced."""
        made: State = object.__new__(State)
        known = vars(made)
        known.update(vars(self), **changes)
        if len(known) != len(_FIELDS):
            raise TypeError(f"a state has no {', '.join(sorted(known.keys() - _FIELDS))}")
        return made


_FIELDS = frozenset(each.name for each in fields(State))
