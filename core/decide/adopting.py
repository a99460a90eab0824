"""What carries our mark and is not known, taken over: a lost database is made good from what stands on the exchange.

Rule 1: only what is known can be cancelled, so every order of ours becomes known.
Rule 2: a stop that protects nothing known is a position again; what belongs to another one than is held is cancelled.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.decide.exits import Stepped, no_effects
from core.decide.naming import parse_client_id
from core.decide.placing import with_position
from core.domain.effects import Cancel, Tell, Topic
from core.domain.events import OrdersFound
from core.domain.orders import Order, Purpose
from core.domain.state import Position, State

ADOPTED_HORIZON_BARS = 24


def found(state: State, event: OrdersFound) -> Stepped:
    """Take over orders of ours that the state did not hold; what protects nothing known becomes a position again."""
    unknown = [o for o in event.orders if o.client_id not in state.orders]
    names = {o.client_id: parse_client_id(state.install, o.client_id) for o in unknown}
    ours = {o.client_id: o for o in unknown if names[o.client_id]}
    if not ours or event.symbol not in state.instruments:
        return no_effects(state)
    after = state.with_(orders={**state.orders, **ours})
    position = after.positions.get(event.symbol)
    intents = {name[0] for name in names.values() if name}
    told = ", ".join(sorted(ours))
    text = f"{event.symbol}: I found orders of mine that I did not know and took them over: {told}."
    tell = Tell(Topic.ERROR, event.symbol, text, urgent=True)
    if position is None:
        rebuilt = _rebuilt(after, event.symbol, list(ours.values()), sorted(intents)[0], event.at)
        return (with_position(after, rebuilt) if rebuilt else after), (tell,)
    if intents == {position.intent}:
        return after, (tell,)
    # a leg takes its sister with it
    others = [o for o in sorted(ours, reverse=True) if (names[o] or ("",))[0] != position.intent]
    marked = {**after.orders, **{o: replace(ours[o], stray=True) for o in others}}
    strays = {(names[o] or ("", "", 0))[::2]: o for o in others}
    return after.with_(orders=marked), (tell, *(Cancel(event.symbol, stray) for stray in strays.values()))


def _rebuilt(state: State, symbol: str, orders: list[Order], intent: str, at: datetime) -> Position | None:
    """The position that these orders protect, bought at the price of now for want of a better one."""
    stop = next((o for o in orders if o.purpose is Purpose.STOP), None)
    if stop is None or stop.stop_price is None:
        return None
    target = next((o.price for o in orders if o.purpose is Purpose.TARGET and o.price), None)
    mark = state.marks.get(symbol)
    price = mark.bar.close if mark else stop.stop_price
    return Position(
        symbol=symbol,
        intent=intent,
        stop=stop.stop_price,
        target=target or 2 * price,
        horizon_bars=ADOPTED_HORIZON_BARS,
        opened_at=at,
        qty=stop.remaining,
        cost=stop.remaining * price,
        bought_qty=stop.remaining,
        bought_quote=stop.remaining * price,
        tries=1 + max(_attempt(state, o) for o in orders),
        trail_bips=stop.trail_bips,
        adopted=True,
    )


def _attempt(state: State, order: Order) -> int:
    parsed = parse_client_id(state.install, order.client_id)
    return parsed[2] if parsed else 0
