"""What the owner may ask of a State, computed: equity, positions at their marks, limits and how much of them is used.

Rule 1: pure; the chat, ``firstmate status`` and tests read the same numbers.
Rule 2: nothing here is stored; whatever can be derived is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.decide.exits import orders_of, placed
from core.decide.guarding import STANDING
from core.decide.ledger import asset_prices, equity, exposure, free_cash, mark_price, position_value, profit
from core.decide.placing import RATE_WINDOW
from core.decide.risk import daily_loss, drawdown
from core.domain.market import ZERO
from core.domain.orders import Order, OrderState, Purpose
from core.domain.state import Position, State, Trading


@dataclass(frozen=True, slots=True)
class PositionLine:
    """One position at its mark: money in quote, ``change`` as a fraction of what was paid.

    ``stands`` is whether its stop stands on the exchange as far as is proven; ``trail_bips`` how far that stop follows
    the price, in hundredths of a percent, 0 where it does not;
    ``moving`` while its pair is being replaced in good time.
    """

    symbol: str
    intent: str
    qty: Decimal
    entry_price: Decimal
    mark: Decimal
    value: Decimal
    profit: Decimal
    change: Decimal
    stop: Decimal
    target: Decimal
    bars_left: int
    opened_at: datetime
    leaving: str
    protected_by: tuple[str, ...]
    stands: bool
    trail_bips: int
    moving: bool


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit with what is used of it: both fractions 0..1, or whole numbers."""

    name: str
    limit: Decimal
    used: Decimal | None
    fraction: bool
    text: str


@dataclass(frozen=True, slots=True)
class BarLine:
    """Last closed bar of one symbol and how old it is."""

    symbol: str
    close_at: datetime
    price: Decimal
    age_s: float
    stale: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole at one glance; money in quote. ``doubts`` are sentences about what nobody can prove now."""

    quote: str
    trading: Trading
    cash: Decimal
    free_cash: Decimal
    equity: Decimal
    today: Decimal
    drawdown: Decimal
    positions: tuple[PositionLine, ...]
    orders: tuple[Order, ...]
    proposals: int
    bars: tuple[BarLine, ...]
    doubts: tuple[str, ...]


def overview(state: State, now: datetime) -> Overview:
    """Everything /status shows, at ``now``."""
    return Overview(
        quote=state.quote,
        trading=state.trading,
        cash=state.balances.get(state.quote, ZERO),
        free_cash=free_cash(state),
        equity=equity(state),
        today=-daily_loss(state),
        drawdown=drawdown(state),
        positions=tuple(position_line(state, state.positions[symbol]) for symbol in sorted(state.positions)),
        orders=tuple(sorted((o for o in state.orders.values() if o.live), key=lambda o: (o.created_at, o.client_id))),
        proposals=len(state.proposals),
        bars=tuple(_bar_line(state, symbol, now) for symbol in sorted(state.marks)),
        doubts=tuple(_doubts(state)),
    )


def _doubts(state: State) -> Iterator[str]:
    for order in state.orders.values():
        if order.state is OrderState.MAYBE_SENT:
            yield f"Whether order {order.client_id} exists at the exchange is not known yet."
    if state.doubt:
        gaps = ", ".join(f"{asset} {gap.normalize():+f}" for asset, gap in state.doubt.changes)
        yield f"The exchange's balances differ from my books since {state.doubt.since:%H:%M} UTC: {gaps}."


def position_line(state: State, position: Position) -> PositionLine:
    """One position at its mark, with the client ids of its live protective orders."""
    value = position_value(state, position.symbol)
    gained = value + profit(position, state.instruments[position.symbol], asset_prices(state))
    protective = sorted(
        o.client_id
        for o in state.orders.values()
        if o.symbol == position.symbol and o.live and o.purpose in (Purpose.STOP, Purpose.TARGET)
    )
    return PositionLine(
        symbol=position.symbol,
        intent=position.intent,
        qty=position.qty,
        entry_price=position.entry_price,
        mark=mark_price(state, position.symbol),
        value=value,
        profit=gained,
        change=gained / position.cost if position.cost else ZERO,
        stop=position.stop,
        target=position.target,
        bars_left=max(0, position.horizon_bars - position.bars_held),
        opened_at=position.opened_at,
        leaving=position.leaving,
        protected_by=tuple(protective),
        stands=stop_stands(state, position),
        trail_bips=position.trail_bips,
        moving=position.cancel_at is not None and not (position.leaving or position.alarmed),
    )


def stop_stands(state: State, position: Position) -> bool:
    """Whether a stop of this position stands on the exchange: shown there, works by itself, not asked to go."""
    if position.cancel_at or position.alarmed:
        return False
    stops = (o for o in orders_of(state, position) if o.purpose is Purpose.STOP and o.state in STANDING)
    return any(placed(state, stop) for stop in stops)


def limit_lines(state: State, now: datetime) -> tuple[LimitLine, ...]:
    """Every limit, how much of it is used, and what it means."""
    return tuple(_limit_lines(state, now))


def _limit_lines(state: State, now: datetime) -> Iterator[LimitLine]:
    limits, whole = state.limits, equity(state)
    held = {symbol: exposure(state, symbol) for symbol in state.positions}
    share = {symbol: value / whole if whole > 0 else ZERO for symbol, value in held.items()}
    buckets = [
        sum((v for s, v in share.items() if s == symbol or s in state.peers.get(symbol, ())), ZERO) for symbol in share
    ]
    live = Decimal(sum(o.live for o in state.orders.values()))
    recent = Decimal(sum(now - t < RATE_WINDOW for t in state.order_times))
    yield LimitLine("day_loss_max", limits.day_loss_max, max(ZERO, daily_loss(state)), True, "loss since 00:00 UTC")
    yield LimitLine("drawdown_max", limits.drawdown_max, drawdown(state), True, "fall from the highest equity")
    yield LimitLine(
        "symbol_exposure_max", limits.symbol_exposure_max, max(share.values(), default=ZERO), True, "in one symbol"
    )
    yield LimitLine(
        "bucket_exposure_max",
        limits.bucket_exposure_max,
        max(buckets, default=ZERO),
        True,
        "in symbols that move together",
    )
    yield LimitLine(
        "gross_exposure_max", limits.gross_exposure_max, sum(share.values(), ZERO), True, "in all positions"
    )
    yield LimitLine("orders_open_max", Decimal(limits.orders_open_max), live, False, "open orders")
    yield LimitLine("orders_per_min_max", Decimal(limits.orders_per_min_max), recent, False, "orders in a minute")
    yield LimitLine("stale_bars", Decimal(limits.stale_bars), None, False, "bars after which data is too old")
    yield LimitLine("kelly_fraction", limits.kelly_fraction, None, True, "of the Kelly size")
    yield LimitLine("target_volatility", limits.target_volatility, None, True, "a year; wilder symbols get less")


def _bar_line(state: State, symbol: str, now: datetime) -> BarLine:
    bar = state.marks[symbol].bar
    age = now - bar.close_at
    return BarLine(symbol, bar.close_at, bar.close, age.total_seconds(), age > bar.span * state.limits.stale_bars)
