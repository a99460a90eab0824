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

from core.decide import halting, heard, trusting
from core.decide.adopting import found
from core.decide.entries import SKIPPED, approve, consider, expire, skip
from core.decide.exits import Stepped, no_effects, owner_moved_stop, settle
from core.decide.guarding import age, alarm, proven, ran_past, still_held, try_again, unproven
from core.decide.ledger import equity
from core.decide.transfers import compare
from core.domain import events as ev
from core.domain.effects import Effect
from core.domain.state import Day, Limits, Mark, State, put

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
    """New rules may let more be protected than the old ones did."""
    after = state.with_(instruments={**state.instruments, **event.instruments})
    effects: tuple[Effect, ...] = ()
    for symbol in sorted(after.positions):
        after, more = settle(after, symbol, event.at)
        effects = (*effects, *more)
    return after, effects


def _trades_began(state: State, event: ev.TradesBegan) -> Stepped:
    if event.symbol in state.last_trades:
        return no_effects(state)
    return state.with_(last_trades=put(state.last_trades, event.symbol, event.newest_id)), ()


def _peers(state: State, event: ev.PeersSeen) -> Stepped:
    return state.with_(peers={**state.peers, **event.peers}), ()


def _bar(state: State, event: ev.BarSeen) -> Stepped:
    """Mark, age the position, let proposals expire, watch the drawdown, decide."""
    known = state.marks.get(event.bar.symbol)
    if known and event.bar.open_at <= known.bar.open_at:
        return no_effects(state)
    marked = _new_day(state.with_(marks=put(state.marks, event.bar.symbol, Mark(event.bar))), event.at)
    aged, first = age(marked, event.bar, event.at)
    open_, second = expire(aged, event.at)
    watched, third = halting.watch_drawdown(open_, event.at)
    decided, last = consider(watched, event)
    return decided, (*first, *second, *third, *last)


def _new_day(state: State, at: datetime) -> State:
    worth = equity(state)
    day = state.day
    fresh = day.date is None or at.date() > day.date  # a clock that steps back does not forgive the day's loss
    start, date = (worth, at.date()) if fresh else (day.start_equity, day.date)
    after = Day(date, start, max(day.peak_equity, worth))
    return state if after == day else state.with_(day=after)


def _ticked(state: State, event: ev.Ticked) -> Stepped:
    expired, first = expire(state, event.at)
    tried, second = try_again(expired, event.at)
    after, last = alarm(tried, event.at)
    return after, (*first, *second, *last)


def _approved(state: State, event: ev.OwnerApproved) -> Stepped:
    return approve(state, event)


def _skipped(state: State, event: ev.OwnerSkipped) -> Stepped:
    return skip(state, event.intent, SKIPPED)


def _limits(state: State, event: ev.OwnerSetLimits) -> Stepped:
    return state.with_(limits=event.limits), ()


def _time_zone(state: State, event: ev.OwnerSetTimeZone) -> Stepped:
    return state.with_(time_zone=event.time_zone), ()


HANDLERS: dict[type[ev.Event], Callable[[State, Any], Stepped]] = {
    ev.Configured: _configured,
    ev.InstrumentsSeen: _instruments,
    ev.BalancesSeen: compare,
    ev.BarSeen: _bar,
    ev.PeersSeen: _peers,
    ev.Ticked: _ticked,
    ev.Accepted: heard.accepted,
    ev.Rejected: heard.rejected,
    ev.Unknown: heard.unknown,
    ev.Absent: heard.absent,
    ev.Canceled: heard.canceled,
    ev.CancelRefused: heard.cancel_refused,
    ev.Filled: heard.filled,
    ev.TradesBegan: _trades_began,
    ev.StillHeld: still_held,
    ev.OrdersFound: found,
    ev.Unproven: unproven,
    ev.Proven: proven,
    ev.StopRanPast: ran_past,
    ev.AccessLost: halting.access_lost,
    ev.KeyExpires: halting.key_expires,
    ev.LabSpoke: trusting.lab_spoke,
    ev.OwnerMovedStop: owner_moved_stop,
    ev.OwnerApproved: _approved,
    ev.OwnerSkipped: _skipped,
    ev.OwnerPaused: halting.paused,
    ev.OwnerResumed: halting.resumed,
    ev.OwnerPanicked: halting.panicked,
    ev.OwnerSetLimits: _limits,
    ev.OwnerSetTimeZone: _time_zone,
    ev.OwnerTrained: trusting.noted,
    ev.OwnerPromoted: trusting.noted,
}
