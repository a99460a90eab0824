"""What the exchange says of our orders, and what follows from it.

Rule 1: every word moves its order by the table in ``core.decide.orders``; the position is then settled anew.
Rule 2: a known trade changes nothing; an unknown order's trade is money all the same.
Rule 3: one event of the exchange is told once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.decide import orders as lifecycle
from core.decide.exits import PROTECTIVE, Stepped, both, leave, list_ends, live_orders, no_effects, placed, settle
from core.decide.halting import trade_state
from core.decide.ledger import book, book_position
from core.decide.orders import Happening
from core.decide.placing import with_position
from core.decide.transfers import strange_fill
from core.domain import events as ev
from core.domain.effects import Cancel, Effect, OrdersDone, Tell, Topic
from core.domain.errors import InvariantBroken
from core.domain.orders import Order, OrderState, Purpose
from core.domain.state import Position, State, TradingState, put

# the exchange could not take it at this moment, which says nothing against the order: the next tick tries again
NOT_NOW = ("RetryLater", "NeedsOwner")
# what the exchange shows may be this old news, and its clock need not be ours
LOOKED_EVERY = timedelta(seconds=4)


def _order(state: State, client_id: str) -> Order | None:
    return state.orders.get(client_id)


def _moved(state: State, client_id: str, happening: Happening, **known: str) -> tuple[State, Order | None]:
    order = _order(state, client_id)
    if order is None:
        return state, None
    moved = lifecycle.move(order, happening, **known)
    return state.with_(orders=put(state.orders, client_id, moved)), moved


def accepted(state: State, event: ev.Accepted) -> Stepped:
    before = _order(state, event.client_id)
    ids = {"exchange_id": event.exchange_id, "list_id": event.list_id}
    after, order = _moved(state, event.client_id, Happening.ACCEPTED, **ids)
    position = after.positions.get(order.symbol) if order else None
    if before is None or order is None or before.state is order.state:
        return after, ()  # known already: told once
    if position is None or _doubled(after, position, before):
        return after, (Cancel(order.symbol, order.client_id),) if order.purpose in PROTECTIVE else ()
    if order.purpose is Purpose.STOP and order.live and placed(after, order) and not position.leaving:
        after = with_position(after, replace(position, bare_since=None))
    told = _protected(after, position) if order.purpose is Purpose.TARGET else ()
    if position.leaving and order.purpose in PROTECTIVE and not position.cancel_at:
        left, effects = leave(after, position, position.leaving, event.at)
        return left, (*told, *effects)
    return after, told


def _doubled(state: State, position: Position, order: Order) -> bool:
    """Whether a leg that was given up stands after all, beside the pair that took its place."""
    others = [o for o in live_orders(state, position) if o.purpose in PROTECTIVE and o.created_at > order.created_at]
    given_up = order.state in (OrderState.ABSENT, OrderState.REJECTED)
    return given_up and order.purpose in PROTECTIVE and bool(others)


def _protected(state: State, position: Position) -> tuple[Effect, ...]:
    """The message that stop and target stand, once they do."""
    legs = [o for o in live_orders(state, position) if o.purpose in PROTECTIVE and o.state is not OrderState.PLANNED]
    stand = len(legs) == len(PROTECTIVE) and all(placed(state, leg) for leg in legs)
    return (Tell(Topic.PROTECTED, position.intent, position=position),) if stand else ()


def rejected(state: State, event: ev.Rejected) -> Stepped:
    before = _order(state, event.client_id)
    after, order = _moved(state, event.client_id, Happening.REJECTED, reason=event.text)
    position = after.positions.get(order.symbol) if order else None
    if order is None or position is None:
        return after, ()
    if order.purpose is Purpose.ENTRY or order.state is not OrderState.REJECTED:
        return settle(list_ends(after, order), order.symbol, event.at)
    if event.code not in NOT_NOW and (not placed(after, order) or (before and not before.live)):
        return settle(after, order.symbol, event.at)
    if order.purpose in PROTECTIVE and event.code in NOT_NOW:
        bare = replace(position, bare_since=position.bare_since or order.created_at)
        return both(with_position(after, bare), order, Happening.REJECTED, event.text), ()
    text = f"{order.symbol}: the exchange refused the {order.purpose.name.lower()} order ({event.text})."
    told = Tell(Topic.ERROR, order.client_id, text, urgent=True)
    if order.purpose is Purpose.EXIT:
        return after, (
            replace(told, text=f"{text} I try again."),
        )  # tried again at the next tick: at once would be a loop
    after = both(after, order, Happening.REJECTED, event.text)
    left, effects = leave(after, position, "protection refused", event.at)
    return left, (replace(told, text=f"{text} I sell the position."), *effects)


def unknown(state: State, event: ev.Unknown) -> Stepped:
    before = _order(state, event.client_id)
    after, order = _moved(state, event.client_id, Happening.UNKNOWN, reason=event.text)
    if before is None or order is None or order.state is not OrderState.MAYBE_SENT or before.state is order.state:
        return after, ()
    if order.purpose is Purpose.TARGET or order.waits_for:
        return after, ()  # told once for the whole list
    text = f"{order.symbol}: nobody can say yet whether order {order.client_id} exists ({event.text}). It is watched."
    return after, (Tell(Topic.ERROR, order.client_id, text, urgent=True),)


def absent(state: State, event: ev.Absent) -> Stepped:
    after, order = _moved(state, event.client_id, Happening.ABSENT, reason="it never reached the exchange")
    return settle(list_ends(after, order), order.symbol, event.at) if order else (after, ())


def canceled(state: State, event: ev.Canceled) -> Stepped:
    """An order ended early; where it was an entry, what it had bought by then is told."""
    happening = Happening.EXPIRED if event.expired else Happening.CANCELED
    before = _order(state, event.client_id)
    after, order = _moved(state, event.client_id, happening)
    if before is None or order is None:
        return after, ()
    if order.stray:
        return _strays_let_go(after)
    if not order.live and order.state is not OrderState.FILLED:
        after = list_ends(after, order)
    if order.purpose is Purpose.EXIT and not order.filled_qty:
        return after, ()  # nobody bought: the tick tries again, each time after a longer pause
    settled, effects = settle(after, order.symbol, event.at)
    position = after.positions.get(order.symbol)
    if position and before.live and order.purpose is Purpose.ENTRY and order.filled_qty:
        return settled, (Tell(Topic.FILL, position.intent, urgent=True, position=position), *effects)
    return settled, effects


def cancel_refused(state: State, event: ev.CancelRefused) -> Stepped:
    return no_effects(state)  # nothing to cancel means it filled or ended: its trades or its end will say which


def filled(state: State, event: ev.Filled) -> Stepped:
    fill = event.fill
    instrument = state.instruments.get(fill.symbol)
    order = _order(state, fill.client_id)
    if instrument is None:
        raise InvariantBroken(f"A fill of {fill.symbol} arrived, which is not watched")
    if int(fill.trade_id) <= state.last_trades.get(fill.symbol, -1):
        return no_effects(state)
    state = state.with_(last_trades=put(state.last_trades, fill.symbol, int(fill.trade_id)))
    if order is None:
        return strange_fill(state, fill, event.at)
    filled = lifecycle.fill(order, fill)
    position = state.positions.get(fill.symbol)
    after = state.with_(
        balances=book(state.balances, fill, instrument), orders=put(state.orders, fill.client_id, filled)
    )
    if filled.stray:
        return _strays_let_go(list_ends(after, filled))
    if position is None:
        return after, ()
    booked = book_position(position, fill, instrument)
    after = list_ends(after.with_(positions=put(after.positions, fill.symbol, booked)), filled)
    if filled.purpose is Purpose.ENTRY:
        first = not order.filled_qty
        after = after.with_(fee_asset=fill.fee_asset, entries=after.entries + first)
    if filled.purpose is Purpose.TARGET and filled.live:  # its stop ended with its first fill: do not wait for the rest
        since = booked.bare_since or min(event.at - LOOKED_EVERY, fill.at)
        bare = replace(booked, bare_since=since)
        return leave(after, bare, "target", event.at)
    settled, effects = settle(after, fill.symbol, event.at)
    if filled.filled_qty > filled.qty:
        return _too_much(settled, filled, event.at, effects)
    if filled.purpose is Purpose.ENTRY and not filled.live and order.live:
        told = Tell(Topic.FILL, booked.intent, urgent=True, fill=fill, position=booked)
        return settled, (told, *_protected(after, booked), *effects)
    return settled, effects


def _strays_let_go(state: State) -> Stepped:
    """Strays that have ended leave the state, kept as they ended; what they sold was never the position's."""
    gone = tuple(o for o in state.orders.values() if o.stray and not o.live)
    left = {name: o for name, o in state.orders.items() if o not in gone}
    return (state.with_(orders=left), (OrdersDone(gone),)) if gone else (state, ())


def _too_much(state: State, order: Order, at: datetime, effects: tuple[Effect, ...]) -> Stepped:
    reason = f"order {order.client_id} traded {order.filled_qty}, more than the {order.qty} it asked for"
    halted, told = trade_state(state, TradingState.HALTED, reason, at)
    return halted, (*effects, *told)
