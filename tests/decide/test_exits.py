"""The life of a position on a fake exchange: core.decide.exits through ``step``."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.decide.exits import PAIRS_LATELY_MAX
from core.decide.guarding import CANCEL_AGAIN, RETRY_AFTER
from core.domain import events as ev
from core.domain.effects import Cancel, Submit, SubmitPair, Topic
from core.domain.orders import OrderKind, OrderState, Purpose, Side
from core.domain.state import TradingState
from tests.builders import HOUR, SECOND, a_forecast, a_state
from tests.fakes import Life

D = Decimal
PAIR = {Purpose.STOP, Purpose.TARGET}


def bought(fee: tuple[str, Decimal] = ("USDT", D(0)), *, protect: bool = True) -> Life:
    """A life that has just bought BTC at 100, with its pair standing unless ``protect`` is off."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.act(life.queue.pop(0))
    entry = life.sent(Purpose.ENTRY)[0]
    life.exchange.trade(entry.client_id, entry.qty, D(100), fee)
    life.look()
    if protect:
        life.work()
    return life


def test_a_bought_position_gets_a_stop_and_a_target_at_once():
    """As soon as the buy is through, a stop and a target stand on the exchange."""
    life = bought()
    stop, target = life.sent(Purpose.STOP)[0], life.sent(Purpose.TARGET)[0]
    assert life.standing() == PAIR
    assert (stop.kind, target.kind) == (OrderKind.STOP_LOSS_LIMIT, OrderKind.LIMIT_MAKER)
    assert (stop.stop_price, target.price) == (D(98), D(104))
    assert stop.price is not None
    assert stop.price < D(98)
    assert [t.position.symbol for t in life.tells(Topic.PROTECTED) if t.position] == ["BTCUSDT"]


def test_an_order_remembers_the_exchanges_number_of_its_pair():
    """Stop and target can be found on the exchange as the one list they are."""
    life = bought(protect=False)
    pair = life.queue.pop(0)
    assert isinstance(pair, SubmitPair)
    for order in (pair.stop, pair.target):
        life.post(ev.Accepted(life.now(), "act", order.client_id, "11", "7"))
    assert {life.state.orders[o.client_id].list_id for o in (pair.stop, pair.target)} == {"7"}


@pytest.mark.parametrize("asset", ["BTC", "USDT", "BNB"])
def test_the_pair_is_sized_to_what_is_held_after_fees(asset: str):
    """Stop and target sell exactly what is left after the fee, rounded down to the exchange's steps."""
    life = Life(a_state(balances={"USDT": D(10_000), "BNB": D(5)}))
    life.bar(forecast=a_forecast())
    life.act(life.queue.pop(0))
    entry = life.sent(Purpose.ENTRY)[0]
    life.exchange.trade(entry.client_id, entry.qty, D(100), (asset, D("0.0199")))
    life.look()
    kept = entry.qty - D("0.0199") if asset == "BTC" else entry.qty
    assert life.sent(Purpose.STOP)[0].qty == life.sent(Purpose.TARGET)[0].qty
    assert life.sent(Purpose.STOP)[0].qty == kept - kept % D("0.001")


def test_a_reached_target_ends_the_stop_and_books_the_trade():
    """When the target fills, the position is closed as a win and nothing is left standing."""
    life = bought()
    life.exchange.move("BTCUSDT", D(104))
    life.look()
    [trade] = life.closed()
    assert (trade.why, trade.exit_price, trade.profit) == ("target", D(104), trade.qty * 4)
    assert life.state.positions == {}
    assert life.state.orders == {}
    assert life.standing() == set()


def test_a_reached_stop_ends_the_target_and_books_the_trade():
    """When the stop fills, the position is closed as a loss and nothing is left standing."""
    life = bought()
    life.exchange.move("BTCUSDT", D("97.99"))
    life.look()
    [trade] = life.closed()
    assert (trade.why, trade.exit_price) == ("stop", D("97.51"))
    assert trade.profit < 0
    assert life.standing() == set()


def test_the_time_limit_sells():
    """After its number of bars a position is sold at market, its pair cancelled first."""
    life = bought()
    for _ in range(11):
        life.bar()
    assert not life.queue
    life.bar()
    assert [type(e) for e in life.queue] == [Cancel]
    life.work()
    assert [t.why for t in life.closed()] == ["time"]
    assert life.exchange.held["BTC"] == 0


def test_a_stop_that_was_jumped_over_sells_at_market():
    """Where the price fell through stop and stop limit, the position is sold at market at the close of the bar."""
    life = bought()
    life.bar(close="90")
    life.work()
    [trade] = life.closed()
    assert (trade.exit_price, trade.why) == (D(90), "stop")


def test_a_half_filled_target_does_not_leave_the_rest_without_a_stop():
    """The first piece of a target ends the stop, so the rest is sold at market at once, near the target."""
    life = bought()
    target = life.sent(Purpose.TARGET)[0]
    life.exchange.trade(target.client_id, D(5), D(104))
    life.look()
    life.work()
    assert [trade.why for trade in life.closed()] == ["target"]
    assert life.exchange.held["BTC"] == 0


def test_a_lost_cancel_is_repeated_by_the_clock():
    """A panic whose cancel got lost is not left to the next bar."""
    life = bought()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    lost = life.queue.pop(0)
    asked = life.state.positions["BTCUSDT"].cancel_at
    assert asked
    times = (asked + CANCEL_AGAIN - SECOND, asked + CANCEL_AGAIN, asked + CANCEL_AGAIN)
    wanted = [[e for e in life.post(ev.Ticked(at, "tick")) if isinstance(e, Cancel)] for at in times]
    assert wanted == [[], [lost], []]


def test_a_partly_filled_entry_is_protected_for_what_was_bought():
    """An entry that filled in part and then ended leaves a protected position of that size."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.act(life.queue.pop(0))
    entry = life.sent(Purpose.ENTRY)[0]
    life.exchange.trade(entry.client_id, D(3), D(100))
    life.exchange.orders[entry.client_id].end = "EXPIRED"
    life.look()
    life.work(fill=False)
    assert life.standing() == PAIR
    assert life.sent(Purpose.STOP)[0].qty == D(3)


def test_a_partly_filled_entry_is_told_once_when_it_ends():
    """What was bought is news, also where the rest of the order expired; a late word of its end is none."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.act(life.queue.pop(0))
    entry = life.sent(Purpose.ENTRY)[0]
    life.exchange.trade(entry.client_id, D(5), D(100))
    life.look()
    assert not life.tells(Topic.FILL)
    for _ in range(2):
        life.post(ev.Canceled(life.now(), "look", entry.client_id, expired=True))
    assert [t.position.qty for t in life.tells(Topic.FILL) if t.position] == [5]


def test_an_entry_that_bought_too_little_to_protect_is_sold():
    """What the exchange is too strict to protect is sold at once."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.act(life.queue.pop(0))
    entry = life.sent(Purpose.ENTRY)[0]
    life.exchange.trade(entry.client_id, D("0.051"), D(100))
    life.exchange.orders[entry.client_id].end = "EXPIRED"
    life.look()
    life.work()
    assert [t.why for t in life.closed()] == ["protection refused"]
    assert life.exchange.held["BTC"] == 0


def test_dust_is_named_and_forgotten():
    """What is too little to sell closes the position and is named as dust; it is not tried for ever."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.act(life.queue.pop(0))
    entry = life.sent(Purpose.ENTRY)[0]
    life.exchange.trade(entry.client_id, D("0.010"), D(100))
    life.exchange.orders[entry.client_id].end = "EXPIRED"
    life.look()
    [trade] = life.closed()
    assert (trade.dust, trade.why, trade.profit) == (D("0.010"), "dust", D(-1))
    assert life.state.positions == {}
    assert not life.queue
    assert life.state.balances["BTC"] == D("0.010")


def test_an_entry_that_never_filled_leaves_nothing():
    """A refused buy leaves no position and no order, and the owner hears why."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.exchange.held["USDT"] = D(1)
    life.work()
    assert life.state.positions == {}
    assert life.state.orders == {}
    assert "insufficient balance" in life.tells(Topic.STATE)[0].text


def test_refused_protection_sells_at_once():
    """Where the exchange refuses stop and target, the position is sold at once, not at the next bar."""
    life = bought(protect=False)
    pair = life.queue.pop(0)
    assert isinstance(pair, SubmitPair)
    for order in (pair.stop, pair.target):
        life.post(ev.Rejected(life.now(), "act", order.client_id, "-2010", "no"))
    life.work()
    assert [t.why for t in life.closed()] == ["protection refused"]
    assert len(life.sent(Purpose.EXIT)) == 1
    assert life.tells(Topic.ERROR)[0].urgent


def test_a_pair_that_was_cancelled_by_hand_is_placed_again():
    """Whoever cancels stop and target on the exchange finds new ones there at once."""
    life = bought()
    life.exchange.cancel(life.sent(Purpose.STOP)[0].client_id)
    life.look()
    life.work()
    assert life.standing() == PAIR
    assert len({o.client_id for o in life.sent(Purpose.STOP)}) == 2


def test_a_refused_sale_is_tried_again_at_the_next_bar():
    """A refused exit is told and tried again with the next bar, under a new client id."""
    life = bought()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    first = life.queue.pop(0)
    assert isinstance(first, Submit)
    life.post(ev.Rejected(life.now(), "act", first.order.client_id, "-1015", "too many orders"))
    assert not life.queue
    assert "too many orders" in life.tells(Topic.ERROR)[-1].text
    life.bar()
    life.work()
    assert len(life.closed()) == 1
    assert len({o.client_id for o in life.sent(Purpose.EXIT)}) == 2


def test_a_refused_sale_is_tried_again_while_no_bar_closes():
    """Between two bars time alone brings the next try, each after a longer pause, and never two at once."""
    life = bought()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    for tries in range(1, 4):
        sale = life.queue.pop(0)
        assert isinstance(sale, Submit)
        life.post(ev.Rejected(life.now(), "act", sale.order.client_id, "-1015", "too many orders"))
        pause = RETRY_AFTER * 2**tries
        early, due = sale.order.created_at + pause - SECOND, sale.order.created_at + pause
        sent = [[e for e in life.post(ev.Ticked(at, "tick")) if isinstance(e, Submit)] for at in (early, due, due)]
        assert [len(submits) for submits in sent] == [0, 1, 0]


def test_pairs_that_end_at_once_are_not_placed_for_ever():
    """A stop and a target that the exchange ends as soon as they stand protect nothing: the position is sold."""
    life = bought(protect=False)
    for _ in range(PAIRS_LATELY_MAX):
        pair = life.queue.pop(0)
        assert isinstance(pair, SubmitPair)
        for order in (pair.stop, pair.target):
            life.post(ev.Accepted(life.now(), "act", order.client_id, "1"))
        for order in (pair.stop, pair.target):
            life.post(ev.Canceled(life.now(), "look", order.client_id, expired=True))
    life.work()
    assert [t.why for t in life.closed()] == ["its protection does not hold"]


def test_pairs_that_were_placed_long_ago_do_not_count_against_a_new_one():
    """A position may need a new pair now and then over its life: only many in a minute mean that none holds."""
    life = bought()
    for _ in range(PAIRS_LATELY_MAX + 1):
        life.exchange.cancel(life.sent(Purpose.STOP)[-1].client_id)
        life.look()
        life.work()
        life.bar()
    assert life.standing() == PAIR
    assert len(life.sent(Purpose.STOP)) == PAIRS_LATELY_MAX + 2
    assert not life.closed()


def test_panic_sells_at_once_what_a_refused_sale_left():
    """Panic does not wait for the next bar where an earlier sale was refused."""
    life = bought()
    life.exchange.move("BTCUSDT", D(100))
    for _ in range(12):
        life.bar()
    life.act(life.queue.pop(0))
    life.look()
    first = life.queue.pop(0)
    assert isinstance(first, Submit)
    life.post(ev.Rejected(life.now(), "act", first.order.client_id, "-1015", "too many orders"))
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.work()
    assert len(life.closed()) == 1


def test_panic_twice_sells_once():
    """A second panic while the first sale is under way sends no second sale."""
    life = bought()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    assert len(life.sent(Purpose.EXIT)) == 1
    life.work()
    assert len(life.sent(Purpose.EXIT)) == 1


def test_a_lost_cancel_is_repeated_at_the_next_bar():
    """A cancel that nobody heard of is sent again with the next bar, and then the sale follows."""
    life = bought()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.queue.clear()
    life.bar()
    assert [type(e) for e in life.queue] == [Cancel]
    life.work()
    assert len(life.closed()) == 1


def test_an_exit_nobody_can_find_is_sold_again_for_what_is_left():
    """A sale given up as absent is sent again, for no more than is still held."""
    life = bought()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    lost = life.queue.pop(0)
    assert isinstance(lost, Submit)
    life.post(ev.Unknown(life.now(), "act", lost.order.client_id, "timeout"))
    assert not life.queue
    life.look()
    life.work()
    assert [o.qty for o in life.sent(Purpose.EXIT)] == [lost.order.qty, lost.order.qty]
    assert life.exchange.held["BTC"] == 0
    assert len(life.closed()) == 1


def test_a_pair_nobody_can_find_is_placed_again():
    """Stop and target given up as absent are placed again."""
    life = bought(protect=False)
    pair = life.queue.pop(0)
    assert isinstance(pair, SubmitPair)
    for order in (pair.stop, pair.target):
        life.post(ev.Unknown(life.now(), "act", order.client_id, "timeout"))
    assert not life.queue
    life.look()
    life.work()
    assert life.standing() == PAIR


def test_coins_sold_by_hand_do_not_keep_a_position_in_a_loop_of_refused_sales():
    """Where the owner sold the coins himself, the position is closed instead of being sold again at every bar."""
    life = bought()
    stop = life.sent(Purpose.STOP)[0]
    life.exchange.cancel(stop.client_id)
    by_hand = replace(life.sent(Purpose.ENTRY)[0], client_id="web_1", side=Side.SELL, qty=stop.qty)
    life.exchange.submit(by_hand)
    life.exchange.trade("web_1", stop.qty, D(100))
    life.look()
    life.post(ev.BalancesSeen(life.now(), "look", dict(life.exchange.held)))
    life.work()
    life.wait(HOUR)
    assert life.state.positions == {}
    assert len(life.sent(Purpose.EXIT)) <= 1
    assert not life.queue
    assert life.state.balances == life.exchange.held


def test_a_pair_never_asks_for_more_than_the_account_holds():
    """Coins that went to pay fees elsewhere are not sold: what is placed anew is cut to what the account holds."""
    life = bought()
    life.exchange.cancel(life.sent(Purpose.STOP)[0].client_id)
    gone = D("0.5")
    life.exchange.held["BTC"] -= gone
    life.state = life.state.with_(balances=dict(life.exchange.held))
    life.post(ev.BalancesSeen(life.now(), "look", dict(life.exchange.held)))
    life.look()
    life.work()
    assert life.standing() == PAIR
    assert life.sent(Purpose.STOP)[-1].qty == life.sent(Purpose.STOP)[0].qty - gone


def test_a_position_that_is_left_stays_left_through_a_restart_of_trading():
    """Resuming does not put a position back that panic is selling."""
    life = bought()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    life.work()
    assert [t.why for t in life.closed()] == ["panic"]
    assert life.state.trading.state is TradingState.ACTIVE


def test_a_buy_still_in_doubt_at_panic_is_sold_once_it_appears():
    """A buy nobody could prove when panic was pressed is sold as soon as it turns out to exist."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    entry = life.queue.pop(0)
    assert isinstance(entry, Submit)
    life.tell_exchange(entry)
    life.post(ev.Unknown(life.now(), "act", entry.order.client_id, "timeout"))
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    assert not life.queue
    life.fill_market()
    life.look()
    life.work()
    assert [t.why for t in life.closed()] == ["panic"]
    assert life.exchange.held["BTC"] == 0


def test_a_sister_ends_by_the_table_and_stays_ended():
    """The first leg to fill ends the other in our books too, and a late cancel of it changes nothing."""
    life = bought()
    stop, target = life.sent(Purpose.STOP)[0], life.sent(Purpose.TARGET)[0]
    life.exchange.trade(target.client_id, D(5), D(104))
    life.look()
    assert life.state.orders[stop.client_id].state is OrderState.EXPIRED
    life.post(ev.Canceled(life.now(), "late", stop.client_id))
    assert life.state.orders[stop.client_id].state is OrderState.EXPIRED


def test_a_late_answer_about_a_finished_pair_says_nothing_to_the_owner():
    """The same news of a standing pair twice is told once."""
    life = bought()
    target = life.sent(Purpose.TARGET)[0]
    life.post(ev.Accepted(life.now(), "again", target.client_id, "x"))
    assert len(life.tells(Topic.PROTECTED)) == 1


def test_an_age_counts_bars_after_the_entry_only():
    """A position counts the bars since it was bought, each once."""
    life = bought()
    life.bar()
    life.bar()
    assert life.state.positions["BTCUSDT"].bars_held == 2
    life.wait(HOUR)
    assert life.state.positions["BTCUSDT"].bars_held == 2
