"""The table of an order's life: core.decide.orders."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide.orders import TRANSITIONS, Happening, fill, move
from core.domain.errors import InvariantBroken
from core.domain.orders import FINAL_STATES, Order, OrderState
from tests.builders import a_fill, an_order

D = Decimal
S, H = OrderState, Happening
EVERY = list(itertools.product(OrderState, Happening))


@pytest.mark.parametrize(("state", "happening"), EVERY)
def test_every_happening_in_every_state_is_either_in_the_table_or_stops_the_engine(state: S, happening: H):
    """Nothing in between: a transition stands in the table, or our books are broken and say so."""
    order = an_order(state=state)
    if (state, happening) in TRANSITIONS:
        assert move(order, happening).state is TRANSITIONS[state, happening]
    else:
        with pytest.raises(InvariantBroken, match=state):
            move(order, happening)


@pytest.mark.parametrize(("state", "happening"), [pair for pair in EVERY if pair[0] in FINAL_STATES])
def test_what_has_ended_never_lives_again_unless_it_was_only_given_up(state: S, happening: H):
    """A finished order stays finished; one that was never proven to exist lives once the exchange shows it."""
    after = TRANSITIONS.get((state, happening), state)
    revived = after not in FINAL_STATES
    assert not revived or state in {S.ABSENT, S.REJECTED}


@pytest.mark.parametrize("happening", [H.ACCEPTED, H.PARTLY_FILLED, H.FILLED])
def test_an_order_given_up_is_adopted_when_it_appears(happening: H):
    """Absent is our own verdict, not the exchange's: proof of life beats it."""
    assert move(an_order(state=S.ABSENT), happening).state in {S.OPEN, S.PARTIAL, S.FILLED}


@pytest.mark.parametrize("state", [S.OPEN, S.PARTIAL, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED])
@pytest.mark.parametrize("happening", [H.UNKNOWN, H.ABSENT])
def test_a_lost_reply_never_overrules_what_is_proven(state: S, happening: H):
    """A timeout that arrives after the order was found changes neither its state nor its reason."""
    order = an_order(state=state, reason="known")
    assert move(order, happening, reason="timeout") == order


@pytest.mark.parametrize("state", [S.OPEN, S.PARTIAL, S.FILLED, S.CANCELED, S.EXPIRED])
def test_a_second_sending_that_is_refused_does_not_overrule_what_is_proven(state: S):
    """An order that was seen on the exchange stays what it was, whatever a repeated request is told."""
    order = an_order(state=state, reason="known")
    assert move(order, H.REJECTED, reason="refused") == order


def test_a_fill_of_a_refused_order_is_money_all_the_same():
    """The exchange said no and traded: the trade counts, the engine goes on."""
    after = fill(an_order(state=S.REJECTED), a_fill(an_order()))
    assert (after.state, after.filled_qty) == (S.FILLED, D(1))


def test_a_late_fill_of_a_cancelled_order_is_counted_and_it_stays_cancelled():
    """A cancel and a trade that crossed on the wire: the money is counted, the end stays the end."""
    order = an_order(state=S.CANCELED)
    after = fill(order, a_fill(order, "0.4"))
    assert (after.state, after.filled_qty) == (S.CANCELED, D("0.4"))


def test_the_exchange_id_is_kept_once_known():
    """A later answer without the exchange's id does not erase it."""
    known = move(an_order(), H.ACCEPTED, exchange_id="77")
    assert move(known, H.CANCELED).exchange_id == "77"


@given(cuts=st.lists(st.integers(1, 400), min_size=1, max_size=6), again=st.integers(0, 5))
def test_fills_add_up_and_the_same_one_twice_counts_once(cuts: list[int], again: int):
    """An order has filled exactly what its trades say, however often one of them is repeated."""
    order = an_order(qty=D(sum(cuts) + 1))
    trades = [a_fill(order, D(cut), str(100 + i), trade_id=i) for i, cut in enumerate(cuts)]
    for one in [*trades, trades[again % len(trades)]]:
        order = fill(order, one)
    assert order.filled_qty == sum(cuts)
    assert order.filled_quote == sum(one.qty * one.price for one in trades)
    assert order.state is S.PARTIAL
    assert order.remaining == 1


def test_the_last_fill_ends_the_order():
    """An order is filled when nothing is left of it, not before."""
    order = fill(an_order(), a_fill(an_order(), "0.3", trade_id=1))
    assert order.state is S.PARTIAL
    assert fill(order, a_fill(order, trade_id=2)).state is S.FILLED


@pytest.mark.parametrize("state", [S.PLANNED, S.OPEN, S.PARTIAL])
def test_more_than_was_ordered_is_counted_as_it_traded(state: S):
    """A trade larger than what was left is money that moved: it is counted whole, and nothing is left to fill."""
    order: Order = an_order(state=state)
    after = fill(order, a_fill(order, "1.001"))
    assert (after.state, after.filled_qty, after.remaining) == (S.FILLED, D("1.001"), 0)
