"""Money, asset by asset: core.decide.ledger."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide.ledger import book, book_position, equity, exposure, free_cash, mark_price, profit
from core.domain.orders import Fill, OrderState, Side
from core.domain.state import Mark, Position
from tests.builders import START, a_bar, a_fill, a_position, a_state, an_instrument, an_order

D = Decimal
BTC, BNB = an_instrument(), an_instrument("BNBUSDT")
amounts = st.decimals("0.001", 100, places=3)


@st.composite
def fills(draw: st.DrawFn) -> Fill:
    """Any trade with a fee in base, quote or BNB."""
    side, fee_asset = draw(st.sampled_from(Side)), draw(st.sampled_from(["BTC", "USDT", "BNB"]))
    order = an_order(side=side, qty=D(1000))
    return a_fill(order, draw(amounts), draw(amounts), fee=draw(st.decimals(0, 1, places=8)), fee_asset=fee_asset)


@given(st.lists(fills(), max_size=20))
def test_value_is_conserved_asset_by_asset(trades: list[Fill]):
    """Balances are what was there, plus every trade, minus every fee, to the last unit."""
    start = {"USDT": D(500), "BTC": D("0.5")}
    ours = dict(start)
    for one in trades:
        ours = book(ours, one, BTC)
    expected: dict[str, Decimal] = defaultdict(Decimal, start)
    expected["BTC"] += sum((t.qty if t.side is Side.BUY else -t.qty) for t in trades)
    expected["USDT"] -= sum((t.qty * t.price if t.side is Side.BUY else -t.qty * t.price) for t in trades)
    for one in trades:
        expected[one.fee_asset] -= one.fee
    assert ours == {asset: expected[asset] for asset in ours}


def held(*trades: tuple[str, str, str, str, str], instrument=BTC) -> Position:
    """A position after trades ``side qty price fee fee_asset``."""
    position = Position(instrument.symbol, "intent", D(98), D(104), 12, START)
    for side, qty, price, fee, asset in trades:
        order = an_order(side=Side(side), symbol=instrument.symbol, qty=D(qty))
        position = book_position(position, a_fill(order, price=price, fee=D(fee), fee_asset=asset), instrument)
    return position


def test_a_fee_in_the_bought_coin_leaves_the_quantity():
    """Ten bought with a fee of a hundredth in the coin itself leave 9.99 to sell."""
    position = held(("BUY", "10", "100", "0.01", "BTC"))
    assert (position.qty, position.cost, position.entry_price) == (D("9.99"), D(1000), D(100))


def test_a_fee_in_quote_joins_the_cost():
    """A fee in dollars makes the coins dearer and leaves their number."""
    position = held(("BUY", "10", "100", "1", "USDT"))
    assert (position.qty, position.cost) == (D(10), D(1001))


@pytest.mark.parametrize(
    ("asset", "fee", "earned"), [("USDT", "1", D(98)), ("BNB", "0.5", D(0)), ("DOGE", "7", D(100))]
)
def test_profit_is_after_every_fee(asset: str, fee: str, earned: Decimal):
    """Profit counts dollars as they are, other coins at their price, and nothing for coins without a price."""
    position = held(("BUY", "10", "100", fee, asset), ("SELL", "10", "110", fee, asset))
    assert profit(position, BTC, {"BNB": D(100), "BTC": D(110)}) == earned


def test_a_coin_that_pays_for_its_own_sale_is_not_earned():
    """Selling BNB with a fee in BNB takes the fee from other BNB: it is subtracted, and nothing becomes negative."""
    position = held(("BUY", "10", "100", "0", "BNB"), ("SELL", "10", "110", "0.1", "BNB"), instrument=BNB)
    assert position.qty == 0
    assert profit(position, BNB, {"BNB": D(110)}) == D(100) - D("0.1") * 110


def test_equity_is_quote_plus_our_own_positions():
    """Coins that were there before us are not ours to size with, and coins that left the account count no more."""
    state = a_state(balances={"USDT": D(1000), "BTC": D(13)})
    assert equity(state) == 1000
    ours = state.with_(positions={"BTCUSDT": a_position()}, marks={"BTCUSDT": Mark(a_bar(close="120"))})
    assert equity(ours) == 1000 + 10 * 120
    assert equity(ours.with_(balances={"USDT": D(1000), "BTC": D(3)})) == 1000 + 3 * 120


def test_without_a_bar_a_position_is_worth_what_it_cost():
    """Before the first bar a position is marked at its entry price."""
    state = a_state().with_(positions={"BTCUSDT": a_position()})
    assert mark_price(state, "BTCUSDT") == 100


def test_open_buys_are_at_risk_and_their_cash_is_promised():
    """What a live buy may still spend counts as exposure and is no longer free; sales and ended orders do not count."""
    orders = {
        "a": an_order("a", qty=D(10), filled_qty=D(4), state=OrderState.PARTIAL),
        "b": an_order("b", qty=D(10), state=OrderState.REJECTED),
        "c": an_order("c", qty=D(10), side=Side.SELL),
        "d": an_order("d", qty=D(1), price=D(90)),
    }
    state = a_state().with_(orders=orders, marks={"BTCUSDT": Mark(a_bar())})
    assert exposure(state, "BTCUSDT") == 6 * 100 + 90
    assert free_cash(state) == 10_000 - 690
