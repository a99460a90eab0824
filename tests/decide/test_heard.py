"""What the exchange says of our orders, and what follows: core.decide.heard through ``step``."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain import events as ev
from core.domain.effects import Cancel, SubmitBracket, SubmitPair, Topic
from core.domain.orders import OrderState, Purpose
from core.domain.state import TradingState
from tests.builders import a_fill
from tests.decide.lives import (
    BTC,
    LISTS,
    PAIR,
    a_life,
    asked,
    bare,
    holding,
    lost,
    position,
    refused,
    stop_of,
)
from tests.fakes import Life, orders_of

D = Decimal


def bracket_of(life: Life) -> SubmitBracket:
    """The bracket that is wanted."""
    [bracket] = life.queue
    assert isinstance(bracket, SubmitBracket)
    return bracket


def test_a_filled_entry_is_protected_at_once_and_told_once():
    """What one request bought is protected by the same one: one message of the buy, one of its protection."""
    life = asked(a_life(LISTS))
    life.exchange.fee = lambda order, quote: ("BTC", order.qty / 1000)
    life.work()
    assert life.standing() == PAIR
    assert len(life.sent(Purpose.STOP)) == 1
    assert [len(life.tells(topic)) for topic in (Topic.FILL, Topic.PROTECTED)] == [1, 1]
    life.look()
    assert [len(life.tells(topic)) for topic in (Topic.FILL, Topic.PROTECTED)] == [1, 1]


@pytest.mark.parametrize("code", ["-2010", "RetryLater", "TOO_LATE"])
def test_a_refused_entry_ends_with_its_legs(code: str):
    """Refused, impossible for the moment, or past its time: nothing was bought, and nothing waits for it."""
    life = asked(a_life(LISTS))
    refused(life, code)
    assert (life.state.positions, life.state.orders, life.queue) == ({}, {}, [])
    assert [t.text for t in life.tells(Topic.STATE)] == ["BTCUSDT: nothing was bought (no)."]


def test_an_absent_entry_ends_with_its_legs_and_is_not_sent_again():
    """After the watch the whole request is given up as one, and the next signal starts anew."""
    life = asked(a_life(LISTS))
    entry = bracket_of(life).entry
    lost(life)
    assert {o.state for o in life.state.orders.values()} == {OrderState.MAYBE_SENT}
    life.post(ev.Absent(life.now(), "look", entry.client_id))
    assert (life.state.positions, life.state.orders, life.queue) == ({}, {}, [])


def test_a_request_in_doubt_is_told_once_and_not_for_each_of_its_orders():
    """Three orders in one request are one doubt."""
    life = asked(a_life(LISTS))
    lost(life)
    assert [t.ref for t in life.tells(Topic.ERROR)] == [life.sent(Purpose.ENTRY)[0].client_id]
    pair = bare()
    lost(pair)
    assert [t.ref for t in pair.tells(Topic.ERROR)] == [stop_of(pair).client_id]


def test_an_entry_in_doubt_that_was_filled_is_a_protected_position_once_it_appears():
    """The reply was lost, not the order: when the exchange shows it, its legs stand already."""
    life = asked(a_life(LISTS))
    life.tell_exchange(bracket_of(life))
    lost(life)
    life.look()
    life.work()
    assert life.standing() == PAIR
    assert len(life.sent(Purpose.STOP)) == 1
    assert {life.state.orders[o.client_id].state for o in life.sent(Purpose.STOP)} == {OrderState.OPEN}


def test_an_entry_in_doubt_that_was_killed_leaves_nothing_once_it_appears():
    """Seen as expired without a trade, it bought nothing; its legs go with it."""
    life = asked(a_life(LISTS))
    bracket = bracket_of(life)
    lost(life)
    life.post(ev.Canceled(life.now(), "look", bracket.entry.client_id, expired=True))
    assert (life.state.positions, life.state.orders) == ({}, {})


def test_a_leg_that_ends_before_its_sister_is_heard_of_waits_for_it():
    """Two ends of one pair come as two words: only when both have ended is a new pair placed."""
    life = holding(LISTS)
    stop, target = stop_of(life), life.sent(Purpose.TARGET)[-1]
    life.exchange.cancel(stop.client_id)
    assert life.post(ev.Canceled(life.now(), "look", stop.client_id)) == ()
    life.post(ev.Canceled(life.now(), "look", target.client_id))
    assert [type(e) for e in life.queue] == [SubmitPair]


def test_a_half_filled_target_sells_the_rest():
    """The first trade of a target ended the stop on the exchange: what is left is not waited for without one."""
    life = holding(LISTS)
    target = life.sent(Purpose.TARGET)[-1]
    life.exchange.trade(target.client_id, D(5), D(104))
    life.look()
    life.work()
    assert [t.why for t in life.closed()] == ["target"]
    assert life.exchange.held["BTC"] == 0


@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.STOP, Purpose.EXIT])
def test_an_order_that_trades_more_than_it_asked_for_halts_and_is_booked(purpose: Purpose):
    """Money that moved is booked whatever was asked; until the owner has looked, nothing new is bought."""
    life = asked(a_life())
    if purpose is Purpose.ENTRY:
        life.act(life.queue.pop(0))
    else:
        life.work()
    if purpose is Purpose.EXIT:
        life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
        life.act(life.queue.pop(0))
        life.look()
        life.act(life.queue.pop(0))
    order = life.sent(purpose)[-1]
    cash = life.state.balances["USDT"]
    fill = a_fill(order, order.qty + 1, trade_id=99)
    life.post(ev.Filled(life.now(), "look", fill))
    assert life.state.trading.state is TradingState.HALTED
    assert f"more than the {order.qty}" in life.state.trading.reason
    assert abs(life.state.balances["USDT"] - cash) == fill.quote_qty
    assert [t.urgent for t in life.tells(Topic.STATE)][-1]


def test_a_trade_heard_twice_counts_once():
    """The stream and the look tell of the same trade: the second word changes nothing."""
    life = holding()
    before = life.state
    for made in life.exchange.trades:
        assert life.post(ev.Filled(life.now(), "again", made)) == ()
    assert life.state.with_(seq=before.seq) == before


def test_a_pair_called_refused_by_mistake_that_stands_is_taken_over_or_cancelled():
    """Where the exchange shows what it had refused, the position is not sold beside it: the pair makes way first."""
    life = bare()
    pair = life.queue[0]
    life.tell_exchange(pair)
    refused(life)
    assert position(life).leaving == "protection refused"
    life.act(life.queue.pop(0))
    stop = orders_of(pair)[0]
    assert life.sent(Purpose.EXIT)[0].state is OrderState.PLANNED
    effects = life.post(ev.Accepted(life.now(), "look", stop.client_id, "7"))
    assert [e.client_id for e in effects if isinstance(e, Cancel)] == [stop.client_id]


def test_the_first_entries_are_counted_by_what_was_bought():
    """An entry that bought nothing is not one of the first few that are kept small."""
    life = asked(a_life(LISTS))
    refused(life)
    assert life.state.entries == 0
    bought = holding(LISTS)
    assert bought.state.entries == 1
    bought.exchange.move(BTC, D(104))
    bought.look()
    assert bought.state.entries == 1


def test_a_late_word_about_an_ended_sale_changes_nothing():
    """What came a minute late from a stream that was slow is not news."""
    life = holding()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.work()
    before = life.state
    life.at += timedelta(minutes=1)
    for name in [o.client_id for o in life.sent(Purpose.EXIT)]:
        assert life.post(ev.Canceled(life.at, "late", name)) == ()
        assert life.post(ev.Accepted(life.at, "late", name, "5")) == ()
    assert life.state.with_(seq=before.seq) == before


def test_a_market_sale_nobody_took_is_tried_again_by_the_clock():
    """A sale that ended unsold is not repeated at once without end, but it is repeated."""
    life = holding()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    life.act(life.queue.pop(0))
    sale = life.sent(Purpose.EXIT)[0]
    assert life.post(ev.Canceled(life.now(), "look", sale.client_id, expired=True)) == ()
    life.exchange.orders[sale.client_id].end = "EXPIRED"
    life.wait(timedelta(seconds=30))
    life.work()
    assert life.exchange.held["BTC"] == 0
    assert len(life.closed()) == 1
