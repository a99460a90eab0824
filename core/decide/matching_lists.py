"""Orders tied together: how pairs start, what the end of one order means for the others.

Rule 1: the legs of a pair share one hold; the leg that trades or triggers takes it and its sister expires.
Rule 2: legs that wait for an entry are placed when it is FULLY filled; where the balance does not reach, or one of
        them would trade at once, they expire.
Rule 3: a trailing stop without a stop price follows the market from the moment it stands.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.decide.venue import NO_LIST, STOP_KINDS, Liquidity, Motion, Status, VenueOrder
from core.decide.venue_filters import rejected, triggers_on_rise
from core.decide.venue_scratch import Scratch, need
from core.domain.errors import Refused
from core.domain.orders import OrderKind, Side


def rest(scratch: Scratch, order: VenueOrder, price: Decimal, at_ms: int) -> VenueOrder:
    """``order`` on the book while the market trades at ``price``; a stop is not working before it triggers."""
    working = -1 if order.kind in STOP_KINDS else at_ms
    if order.trail_bips and not order.stop_price:
        order = scratch.track(order, price, at_ms)
    return scratch.put(replace(order, status=Status.NEW, working_ms=working, updated_ms=at_ms), Motion.NEW)


def refuse_crossing(order: VenueOrder, market: Liquidity) -> None:
    """Refused for a stop that would trigger and a maker order that would take at once."""
    if order.kind in STOP_KINDS:
        if not order.stop_price:
            return
        on_rise = triggers_on_rise(order.side, order.kind)
        if (market.mid >= order.stop_price) if on_rise else (market.mid <= order.stop_price):
            raise rejected("Stop price would trigger immediately.")
    elif order.kind is OrderKind.LIMIT_MAKER and crosses(order, market):
        raise rejected("Order would immediately match and take.")


def crosses(order: VenueOrder, market: Liquidity) -> bool:
    return order.price >= market.ask if order.side is Side.BUY else order.price <= market.bid


def start_pair(scratch: Scratch, legs: list[VenueOrder], market: Liquidity | None, price: Decimal, at_ms: int) -> None:
    """Put both legs on the book; the one that needs more holds for both. Raises Refused before anything is held."""
    if market is not None:
        for leg in legs:
            refuse_crossing(leg, market)
    first, second = sorted(legs, key=need, reverse=True)
    held = scratch.hold(first, need(first))
    for leg in sorted((held, second), key=lambda o: o.order_id):
        rest(scratch, leg, price, at_ms)


def after(scratch: Scratch, order: VenueOrder, at_ms: int, market: Liquidity | None = None) -> None:
    """What an order's end means for the rest of its list, in the ``market`` of the moment where that is known."""
    if order.list_id == NO_LIST or order.order_id in scratch.live:
        return
    waiting = [o for o in scratch.others(order) if o.status is Status.PENDING_NEW]
    if waiting:
        ended = scratch.ended[order.order_id]
        if ended.status is Status.FILLED:
            price = market.mid if market else ended.filled_quote / ended.filled_qty
            _wake(scratch, waiting, market, price, at_ms)
        else:
            _drop(scratch, waiting, at_ms)
    scratch.close_list(order)


def _wake(scratch: Scratch, legs: list[VenueOrder], market: Liquidity | None, price: Decimal, at_ms: int) -> None:
    """Place the legs of a filled entry; where that cannot be, they expire."""
    scratch.woken.update(leg.order_id for leg in legs)
    try:
        if len(legs) == 2:
            start_pair(scratch, legs, market, price, at_ms)
        else:
            rest(scratch, scratch.hold(legs[0], need(legs[0])), price, at_ms)
    except Refused:
        _drop(scratch, legs, at_ms)


def _drop(scratch: Scratch, legs: list[VenueOrder], at_ms: int) -> None:
    for leg in legs:
        scratch.end(leg, Status.EXPIRED, at_ms)


def alone(scratch: Scratch, order: VenueOrder, at_ms: int) -> VenueOrder:
    """``order`` after its sister leg, if any, expired and handed over what it held."""
    for sister in scratch.others(order):
        if sister.status is not Status.PENDING_NEW:
            order, emptied = scratch.take_hold_of(order, sister)
            scratch.end(emptied, Status.EXPIRED, at_ms)
    return order
