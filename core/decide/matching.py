"""The matching engine: our orders against a market given as quotes and bars.

Rule 1: pure. Each function takes a Venue and returns the next one with what moved; Refused means nothing changed.
Rule 2: inside a bar the worst order of events is assumed: stops before targets, one stop before an entry's target,
        and a leg born inside the bar can be stopped in it but reaches its target only in the next.
Rule 3: a price the bar opens beyond fills at the open (gap); a stop then takes liquidity with half a spread and impact,
        never beyond its own limit, and is left behind when the open lies beyond that limit.
Rule 4: all our orders on one symbol share ``volume_share`` of a bar's volume, stops first, then price, then time.
Rule 5: one leg of a pair that triggers or trades expires its sister; cancelling a leg cancels its whole list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from core.decide.costs import Terms, bar_sigma
from core.decide.venue import (
    NO_LIST,
    STOP_KINDS,
    Liquidity,
    ListKind,
    ListPlacement,
    Motion,
    Moves,
    OrderList,
    Placement,
    Status,
    Tif,
    Venue,
    VenueOrder,
)
from core.decide.venue_filters import check, check_pair, rejected, triggers_on_rise
from core.decide.venue_scratch import Scratch, need
from core.domain.errors import Refused
from core.domain.market import ZERO, Bar, to_ms
from core.domain.orders import OrderKind, Side

UNKNOWN_ORDER = "-2011"


def place(venue: Venue, ask: Placement, market: Liquidity, terms: Terms, at_ms: int) -> tuple[Venue, Moves]:
    """The venue with ``ask`` taken, and what moved at once. Raises Refused with Binance's code."""
    check(venue, ask, market, terms.rules)
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
    for one in asks:
        check(venue, one, market, terms.rules)
    if len({one.client_id for one in asks}) < len(asks):
        raise rejected("Duplicate order sent.")
    scratch = Scratch(venue, symbol)
    list_id = scratch.new_list_id()
    orders = [scratch.fresh(one, one.qty or ZERO, terms, at_ms, list_id) for one in asks]
    kind = ListKind.OTO if ask.working else ListKind.OCO
    ids = tuple(o.order_id for o in orders)
    scratch.begin_list(OrderList(list_id, kind, symbol, ask.client_id, ids, tuple(o.client_id for o in orders), at_ms))
    if ask.working:
        _start_chain(scratch, orders, market, terms, at_ms)
    else:
        check_pair(*_above_below(ask.legs), market)
        _start_pair(scratch, orders, market, at_ms)
    return scratch.done(symbol)


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


def on_bar(venue: Venue, bar: Bar, terms: Terms) -> tuple[Venue, Moves]:
    """The venue after the market traded through ``bar``, and what moved; the same object when nothing is open."""
    if bar.symbol not in venue.open:
        return venue, ()
    scratch = Scratch(venue, bar.symbol)
    tape = _Tape(bar, terms, terms.fills.room(terms.instrument, bar.volume), to_ms(bar.close_at))
    for order in sorted(scratch.live.values(), key=_turn):
        _look(scratch, order.order_id, tape)
    for order_id in sorted(scratch.woken):
        _look_newborn(scratch, order_id, tape)
    if not scratch.moves:
        return venue, ()
    return scratch.done(bar.symbol)


# starting orders -----------------------------------------------------------------------------------------------------


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
    _refuse_crossing(order, market)
    order = _rest(scratch, scratch.hold(order, need(order)), at_ms)
    if order.kind is OrderKind.LIMIT:
        _take_limit(scratch, order, market, terms, at_ms)


def _rest(scratch: Scratch, order: VenueOrder, at_ms: int) -> VenueOrder:
    """``order`` on the book; a stop is not working before it triggers."""
    working = -1 if order.kind in STOP_KINDS else at_ms
    return scratch.put(replace(order, status=Status.NEW, working_ms=working, updated_ms=at_ms), Motion.NEW)


def _refuse_crossing(order: VenueOrder, market: Liquidity) -> None:
    """Refused for a stop that would trigger and a maker order that would take at once."""
    if order.kind in STOP_KINDS:
        on_rise = triggers_on_rise(order.side, order.kind)
        if (market.mid >= order.stop_price) if on_rise else (market.mid <= order.stop_price):
            raise rejected("Stop price would trigger immediately.")
    elif order.kind is OrderKind.LIMIT_MAKER and _crosses(order, market):
        raise rejected("Order would immediately match and take.")


def _crosses(order: VenueOrder, market: Liquidity) -> bool:
    return order.price >= market.ask if order.side is Side.BUY else order.price <= market.bid


def _take_market(scratch: Scratch, order: VenueOrder, market: Liquidity, terms: Terms, at_ms: int) -> None:
    """Fill at once what the market has room for; the rest expires."""
    qty = min(order.qty, terms.fills.room(terms.instrument, market.volume))
    price = terms.fills.taker_price(terms.instrument, order.side, qty, market)
    order = scratch.hold(order, qty * price if order.side is Side.BUY else qty)
    order = scratch.put(replace(order, working_ms=at_ms), Motion.NEW)
    if qty > 0:
        order = scratch.trade(order, qty, price, False, terms, at_ms)
    if order.live:
        scratch.end(order, Status.EXPIRED, at_ms)


def _take_limit(scratch: Scratch, order: VenueOrder, market: Liquidity, terms: Terms, at_ms: int) -> None:
    """Take what crosses, as far as there is room; what is left rests, or expires by its time in force."""
    room = terms.fills.room(terms.instrument, market.volume)
    qty = min(order.qty, room) if _crosses(order, market) else ZERO
    if order.tif is Tif.FOK and qty < order.qty:
        qty = ZERO
    if qty > 0:
        price = _within(order, terms.fills.taker_price(terms.instrument, order.side, qty, market))
        order = scratch.trade(order, qty, price, False, terms, at_ms)
    if order.live and order.tif is not Tif.GTC:
        scratch.end(order, Status.EXPIRED, at_ms)


def _within(order: VenueOrder, price: Decimal) -> Decimal:
    """``price``, but never worse than the order's own limit."""
    return min(price, order.price) if order.side is Side.BUY else max(price, order.price)


def _above_below(legs: tuple[Placement, ...]) -> tuple[Placement, Placement]:
    first, second = legs
    level = [leg.stop_price if leg.kind in STOP_KINDS else leg.price for leg in legs]
    return (first, second) if (level[0] or ZERO) > (level[1] or ZERO) else (second, first)


def _start_pair(scratch: Scratch, legs: list[VenueOrder], market: Liquidity | None, at_ms: int) -> None:
    """Put both legs on the book; the one that needs more holds for both."""
    first, second = sorted(legs, key=need, reverse=True)
    held = scratch.hold(first, need(first))
    for leg in sorted((held, second), key=lambda o: o.order_id):
        if market is not None:
            _refuse_crossing(leg, market)
        _rest(scratch, leg, at_ms)


def _start_chain(scratch: Scratch, orders: list[VenueOrder], market: Liquidity, terms: Terms, at_ms: int) -> None:
    """Put the working order to work; its legs wait for it."""
    working, *legs = orders
    for leg in legs:
        scratch.put(replace(leg, status=Status.PENDING_NEW), Motion.NEW)
    _start(scratch, working, market, terms, at_ms)
    _after(scratch, working, at_ms)


def _after(scratch: Scratch, order: VenueOrder, at_ms: int) -> None:
    """What an order's end means for the rest of its list."""
    if order.list_id == NO_LIST or order.order_id in scratch.live:
        return
    waiting = [o for o in scratch.others(order) if o.status is Status.PENDING_NEW]
    if waiting:
        filled = scratch.ended[order.order_id].status is Status.FILLED
        (_wake if filled else _drop)(scratch, waiting, at_ms)
    scratch.close_list(order)


def _wake(scratch: Scratch, legs: list[VenueOrder], at_ms: int) -> None:
    """Place the legs of a filled entry; where the balance does not reach, they expire."""
    scratch.woken.update(leg.order_id for leg in legs)
    try:
        if len(legs) == 2:
            _start_pair(scratch, legs, None, at_ms)
        else:
            _rest(scratch, scratch.hold(legs[0], need(legs[0])), at_ms)
    except Refused:
        _drop(scratch, legs, at_ms)


def _drop(scratch: Scratch, legs: list[VenueOrder], at_ms: int) -> None:
    for leg in legs:
        scratch.end(leg, Status.EXPIRED, at_ms)


# bars ----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tape:
    """One bar under way: how much of it is still ours to take."""

    bar: Bar
    terms: Terms
    room: Decimal
    at_ms: int


def _turn(order: VenueOrder) -> tuple[bool, Decimal, int]:
    """Sort key: protective stops, then the better price for the market, then the older order."""
    eager = -order.price if order.side is Side.BUY else order.price
    return order.kind is not OrderKind.STOP_LOSS_LIMIT, eager, order.order_id


def _look(scratch: Scratch, order_id: int, tape: _Tape) -> None:
    """Let one order meet the bar; it may have ended through its sister meanwhile, or be younger than the bar."""
    order = scratch.live.get(order_id)
    if order is None or order.status is Status.PENDING_NEW or order_id in scratch.woken:
        return
    if order.placed_ms >= tape.at_ms:
        return
    if order.awaits_trigger:
        _look_stop(scratch, order, tape)
        return
    price = _limit_touch(order, tape.bar)
    if price is not None:
        _execute(scratch, order, price, True, tape)


def _look_newborn(scratch: Scratch, order_id: int, tape: _Tape) -> None:
    """A leg born inside the bar: the worst is assumed, so only its stop can be reached, from the open on."""
    order = scratch.live.get(order_id)
    if order is None or order.kind is not OrderKind.STOP_LOSS_LIMIT or not order.awaits_trigger:
        return
    bar, stop = tape.bar, order.stop_price
    if triggers_on_rise(order.side, order.kind):
        price = max(stop, bar.open) if bar.high >= stop else None
    else:
        price = min(stop, bar.open) if bar.low <= stop else None
    if price is not None:
        _go_live(scratch, order, price, False, tape)


def _look_stop(scratch: Scratch, order: VenueOrder, tape: _Tape) -> None:
    bar, stop = tape.bar, order.stop_price
    rise = triggers_on_rise(order.side, order.kind)
    if (bar.open >= stop) if rise else (bar.open <= stop):
        _go_live(scratch, order, bar.open, True, tape)
    elif (bar.high >= stop) if rise else (bar.low <= stop):
        _go_live(scratch, order, stop, False, tape)


def _go_live(scratch: Scratch, order: VenueOrder, price: Decimal, at_open: bool, tape: _Tape) -> None:
    """A stop touched at ``price``: it takes if its limit allows, else rests, and may be met later in the bar."""
    order = scratch.trigger(_alone(scratch, order, tape.at_ms), tape.at_ms)
    buying = order.side is Side.BUY
    if price <= order.price if buying else price >= order.price:
        _execute(scratch, order, price, False, tape)
    elif at_open:
        later = _limit_touch(order, tape.bar)
        if later is not None:
            _execute(scratch, order, later, True, tape)


def _limit_touch(order: VenueOrder, bar: Bar) -> Decimal | None:
    """The price at which a resting limit is met by the bar: its own, or the open where that is better."""
    if order.side is Side.BUY:
        return min(order.price, bar.open) if bar.low <= order.price else None
    return max(order.price, bar.open) if bar.high >= order.price else None


def _execute(scratch: Scratch, order: VenueOrder, price: Decimal, maker: bool, tape: _Tape) -> None:
    """Fill ``order`` around ``price`` with what the bar has room for."""
    terms = tape.terms
    qty = min(order.remaining, tape.room)
    if qty <= 0:
        return
    if maker:
        price = _on_tick(order, price, terms)
    else:
        market = terms.fills.around(price, tape.bar.volume, bar_sigma(tape.bar))
        price = _within(order, terms.fills.taker_price(terms.instrument, order.side, qty, market))
    tape.room -= qty
    order = _alone(scratch, order, tape.at_ms)
    order = scratch.trade(order, qty, price, maker, terms, tape.at_ms)
    _after(scratch, order, tape.at_ms)


def _on_tick(order: VenueOrder, price: Decimal, terms: Terms) -> Decimal:
    """``price`` on the tick grid, rounded against us: recorded opens may be finer than the grid."""
    instrument = terms.instrument
    return instrument.ceil_price(price) if order.side is Side.BUY else instrument.floor_price(price)


def _alone(scratch: Scratch, order: VenueOrder, at_ms: int) -> VenueOrder:
    """``order`` after its sister leg, if any, expired and handed over what it held."""
    for sister in scratch.others(order):
        if sister.status is not Status.PENDING_NEW:
            order, emptied = scratch.take_hold_of(order, sister)
            scratch.end(emptied, Status.EXPIRED, at_ms)
    return order
