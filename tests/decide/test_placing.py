"""How our orders look: core.decide.placing through ``step``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide.placing import entry_limit
from core.domain import events as ev
from core.domain.effects import SubmitBracket, Topic
from core.domain.orders import OrderKind, OrderState, Purpose, Tif
from tests.builders import an_instrument, with_lists
from tests.decide.lives import BTC, LISTS, PAIR, a_life, asked, holding, position, stop_of
from tests.fakes import Life

D = Decimal


def paying(asset: str, rate: str) -> Life:
    """A life on an exchange that takes ``rate`` of each trade in ``asset``; BNB is there and has a price."""
    life = a_life(LISTS, {"USDT": D(10_000), "BNB": D(5)})
    life.bar("BNBUSDT", close="300")
    price = D(300) if asset == "BNB" else D(100) if asset == "BTC" else D(1)
    life.exchange.fee = lambda order, quote: (asset, (quote * D(rate) / price).quantize(D("1e-8")))
    return life


def test_an_entry_brings_its_stop_and_its_target():
    """Where the exchange takes lists, one request buys and protects: filled whole at once, or nothing of it remains."""
    life = asked(a_life(LISTS))
    [bracket] = life.queue
    assert isinstance(bracket, SubmitBracket)
    assert (bracket.entry.kind, bracket.entry.tif) == (OrderKind.LIMIT, Tif.FOK)
    assert (bracket.stop.kind, bracket.target.kind) == (OrderKind.STOP_LOSS_LIMIT, OrderKind.LIMIT_MAKER)
    assert {bracket.stop.waits_for, bracket.target.waits_for} == {bracket.entry.client_id}
    assert bracket.entry.send_by == life.at + timedelta(seconds=life.state.config.send_window_s)


def test_an_entry_pays_a_little_more_than_the_price_and_not_half_the_way_to_its_target():
    """The limit leaves room for a moving market, but never so much that it is another bet."""
    rules = an_instrument(tick=D("0.01"))
    assert entry_limit(D(100), D(104), rules) == D("100.50")
    assert entry_limit(D(100), D("100.40"), rules) == D("100.20")
    assert entry_limit(D("100.001"), D("100.002"), rules) == D("100.01")


@given(st.integers(1, 10**7), st.integers(1, 10**6))
def test_the_limit_of_an_entry_is_never_below_the_price_and_lies_on_the_grid(cents: int, way: int):
    """Whatever the price, an entry can fill at it and the exchange takes its limit."""
    price = D(cents) / 100
    limit = entry_limit(price, price + D(way) / 1000, an_instrument())
    assert limit >= price
    assert limit % D("0.01") == 0


@pytest.mark.parametrize(("asset", "rate"), [("BTC", "0.001"), ("USDT", "0.001"), ("BNB", "0.00075")])
def test_what_is_bought_with_its_protection_is_protected_whatever_the_fee_is_paid_in(asset: str, rate: str):
    """Stop and target stand for no more than what is held after fees, and for no less than the exchange's step."""
    life = asked(paying(asset, rate))
    life.work()
    assert life.standing() == PAIR
    assert stop_of(life).qty <= position(life).qty
    assert position(life).qty - stop_of(life).qty < D("0.001")


def test_legs_are_sized_for_a_fee_in_the_bought_coin_until_it_is_known_to_be_another():
    """The first entry expects the fee in the coin itself; where BNB paid it, the pair is placed anew once, for all."""
    life = asked(paying("BNB", "0.00075"))
    [bracket] = life.queue
    assert isinstance(bracket, SubmitBracket)
    assert bracket.stop.qty == (bracket.entry.qty * D("0.999")).quantize(D("0.001"), "ROUND_FLOOR")
    life.work()
    assert [o.qty for o in life.sent(Purpose.STOP)] == [bracket.stop.qty, bracket.entry.qty]
    for _ in range(3):
        life.bar()
        life.work()
    assert len(life.sent(Purpose.STOP)) == 2


def test_legs_are_sized_for_all_of_it_where_bnb_pays_the_fee_as_it_last_did():
    """Once BNB was seen to pay, and enough of it is left, nothing has to be placed twice."""
    life = asked(paying("BNB", "0.00075"))
    life.state = life.state.with_(fee_asset="BNB")
    life.state = replace(life.state, positions={}, orders={})
    life.queue.clear()
    asked(life)
    [bracket] = life.queue
    assert isinstance(bracket, SubmitBracket)
    assert bracket.stop.qty == bracket.entry.qty
    life.work()
    assert len(life.sent(Purpose.STOP)[1:]) == 1
    assert life.standing() == PAIR


def test_bnb_that_is_nearly_used_up_is_not_counted_on():
    """With too little BNB left the fee comes out of the coins, so the legs are sized for that."""
    life = paying("BTC", "0.001")
    life.exchange.held["BNB"] = D("0.001")
    life.state = life.state.with_(fee_asset="BNB", balances=dict(life.exchange.held))
    asked(life)
    [bracket] = life.queue
    assert isinstance(bracket, SubmitBracket)
    assert bracket.stop.qty < bracket.entry.qty


def test_legs_too_large_for_the_coins_end_and_a_pair_of_the_right_size_follows():
    """Where the fee was expected in BNB and came out of the coins, the exchange drops the legs: new ones fit."""
    life = paying("BTC", "0.001")
    life.state = life.state.with_(fee_asset="BNB")
    asked(life).work()
    assert life.standing() == PAIR
    first, second = life.sent(Purpose.STOP)
    assert life.state.orders[first.client_id].state is OrderState.EXPIRED
    assert second.qty < first.qty
    assert len(life.tells(Topic.FILL)) == 1


def test_an_entry_that_did_not_fill_leaves_nothing():
    """When the price has run away nothing was bought, nothing stands, and the owner hears it once."""
    life = asked(a_life(LISTS))
    life.exchange.move(BTC, D(103))
    life.work()
    assert (life.state.positions, life.state.orders, life.standing()) == ({}, {}, set())
    assert [t.text for t in life.tells(Topic.STATE)] == ["BTCUSDT: nothing was bought (the price had moved on)."]
    assert not life.exchange.trades


def test_a_stop_sells_a_little_under_its_trigger():
    """The stop order's own limit leaves half a percent, so that a fast market still fills it."""
    stop = stop_of(holding())
    assert (stop.stop_price, stop.price) == (D(98), D("97.51"))


@pytest.mark.parametrize(
    ("rules", "bips"),
    [(LISTS, 200), (with_lists(trail_max_bips=150), 0), (with_lists(trail_min_bips=0, trail_max_bips=0), 0)],
)
def test_a_stop_follows_the_price_on_the_exchange_itself_where_that_takes_the_distance(rules, bips: int):
    """An entry brings a trailing stop at the distance it was decided with, or a standing one where that is refused."""
    life = asked(a_life(rules, trail_stops=True))
    [bracket] = life.queue
    assert isinstance(bracket, SubmitBracket)
    assert (bracket.stop.trail_bips, bracket.target.trail_bips) == (bips, 0)
    assert bracket.stop.stop_price == D(98)


def test_a_pair_placed_after_the_rules_changed_lies_on_the_new_grid():
    """When the exchange makes its price steps coarser, a stop that has to be placed again is rounded up to them."""
    life = holding(close="100.33")
    coarse = an_instrument(tick=D("0.1"))
    life.exchange.instruments = {**life.exchange.instruments, BTC: coarse}
    life.post(ev.InstrumentsSeen(life.now(), "rules", {BTC: coarse}))
    life.exchange.cancel(stop_of(life).client_id)
    life.look()
    life.work()
    assert life.standing() == PAIR
    assert stop_of(life).stop_price == D("98.4")
