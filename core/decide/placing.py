"""How our orders look: the entry with its protection, the pair alone, the sale.

Rule 1: an entry is a limit order that fills whole or not at all, a little above the price, and brings its stop and
        target with it: the exchange itself protects the position from the moment it exists.
Rule 2: what protects is for no more than what is held after fees, on the instrument's grid.
Rule 3: a stop that is placed again is never looser than the one before.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide.naming import client_id
from core.domain.market import ZERO, Instrument
from core.domain.orders import Approved, Order, OrderKind, Purpose, Side, Tif
from core.domain.state import Position, State, put

# the entry may pay this much more than the price it was decided at; further away it is another bet
ENTRY_ROOM = Decimal("0.005")
# the stop order's own limit lies this far under its trigger, so that a fast market still fills it
STOP_LIMIT_ROOM = Decimal("0.005")
BIPS = Decimal(10_000)
RATE_WINDOW = timedelta(minutes=1)
BNB = "BNB"


def send(state: State, *orders: Order, at: datetime) -> State:
    """``state`` with ``orders`` planned and counted against the order rate."""
    recent = tuple(t for t in state.order_times if at - t < RATE_WINDOW)
    planned = {**state.orders, **{order.client_id: order for order in orders}}
    return state.with_(orders=planned, order_times=(*recent, *(at for _ in orders)))


def with_position(state: State, position: Position) -> State:
    """``state`` with this position in place of the one its symbol had."""
    return state.with_(positions=put(state.positions, position.symbol, position))


def entry_order(state: State, intent: str, approved: Approved, at: datetime) -> Order:
    """The buy of an intent: fill-or-kill at a limit where lists are allowed, else at market."""
    wanted, instrument = approved.wanted, state.instruments[approved.wanted.symbol]
    limit = entry_limit(wanted.ref_price, wanted.target, instrument) if instrument.lists else None
    return Order(
        client_id=client_id(state.install, intent, Purpose.ENTRY, 0),
        symbol=wanted.symbol,
        side=wanted.side,
        kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT,
        purpose=Purpose.ENTRY,
        qty=approved.qty,
        created_at=at,
        price=limit,
        tif=Tif.GTC if limit is None else Tif.FOK,
        send_by=at + timedelta(seconds=state.config.send_window_s),
    )


def entry_limit(price: Decimal, target: Decimal, instrument: Instrument) -> Decimal:
    """The most an entry may pay: a little above ``price``, and less than half the way to its target."""
    most = min(price * (1 + ENTRY_ROOM), price + (target - price) / 2)
    return max(instrument.floor_price(most), instrument.ceil_price(price))


def kept_qty(state: State, symbol: str, qty: Decimal, price: Decimal) -> Decimal:
    """What can be sold of ``qty`` bought at ``price``, base units: all of it where BNB pays the fee as it last did."""
    instrument = state.instruments[symbol]
    if _bnb_pays(state, instrument, qty * price * instrument.taker_fee):
        return instrument.floor_qty(qty)
    return instrument.floor_qty(qty * (1 - instrument.taker_fee))


def _bnb_pays(state: State, instrument: Instrument, fee_quote: Decimal) -> bool:
    mark = state.marks.get(BNB + state.quote)
    if state.fee_asset != BNB or instrument.base == BNB or mark is None:
        return False
    return state.balances.get(BNB, ZERO) * mark.bar.close >= 2 * fee_quote


def protective_pair(
    state: State, position: Position, qty: Decimal, at: datetime, waits_for: str = ""
) -> tuple[Order, Order]:
    """Stop-loss-limit below and maker limit above, both for ``qty``, on the instrument's grid."""
    instrument = state.instruments[position.symbol]
    stop = Order(
        client_id=client_id(state.install, position.intent, Purpose.STOP, position.tries),
        symbol=position.symbol,
        side=Side.SELL,
        kind=OrderKind.STOP_LOSS_LIMIT,
        purpose=Purpose.STOP,
        qty=qty,
        created_at=at,
        price=instrument.floor_price(position.stop * (1 - STOP_LIMIT_ROOM)),
        stop_price=instrument.ceil_price(position.stop),  # the grid may have grown since
        waits_for=waits_for,
        trail_bips=native_trail(position, instrument) if waits_for else 0,
    )
    target = replace(
        stop,
        client_id=client_id(state.install, position.intent, Purpose.TARGET, position.tries),
        kind=OrderKind.LIMIT_MAKER,
        purpose=Purpose.TARGET,
        price=instrument.floor_price(position.target),
        stop_price=None,
        trail_bips=0,
    )
    return stop, target


def native_trail(position: Position, instrument: Instrument) -> int:
    """The distance at which the exchange itself lets a stop follow the price, 0 where it does not take that distance.

    Only an entry brings such a stop: the exchange measures from the price at placing, so one that is placed again
    after the price fell would be looser than it was. From then on the machine moves the stop.
    """
    bips = position.trail_bips
    return bips if bips > 0 and instrument.trail_min_bips <= bips <= instrument.trail_max_bips else 0


def trail_bips(stop: Decimal, price: Decimal) -> int:
    """The distance of a stop below a price, in hundredths of a percent."""
    return max(1, int((price - stop) / price * BIPS)) if price > stop else 0


def sale(state: State, position: Position, qty: Decimal, at: datetime) -> Order:
    """The market sale of a position."""
    return Order(
        client_id=client_id(state.install, position.intent, Purpose.EXIT, position.tries),
        symbol=position.symbol,
        side=Side.SELL,
        kind=OrderKind.MARKET,
        purpose=Purpose.EXIT,
        qty=qty,
        created_at=at,
    )
