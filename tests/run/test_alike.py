"""How a second machine is born, finds how far it came, and is kept as much worth as the first."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.decide.step import step
from core.domain import events as ev
from core.domain.market import ZERO
from core.domain.state import Limits, State, TradingState, Trust
from core.ports import Committed
from core.run.alike import LEVEL_SHARE, SEARCHED_LINES, apart_by, birth, last_followed, live_trace, resumption
from tests.run.fakes import MemoryJournal
from tests.run.samples import START, opening, paused, seen

D = Decimal
money = st.decimals(D(1), D(1_000_000), places=2)


def after(*events: ev.Event, state: State | None = None) -> State:
    """The state after these events."""
    state = state or State()
    for event in events:
        state, _ = step(state, event)
    return state


def with_cash(amount: Decimal) -> State:
    """A machine at rest with this much money, that has seen one bar."""
    first, second, _ = opening()
    return after(first, second, ev.BalancesSeen(START, "start", {"USDT": amount}), seen(0, buy=False))


async def test_how_far_it_came_is_found_behind_any_number_of_own_lines():
    """Fills and ends of the twin's own may follow its last line of live's."""
    journal = MemoryJournal()
    events = [replace(paused(1), trace=live_trace(41)), *[paused(n) for n in range(2, 3 * SEARCHED_LINES)]]
    journal.lines += [Committed(seq, event, ()) for seq, event in enumerate(events, 1)]
    assert await last_followed(journal, len(events)) == 41
    assert await last_followed(MemoryJournal(), 0) == 0


def test_a_newborn_stands_where_live_stands():
    """Limits tightened in the chat, a pause, the money: nothing of it has to be said again."""
    live = after(*opening(), ev.OwnerSetLimits(START, "x", 1, replace(Limits(), orders_open_max=3)), paused(2))
    twin = after(*birth(live, live.balances, START))
    for name in ("config", "limits", "instruments", "balances", "time_zone"):
        assert getattr(twin, name) == getattr(live, name), name
    assert twin.trading.state is TradingState.REDUCING
    assert twin.adopted_at == START


def test_how_far_the_model_is_trusted_is_inherited():
    """Live halves its positions when the twin is born: the twin begins with halves."""
    half = Trust("abc", D("0.5"), "its forecasts drift")
    live = after(*opening(), ev.LabSpoke(START, "lab", "Less trust.", half))
    assert after(*birth(live, live.balances, START)).trust == half


def test_who_moves_with_whom_is_inherited():
    """Its limits on what moves together hold from its first entry on."""
    live = after(*opening(), ev.PeersSeen(START, "peers", {"BTCUSDT": ("ETHUSDT",)}))
    assert after(*birth(live, live.balances, START)).peers == live.peers


def test_a_halt_is_inherited_too():
    """Live was halted when the twin was born: it does not trade before the owner resumes."""
    live = after(*opening(), ev.OwnerPanicked(START, "x", 1))
    assert after(*birth(live, live.balances, START)).trading.state is TradingState.HALTED


@given(money, money)
def test_paying_the_difference_makes_both_worth_the_same(ours, theirs):
    """More than a hundredth apart: the difference brings them level. Less: nothing is moved."""
    due = apart_by(with_cash(ours), with_cash(theirs))
    if abs(ours - theirs) > LEVEL_SHARE * ours:
        assert theirs + due == ours
    else:
        assert due == ZERO


def test_worth_is_not_compared_at_different_bars_or_while_one_side_trades():
    """A price or a fill that one side does not know yet is no money that came or went."""
    rich, poor = with_cash(D(2000)), with_cash(D(1000))
    assert apart_by(rich, poor) == 1000
    assert apart_by(after(seen(1, "90", buy=False), state=rich), poor) == 0
    buying = after(*opening(), seen(0))
    assert buying.orders
    assert apart_by(buying, poor) == apart_by(poor, buying) == 0


def test_only_a_halt_live_does_not_have_is_lifted():
    """While live is paused or halted itself, the twin's halt is the owner's word."""
    live = with_cash(D(1000))
    halted = after(ev.OwnerPanicked(START, "x", 1), state=live)
    assert resumption(live, live, START) is None
    assert resumption(halted, halted, START) is None
    lifted = resumption(live, halted, START)
    assert after(lifted, state=halted).trading.state is TradingState.ACTIVE
