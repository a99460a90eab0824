"""The life of a position: protect it once bought, leave it for one of four reasons, close its book.

Rule 1: a position that stands and is not being left has a stop and a target on the exchange, as one OCO pair.
Rule 2: leaving means: cancel the pair, and sell at market only when nothing of it can fill any more.
Rule 3: what cannot be protected is sold at once; what cannot be sold is named as dust.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide import orders as lifecycle
from core.decide.entries import Stepped, send
from core.decide.ledger import asset_prices, profit
from core.decide.naming import client_id
from core.decide.orders import Happening
from core.domain.events import Cancel, Effect, Submit, SubmitPair, Tell, Topic, TradeDone
from core.domain.market import ZERO, Bar, Instrument
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from core.domain.state import Position, State, Trade, drop, put

# the stop order's own limit lies this far under its trigger, so that a fast market still fills it
STOP_LIMIT_ROOM = Decimal("0.005")
RETRY_AFTER = timedelta(seconds=10)
LATELY = timedelta(minutes=1)
PAIRS_LATELY_MAX = 3
CANCEL_AGAIN = timedelta(seconds=30)
TOLD_WITHIN = timedelta(seconds=10)
STANDING = (OrderState.OPEN, OrderState.PARTIAL)
PROTECTIVE = (Purpose.STOP, Purpose.TARGET)


def orders_of(state: State, position: Position) -> tuple[Order, ...]:
    """Every order of this position that the state still holds."""
    return tuple(o for o in state.orders.values() if o.symbol == position.symbol)


def live_orders(state: State, position: Position) -> tuple[Order, ...]:
    """Orders of this position that can still fill."""
    return tuple(o for o in orders_of(state, position) if o.live)


def settle(state: State, symbol: str, at: datetime) -> Stepped:
    """The next thing this position needs after one of its orders changed: protect, sell, close, or nothing."""
    position = state.positions.get(symbol)
    if position is None or live_orders(state, position):
        return state, ()
    instrument = state.instruments[symbol]
    sellable = instrument.floor_qty(in_account(state, position))
    if position.bought_qty == 0:
        return _forget(state, position)
    if not _tradable(sellable, position, instrument, state):
        return _close(state, position, instrument, at)
    if position.leaving:
        return _sell(state, position, sellable, at)
    return _protect(state, position, sellable, at)


def in_account(state: State, position: Position) -> Decimal:
    """Base units of this position that the account still holds: the owner or fees elsewhere may have taken some."""
    return max(ZERO, min(position.qty, state.balances.get(state.instruments[position.symbol].base, ZERO)))


def _tradable(qty: Decimal, position: Position, instrument: Instrument, state: State) -> bool:
    price = state.marks[position.symbol].bar.close if position.symbol in state.marks else position.entry_price
    return qty >= instrument.qty_min and qty > 0 and qty * price >= instrument.notional_min


def _forget(state: State, position: Position) -> Stepped:
    """An entry that never filled leaves nothing behind."""
    orders = {o.client_id: o for o in state.orders.values() if o.symbol != position.symbol}
    reason = next((o.reason for o in orders_of(state, position) if o.reason), "it did not fill")
    text = f"{position.symbol}: nothing was bought ({reason})."
    after = state.with_(positions=drop(state.positions, position.symbol), orders=orders)
    return after, (Tell(Topic.ERROR, position.intent, text, urgent=True),)


def _protect(state: State, position: Position, qty: Decimal, at: datetime) -> Stepped:
    instrument = state.instruments[position.symbol]
    price = state.marks[position.symbol].bar.close if position.symbol in state.marks else position.entry_price
    if not position.stop < price < position.target:
        return leave(state, position, "stop" if price <= position.stop else "target", at)
    lately = sum(o.purpose is Purpose.STOP and at - o.created_at < LATELY for o in orders_of(state, position))
    if lately >= PAIRS_LATELY_MAX:  # pairs that end as soon as they are placed protect nothing
        return leave(state, position, "its protection does not hold", at)
    stop, target = protective_pair(state.install, position, qty, instrument, at)
    counted = put(state.positions, position.symbol, replace(position, tries=position.tries + 1))
    after = send(send(state.with_(positions=counted), stop, at), target, at)
    return after, (SubmitPair(stop, target),)


def protective_pair(
    install: str, position: Position, qty: Decimal, instrument: Instrument, at: datetime
) -> tuple[Order, Order]:
    """Stop-loss-limit below and maker limit above, both for ``qty``, on the instrument's grid."""
    stop = Order(
        client_id=client_id(install, position.intent, Purpose.STOP, position.tries),
        symbol=position.symbol,
        side=Side.SELL,
        kind=OrderKind.STOP_LOSS_LIMIT,
        purpose=Purpose.STOP,
        qty=qty,
        created_at=at,
        price=instrument.floor_price(position.stop * (1 - STOP_LIMIT_ROOM)),
        stop_price=position.stop,
    )
    target = replace(
        stop,
        client_id=client_id(install, position.intent, Purpose.TARGET, position.tries),
        kind=OrderKind.LIMIT_MAKER,
        purpose=Purpose.TARGET,
        price=position.target,
        stop_price=None,
    )
    return stop, target


def leave(state: State, position: Position, why: str, at: datetime) -> Stepped:
    """Leave a position, or go on leaving it: cancel what protects it, sell at once where nothing does."""
    going = position if position.leaving else replace(position, leaving=why)
    after = state.with_(positions=put(state.positions, position.symbol, going))
    return _make_way(after, going, at)


def _make_way(state: State, position: Position, at: datetime) -> Stepped:
    """Cancel what still protects a position that is being left; where nothing can fill any more, sell."""
    live = live_orders(state, position)
    protective = next((o for o in live if o.purpose in PROTECTIVE), None)
    if protective:
        asked = put(state.positions, position.symbol, replace(position, cancel_at=at))
        return state.with_(positions=asked), (Cancel(position.symbol, protective.client_id),)
    return (state, ()) if live else settle(state, position.symbol, at)


def try_again(state: State, at: datetime) -> Stepped:
    """Sell what is being left and has nothing under way, each time after a longer pause; repeat a lost cancel."""
    effects: tuple[Effect, ...] = ()
    for symbol in sorted(state.positions):
        position = state.positions[symbol]
        if _waits_for_sale(state, position, at) or _cancel_was_lost(state, position, at):
            state, more = _make_way(state, position, at)
            effects = (*effects, *more)
    return state, effects


def _cancel_was_lost(state: State, position: Position, at: datetime) -> bool:
    protected = any(o.purpose in PROTECTIVE for o in live_orders(state, position))
    return protected and position.cancel_at is not None and at - position.cancel_at >= CANCEL_AGAIN


def alarm(state: State, at: datetime) -> Stepped:
    """Tell, once, of each position that has had no standing stop on the exchange for longer than the promise allows."""
    effects: tuple[Effect, ...] = ()
    for symbol in sorted(state.positions):
        position = state.positions[symbol]
        if position.alarmed or not _unguarded(state, position, at):
            continue
        told = put(state.positions, symbol, replace(position, alarmed=True))
        state = state.with_(positions=told)
        text = (
            f"{symbol}: no stop has stood on the exchange for {TOLD_WITHIN.seconds} s. I keep trying; /panic sells it."
        )
        effects = (*effects, Tell(Topic.ERROR, position.intent, text, urgent=True))
    return state, effects


def _unguarded(state: State, position: Position, at: datetime) -> bool:
    orders = orders_of(state, position)
    stands = any(o.purpose is Purpose.STOP and o.state in STANDING for o in orders)
    newest = max((o.created_at for o in orders), default=position.opened_at)
    return position.bought_qty > 0 and not stands and at - newest >= TOLD_WITHIN


def _waits_for_sale(state: State, position: Position, at: datetime) -> bool:
    orders = orders_of(state, position)
    refused = sum(o.purpose is Purpose.EXIT for o in orders)
    pause = RETRY_AFTER * 2 ** min(refused, 6)
    newest = max((o.created_at for o in orders), default=position.opened_at)
    return bool(position.leaving) and not live_orders(state, position) and at - newest >= pause


def _sell(state: State, position: Position, qty: Decimal, at: datetime) -> Stepped:
    order = Order(
        client_id=client_id(state.install, position.intent, Purpose.EXIT, position.tries),
        symbol=position.symbol,
        side=Side.SELL,
        kind=OrderKind.MARKET,
        purpose=Purpose.EXIT,
        qty=qty,
        created_at=at,
    )
    counted = put(state.positions, position.symbol, replace(position, tries=position.tries + 1))
    return send(state.with_(positions=counted), order, at), (Submit(order),)


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
        closed_at=at,
        bars_held=position.bars_held,
        why=_why(state, position),
        dust=in_account(state, position),
    )
    orders = {o.client_id: o for o in state.orders.values() if o.symbol != position.symbol}
    after = state.with_(positions=drop(state.positions, position.symbol), orders=orders)
    return after, (TradeDone(trade), Tell(Topic.CLOSED, position.intent, urgent=True, trade=trade))


def _why(state: State, position: Position) -> str:
    """``stop`` or ``target`` where such an order filled, else the reason it was left for, else ``dust``."""
    filled = [o for o in orders_of(state, position) if o.filled_qty and o.side is Side.SELL]
    names = {Purpose.STOP: "stop", Purpose.TARGET: "target"}
    return next((names[o.purpose] for o in filled if o.purpose in names), position.leaving or "dust")


def age(state: State, bar: Bar, at: datetime) -> Stepped:
    """One more bar for the position of this symbol: leave at its time limit or where its stop was jumped over."""
    position = state.positions.get(bar.symbol)
    if position is None or position.bought_qty == 0:
        return state, ()
    older = replace(position, bars_held=position.bars_held + 1)
    after = state.with_(positions=put(state.positions, bar.symbol, older))
    if older.leaving:
        return _make_way(after, older, at)  # a cancel that was lost is repeated; it does no harm
    if older.bars_held >= older.horizon_bars:
        return leave(after, older, "time", at)
    if _jumped_over(after, older, bar.close):
        return leave(after, older, "stop", at)
    return settle(after, bar.symbol, at)


def _jumped_over(state: State, position: Position, price: Decimal) -> bool:
    """Whether ``price`` is below what the stop order can still sell at; without one, below the stop itself."""
    guarded = any(o.purpose is Purpose.STOP for o in live_orders(state, position))
    return price < (position.stop * (1 - STOP_LIMIT_ROOM) if guarded else position.stop)


def sister_ends(state: State, order: Order) -> State:
    """A protective order that starts to fill ends its sister: that is what an OCO pair means on the exchange."""
    if order.purpose not in PROTECTIVE or not order.filled_qty:
        return state
    ended = {
        o.client_id: lifecycle.move(o, Happening.EXPIRED, reason="its sister filled")
        for o in state.orders.values()
        if o.symbol == order.symbol
        and o.purpose in PROTECTIVE
        and o.client_id != order.client_id
        and o.live
        and o.created_at == order.created_at
    }
    return state.with_(orders={**state.orders, **ended}) if ended else state


def no_effects(state: State) -> Stepped:
    """Nothing changes."""
    effects: tuple[Effect, ...] = ()
    return state, effects
