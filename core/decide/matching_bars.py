"""Our open orders against one bar of the market.

Rule 1: inside a bar the worst order of events is assumed: stops before targets, a stop before its own entry's target,
        and a leg born inside the bar can be stopped in it but reaches its target only in the next.
Rule 2: a price the bar opens beyond fills at the open (gap); a stop then takes liquidity with half a spread and impact,
        never beyond its own limit, and is left behind when the open lies beyond that limit.
Rule 3: a trailing stop sees the open, then the far end against us, then, after everything else was met, the far end
        in our favour, then the close; the better end cannot lift it before the worse one had its chance.
Rule 4: all our orders on one symbol share ``volume_share`` of a bar's volume, stops first, then price, then time.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.decide.costs import Terms, bar_sigma
from core.decide.matching_lists import after, alone
from core.decide.venue import Moves, Status, Venue, VenueOrder
from core.decide.venue_filters import triggers_on_rise
from core.decide.venue_scratch import Scratch, parts_of, within
from core.domain.market import Bar, to_ms
from core.domain.orders import OrderKind, Side


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
    for order in [o for o in scratch.live.values() if o.trail_bips]:
        _look_late(scratch, order, tape)
    if not scratch.changed:
        return venue, ()
    return scratch.done(bar.symbol)


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
    bar, stop = tape.bar, order.trigger_price
    if stop is None:
        return
    if _fires_on_rise(order):
        price = max(stop, bar.open) if bar.high >= stop else None
    else:
        price = min(stop, bar.open) if bar.low <= stop else None
    if price is not None:
        _go_live(scratch, order, price, False, tape)


def _look_stop(scratch: Scratch, order: VenueOrder, tape: _Tape) -> None:
    bar = tape.bar
    rise = _fires_on_rise(order)
    if order.trail_bips and not _beyond(bar.open, order.trigger_price, rise):
        order = _follow(scratch, order, bar.open, tape)
        order = _begin_falling_back(scratch, order, tape)
    stop = order.trigger_price
    if stop is None:
        return
    if (bar.open >= stop) if rise else (bar.open <= stop):
        _go_live(scratch, order, bar.open, True, tape)
    elif (bar.high >= stop) if rise else (bar.low <= stop):
        _go_live(scratch, order, stop, False, tape)


def _fires_on_rise(order: VenueOrder) -> bool:
    """Whether it goes live as the price rises: a trailing stop always fires on the way back."""
    return order.side is Side.BUY if order.trail_bips else triggers_on_rise(order.side, order.kind)


def _beyond(price: Decimal, level: Decimal | None, rise: bool) -> bool:
    return level is not None and (price >= level if rise else price <= level)


def _follow(scratch: Scratch, order: VenueOrder, price: Decimal, tape: _Tape) -> VenueOrder:
    """A trailing stop that saw ``price``: a better one lifts it, one past its stop price makes it begin."""
    if not order.best:
        met = _beyond(price, order.stop_price, triggers_on_rise(order.side, order.kind))
        return scratch.track(order, price, tape.at_ms) if met else order
    better = price < order.best if order.side is Side.BUY else price > order.best
    return scratch.track(order, price, tape.at_ms) if better else order


def _begin_falling_back(scratch: Scratch, order: VenueOrder, tape: _Tape) -> VenueOrder:
    """A stop loss that begins to trail at its stop price, on the market's way to the far end against us."""
    rise = triggers_on_rise(order.side, order.kind)
    if order.best or rise is not _fires_on_rise(order):
        return order
    reached = _beyond(tape.bar.high if rise else tape.bar.low, order.stop_price, rise)
    return scratch.track(order, order.stop_price, tape.at_ms) if reached else order


def _look_late(scratch: Scratch, order: VenueOrder, tape: _Tape) -> None:
    """What is left of the bar for a trailing stop: the far end in its favour, unless it is younger, and the close."""
    bar, rise = tape.bar, _fires_on_rise(order)
    if not order.awaits_trigger or order.status is Status.PENDING_NEW or order.placed_ms >= tape.at_ms:
        return
    best = bar.low if rise else bar.high
    # a far end that is the open was seen there, before anything else of the bar
    if order.order_id not in scratch.woken and best != bar.open:
        order = _follow(scratch, order, best, tape)
    order = _follow(scratch, order, bar.close, tape)
    if _beyond(bar.close, order.trigger_price, rise):
        _go_live(scratch, order, order.trigger_price or bar.close, False, tape)


def _go_live(scratch: Scratch, order: VenueOrder, price: Decimal, at_open: bool, tape: _Tape) -> None:
    """A stop touched at ``price``: it takes if its limit allows, else rests, and may be met later in the bar."""
    order = scratch.trigger(alone(scratch, order, tape.at_ms), tape.at_ms)
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
        price = within(order, terms.fills.taker_price(terms.instrument, order.side, qty, market))
    tape.room -= qty
    order = alone(scratch, order, tape.at_ms)
    order = scratch.fill(order, parts_of(order, qty, price, maker, terms), maker, terms, tape.at_ms)
    after(scratch, order, tape.at_ms)


def _on_tick(order: VenueOrder, price: Decimal, terms: Terms) -> Decimal:
    """``price`` on the tick grid, rounded against us: recorded opens may be finer than the grid."""
    instrument = terms.instrument
    return instrument.ceil_price(price) if order.side is Side.BUY else instrument.floor_price(price)
