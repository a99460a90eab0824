"""What moved in the account without an order of ours: deposits, withdrawals, trades by the owner's own hand.

Rule 1: nothing is believed at first sight: a read can be old. A difference counts once it has stood unchanged for
        longer than any read was ever seen to lag.
Rule 2: more or less of an asset alone is a deposit or a withdrawal: it is booked and told, and is neither a gain nor a
        loss of the day.
Rule 3: what looks like a trade that nobody can show is not booked: entries stop and the owner is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide.exits import Stepped, no_effects, price_now, settle
from core.decide.ledger import book, book_position, equity, mark_price
from core.decide.naming import parse_client_id
from core.decide.placing import with_position
from core.domain.effects import Effect, Tell, Topic
from core.domain.events import BalancesSeen
from core.domain.market import ZERO
from core.domain.orders import Fill, Purpose, Side
from core.domain.state import Day, Doubt, Position, State, Trading, TradingState

# longer than any read was ever seen to lag: what is shown all that time is really there
READ_LAG_MAX = timedelta(seconds=75)
# a trade nobody can show was made at about the price of now
NEAR = Decimal("0.1")
UNEXPLAINED = "the account differs from my books and no trade explains it"
ADOPTED_ENTRY = "bought by an order whose plan is lost"


def compare(state: State, event: BalancesSeen) -> Stepped:
    """Adopt the exchange's balances at the very first start; afterwards book or question what differs."""
    if not state.balances:
        fresh = state.with_(balances=dict(event.balances))
        worth = equity(fresh)
        return fresh.with_(day=Day(event.at.date(), worth, worth), adopted_at=event.at), ()
    changes = _changes(state.balances, event.balances)
    if not changes:
        return _short(state.with_(doubt=None) if state.doubt else state, event.at)
    if state.doubt is None or state.doubt.changes != changes:
        return state.with_(doubt=Doubt(changes, event.at)), ()
    if state.doubt.told or event.at - state.doubt.since < READ_LAG_MAX:
        return no_effects(state)
    if _like_a_trade(state, dict(changes)):
        return _question(state, state.doubt, event.at)
    return _transferred(state, changes, event.at)


def _changes(ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal]) -> tuple[tuple[str, Decimal], ...]:
    """Theirs less ours of every asset that differs, in the order of names."""
    gaps = ((asset, theirs.get(asset, ZERO) - ours.get(asset, ZERO)) for asset in sorted({*ours, *theirs}))
    return tuple((asset, gap) for asset, gap in gaps if gap)


def _like_a_trade(state: State, gaps: Mapping[str, Decimal]) -> bool:
    """Whether both sides of a pair we watch moved against each other, at about its price."""
    for symbol, instrument in state.instruments.items():
        base, quote = gaps.get(instrument.base, ZERO), gaps.get(instrument.quote, ZERO)
        price = mark_price(state, symbol)
        if base * quote < 0 and (not price or abs(-quote / base / price - 1) < NEAR):
            return True
    return False


def _question(state: State, doubt: Doubt, at: datetime) -> Stepped:
    told = ", ".join(f"{asset} {gap.normalize():+f}" for asset, gap in doubt.changes)
    text = (
        f"The exchange's balances differ from my books ({told}) and no trade explains it. "
        "No new entries; /resume takes the exchange's word over."
    )
    after = state.with_(doubt=replace(doubt, told=True))
    if state.trading.state is TradingState.ACTIVE:
        after = after.with_(trading=Trading(TradingState.REDUCING, UNEXPLAINED, at))
    return after, (Tell(Topic.ERROR, "balances", text, urgent=True),)


def accept(state: State, at: datetime) -> Stepped:
    """What the owner knows of and resumes with: the exchange's word is taken over."""
    if state.doubt is None or not state.doubt.told:
        return no_effects(state)
    return _transferred(state, state.doubt.changes, at)


def _transferred(state: State, changes: tuple[tuple[str, Decimal], ...], at: datetime) -> Stepped:
    balances = dict(state.balances)
    effects: tuple[Effect, ...] = ()
    for asset, gap in changes:
        balances[asset] = balances.get(asset, ZERO) + gap
        what = "deposit" if gap > 0 else "withdrawal"
        text = f"A {what} of {abs(gap).normalize():f} {asset} was booked."
        effects = (*effects, Tell(Topic.STATE, f"{what}:{asset}", text, urgent=True))
    moved = shifted(state, dict(changes).get(state.quote, ZERO)).with_(balances=balances, doubt=None)
    after, more = _short(moved, at)
    return after, (*effects, *more)


def _short(state: State, at: datetime) -> Stepped:
    """Where books and exchange agree that less is there than a position holds, the position is that much smaller."""
    effects: tuple[Effect, ...] = ()
    for symbol in sorted(state.positions):
        position, instrument = state.positions[symbol], state.instruments[symbol]
        there = max(ZERO, state.balances.get(instrument.base, ZERO))
        if there >= position.qty:
            continue
        worth = (position.qty - there) * price_now(state, position)
        # who took them had their worth: it is the position's, not a gift to the day
        state = with_position(shifted(state, -worth), _smaller(position, there, worth))
        state, more = settle(state, symbol, at)
        text = (
            f"{symbol}: {position.qty - there:f} of what I held is gone from the account; the position is smaller now."
        )
        effects = (*effects, Tell(Topic.ERROR, position.intent, text, urgent=True), *more)
    return (state, effects) if effects else (state, ())


def _smaller(position: Position, there: Decimal, worth: Decimal) -> Position:
    gone = position.qty - there
    return replace(position, qty=there, sold_qty=position.sold_qty + gone, sold_quote=position.sold_quote + worth)


def shifted(state: State, quote: Decimal) -> State:
    """The day's marks moved by money that came or went, so that it counts as neither gain nor loss."""
    day = state.day
    return state.with_(day=Day(day.date, day.start_equity + quote, max(ZERO, day.peak_equity + quote)))


def strange_fill(state: State, fill: Fill, at: datetime) -> Stepped:
    """A trade of an order the state does not hold: booked and told, unless the adopted balances hold it already."""
    if state.adopted_at and fill.at < state.adopted_at:
        return state, ()
    instrument = state.instruments[fill.symbol]
    booked = state.with_(balances=book(state.balances, fill, instrument))
    own = parse_client_id(state.install, fill.client_id)
    after = _own_fill(booked, fill, own[0], own[1], at) if own else _by_hand(booked, fill)
    what = f"{fill.side} {fill.qty} {fill.symbol} at {fill.price}"
    whose = "of an order of mine that I had given up" if own else "that was not mine"
    tell = Tell(Topic.ERROR, fill.trade_id, f"A trade {whose} was booked: {what}.", urgent=True, fill=fill)
    return after, (tell,)


def _own_fill(state: State, fill: Fill, intent: str, purpose: Purpose, at: datetime) -> State:
    """A late trade of ours: a sale leaves the position, a purchase makes one that is to be left again."""
    position = state.positions.get(fill.symbol)
    instrument = state.instruments[fill.symbol]
    if position is None and purpose is Purpose.ENTRY:
        price = fill.price
        position = Position(fill.symbol, intent, price, price * 2, 1, at, tries=50, leaving=ADOPTED_ENTRY, adopted=True)
        return with_position(state, book_position(position, fill, instrument))
    if position is None or position.intent != intent:
        return state
    if fill.side is Side.BUY and position.adopted and not position.leaving:
        return state  # counted already by what protects it
    return with_position(state, book_position(position, fill, instrument))


def _by_hand(state: State, fill: Fill) -> State:
    """The owner's own trade moves the day's marks with it; what it took of a position the next balances show."""
    sign = 1 if fill.side is Side.SELL else -1
    return shifted(state, sign * fill.quote_qty - (fill.fee if fill.fee_asset == state.quote else ZERO))
