"""How two machines are kept alike: from where the second begins, how far it came, and how far apart they are.

Rule 1: pure but for reading a journal; nothing here acts.
Rule 2: the second machine's journal alone says how far it came: what it posted bears live's line in its trace.
Rule 3: worth is compared only at rest, at the same closed bars: a trade under way on one side is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from core.decide.ledger import equity
from core.domain.events import (
    BalancesSeen,
    Configured,
    Event,
    InstrumentsSeen,
    LabSpoke,
    OwnerPanicked,
    OwnerPaused,
    OwnerResumed,
    OwnerSetLimits,
    PeersSeen,
)
from core.domain.market import ZERO
from core.domain.orders import Purpose
from core.domain.state import State, TradingState, Trust
from core.ports import Journal

LEVEL_SHARE = Decimal("0.01")
SEARCHED_LINES = 256
LIMITS_AT_BIRTH, TRADING_AT_BIRTH = -1, -2  # chats number their updates from 1
_KIND = "live:"


def birth(live: State, balances: Mapping[str, Decimal], at: datetime) -> Iterator[Event]:
    """What makes a machine from nothing stand where live stands, with ``balances``; the last event completes it."""
    trace = live_trace(live.seq)
    yield Configured(at, trace, live.config)
    yield InstrumentsSeen(at, trace, live.instruments)
    if live.peers:
        yield PeersSeen(at, trace, live.peers)
    if live.limits != live.config.limits:
        yield OwnerSetLimits(at, trace, LIMITS_AT_BIRTH, live.limits)
    if live.trust != Trust():
        yield LabSpoke(at, trace, "", live.trust)
    if live.trading.state is TradingState.REDUCING:
        yield OwnerPaused(at, trace, TRADING_AT_BIRTH)
    if live.trading.state is TradingState.HALTED:
        yield OwnerPanicked(at, trace, TRADING_AT_BIRTH)
    yield BalancesSeen(at, trace, balances)


def live_trace(seq: int) -> str:
    """Trace of an event that live committed as its line ``seq``, e.g. ``live:42``."""
    return f"{_KIND}{seq}"


async def last_followed(journal: Journal, seq: int) -> int:
    """Number of the newest of live's lines in a journal of ``seq`` lines; 0 where there is none."""
    lines = SEARCHED_LINES
    while True:
        found = 0
        async for line in journal.events_after(max(0, seq - lines)):
            trace = line.event.trace
            found = max(found, int(trace.removeprefix(_KIND))) if trace.startswith(_KIND) else found
        if found or lines >= seq:
            return found
        lines *= 8


def apart_by(live: State, twin: State) -> Decimal:
    """By how much live is worth more than its twin, quote; zero up to LEVEL_SHARE of it or while they cannot tell."""
    if not at_same_rest(live, twin):
        return ZERO
    apart = equity(live) - equity(twin)
    return apart if abs(apart) > LEVEL_SHARE * abs(equity(live)) else ZERO


def resumption(live: State, twin: State, at: datetime) -> OwnerResumed | None:
    """What lifts a halt that only the twin came under: the owner, who sees live at work, has no reason to lift it."""
    halted = twin.trading.state is not TradingState.ACTIVE and live.trading.state is TradingState.ACTIVE
    return OwnerResumed(at, "alike", -live.seq) if halted and at_same_rest(live, twin) else None


def at_same_rest(live: State, twin: State) -> bool:
    """Whether both have seen the same bars and neither is buying or selling right now."""
    same_bars = {s: m.bar.open_at for s, m in live.marks.items()} == {s: m.bar.open_at for s, m in twin.marks.items()}
    return same_bars and not _trading_now(live) and not _trading_now(twin)


def _trading_now(state: State) -> bool:
    protective = (Purpose.STOP, Purpose.TARGET)
    return any(order.live and order.purpose not in protective for order in state.orders.values())
