"""Standing watch over what is held: repeat what was lost, tell what is not protected, leave what cannot be.

Rule 1: the owner is told within ten seconds of a position that no stop is proven to protect, once: the look that tells
        comes every two seconds and its message has to be committed, so it counts from the seventh.
Rule 2: a pair in doubt is sent again under the same names once the balance was read again: "duplicate" is the proof
        that it stands. A sale in doubt is sold again under a new name only where that can harm nobody.
Rule 3: a stop that was triggered and did not sell protects nothing: it is called off and the rest sold at market.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide import orders as lifecycle
from core.decide.exits import (
    CANCEL_AGAIN,
    PROTECTIVE,
    Stepped,
    both,
    leave,
    legs_of,
    live_orders,
    make_way,
    no_effects,
    orders_of,
    placed,
    replace_pair,
    settle,
)
from core.decide.orders import Happening
from core.decide.placing import BIPS, STOP_LIMIT_ROOM, with_position
from core.domain.effects import Effect, SubmitPair, Tell, Topic
from core.domain.events import Proven, StillHeld, StopRanPast, Unproven
from core.domain.market import Bar
from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.state import Position, State, put

RETRY_AFTER = timedelta(seconds=10)
PROTECT_AGAIN = timedelta(seconds=5)
# between two sendings of the same pair
ASK_AGAIN = timedelta(seconds=3)
# recvWindow 5 s + 10 s in which a request may still be accepted, then reads that lag up to a minute
SALE_WATCH = timedelta(seconds=90)
# a request that nobody heard of cannot be accepted any more after this: recvWindow 5 s + 10 s, and a margin
FENCE = timedelta(seconds=20)
# moving a stop leaves the position bare for a moment: not for less than this share of its price
WORTH_MOVING = Decimal("0.002")
STANDING = (OrderState.OPEN, OrderState.PARTIAL)
IN_DOUBT = (OrderState.PLANNED, OrderState.MAYBE_SENT)


def try_again(state: State, at: datetime) -> Stepped:
    """Sell what is being left and has nothing under way, each time after a longer pause; repeat what was lost."""
    effects: tuple[Effect, ...] = ()
    for symbol in sorted(state.positions):
        position = state.positions[symbol]
        more: tuple[Effect, ...] = ()
        if _waits_for_sale(state, position, at):
            state, more = make_way(state, position, at)
        elif _waits_for_protection(state, position, at):
            state, more = settle(state, symbol, at)
        elif _cancel_never_went(state, position):
            state, more = make_way(state, position, at)
        elif _cancel_was_lost(state, position, at):
            state, more = replace_pair(state, position, at)
        effects = (*effects, *more)
    return state, effects


def _waits_for_protection(state: State, position: Position, at: datetime) -> bool:
    newest = max((o.created_at for o in orders_of(state, position)), default=position.opened_at)
    bare = bool(position.bought_qty) and not position.leaving and not live_orders(state, position)
    return bare and at - newest >= PROTECT_AGAIN


def _cancel_never_went(state: State, position: Position) -> bool:
    """Whether a pair stands in the way of a sale and was not asked to go: its symbol was closed."""
    protected = any(o.purpose in PROTECTIVE for o in live_orders(state, position))
    return protected and bool(position.leaving) and position.cancel_at is None


def _cancel_was_lost(state: State, position: Position, at: datetime) -> bool:
    protected = any(o.purpose in PROTECTIVE for o in live_orders(state, position))
    return protected and position.cancel_at is not None and at - position.cancel_at >= CANCEL_AGAIN


def _waits_for_sale(state: State, position: Position, at: datetime) -> bool:
    orders = orders_of(state, position)
    refused = sum(o.purpose is Purpose.EXIT for o in orders)
    pause = RETRY_AFTER * 2 ** min(refused, 6)
    newest = max((o.created_at for o in orders), default=position.opened_at)
    return bool(position.leaving) and not live_orders(state, position) and at - newest >= pause


def alarm(state: State, at: datetime) -> Stepped:
    """Tell, once, of each position that has had no standing stop on the exchange for longer than the promise allows."""
    effects: tuple[Effect, ...] = ()
    for symbol in sorted(state.positions):
        position = state.positions[symbol]
        if position.alarmed or not _unguarded(state, position, at):
            continue
        state = with_position(state, replace(position, alarmed=True))
        text = f"{symbol}: no stop is proven to stand on the exchange. I keep trying; /panic sells everything."
        effects = (*effects, Tell(Topic.ERROR, position.intent, text, urgent=True))
    return state, effects


def unproven(state: State, event: Unproven) -> Stepped:
    """Tell, once, that nothing shows any more whether these stops stand."""
    bare = [s for s in event.symbols if s in state.positions and not state.positions[s].alarmed]
    if not bare:
        return no_effects(state)
    for symbol in bare:
        state = with_position(state, replace(state.positions[symbol], alarmed=True))
    named = ", ".join(bare)
    text = (
        f"{named}: since {event.since:%H:%M:%S} UTC the exchange has not shown whether the stop stands. I keep asking."
    )
    return state, (Tell(Topic.ERROR, named, text, urgent=True),)


def proven(state: State, event: Proven) -> Stepped:
    """Where the owner was told otherwise: these stops stand."""
    clear = [s for s in event.symbols if s in state.positions and state.positions[s].alarmed]
    if not clear:
        return no_effects(state)
    for symbol in clear:
        state = with_position(state, replace(state.positions[symbol], alarmed=False, bare_since=None))
    named = ", ".join(clear)
    return state, (Tell(Topic.STATE, f"proven:{named}", f"{named}: the stop stands on the exchange."),)


def _unguarded(state: State, position: Position, at: datetime) -> bool:
    orders = orders_of(state, position)
    stands = any(o.purpose is Purpose.STOP and o.state in STANDING and placed(state, o) for o in orders)
    newest = max((o.created_at for o in orders), default=position.opened_at)
    if position.bare_since:  # what was asked to go stands no longer than until then, as far as anybody can prove
        stands, newest = False, position.bare_since
    return position.bought_qty > 0 and not stands and at - newest >= timedelta(seconds=state.config.told_after_s)


def age(state: State, bar: Bar, at: datetime) -> Stepped:
    """One more bar for the position of this symbol: leave at its time limit or where its stop was jumped over."""
    position = state.positions.get(bar.symbol)
    if position is None or position.bought_qty == 0:
        return state, ()
    older = _trailed(state, replace(position, bars_held=position.bars_held + 1), bar)
    after = with_position(state, older)
    if older.leaving:
        return make_way(after, older, at)  # a cancel that was lost is repeated; it does no harm
    if older.bars_held >= older.horizon_bars:
        return leave(after, older, "time", at)
    if _jumped_over(after, older, bar.close):
        return leave(after, older, "stop", at)
    if _lags_behind(after, older):
        return replace_pair(after, older, at) if older.stop < bar.close else leave(after, older, "stop", at)
    return settle(after, bar.symbol, at)


def ran_past(state: State, event: StopRanPast) -> Stepped:
    """Sell at market what the limit of its stop does not sell any more."""
    order = state.orders.get(event.client_id)
    position = state.positions.get(order.symbol) if order else None
    if order is None or position is None or not order.live or order.purpose is not Purpose.STOP or order.stray:
        return no_effects(state)
    if position.leaving:
        return no_effects(state)
    after, effects = leave(state, position, "stop", event.at)
    text = f"{order.symbol}: the market fell through the limit of its stop. I sell what is left at market."
    return after, (Tell(Topic.ERROR, position.intent, text, urgent=True), *effects)


def _trailed(state: State, position: Position, bar: Bar) -> Position:
    """The position with its stop where the exchange has trailed it by now, as far as closed bars show."""
    if not position.trail_bips or bar.open_at < position.opened_at:
        return position  # the high of a bar may have come before the entry
    high = max(position.high, bar.high)
    reached = state.instruments[bar.symbol].floor_price(high * (1 - position.trail_bips / BIPS))
    return replace(position, high=high, stop=max(position.stop, reached))


def _lags_behind(state: State, position: Position) -> bool:
    """Whether the stop on the exchange stands clearly below where this position's stop has moved to by now."""
    stop = next((o for o in live_orders(state, position) if o.purpose is Purpose.STOP), None)
    if stop is None or stop.stop_price is None or stop.trail_bips or not position.trail_bips:
        return False
    return position.stop > stop.stop_price * (1 + WORTH_MOVING)


def _jumped_over(state: State, position: Position, price: Decimal) -> bool:
    """Whether ``price`` is below what the stop order can still sell at; without one, below the stop itself."""
    stop = next((o for o in live_orders(state, position) if o.purpose is Purpose.STOP), None)
    if stop is None or stop.price is None:
        return price < position.stop
    return price < min(stop.price, position.stop * (1 - STOP_LIMIT_ROOM))


def still_held(state: State, event: StillHeld) -> Stepped:
    """A sale in doubt whose coins are in the account: send the same pair again, or give up a market sale."""
    order = state.orders.get(event.client_id)
    position = state.positions.get(order.symbol) if order else None
    if order is None or position is None or order.state not in IN_DOUBT or order.side is Side.BUY:
        return no_effects(state)
    if not placed(state, order):
        return no_effects(state)  # the watch over its entry decides
    waited = event.at - (order.asked_at or order.created_at)
    # once the first was sold, the account could not pay for a second
    harmless = order.qty <= event.total < position.qty + order.qty and waited >= ASK_AGAIN
    fresh = event.at - order.created_at < SALE_WATCH
    if harmless and fresh and order.purpose in PROTECTIVE and not position.leaving and not order.waits_for:
        return _ask_again(state, order, event.at)
    booked = state.balances.get(state.instruments[order.symbol].base, event.total)
    if event.total <= booked - order.qty:
        return no_effects(state)  # the coins are gone: its trades will tell
    if waited >= SALE_WATCH or (harmless and order.purpose is Purpose.EXIT):
        return _given_up(state, order, event.at)
    return no_effects(state)


def _ask_again(state: State, order: Order, at: datetime) -> Stepped:
    """The same pair under the same names."""
    legs = {leg.purpose: replace(leg, asked_at=at) for leg in legs_of(state, order)}
    if len(legs) < len(PROTECTIVE):
        return no_effects(state)
    after = state.with_(orders={**state.orders, **{leg.client_id: leg for leg in legs.values()}})
    return after, (SubmitPair(legs[Purpose.STOP], legs[Purpose.TARGET]),)


def _given_up(state: State, order: Order, at: datetime) -> Stepped:
    reason = "it never reached the exchange"
    if order.purpose in PROTECTIVE:
        return settle(both(state, order, Happening.ABSENT, reason), order.symbol, at)
    gone = lifecycle.move(order, Happening.ABSENT, reason=reason)
    fenced = state.with_(fences=put(state.fences, order.symbol, at + FENCE))
    return settle(fenced.with_(orders=put(fenced.orders, order.client_id, gone)), order.symbol, at)
