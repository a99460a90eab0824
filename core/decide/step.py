"""The machine: ``step(state, event) -> (state, effects)``.

Rule 1: pure: the same state and event give the same state and effects, in every mode and in every replay.
Rule 2: what was seen before changes nothing: an older bar, a known trade, an answered update.
Rule 3: one handler an event class, all of them in HANDLERS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from core.decide import orders as lifecycle
from core.decide.entries import PANIC, SKIPPED, Stepped, approve, consider, expire, skip
from core.decide.exits import age, alarm, leave, no_effects, settle, sister_ends, try_again
from core.decide.ledger import book, book_position, equity
from core.decide.orders import Happening
from core.decide.risk import drawdown
from core.domain import events as ev
from core.domain.errors import InvariantBroken
from core.domain.market import ZERO
from core.domain.orders import Fill, Order, OrderState, Purpose
from core.domain.state import Day, Limits, Mark, State, Trading, TradingState, put

UPDATES_KEPT = 256


def step(state: State, event: ev.Event) -> Stepped:
    """The next state, its ``seq`` one higher, and the effects ``event`` has. Raises InvariantBroken."""
    update = event.update_id if isinstance(event, ev.OwnerEvent) else None
    if update is not None and update in state.updates:
        return state.with_(seq=state.seq + 1), ()
    handler = HANDLERS[type(event)]
    after, effects = handler(state, event)
    if update is not None:
        after = after.with_(updates=(*after.updates, update)[-UPDATES_KEPT:])
    return after.with_(seq=state.seq + 1), effects


def _configured(state: State, event: ev.Configured) -> Stepped:
    """Take over the configuration; what was changed in the chat stays unless its own setting changed since."""
    old, new = state.config, event.config
    names = [spec.name for spec in fields(Limits) if getattr(new.limits, spec.name) != getattr(old.limits, spec.name)]
    limits = replace(state.limits, **{name: getattr(new.limits, name) for name in names})
    time_zone = new.time_zone if new.time_zone != old.time_zone else state.time_zone
    return state.with_(config=new, limits=limits, time_zone=time_zone), ()


def _instruments(state: State, event: ev.InstrumentsSeen) -> Stepped:
    return state.with_(instruments={**state.instruments, **event.instruments}), ()


def _balances(state: State, event: ev.BalancesSeen) -> Stepped:
    """Adopt the exchange's balances at the very first start; later a difference is told, not swallowed."""
    if not state.balances:
        fresh = state.with_(balances=dict(event.balances))
        worth = equity(fresh)
        return fresh.with_(day=Day(event.at.date(), worth, worth), adopted_at=event.at), ()
    ours = {asset: qty for asset, qty in state.balances.items() if qty}
    theirs = {asset: qty for asset, qty in event.balances.items() if qty}
    if ours == theirs:
        return state.with_(difference=""), ()
    differing = sorted(a for a in {*ours, *theirs} if ours.get(a, ZERO) != theirs.get(a, ZERO))
    told = ", ".join(f"{a}: ours {ours.get(a, ZERO)}, the exchange's {theirs.get(a, ZERO)}" for a in differing)
    if told == state.difference:
        return no_effects(state)
    tell = ev.Tell(ev.Topic.ERROR, "balances", f"Balances differ. {told}", urgent=True)
    return state.with_(difference=told), (tell,)


def _bar(state: State, event: ev.BarSeen) -> Stepped:
    """Mark, age the position, let proposals expire, watch the drawdown, decide."""
    known = state.marks.get(event.bar.symbol)
    if known and event.bar.open_at <= known.bar.open_at:
        return no_effects(state)
    peers = event.forecast.peers if event.forecast else ()
    marked = _new_day(state.with_(marks=put(state.marks, event.bar.symbol, Mark(event.bar, peers))), event.at)
    aged, first = age(marked, event.bar, event.at)
    open_, second = expire(aged, event.at)
    watched, third = _watch_drawdown(open_, event.at)
    decided, last = consider(watched, event)
    return decided, (*first, *second, *third, *last)


def _new_day(state: State, at: datetime) -> State:
    worth = equity(state)
    day = state.day
    fresh = day.date is None or at.date() > day.date  # a clock that steps back does not forgive the day's loss
    start, date = (worth, at.date()) if fresh else (day.start_equity, day.date)
    return state.with_(day=Day(date, start, max(day.peak_equity, worth)))


def _watch_drawdown(state: State, at: datetime) -> Stepped:
    fall, limit = drawdown(state), state.limits.drawdown_max
    if fall < limit or state.trading.state is TradingState.HALTED:
        return no_effects(state)
    reason = f"equity fell {fall:.1%} from its peak, the limit is {limit:.1%}"
    return _trade_state(state, TradingState.HALTED, reason, at)


def _trade_state(state: State, to: TradingState, reason: str, at: datetime) -> Stepped:
    after = state.with_(trading=Trading(to, reason, at))
    text = f"Trading is now {to.value}: {reason}."
    return after, (ev.Tell(ev.Topic.STATE, to.value, text, urgent=to is TradingState.HALTED),)


def _answered(state: State, to: TradingState, reason: str, at: datetime) -> Stepped:
    """A change the owner asked for and gets an answer to: no message beside it."""
    return state.with_(trading=Trading(to, reason, at)), ()


def _ticked(state: State, event: ev.Ticked) -> Stepped:
    expired, first = expire(state, event.at)
    tried, second = try_again(expired, event.at)
    after, last = alarm(tried, event.at)
    return after, (*first, *second, *last)


def _order(state: State, client_id: str) -> Order | None:
    return state.orders.get(client_id)


def _moved(state: State, client_id: str, happening: Happening, **known: str) -> tuple[State, Order | None]:
    order = _order(state, client_id)
    if order is None:
        return state, None
    moved = lifecycle.move(order, happening, **known)
    return state.with_(orders=put(state.orders, client_id, moved)), moved


def _accepted(state: State, event: ev.Accepted) -> Stepped:
    before = _order(state, event.client_id)
    ids = {"exchange_id": event.exchange_id, "list_id": event.list_id}
    after, order = _moved(state, event.client_id, Happening.ACCEPTED, **ids)
    position = after.positions.get(order.symbol) if order else None
    if order is None or position is None or order.purpose is not Purpose.TARGET or not order.live:
        return after, ()
    if before and before.state is order.state:
        return after, ()  # known already: told once
    return after, (ev.Tell(ev.Topic.PROTECTED, position.intent, position=position),)


def _rejected(state: State, event: ev.Rejected) -> Stepped:
    after, order = _moved(state, event.client_id, Happening.REJECTED, reason=event.text)
    position = after.positions.get(order.symbol) if order else None
    if order is None or position is None:
        return after, ()
    if order.purpose is Purpose.ENTRY:
        return settle(after, order.symbol, event.at)
    text = f"{order.symbol}: the exchange refused the {order.purpose.name.lower()} order ({event.text})."
    told = ev.Tell(ev.Topic.ERROR, order.client_id, text, urgent=True)
    if order.purpose is Purpose.EXIT:
        return after, (told,)  # tried again at the next bar: at once would be a loop
    left, effects = leave(after, position, "protection refused", event.at)
    return left, (told, *effects) if order.purpose is Purpose.STOP else effects


def _unknown(state: State, event: ev.Unknown) -> Stepped:
    after, order = _moved(state, event.client_id, Happening.UNKNOWN, reason=event.text)
    if order is None or order.state is not OrderState.MAYBE_SENT:
        return after, ()
    text = f"{order.symbol}: nobody can say yet whether order {order.client_id} exists ({event.text}). It is watched."
    return after, (ev.Tell(ev.Topic.ERROR, order.client_id, text, urgent=True),)


def _absent(state: State, event: ev.Absent) -> Stepped:
    after, order = _moved(state, event.client_id, Happening.ABSENT, reason="it never reached the exchange")
    return settle(after, order.symbol, event.at) if order else (after, ())


def _canceled(state: State, event: ev.Canceled) -> Stepped:
    """An order ended early; where it was an entry, what it had bought by then is told."""
    happening = Happening.EXPIRED if event.expired else Happening.CANCELED
    before = _order(state, event.client_id)
    after, order = _moved(state, event.client_id, happening)
    if before is None or order is None:
        return after, ()
    settled, effects = settle(after, order.symbol, event.at)
    position = after.positions.get(order.symbol)
    if position and before.live and order.purpose is Purpose.ENTRY and order.filled_qty:
        return settled, (ev.Tell(ev.Topic.FILL, position.intent, urgent=True, position=position), *effects)
    return settled, effects


def _cancel_refused(state: State, event: ev.CancelRefused) -> Stepped:
    return no_effects(state)  # nothing to cancel means it filled or ended: its trades or its end will say which


def _filled(state: State, event: ev.Filled) -> Stepped:
    fill = event.fill
    instrument = state.instruments.get(fill.symbol)
    order = _order(state, fill.client_id)
    if instrument is None:
        raise InvariantBroken(f"A fill of {fill.symbol} arrived, which is not watched")
    if int(fill.trade_id) <= state.last_trades.get(fill.symbol, -1):
        return no_effects(state)
    state = state.with_(last_trades=put(state.last_trades, fill.symbol, int(fill.trade_id)))
    if order is None:
        return _foreign_fill(state, fill)
    filled = lifecycle.fill(order, fill)
    position = state.positions.get(fill.symbol)
    after = state.with_(
        balances=book(state.balances, fill, instrument), orders=put(state.orders, fill.client_id, filled)
    )
    if position is None:
        return after, ()
    booked = book_position(position, fill, instrument)
    after = sister_ends(after.with_(positions=put(after.positions, fill.symbol, booked)), filled)
    if filled.purpose is Purpose.TARGET and filled.live:  # its stop ended with its first fill: do not wait for the rest
        return leave(after, booked, "target", event.at)
    settled, effects = settle(after, fill.symbol, event.at)
    if filled.purpose is Purpose.ENTRY and not filled.live:
        return settled, (ev.Tell(ev.Topic.FILL, booked.intent, urgent=True, fill=fill, position=booked), *effects)
    return settled, effects


def _foreign_fill(state: State, fill: Fill) -> Stepped:
    """A trade of an order we do not hold (any more): it is booked and told, unless the adopted balances hold it."""
    if state.adopted_at and fill.at < state.adopted_at:
        return state, ()
    what = f"{fill.side} {fill.qty} {fill.symbol} at {fill.price}"
    text = f"A trade that belongs to no open order of mine was booked: {what}."
    after = state.with_(balances=book(state.balances, fill, state.instruments[fill.symbol]))
    return after, (ev.Tell(ev.Topic.ERROR, fill.trade_id, text, urgent=True, fill=fill),)


def _approved(state: State, event: ev.OwnerApproved) -> Stepped:
    return approve(state, event)


def _skipped(state: State, event: ev.OwnerSkipped) -> Stepped:
    return skip(state, event.intent, SKIPPED)


def _paused(state: State, event: ev.OwnerPaused) -> Stepped:
    if state.trading.state is TradingState.HALTED:
        return no_effects(state)
    return _answered(state, TradingState.REDUCING, "paused by the owner", event.at)


def _resumed(state: State, event: ev.OwnerResumed) -> Stepped:
    """Lift a pause or a halt; after a halt the drawdown is measured from here on, or it would halt again at once."""
    if state.trading.state is TradingState.ACTIVE:
        return no_effects(state)
    if state.trading.state is TradingState.HALTED:
        state = state.with_(day=replace(state.day, peak_equity=equity(state)))
    return _answered(state, TradingState.ACTIVE, "resumed by the owner", event.at)


def _panicked(state: State, event: ev.OwnerPanicked) -> Stepped:
    """Halt, drop every proposal, leave every position."""
    after, effects = _trade_state(state, TradingState.HALTED, "panic button", event.at)
    for intent in state.proposals:
        after, more = skip(after, intent, PANIC)
        effects = (*effects, *more)
    for symbol in sorted(state.positions):
        after, more = leave(after, after.positions[symbol], "panic", event.at)
        effects = (*effects, *more)
    return after, effects


def _limits(state: State, event: ev.OwnerSetLimits) -> Stepped:
    return state.with_(limits=event.limits), ()


def _time_zone(state: State, event: ev.OwnerSetTimeZone) -> Stepped:
    return state.with_(time_zone=event.time_zone), ()


HANDLERS: dict[type[ev.Event], Callable[[State, Any], Stepped]] = {
    ev.Configured: _configured,
    ev.InstrumentsSeen: _instruments,
    ev.BalancesSeen: _balances,
    ev.BarSeen: _bar,
    ev.Ticked: _ticked,
    ev.Accepted: _accepted,
    ev.Rejected: _rejected,
    ev.Unknown: _unknown,
    ev.Absent: _absent,
    ev.Canceled: _canceled,
    ev.CancelRefused: _cancel_refused,
    ev.Filled: _filled,
    ev.OwnerApproved: _approved,
    ev.OwnerSkipped: _skipped,
    ev.OwnerPaused: _paused,
    ev.OwnerResumed: _resumed,
    ev.OwnerPanicked: _panicked,
    ev.OwnerSetLimits: _limits,
    ev.OwnerSetTimeZone: _time_zone,
}
