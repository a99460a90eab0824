"""When trading stops, who may start it again, and what is told of it.

Rule 1: a halt outlives everything but the owner's word.
Rule 2: stopping never leaves a position without its protection: what is held is protected or sold.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.decide.entries import PANIC, skip
from core.decide.exits import Stepped, leave, no_effects
from core.decide.ledger import equity
from core.decide.risk import drawdown
from core.decide.transfers import accept
from core.domain import events as ev
from core.domain.effects import Tell, Topic
from core.domain.state import State, Trading, TradingState

EXPIRY_TOLD_FOR = timedelta(days=14)
EXPIRY_URGENT_FOR = timedelta(days=3)
EXPIRY_TOLD_EVERY = timedelta(days=1)

# what is lifted without a proof
A_PAUSE = "pause"


def watch_drawdown(state: State, at: datetime) -> Stepped:
    fall, limit = drawdown(state), state.limits.drawdown_max
    if fall < limit or state.trading.state is TradingState.HALTED:
        return no_effects(state)
    reason = f"equity fell {fall:.1%} from its peak, the limit is {limit:.1%}"
    return trade_state(state, TradingState.HALTED, reason, at)


def trade_state(state: State, to: TradingState, reason: str, at: datetime) -> Stepped:
    after = state.with_(trading=Trading(to, reason, at))
    text = f"Trading is now {to.value}: {reason}."
    return after, (Tell(Topic.STATE, to.value, text, urgent=to is TradingState.HALTED),)


def _answered(state: State, to: TradingState, reason: str, at: datetime) -> Stepped:
    """A change the owner asked for and gets an answer to: no message beside it."""
    return state.with_(trading=Trading(to, reason, at)), ()


def paused(state: State, event: ev.OwnerPaused) -> Stepped:
    if state.trading.state is TradingState.HALTED:
        return no_effects(state)
    return _answered(state, TradingState.REDUCING, "paused by the owner", event.at)


def resumed(state: State, event: ev.OwnerResumed) -> Stepped:
    """Lift a pause or a halt; after a halt the drawdown is measured from here on, or it would halt again at once.

    Who lifts a pause has given no proof for the halt that may have come meanwhile.
    """
    halted = state.trading.state is TradingState.HALTED
    if state.trading.state is TradingState.ACTIVE or (halted and event.proof == A_PAUSE):
        return no_effects(state)
    accepted, effects = accept(state, event.at)
    if halted:
        accepted = accepted.with_(day=replace(accepted.day, peak_equity=equity(accepted)))
    after, _ = _answered(accepted, TradingState.ACTIVE, "resumed by the owner", event.at)
    return after, effects


def panicked(state: State, event: ev.OwnerPanicked) -> Stepped:
    """Halt, drop every proposal, leave every position."""
    after, effects = trade_state(state, TradingState.HALTED, "panic button", event.at)
    for intent in state.proposals:
        after, more = skip(after, intent, PANIC)
        effects = (*effects, *more)
    for symbol in sorted(state.positions):
        after, more = leave(after, after.positions[symbol], "panic", event.at)
        effects = (*effects, *more)
    return after, effects


def access_lost(state: State, event: ev.AccessLost) -> Stepped:
    """Without a key nothing can be bought or sold: halt once, until the owner has mended it."""
    reason = event.text.rstrip(".")
    if state.trading.state is TradingState.HALTED and state.trading.reason == reason:
        return no_effects(state)
    return trade_state(state, TradingState.HALTED, reason, event.at)


def key_expires(state: State, event: ev.KeyExpires) -> Stepped:
    """Tell once a day from two weeks before, and at once when it becomes urgent."""
    left = event.expires_at - event.at
    if left > EXPIRY_TOLD_FOR or not _expiry_due(state.expiry_told_at, event, left):
        return no_effects(state)
    text = (
        f"The key's right to trade ends on {event.expires_at:%Y-%m-%d %H:%M} UTC, in {_in_words(left)}."
        " Extend it on the exchange's page for API keys, or trading halts then."
    )
    tell = Tell(Topic.STATE, "key", text, urgent=left <= EXPIRY_URGENT_FOR)
    return state.with_(expiry_told_at=event.at), (tell,)


def _expiry_due(told_at: datetime | None, event: ev.KeyExpires, left: timedelta) -> bool:
    if told_at is None or event.at - told_at >= EXPIRY_TOLD_EVERY:
        return True
    return left <= EXPIRY_URGENT_FOR < event.expires_at - told_at


def _in_words(left: timedelta) -> str:
    """Whole days, or hours in the last two of them."""
    hours = max(left, timedelta()) // timedelta(hours=1)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
