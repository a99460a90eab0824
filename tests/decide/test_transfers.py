"""What moved in the account without an order of ours: core.decide.transfers through ``step``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide.ledger import equity
from core.decide.risk import daily_loss, drawdown
from core.decide.transfers import READ_LAG_MAX, UNEXPLAINED
from core.domain import events as ev
from core.domain.effects import Effect, SubmitBracket, Tell, Topic
from core.domain.market import ZERO
from core.domain.orders import Fill, OrderKind, Purpose, Side
from core.domain.state import TradingState
from tests.builders import START, a_forecast, an_order
from tests.decide.lives import BTC, LISTS, PAIR, a_life, asked, compare, holding, lost, position, stop_of
from tests.fakes import Life

D = Decimal
PROVEN_S = int(READ_LAG_MAX.total_seconds())


def move(life: Life, **amounts: str | int) -> None:
    """Coins or money come to the account, or leave it."""
    for asset, amount in amounts.items():
        life.exchange.held[asset] = life.exchange.held.get(asset, ZERO) + D(amount)


def told(effects: tuple[Effect, ...]) -> list[str]:
    """What the owner is told."""
    return [e.text for e in effects if isinstance(e, Tell)]


def by_hand(life: Life, side: Side, qty: Decimal, price: str = "100") -> None:
    """The owner trades on the exchange itself, and it is heard of."""
    order = replace(an_order(f"web_{len(life.exchange.trades)}", side=side, qty=qty), kind=OrderKind.MARKET)
    life.exchange.submit(order)
    life.exchange.trade(order.client_id, qty, D(price))
    life.look()


@pytest.mark.parametrize(("asset", "amount"), [("USDT", 500), ("USDT", -500), ("BTC", 2), ("ETH", 3)])
def test_what_came_or_went_is_booked_once_it_stood_longer_than_any_read_lags(asset: str, amount: int):
    """One look can be old: only a difference that stays is a deposit or a withdrawal, told once."""
    life = a_life()
    life.bar()
    move(life, **{asset: amount})
    assert compare(life) == ()
    assert compare(life, PROVEN_S - 1) == ()
    assert life.state.balances == {"USDT": D(10_000)}
    (line,) = told(compare(life, 1))
    assert ("deposit" if amount > 0 else "withdrawal") in line
    assert f"{abs(amount)} {asset}" in line
    assert life.state.balances[asset] == life.exchange.held[asset]
    assert compare(life, PROVEN_S) == ()


def test_a_difference_that_changes_starts_to_count_anew():
    """Money that is still moving is not booked in the middle of it."""
    life = a_life()
    move(life, USDT=100)
    compare(life)
    move(life, USDT=100)
    assert compare(life, PROVEN_S) == ()
    assert compare(life, PROVEN_S - 1) == ()
    assert told(compare(life, 1)) == ["A deposit of 200 USDT was booked."]


def test_a_difference_that_goes_away_was_an_old_read():
    """What was never there is neither booked nor told, and the next difference counts from its own beginning."""
    life = a_life()
    move(life, USDT=-100)
    compare(life)
    move(life, USDT=100)
    assert compare(life, 30) == ()
    assert life.state.doubt is None
    move(life, USDT=-100)
    compare(life)
    assert compare(life, PROVEN_S - 1) == ()


@pytest.mark.parametrize("amount", [5000, -5000])
def test_money_that_came_or_went_is_neither_gain_nor_loss(amount: int):
    """The day's start and the peak move with it: no limit is reached, and none is loosened."""
    life = a_life()
    life.bar()
    before = (daily_loss(life.state), drawdown(life.state))
    move(life, USDT=amount)
    compare(life)
    compare(life, PROVEN_S)
    assert (daily_loss(life.state), drawdown(life.state)) == before
    assert (life.state.day.start_equity, life.state.day.peak_equity) == (10_000 + amount, 10_000 + amount)
    life.bar()
    assert life.state.trading.state is TradingState.ACTIVE


def test_what_looks_like_a_trade_stops_entries_and_is_told_once():
    """Coins gone and money come at about their price, and no trade to show for it: nobody buys on such books."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.bar()
    move(life, BTC=-2, USDT=200)
    compare(life)
    (line,) = told(compare(life, PROVEN_S))
    assert "BTC -2" in line
    assert "USDT +200" in line
    assert (life.state.trading.state, life.state.trading.reason) == (TradingState.REDUCING, UNEXPLAINED)
    assert life.state.balances == {"USDT": D(10_000), "BTC": D(5)}
    assert compare(life, PROVEN_S) == ()
    life.bar(forecast=a_forecast(hour=1))
    assert life.decisions()[-1].refusal.code == "TRADING_REDUCING"


def test_resuming_takes_the_exchanges_word_over():
    """Who knows of the difference and goes on accepts it: it is booked as what came and went, and told."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.bar()
    move(life, BTC=-2, USDT=200)
    compare(life)
    compare(life, PROVEN_S)
    assert len(told(life.post(ev.OwnerResumed(life.now(), "chat", life.update())))) == 2
    assert life.state.balances == life.exchange.held
    assert (life.state.trading.state, life.state.doubt) == (TradingState.ACTIVE, None)
    assert daily_loss(life.state) == 0


def test_a_resume_before_the_owner_was_told_accepts_nothing():
    """Nobody agrees to what he has not heard of."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    move(life, BTC=-2, USDT=200)
    compare(life)
    assert life.post(ev.OwnerResumed(life.now(), "chat", life.update())) == ()
    assert life.state.balances == {"USDT": D(10_000), "BTC": D(5)}


def test_a_halt_is_not_weakened_by_a_difference():
    """A stronger stop stays as it is, with its own reason."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    move(life, BTC=-2, USDT=200)
    compare(life)
    compare(life, PROVEN_S)
    assert life.state.trading.state is TradingState.HALTED


def test_money_that_may_be_gone_is_not_spent_before_it_is_sure():
    """From the first look that misses it, it is not bought with."""
    life = a_life()
    life.bar()
    move(life, USDT=-9_900)
    compare(life)
    asked(life)
    assert not life.queue or life.sent(Purpose.ENTRY)[0].qty <= D("0.2")


# coins of a position


def test_coins_sold_by_hand_make_the_position_smaller_and_are_no_loss():
    """What the owner sold of a position leaves it at the price of now, once the balances show it; the rest goes on."""
    life = holding()
    life.exchange.cancel(stop_of(life).client_id)
    by_hand(life, Side.SELL, D(10), "103")
    compare(life)
    assert (position(life).qty, position(life).sold_quote) == (D("9.9"), D(1000))
    assert daily_loss(life.state) == 0
    assert life.state.balances == life.exchange.held
    life.work()
    life.wait(timedelta(minutes=5))
    life.work()
    assert life.standing() == PAIR or [trade.profit for trade in life.closed()] == [0]


def test_a_position_sold_by_hand_is_closed():
    """Where nothing of it is left, nothing of it is sold again."""
    life = holding()
    life.exchange.cancel(stop_of(life).client_id)
    by_hand(life, Side.SELL, position(life).qty)
    compare(life)
    for _ in range(3):
        life.work()
        life.wait(timedelta(minutes=5))
    assert life.state.positions == {}
    assert not [k for k in life.exchange.orders.values() if k.rest]
    assert len(life.closed()) == 1


def test_coins_withdrawn_out_of_a_position_make_it_smaller_and_are_no_loss():
    """The owner took coins home: neither the trade nor the day has lost their worth."""
    life = holding()
    life.exchange.cancel(stop_of(life).client_id)
    move(life, BTC=-10)
    compare(life)
    compare(life, PROVEN_S)
    assert position(life).qty == D("9.9")
    assert daily_loss(life.state) == 0
    life.look()
    life.work()
    for _ in range(3):
        life.wait(timedelta(minutes=5))
        life.work()
    life.bar()
    assert abs(daily_loss(life.state)) < D("0.001")
    assert life.state.trading.state is TradingState.ACTIVE
    assert all(abs(trade.profit) < 1 for trade in life.closed())


def test_coins_beside_a_position_come_and_go_without_touching_it():
    """The owner's own coins are not the position's."""
    life = holding(balances={"USDT": D(10_000), "BTC": D(5)})
    held, stops = position(life), len(life.sent(Purpose.STOP))
    for amount in (3, -6):
        move(life, BTC=amount)
        compare(life)
        compare(life, PROVEN_S)
    assert position(life) == held
    assert len(life.sent(Purpose.STOP)) == stops
    assert life.standing() == PAIR


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_the_owners_own_trades_beside_us_are_no_gain_and_no_loss_of_ours(side: Side):
    """Buying or selling his own coins moves the day's marks with the money."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(20)})
    life.bar()
    by_hand(life, side, D(10), "90")
    assert daily_loss(life.state) == 0
    assert drawdown(life.state) == 0
    assert life.state.balances == life.exchange.held


# late trades of our own


def given_up() -> tuple[Life, SubmitBracket]:
    """An entry that was given up after its watch, its position forgotten; and that entry."""
    life = asked(a_life(LISTS))
    bracket = life.queue[0]
    assert isinstance(bracket, SubmitBracket)
    lost(life)
    life.post(ev.Absent(life.now(), "look", bracket.entry.client_id))
    return life, bracket


def test_an_entry_that_traded_after_it_was_given_up_makes_a_position_that_is_left():
    """Against all waiting it was bought after all: the owner hears it, and it is sold again."""
    life, bracket = given_up()
    life.exchange.submit(replace(bracket.entry, kind=OrderKind.MARKET, price=None))
    life.exchange.trade(bracket.entry.client_id, bracket.entry.qty, D(100))
    life.look()
    assert position(life).adopted
    assert "given up" in life.tells(Topic.ERROR)[-1].text
    life.wait(timedelta(seconds=30))
    life.work()
    assert (life.state.positions, life.exchange.held["BTC"]) == ({}, 0)
    assert life.state.balances == life.exchange.held


def test_the_pieces_of_a_late_entry_are_one_position():
    """Its trades come one by one and belong together."""
    life, bracket = given_up()
    life.exchange.submit(replace(bracket.entry, kind=OrderKind.MARKET, price=None))
    for part in (D(4), D(6)):
        life.exchange.trade(bracket.entry.client_id, part, D(100))
        life.look()
    assert (position(life).qty, position(life).bought_quote) == (D(10), D(1000))


def test_a_late_sale_of_ours_leaves_the_position_it_belongs_to():
    """A sale that nobody remembers still sold what it sold."""
    life = holding()
    life.exchange.cancel(stop_of(life).client_id)
    sale = an_order("fm-BTCUSDT-s6l000-x9", side=Side.SELL, purpose=Purpose.EXIT, qty=D(10))
    life.exchange.submit(sale)
    life.exchange.trade(sale.client_id, D(10), D(100))
    life.look()
    assert position(life).sold_qty == D(10)
    assert position(life).qty == D("9.9")


def test_a_trade_of_another_position_of_the_past_is_money_only():
    """What belongs to an intent that is closed moves balances, not the position of today."""
    life = holding(balances={"USDT": D(10_000), "BTC": D(5)})
    held = position(life)
    fill = Fill(BTC, "90", "fm-BTCUSDT-older-x1", Side.SELL, D(2), D(100), ZERO, "USDT", START + timedelta(days=1))
    cash = life.state.balances["USDT"]
    life.post(ev.Filled(life.now(), "look", fill))
    assert position(life) == held
    assert life.state.balances["USDT"] == cash + 200


@given(
    st.lists(
        st.tuples(st.sampled_from(["USDT", "BTC", "ETH", "BNB"]), st.integers(-2_000, 3_000)), min_size=1, max_size=12
    ),
    st.booleans(),
)
def test_after_any_coming_and_going_the_books_are_the_exchanges(moves: list[tuple[str, int]], held: bool):
    """Whatever comes and goes, in whatever order: in the end both say the same to the last unit."""
    life = holding() if held else a_life()
    life.bar()
    for asset, cents in moves:
        amount = max(D(cents) / 100, -life.exchange.free(asset))
        move(life, **{asset: str(amount)})
        compare(life)
        compare(life, PROVEN_S)
        life.work()
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    theirs = {asset: amount for asset, amount in life.exchange.held.items() if amount}
    assert {asset: amount for asset, amount in life.state.balances.items() if amount} == theirs
    assert equity(life.state) >= 0
