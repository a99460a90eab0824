"""The life of a position: protect it once bought, move its stop, leave it, close its book.

Rule 1: a position that stands and is not being left has a stop and a target on the exchange, as one OCO pair, for
        what is held after fees.
Rule 2: leaving means: cancel the pair, and sell at market only when nothing of it can fill any more.
Rule 3: what cannot be protected is sold at once; what cannot be sold is named as dust.
Rule 4: a stop moves up, never down.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide import orders as lifecycle
from core.decide.ledger import asset_prices, profit
from core.decide.orders import Happening
from core.decide.placing import protective_pair, sale, send, trail_bips, with_position
from core.domain.effects import Cancel, Effect, OrdersDone, Submit, SubmitPair, Tell, Topic, TradeDone
from core.domain.events import OwnerMovedStop
from core.domain.market import Instrument
from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.state import Position, State, Trade, drop

Stepped = tuple[State, tuple[Effect, ...]]

LATELY = timedelta(minutes=1)
PAIRS_LATELY_MAX = 3
# a pair for less than this share of what is held was sized for a fee that was not charged
WELL_SIZED = Decimal("0.9998")
CANCEL_AGAIN = timedelta(seconds=30)
PROTECTIVE = (Purpose.STOP, Purpose.TARGET)
FATES = {
    OrderState.CANCELED: Happening.EXPIRED,
    OrderState.EXPIRED: Happening.EXPIRED,
    OrderState.REJECTED: Happening.REJECTED,
    OrderState.ABSENT: Happening.ABSENT,
}


def orders_of(state: State, position: Position) -> tuple[Order, ...]:
    """Every order of this position that the state still holds."""
    return tuple(o for o in state.orders.values() if o.symbol == position.symbol and not o.stray)


def live_orders(state: State, position: Position) -> tuple[Order, ...]:
    """Orders of this position that can still fill."""
    return tuple(o for o in orders_of(state, position) if o.live)


def placed(state: State, order: Order) -> bool:
    """Whether nothing has to fill before this order works."""
    first = state.orders.get(order.waits_for)
    return first is None or first.state is OrderState.FILLED


def settle(state: State, symbol: str, at: datetime) -> Stepped:
    """The next thing this position needs after one of its orders changed: protect, sell, close, or nothing."""
    position = state.positions.get(symbol)
    if position is None:
        return state, ()
    if live_orders(state, position):
        return _fit(state, position, at)
    instrument = state.instruments[symbol]
    sellable = instrument.floor_qty(position.qty)
    if position.bought_qty == 0:
        return _forget(state, position)
    if not _tradable(sellable, position, instrument, state):
        return _close(state, position, instrument, at)
    if position.leaving:
        # what one market order may not hold is sold by the next one
        return _sell(state, position, min(sellable, instrument.floor_qty(instrument.market_qty_max)), at)
    return _protect(state, position, sellable, at)


def price_now(state: State, position: Position) -> Decimal:
    """The last price known of what is held."""
    mark = state.marks.get(position.symbol)
    return mark.bar.close if mark else position.entry_price


def _tradable(qty: Decimal, position: Position, instrument: Instrument, state: State) -> bool:
    worth = qty * price_now(state, position)
    return qty >= instrument.qty_min and qty > 0 and worth >= instrument.notional_min


def _fit(state: State, position: Position, at: datetime) -> Stepped:
    """Place the pair anew where it stands for clearly less than is held: the fee was another than expected."""
    live = live_orders(state, position)
    stop = next((o for o in live if o.purpose is Purpose.STOP), None)
    whole = all(o.purpose in PROTECTIVE and not o.filled_qty for o in live)
    if stop is None or stop.state is not OrderState.OPEN or not placed(state, stop):
        return state, ()
    if not whole or position.leaving or position.cancel_at:
        return state, ()
    held = state.instruments[position.symbol].floor_qty(position.qty)
    return (state, ()) if stop.qty >= held * WELL_SIZED else replace_pair(state, position, at)


def replace_pair(state: State, position: Position, at: datetime) -> Stepped:
    """Cancel the pair that stands; when its end is proven, ``settle`` places the new one or sells."""
    stop = next((o for o in live_orders(state, position) if o.purpose in PROTECTIVE), None)
    if not _replaceable(state, position):
        return state, ()
    if stop is None or (position.cancel_at and at - position.cancel_at < CANCEL_AGAIN):
        return state, ()
    stands = stop.state in (OrderState.OPEN, OrderState.PARTIAL)
    asked = replace(position, cancel_at=at, bare_since=position.bare_since or (at if stands else stop.created_at))
    return with_position(state, asked), (Cancel(position.symbol, stop.client_id),)


def owner_moved_stop(state: State, event: OwnerMovedStop) -> Stepped:
    """A stop never moves down, never above the price, and not again before its last move is through."""
    position = state.positions.get(event.symbol)
    if position is None or position.leaving or position.cancel_at or not position.bought_qty:
        return no_effects(state)
    if event.stop is not None and not position.stop < event.stop < price_now(state, position):
        return no_effects(state)
    if any(o.trail_bips for o in live_orders(state, position)):
        return no_effects(state)  # the exchange may have moved its stop above this one already
    return move_stop(state, position, event.stop, event.at)


def _replaceable(state: State, position: Position) -> bool:
    """Whether something else could be placed once the pair is gone: else what stands is the best there is."""
    instrument = state.instruments[position.symbol]
    tradable = _tradable(instrument.floor_qty(position.qty), position, instrument, state)
    return instrument.status == "TRADING" and (tradable or not position.bought_qty)


def move_stop(state: State, position: Position, stop: Decimal | None, at: datetime) -> Stepped:
    """A higher stop, the pair on the exchange with it, or (None) one that follows the price from where it is."""
    if stop is None:
        price = price_now(state, position)
        follows = replace(position, trail_bips=trail_bips(position.stop, price), high=max(position.high, price))
        return with_position(state, follows), ()
    higher = max(position.stop, state.instruments[position.symbol].floor_price(stop))
    moved = replace(position, stop=higher)
    return replace_pair(with_position(state, moved), moved, at)


def _forget(state: State, position: Position) -> Stepped:
    """An entry that never filled leaves nothing behind."""
    reason = next((o.reason for o in orders_of(state, position) if o.reason), "the price had moved on")
    text = f"{position.symbol}: nothing was bought ({reason})."
    after, gone = _without(state, position)
    return after, (gone, Tell(Topic.STATE, f"missed:{position.intent}", text, urgent=True))


def _without(state: State, position: Position) -> tuple[State, OrdersDone]:
    """The state without this position and its orders, which are kept as they ended."""
    gone = orders_of(state, position)
    left = {o.client_id: o for o in state.orders.values() if o not in gone}
    return state.with_(positions=drop(state.positions, position.symbol), orders=left), OrdersDone(gone)


def _protect(state: State, position: Position, qty: Decimal, at: datetime) -> Stepped:
    price = price_now(state, position)
    if not position.stop < price < position.target:
        return leave(state, position, "stop" if price <= position.stop else "target", at)
    stood = (o for o in orders_of(state, position) if o.state in (OrderState.CANCELED, OrderState.EXPIRED))
    lately = sum(o.purpose is Purpose.STOP and at - o.created_at < LATELY for o in stood)
    # pairs that end as soon as they are placed, and not by our own wish, protect nothing
    if position.cancel_at is None and lately >= PAIRS_LATELY_MAX:
        return leave(state, position, "its protection does not hold", at)
    stop, target = protective_pair(state, position, qty, at)
    counted = replace(position, tries=position.tries + 1, cancel_at=None)
    after = send(with_position(state, counted), stop, target, at=at)
    return after, (SubmitPair(stop, target),)


def leave(state: State, position: Position, why: str, at: datetime) -> Stepped:
    """Leave a position, or go on leaving it: cancel what protects it, sell at once where nothing does."""
    going = position if position.leaving else replace(position, leaving=why)
    return make_way(with_position(state, going), going, at)


def make_way(state: State, position: Position, at: datetime) -> Stepped:
    """Cancel what still protects a position that is being left; where nothing can fill any more, sell."""
    live = live_orders(state, position)
    if any(o.purpose in PROTECTIVE for o in live):
        return replace_pair(state, position, at)
    return (state, ()) if live else settle(state, position.symbol, at)


def _sell(state: State, position: Position, qty: Decimal, at: datetime) -> Stepped:
    order = sale(state, position, qty, at)
    counted = with_position(state, replace(position, tries=position.tries + 1))
    return send(counted, order, at=at), (Submit(order),)


def _close(state: State, position: Position, instrument: Instrument, at: datetime) -> Stepped:
    """Book the round trip; what is left below the minimum stays in the balance, named as dust."""
    sold = position.sold_qty
    trade = Trade(
        symbol=position.symbol,
        intent=position.intent,
        qty=position.bought_qty,
        entry_price=position.entry_price,
        exit_price=position.sold_quote / sold if sold else position.entry_price,
        profit=profit(position, instrument, asset_prices(state)),
        fees=position.fees,
        opened_at=position.opened_at,
        closed_at=position.sold_at or at,
        bars_held=position.bars_held,
        why=_why(state, position),
        dust=position.qty,
    )
    after, gone = _without(state, position)
    return after, (gone, TradeDone(trade), Tell(Topic.CLOSED, position.intent, urgent=True, trade=trade))


def _why(state: State, position: Position) -> str:
    """``stop`` or ``target`` where such an order filled, else the reason it was left for, else ``dust``."""
    filled = [o for o in orders_of(state, position) if o.filled_qty and o.side is Side.SELL]
    names = {Purpose.STOP: "stop", Purpose.TARGET: "target"}
    return next((names[o.purpose] for o in filled if o.purpose in names), position.leaving or "dust")


def legs_of(state: State, order: Order) -> tuple[Order, ...]:
    """Both legs of the pair that ``order`` is a leg of, as far as they are live."""
    return tuple(
        o
        for o in state.orders.values()
        if o.symbol == order.symbol and o.created_at == order.created_at and o.purpose in PROTECTIVE and o.live
    )


def both(state: State, order: Order, happening: Happening, reason: str) -> State:
    """The pair of ``order`` after what can only happen to it as a whole."""
    moved = {leg.client_id: lifecycle.move(leg, happening, reason=reason) for leg in legs_of(state, order)}
    return state.with_(orders={**state.orders, **moved})


def list_ends(state: State, order: Order) -> State:
    """What the rules of the exchange's lists end with ``order``.

    That is the sister of a leg that starts to fill, and the legs of an entry that ended without buying all it should:
    they share its fate.
    """
    ended: dict[str, Order] = {}
    for other in state.orders.values():
        if other.live and _waited(other, order):
            ended[other.client_id] = lifecycle.move(other, FATES[order.state], reason=order.reason)
        elif other.live and order.filled_qty and _sisters(other, order):
            ended[other.client_id] = lifecycle.move(other, Happening.EXPIRED, reason="its sister filled")
    return state.with_(orders={**state.orders, **ended}) if ended else state


def _waited(other: Order, order: Order) -> bool:
    """Whether ``other`` waited for ``order`` and will not be placed any more."""
    return other.waits_for == order.client_id and order.state in FATES


def _sisters(other: Order, order: Order) -> bool:
    """Whether the two are the legs of one pair."""
    together = other.symbol == order.symbol and other.created_at == order.created_at
    return together and {other.purpose, order.purpose} == set(PROTECTIVE)


def no_effects(state: State) -> Stepped:
    """Nothing changes."""
    effects: tuple[Effect, ...] = ()
    return state, effects
