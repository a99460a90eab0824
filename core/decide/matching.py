"""The matching engine: orders placed and cancelled; ``on_bar`` lets them meet the market.

Rule 1: pure. Each function takes a Venue and returns the next one with what moved; Refused means nothing changed.
Rule 2: an order that takes meets the quote of the moment, with impact, and no more of it than its volume share.
Rule 3: cancelling a leg cancels its whole list; a list exists as a whole or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.decide.costs import Terms
from core.decide.matching_bars import on_bar
from core.decide.matching_lists import after, crosses, refuse_crossing, rest, start_pair
from core.decide.venue import (
    Balance,
    Liquidity,
    ListKind,
    ListPlacement,
    Motion,
    Moves,
    OrderList,
    Placement,
    Status,
    Venue,
    VenueOrder,
)
from core.decide.venue_filters import check, check_one, check_pair, unsupported
from core.decide.venue_scratch import NOTHING, Scratch, need, parts_of, within
from core.domain.errors import Refused
from core.domain.market import ZERO
from core.domain.orders import OrderKind, Side, Tif

__all__ = ["cancel", "on_bar", "place", "place_list", "place_pair", "transfer", "validate"]

UNKNOWN_ORDER = "-2011"


def place(venue: Venue, ask: Placement, market: Liquidity, terms: Terms, at_ms: int) -> tuple[Venue, Moves]:
    """The venue with ``ask`` taken, and what moved at once. Raises Refused with Binance's code."""
    check(venue, (ask,), market, terms.rules)
    scratch = Scratch(venue, ask.symbol)
    order = scratch.fresh(ask, _quantity(ask, market, terms), terms, at_ms)
    _start(scratch, order, market, terms, at_ms)
    return scratch.done(ask.symbol)


def place_pair(
    venue: Venue, stop: Placement, target: Placement, list_id: str, market: Liquidity, terms: Terms, at_ms: int
) -> tuple[Venue, Moves]:
    """The venue with both legs of an OCO taken: one cancels the other. Raises Refused; then neither exists."""
    return place_list(venue, ListPlacement(list_id, (stop, target)), market, terms, at_ms)


def place_list(venue: Venue, ask: ListPlacement, market: Liquidity, terms: Terms, at_ms: int) -> tuple[Venue, Moves]:
    """The venue with an OCO, OTO or OTOCO list taken. Raises Refused; then none of it exists."""
    asks = (*((ask.working,) if ask.working else ()), *ask.legs)
    symbol = asks[0].symbol
    check(venue, asks, market, terms.rules)
    if len(ask.legs) == 2:
        check_pair(ask.legs, None if ask.working else market)
    if ask.working and not terms.instrument.lists:
        raise unsupported("OTO orders")
    scratch = Scratch(venue, symbol)
    list_id = scratch.new_list_id()
    orders = [scratch.fresh(one, one.qty or ZERO, terms, at_ms, list_id) for one in asks]
    kind = ListKind.OTO if ask.working else ListKind.OCO
    ids = tuple(o.order_id for o in orders)
    scratch.begin_list(OrderList(list_id, kind, symbol, ask.client_id, ids, tuple(o.client_id for o in orders), at_ms))
    if ask.working:
        _start_chain(scratch, orders, market, terms, at_ms)
    else:
        start_pair(scratch, orders, market, market.mid, at_ms)
    return scratch.done(symbol)


def validate(ask: Placement, market: Liquidity, terms: Terms) -> None:
    """Nothing, or Refused where the form or size of ``ask`` is wrong: balances and open orders are not looked at."""
    check_one(ask, market, terms.rules)


def transfer(venue: Venue, asset: str, amount: Decimal) -> Venue:
    """The venue after ``amount`` came in (> 0) or went out (< 0). Raises Refused where less is free."""
    balance = venue.balances.get(asset, NOTHING)
    if balance.free + amount < 0:
        raise Refused("The user has insufficient balance available.", "-4026")
    after = Balance(balance.free + amount, balance.locked)
    return replace(venue, balances={**venue.balances, asset: after})


def cancel(venue: Venue, symbol: str, client_id: str, at_ms: int) -> tuple[Venue, Moves]:
    """The venue without that open order and the rest of its list. Raises Refused (-2011) when it is not open."""
    found = [o for o in venue.open.get(symbol, ()) if o.client_id == client_id]
    if not found:
        raise Refused("Unknown order sent.", UNKNOWN_ORDER)
    scratch = Scratch(venue, symbol)
    for order in (found[0], *scratch.others(found[0])):
        scratch.end(order, Status.CANCELED, at_ms)
    scratch.close_list(found[0])
    return scratch.done(symbol)


def _quantity(ask: Placement, market: Liquidity, terms: Terms) -> Decimal:
    """Base units asked for; a quote amount buys or sells as many lots as it pays for."""
    if ask.qty is not None:
        return ask.qty
    money = ask.quote_qty or ZERO
    first = market.ask if ask.side is Side.BUY else market.bid
    price = terms.fills.taker_price(terms.instrument, ask.side, money / first, market)
    qty = terms.instrument.floor_qty(money / (price if ask.side is Side.BUY else market.bid))
    if qty < max(terms.instrument.qty_min, terms.instrument.lot):
        raise Refused("Filter failure: LOT_SIZE", "-1013")
    return qty


def _start(scratch: Scratch, order: VenueOrder, market: Liquidity, terms: Terms, at_ms: int) -> None:
    """Put one order to work: refuse, take, rest."""
    if order.kind is OrderKind.MARKET:
        _take_market(scratch, order, market, terms, at_ms)
        return
    refuse_crossing(order, market)
    order = rest(scratch, scratch.hold(order, need(order)), market.mid, at_ms)
    if order.kind is OrderKind.LIMIT:
        _take_limit(scratch, order, market, terms, at_ms)


def _take_market(scratch: Scratch, order: VenueOrder, market: Liquidity, terms: Terms, at_ms: int) -> None:
    """Fill at once what the market has room for; the rest expires."""
    qty = min(order.qty, terms.fills.room(terms.instrument, market.volume))
    price = terms.fills.taker_price(terms.instrument, order.side, qty, market)
    parts = parts_of(order, qty, price, False, terms) if qty > 0 else []
    order = scratch.hold(order, sum((q * p for q, p in parts), ZERO) if order.side is Side.BUY else qty)
    order = scratch.put(replace(order, working_ms=at_ms), Motion.NEW)
    order = scratch.fill(order, parts, False, terms, at_ms)
    if order.live:
        scratch.end(order, Status.EXPIRED, at_ms)


def _take_limit(scratch: Scratch, order: VenueOrder, market: Liquidity, terms: Terms, at_ms: int) -> None:
    """Take what crosses, as far as there is room; what is left rests, or expires by its time in force."""
    room = terms.fills.room(terms.instrument, market.volume)
    qty = min(order.qty, room) if crosses(order, market) else ZERO
    if order.tif is Tif.FOK and qty < order.qty:
        qty = ZERO
    if qty > 0:
        price = within(order, terms.fills.taker_price(terms.instrument, order.side, qty, market))
        order = scratch.fill(order, parts_of(order, qty, price, False, terms), False, terms, at_ms)
    if order.live and order.tif is not Tif.GTC:
        scratch.end(order, Status.EXPIRED, at_ms)


def _start_chain(scratch: Scratch, orders: list[VenueOrder], market: Liquidity, terms: Terms, at_ms: int) -> None:
    """Put the working order to work; its legs wait for it."""
    working, *legs = orders
    for leg in legs:
        scratch.put(replace(leg, status=Status.PENDING_NEW), Motion.NEW)
    _start(scratch, working, market, terms, at_ms)
    after(scratch, working, at_ms, market)
