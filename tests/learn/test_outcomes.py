from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.learn import outcomes
from core.learn.outcomes import BET_SIZE, COUNT, LEFT, LOST, WON

WIN, LOSS, HORIZON = 0.06, 0.03, 3


def bet_over(*bars: tuple[float, float, float, float]) -> list[float]:
    """The record after a bet met these bars (open, high, low, close)."""
    state = [0.0] * BET_SIZE
    outcomes.open_bet(state, 0, WIN, LOSS, HORIZON)
    for bar in bars:
        outcomes.settle(state, 0, *bar)
    return state


def test_a_target_reached_is_one_win():
    """Six per cent up within the time is a full win."""
    state = bet_over((100, 101, 99, 100), (100, 107, 99, 106))
    assert (state[WON], state[LOST], state[COUNT]) == (1.0, 0.0, 1.0)


def test_a_stop_reached_is_one_loss():
    """Three per cent down is a full loss."""
    state = bet_over((100, 101, 96.5, 100))
    assert (state[WON], state[LOST], state[COUNT]) == (0.0, 1.0, 1.0)


def test_a_bar_that_touches_both_counts_as_the_stop():
    """Nobody knows which came first inside the bar, so the worse is assumed."""
    state = bet_over((100, 107, 96, 105))
    assert (state[WON], state[LOST]) == (0.0, 1.0)


def test_an_open_beyond_the_target_was_reached_first():
    """A gap over the target is a win even if the price collapses afterwards: the open came before."""
    state = bet_over((100, 101, 99, 100), (108, 109, 90, 91))
    assert (state[WON], state[LOST]) == (1.0, 0.0)


def test_a_gap_through_the_stop_costs_more_than_a_loss():
    """A stop that is jumped over fills at the open, and the record shows the extra loss."""
    state = bet_over((100, 101, 99, 100), (94, 95, 93, 94))
    assert state[WON] == pytest.approx(-1 / 3)
    assert state[LOST] == pytest.approx(4 / 3)


def test_a_bet_out_of_time_counts_what_it_is_worth():
    """An entry that ends where it began is worth a third of a win, for it risked half of what it wanted."""
    state = bet_over(*[(100, 101, 99, 100)] * HORIZON)
    assert (state[WON], state[COUNT]) == (pytest.approx(1 / 3), 1.0)


def test_the_entry_is_the_next_open_not_the_price_that_decided():
    """Barriers are measured from the price one could really have paid."""
    state = bet_over((200, 213, 199, 212))
    assert state[WON] == 1.0


def test_a_second_signal_while_a_bet_runs_is_not_counted():
    """Two bets on the same bars would be one outcome counted twice."""
    state = bet_over((100, 101, 99, 100))
    outcomes.open_bet(state, 0, 0.5, 0.5, 50)
    outcomes.settle(state, 0, 100, 107, 99, 106)
    assert (state[WON], state[COUNT], state[LEFT]) == (1.0, 1.0, 0.0)


def test_without_a_bet_bars_pass_without_trace():
    """No entry, no outcome."""
    state = [0.0] * BET_SIZE
    outcomes.settle(state, 0, 100, 200, 50, 60)
    assert state == [0.0] * BET_SIZE


walks = st.lists(st.tuples(*[st.floats(50, 150)] * 4), min_size=HORIZON, max_size=HORIZON)


@given(walks)
def test_every_bet_ends_in_time_and_weighs_one(bars):
    """Whatever the market does, a bet ends within its time and counts once in all."""
    state = bet_over(*((o, max(o, h, low, c), min(o, h, low, c), c) for o, h, low, c in bars))
    assert (state[LEFT], state[COUNT]) == (0.0, 1.0)
    assert math.isclose(state[WON] + state[LOST], 1.0)
    assert -1.0 <= state[WON] <= 1.0
