"""Money, to the last unit of every asset.

Rule 1: a fill moves base, quote and its fee asset; only a fill or the exchange's own word moves balances.
Rule 2: equity is quote held plus our positions at their marks; coins we did not buy are not ours to size with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from core.domain.market import ZERO, Instrument
from core.domain.orders import Fill, Order, Side
from core.domain.state import Position, State


def book(balances: Mapping[str, Decimal], fill: Fill, instrument: Instrument) -> dict[str, Decimal]:
    """Balances after one fill: base and quote change hands, the fee leaves in its own asset."""
    sign = 1 if fill.side is Side.BUY else -1
    after = dict(balances)
    after[instrument.base] = after.get(instrument.base, ZERO) + sign * fill.qty
    after[instrument.quote] = after.get(instrument.quote, ZERO) - sign * fill.quote_qty
    after[fill.fee_asset] = after.get(fill.fee_asset, ZERO) - fill.fee
    return after


def book_position(position: Position, fill: Fill, instrument: Instrument) -> Position:
    """The position after one of its fills; fees in the base asset leave its quantity, fees in quote join its cost."""
    base_fee = fill.fee if fill.fee_asset == instrument.base else ZERO
    quote_fee = fill.fee if fill.fee_asset == instrument.quote else ZERO
    fees = dict(position.fees)
    fees[fill.fee_asset] = fees.get(fill.fee_asset, ZERO) + fill.fee
    counted = replace(position, fees=tuple(sorted(fees.items())))
    if fill.side is Side.BUY:
        return replace(
            counted,
            qty=position.qty + fill.qty - base_fee,
            cost=position.cost + fill.quote_qty + quote_fee,
            bought_qty=position.bought_qty + fill.qty,
            bought_quote=position.bought_quote + fill.quote_qty,
        )
    return replace(
        counted,
        # a sale may pay its fee with coins that lie beside the position
        qty=max(ZERO, position.qty - fill.qty - base_fee),
        sold_qty=position.sold_qty + fill.qty,
        sold_quote=position.sold_quote + fill.quote_qty,
        sold_at=fill.at,
    )


def profit(position: Position, instrument: Instrument, fee_prices: Mapping[str, Decimal]) -> Decimal:
    """Quote earned by a closed position after every fee.

    A fee in base cost quantity that could not be sold, and is subtracted as far as other coins had to pay it; a fee in
    quote is subtracted; both kinds of other coins are valued at ``fee_prices`` (quote per unit), zero where unknown.
    """
    fees = dict(position.fees)
    beside = max(ZERO, position.sold_qty + fees.get(instrument.base, ZERO) - position.bought_qty)
    third = sum(
        (
            fee * fee_prices.get(asset, ZERO)
            for asset, fee in position.fees
            if asset not in (instrument.base, instrument.quote)
        ),
        ZERO,
    )
    elsewhere = third + beside * fee_prices.get(instrument.base, ZERO)
    return position.sold_quote - position.bought_quote - fees.get(instrument.quote, ZERO) - elsewhere


def mark_price(state: State, symbol: str) -> Decimal:
    """Last closed price of ``symbol``, else its position's entry price, else zero."""
    mark = state.marks.get(symbol)
    if mark:
        return mark.bar.close
    position = state.positions.get(symbol)
    return position.entry_price if position else ZERO


def asset_prices(state: State) -> dict[str, Decimal]:
    """Quote per unit of every base asset that has a mark."""
    return {i.base: state.marks[s].bar.close for s, i in state.instruments.items() if s in state.marks}


def position_value(state: State, symbol: str) -> Decimal:
    """Quote value of what is held of ``symbol`` by us, at its mark; coins that left the account count no more."""
    position = state.positions.get(symbol)
    if position is None:
        return ZERO
    there = max(ZERO, state.balances.get(state.instruments[symbol].base, ZERO))
    return min(position.qty, there) * mark_price(state, symbol)


def equity(state: State) -> Decimal:
    """Quote held plus positions at their marks, quote units."""
    held = sum((position_value(state, symbol) for symbol in state.positions), ZERO)
    return state.balances.get(state.quote, ZERO) + held


def missing(state: State) -> Decimal:
    """Quote that the exchange no longer shows and nothing has explained yet, >= 0: nothing is to be bought with it."""
    changes = dict(state.doubt.changes) if state.doubt else {}
    return max(ZERO, -changes.get(state.quote, ZERO))


def usable_equity(state: State) -> Decimal:
    """Equity to size with, quote units: what may be gone already does not count."""
    return equity(state) - missing(state)


def reserved(order: Order, price: Decimal) -> Decimal:
    """Quote a live buy order may still spend at ``price`` or its own limit."""
    if order.side is Side.SELL or not order.live:
        return ZERO
    return order.remaining * (order.price or price)


def exposure(state: State, symbol: str) -> Decimal:
    """Quote at risk in ``symbol``: what is held plus what live buy orders may still buy."""
    price = mark_price(state, symbol)
    buying = sum((reserved(o, price) for o in state.orders.values() if o.symbol == symbol), ZERO)
    return position_value(state, symbol) + buying


def free_cash(state: State) -> Decimal:
    """Quote not promised to live buy orders."""
    promised = sum((reserved(o, mark_price(state, o.symbol)) for o in state.orders.values()), ZERO)
    return state.balances.get(state.quote, ZERO) - missing(state) - promised
