"""The standing watch over what is held: core.decide.guarding through ``step``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decide.guarding import ASK_AGAIN, PROTECT_AGAIN, RETRY_AFTER, SALE_WATCH
from core.decide.heard import LOOKED_EVERY
from core.domain import events as ev
from core.domain.effects import Cancel, Effect, Submit, SubmitPair, Tell, Topic
from core.domain.market import Bar
from core.domain.orders import Order, OrderState, Purpose
from tests.builders import HOUR, SECOND, START, a_forecast, seen, with_lists
from tests.decide.lives import (
    BTC,
    LISTS,
    PAIR,
    a_life,
    asked,
    bare,
    compare,
    holding,
    lost,
    position,
    refused,
    stop_of,
    told,
)
from tests.fakes import Life, orders_of

D = Decimal


def still(life: Life, order: Order, seconds: float, total: Decimal | None = None) -> tuple[Effect, ...]:
    """The balance was read again so many seconds after the order was made; without ``total`` nothing else is there."""
    life.at = max(life.at, order.created_at + timedelta(seconds=seconds))
    held = life.exchange.held.get("BTC", D(0)) if total is None else total
    return life.post(ev.StillHeld(life.at, "look", order.client_id, held))


# the alarm


def test_a_position_whose_stop_is_not_proven_is_told_within_ten_seconds_and_once():
    """An owner whose position nothing guards hears of it, urgently, and not at every look."""
    life = bare()
    since, patience = stop_of(life).created_at, timedelta(seconds=life.state.config.told_after_s)
    assert patience + 2 * SECOND < timedelta(seconds=10)
    assert told(life, since + patience - SECOND) == []
    (line,) = told(life, since + patience)
    assert "no stop" in line
    assert told(life, since + 3 * patience) == []


def test_a_position_whose_stop_stands_is_not_told_of():
    """Where the exchange has taken the stop there is nothing to say, however long it stands."""
    for life in (holding(), holding(LISTS)):
        assert told(life, life.at + HOUR) == []


def test_an_entry_in_doubt_is_no_position_yet():
    """What was perhaps not even bought is watched; no alarm says that it stands bare."""
    life = asked(a_life(LISTS))
    lost(life)
    assert told(life, life.at + HOUR) == []


def test_a_pair_that_is_refused_again_and_again_does_not_put_off_the_alarm():
    """An exchange that is busy for a minute leaves the position bare for a minute: that is told within ten seconds."""
    life = bare()
    since = life.at
    while life.at - since < timedelta(seconds=20):
        while life.queue:
            refused(life, "RetryLater")
        life.wait(timedelta(seconds=2))
    assert [t.urgent for t in life.tells(Topic.ERROR) if "no stop" in t.text] == [True]


def test_stops_nobody_has_shown_are_told_once_and_that_they_stand_again_too():
    """While the exchange cannot be asked the owner knows, and knows when it could be asked again."""
    life = holding()
    unproven = ev.Unproven(life.now(), "guard", (BTC, "ETHUSDT"), life.at)
    proven = ev.Proven(life.now(), "guard", (BTC,))
    assert life.post(proven) == ()
    (tell,) = life.post(unproven)
    assert isinstance(tell, Tell)
    assert tell.urgent
    assert "ETHUSDT" not in tell.text
    assert life.post(unproven) == ()
    (well,) = life.post(proven)
    assert isinstance(well, Tell)
    assert "stands" in well.text
    assert life.post(proven) == ()


# a stop that ran past


def test_a_stop_that_did_not_sell_is_said_once_and_its_position_left():
    """The owner hears what the market did; saying it again changes nothing."""
    life = holding()
    stop = stop_of(life)
    tell, cancel = life.post(ev.StopRanPast(life.now(), "guard", stop.client_id))
    assert isinstance(tell, Tell)
    assert tell.urgent
    assert isinstance(cancel, Cancel)
    assert position(life).leaving == "stop"
    assert life.post(ev.StopRanPast(life.now(), "guard", stop.client_id)) == ()


@pytest.mark.parametrize("which", ["target", "unknown"])
def test_only_a_live_stop_can_have_run_past(which: str):
    """A target that waits on the book is where it should be."""
    life = holding()
    name = life.sent(Purpose.TARGET)[-1].client_id if which == "target" else "fm-nobody"
    assert life.post(ev.StopRanPast(life.now(), "guard", name)) == ()
    assert not position(life).leaving


@pytest.mark.parametrize("ahead_s", [-9, 0, 30])
def test_what_a_target_left_bare_counts_from_before_we_heard_of_it(ahead_s: int):
    """The first piece ended the stop at its own moment; where the exchange's clock is ahead, up to one look ago."""
    life = holding()
    target = life.sent(Purpose.TARGET)[-1]
    life.at += HOUR
    life.exchange.trade(target.client_id, D(1), target.price)
    sold_at = life.at + ahead_s * SECOND
    life.exchange.trades[-1] = replace(life.exchange.trades[-1], at=sold_at)
    life.look()
    assert position(life).bare_since == min(sold_at, life.at - LOOKED_EVERY)


# doubts


def test_a_pair_in_doubt_is_sent_again_under_the_same_names():
    """The balance shows the coins, no read shows the pair: asked for again, it is either placed or proven to stand."""
    life = bare()
    first = lost(life)
    assert isinstance(first, SubmitPair)
    assert still(life, first.stop, ASK_AGAIN.total_seconds() - 1) == ()
    (again,) = still(life, first.stop, ASK_AGAIN.total_seconds())
    assert isinstance(again, SubmitPair)
    names = [o.client_id for o in orders_of(first)]
    assert [o.client_id for o in orders_of(again)] == names
    assert [o.asked_at for o in orders_of(again)] == [life.at, life.at]
    assert still(life, first.target, 0) == ()
    life.work()
    assert life.standing() == PAIR
    assert len(life.exchange.orders) == 3


def test_a_pair_that_stood_all_along_is_proven_by_the_second_sending():
    """The reply was lost, not the pair: the exchange knows the names, and nothing is placed twice."""
    life = bare()
    pair = life.queue[0]
    assert isinstance(pair, SubmitPair)
    life.tell_exchange(pair)
    lost(life)
    still(life, pair.stop, 4)
    life.work()
    assert {life.state.orders[o.client_id].state for o in orders_of(pair)} == {OrderState.OPEN}
    assert len(life.exchange.orders) == 3


def test_a_pair_in_doubt_is_not_sent_again_once_its_coins_are_gone():
    """Coins that are not in the account were sold by it: the trade will tell."""
    life = bare()
    pair = lost(life)
    assert still(life, orders_of(pair)[0], 10, total=D(0)) == ()


def test_a_pair_in_doubt_is_not_sent_again_where_the_owners_own_coins_could_be_sold():
    """With as many coins of the owner's beside it, a second pair could sell those: it waits out the doubt."""
    life = bare()
    pair = orders_of(lost(life))[0]
    many = 2 * position(life).qty
    assert still(life, pair, SALE_WATCH.total_seconds() - 1, total=many) == ()
    still(life, pair, SALE_WATCH.total_seconds(), total=many)
    assert life.state.orders[pair.client_id].state is OrderState.ABSENT
    assert [type(e) for e in life.queue] == [SubmitPair]
    assert stop_of(life).client_id != pair.client_id


def test_a_market_sale_in_doubt_is_sold_again_under_a_new_name_once_the_coins_were_counted():
    """A market order's name is used up by its first trade: a second sale needs another one, and the coins."""
    life = holding()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    sale = orders_of(lost(life))[0]
    assert still(life, sale, 2) == ()
    assert still(life, sale, 30, total=D(0)) == ()
    still(life, sale, 30)
    life.work()
    assert [o.client_id for o in life.sent(Purpose.EXIT)] == ["fm-BTCUSDT-s6l000-x2", "fm-BTCUSDT-s6l000-x3"]
    assert life.exchange.held["BTC"] == 0


def test_a_market_sale_in_doubt_beside_other_coins_waits_a_minute():
    """A second sale that the owner's own coins could pay for has to be sure that there was no first one."""
    life = holding(balances={"USDT": D(10_000), "BTC": D(50)})
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    sale = orders_of(lost(life))[0]
    assert still(life, sale, SALE_WATCH.total_seconds() - 1) == ()
    assert [type(e) for e in still(life, sale, SALE_WATCH.total_seconds())] == [Submit]


def test_what_stands_or_waits_for_its_entry_is_no_doubt():
    """A word about an order that is proven, or whose entry is still watched, changes nothing."""
    life = holding()
    assert still(life, stop_of(life), 100) == ()
    waiting = asked(a_life(LISTS))
    lost(waiting)
    assert still(waiting, stop_of(waiting), 100, total=D(100)) == ()
    assert still(waiting, waiting.sent(Purpose.ENTRY)[0], 100, total=D(100)) == ()


# what was refused for a moment


def test_a_pair_the_exchange_could_not_take_for_a_moment_does_not_sell_the_position():
    """Busy or locked out is no word against the stop: it is tried again at a later tick, and stands then."""
    life = bare()
    since = stop_of(life).created_at
    pair = life.queue.pop(0)
    first = orders_of(pair)[0]
    life.post(ev.Rejected(life.now(), "act", first.client_id, "RetryLater", "busy"))
    assert life.queue == []
    assert not position(life).leaving
    assert [e for e in life.post(ev.Ticked(since + PROTECT_AGAIN - SECOND, "tick")) if orders_of(e)] == []
    life.post(ev.Ticked(since + PROTECT_AGAIN, "tick"))
    life.work()
    assert life.standing() == PAIR
    assert not life.sent(Purpose.EXIT)


@pytest.mark.parametrize("code", ["RetryLater", "NeedsOwner"])
def test_a_pair_refused_for_a_moment_waits_for_the_next_tick_with_both_its_legs(code: str):
    """Both refusals of one pair are one refusal: nothing is sent before time has passed."""
    life = bare()
    refused(life, code)
    assert life.queue == []


def test_a_lost_key_repeats_a_sale_ever_more_slowly():
    """A sale that cannot be sent now is tried again after a pause that doubles."""
    life = bare()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    while not life.sent(Purpose.EXIT):
        life.act(life.queue.pop(0))
        life.look()
    sale = life.sent(Purpose.EXIT)[0]
    refused(life, "NeedsOwner")
    for seconds, sales in ((2 * RETRY_AFTER - SECOND, 1), (2 * RETRY_AFTER, 2)):
        life.post(ev.Ticked(sale.created_at + seconds, "tick"))
        assert len(life.sent(Purpose.EXIT)) == sales


def test_a_sale_after_a_refused_pair_is_repeated_ever_more_slowly_too():
    """Where the account holds less than we think, the exchange is not asked the same again every two seconds."""
    life = bare()
    refused(life)
    (sale,) = life.sent(Purpose.EXIT)
    refused(life)
    assert position(life).cancel_at is None
    for seconds, sales in ((2 * RETRY_AFTER - SECOND, 1), (2 * RETRY_AFTER, 2)):
        life.post(ev.Ticked(sale.created_at + seconds, "tick"))
        assert len(life.sent(Purpose.EXIT)) == sales


# the stop


def bars_of(life: Life, closes: list[int]) -> None:
    """One bar after another, with a high above its close."""
    for close in closes:
        price = D(close)
        hour = life.hours[BTC]
        life.hours[BTC] += 1
        bar = Bar(BTC, START + hour * HOUR, HOUR, price, price + 1, price - 1, price, D(1))
        life.exchange.move(BTC, price)
        life.post(seen(bar))
        life.at = max(life.at, bar.close_at)
        life.work()


@pytest.mark.parametrize("rules", [None, with_lists(trail_min_bips=0, trail_max_bips=0), LISTS])
def test_a_stop_that_follows_is_moved_up_with_the_price(rules):
    """Whether the exchange trails or the machine moves it, after a rise what was won is kept."""
    life = holding(rules, trail_stops=True)
    bars_of(life, [101, 102, 103])
    assert position(life).stop == D("101.92")
    standing = stop_of(life)
    assert life.standing() == PAIR
    assert standing.trail_bips or standing.stop_price == D("101.92")


@settings(max_examples=150, deadline=None)
@given(
    closes=st.lists(st.integers(99, 103), max_size=8),
    asks=st.lists(st.tuples(st.integers(0, 7), st.one_of(st.none(), st.integers(9_000, 10_500))), max_size=8),
    trails=st.booleans(),
    lists=st.booleans(),
)
def test_a_stop_never_falls(closes, asks, trails: bool, lists: bool):
    """Whatever the owner asks for and wherever the price goes, no stop in the books or on the exchange is looser."""
    life = holding(LISTS if lists else None, trail_stops=trails)
    stops, sent = [position(life).stop], []
    for nth, close in enumerate(closes):
        for when, cents in asks:
            if when == nth and BTC in life.state.positions:
                price = None if cents is None else D(cents) / 100
                life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, price))
        bars_of(life, [close])
        if BTC in life.state.positions:
            stops.append(position(life).stop)
    sent = [o.stop_price for o in life.sent(Purpose.STOP)]
    assert stops == sorted(stops)
    assert sent == sorted(sent)


def test_a_stop_is_not_moved_down_nor_above_the_price():
    """What would lose more, or would sell at once, is not done."""
    life = holding()
    for price in (D(97), D(98), D(100), D(101)):
        assert life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, price)) == ()


def test_a_moved_stop_stands_on_the_exchange():
    """The old pair goes, the new one stands at the new price, and the target stays where it was."""
    life = holding()
    life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, D("99.005")))
    life.work()
    assert life.standing() == PAIR
    assert (stop_of(life).stop_price, life.sent(Purpose.TARGET)[-1].price) == (D("99.00"), D(104))
    assert not life.sent(Purpose.EXIT)


def test_a_second_move_waits_until_the_first_is_through():
    """While the pair is on its way out, another move would cancel what is not there."""
    life = holding()
    life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, D(99)))
    assert life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, D("99.5"))) == ()


def test_an_owner_who_moves_his_stop_often_keeps_his_position():
    """Four moves within a minute are four moves, not a protection that does not hold."""
    life = holding()
    life.wait(timedelta(minutes=10))
    for price in ("98.1", "98.2", "98.3", "98.4"):
        life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, D(price)))
        life.work()
    assert life.standing() == PAIR
    assert not life.closed()


def test_a_stop_does_not_fall_when_price_steps_grew():
    """After the exchange made its steps coarser a higher stop may round down, but never below the one that stands."""
    life = holding(close="100.33")
    life.post(ev.InstrumentsSeen(life.now(), "rules", {BTC: replace(life.state.instruments[BTC], tick=D("0.1"))}))
    before = position(life).stop
    life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, before + D("0.03")))
    assert position(life).stop >= before


def test_a_leg_given_up_that_stands_after_all_is_cancelled_where_another_pair_took_its_place():
    """Two pairs over the same coins cannot both be ours to keep: the older one goes."""
    life = bare()
    pair = lost(life)
    first = orders_of(pair)[0]
    still(life, first, SALE_WATCH.total_seconds(), total=2 * position(life).qty)
    life.work()
    second = stop_of(life)
    effects = life.post(ev.Accepted(life.now(), "look", first.client_id, "77"))
    assert [e.client_id for e in effects if isinstance(e, Cancel)] == [first.client_id]
    assert life.state.orders[second.client_id].state is OrderState.OPEN


def test_a_position_whose_forecast_ran_out_is_left_whatever_was_moved():
    """A moved stop does not make a position last longer than it was meant to."""
    life = holding()
    life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, D("99.5")))
    life.work()
    for _ in range(a_forecast().horizon_bars):
        life.bar()
        life.work()
    assert [t.why for t in life.closed()] == ["time"]
    assert compare(life) == ()
