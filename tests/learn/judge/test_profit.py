from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decide.sizing import break_even, kelly_share
from core.learn.judge import profit
from core.learn.judge.profit import DAY_MS, Sizing
from tests.learn.judge.candidates import Candidates, rows_of

COST = 0.0024
PLAIN = Sizing(fraction=0.25, cap=0.2, gross=0.6)


def sure(rows: Candidates, p: float = 0.6):
    return np.full(len(rows.start_ms), p)


def test_one_bet_earns_its_stake_times_its_net_move():
    """A bet at the cap of 20 % that moves 6 % earns 20 % of 6 % less costs."""
    made = profit.trade(rows_of((0, 1, 5, 0.06)), np.array([0.6]), COST, PLAIN)
    assert made.stake.tolist() == [0.2]
    assert made.net[0] == pytest.approx(0.0576)
    assert made.total == pytest.approx(0.2 * 0.0576)
    assert made.per_bet == pytest.approx(0.0576)


def test_the_stake_is_the_engine_s_kelly():
    """A quarter of what core/decide would call full Kelly, to the last digit."""
    made = profit.trade(rows_of((0, 1, 5, 0.06)), np.array([0.37]), COST, PLAIN)
    assert made.stake[0] == 0.25 * kelly_share(0.37, 0.06, 0.03, COST)


def test_a_chance_at_break_even_is_no_bet():
    """Below what pays the costs nothing is risked; a hair above it is a bet."""
    even = break_even(0.06, 0.03, COST)
    rows = rows_of((0, 1, 5, 0.06))
    assert profit.trade(rows, np.array([even - 1e-4]), COST).bets == 0
    assert profit.trade(rows, np.array([even + 1e-4]), COST).bets == 1


def test_a_row_without_forecast_is_passed_over():
    """Rows a path did not forecast (NaN) are neither bets nor errors."""
    assert profit.trade(rows_of((0, 1, 5, 0.06)), np.array([np.nan]), COST).bets == 0


def test_bets_of_one_symbol_do_not_overlap():
    """While a bet runs its symbol takes no other; on the bar it ended the next may begin."""
    rows = rows_of((0, 1, 5, 0.01), (0, 3, 9, 0.5), (0, 5, 8, 0.02), (0, 7, 9, 0.5), (0, 8, 9, 0.03))
    assert profit.trade(rows, sure(rows), COST).taken.tolist() == [0, 2, 4]


def test_all_stakes_at_once_stay_within_the_room():
    """Four symbols at 20 % each: three are filled, the fourth finds no room; a smaller rest would be taken."""
    rows = rows_of((0, 1, 9, 0.0), (1, 1, 9, 0.0), (2, 2, 9, 0.0), (3, 3, 9, 0.0))
    assert profit.trade(rows, sure(rows), COST, PLAIN).taken.tolist() == [0, 1, 2]
    wider = replace(PLAIN, gross=0.7)
    assert profit.trade(rows, sure(rows), COST, wider).stake.tolist() == pytest.approx([0.2, 0.2, 0.2, 0.1])


def test_room_comes_back_when_a_bet_ends():
    """What has ended holds no room any more."""
    rows = rows_of((0, 1, 2, 0.0), (1, 1, 9, 0.0), (2, 1, 9, 0.0), (3, 3, 9, 0.0))
    assert profit.trade(rows, sure(rows), COST, PLAIN).bets == 4


def test_a_stake_is_a_share_of_the_equity_when_the_bet_was_made():
    """A gain made meanwhile enlarges later bets, not those that were running."""
    rows = rows_of((0, 1, 3, 0.5), (1, 2, 6, 0.1), (2, 4, 5, 0.1))
    made = profit.trade(rows, sure(rows), 0.0, PLAIN)
    assert made.gain.tolist() == pytest.approx([0.1, 0.02, 0.02])
    assert made.total == pytest.approx(0.142)


def test_the_curve_moves_on_the_day_a_bet_ends():
    """A bet over two midnights changes the equity on its last day, and not before."""
    rows = rows_of((0, 1, 50, 0.06), (0, 60, 100, 0.0))
    made = profit.trade(rows, np.array([0.6, 0.0]), 0.0, PLAIN)
    assert made.equity.tolist() == pytest.approx([1.0, 1.0, 1.012, 1.012, 1.012])
    assert made.first_day_ms == 0
    assert made.daily.tolist() == pytest.approx([0.0, 0.0, 0.012, 0.0, 0.0])


def test_the_drawdown_is_the_deepest_fall_from_the_highest():
    """Up 10 %, down to 0.88, up again: a fifth was lost from the top."""
    assert profit.deepest(np.array([1.1, 0.88, 1.05])) == pytest.approx(0.2)
    assert profit.deepest(np.array([0.9])) == pytest.approx(0.1)
    assert profit.deepest(np.zeros(0)) == 0.0


def test_no_rows_and_no_bets_are_a_flat_record():
    """Nothing to bet on: no gain, no fall, no Sharpe ratio, no error."""
    rows = rows_of((0, 1, 5, 0.06))
    empty = rows.first(0)
    for made in (profit.trade(rows, np.zeros(1), COST), profit.trade(empty, np.zeros(0), COST)):
        assert (made.bets, made.total, made.sharpe, made.drawdown, made.per_bet) == (0, 0.0, 0.0, 0.0, 0.0)


def test_each_path_is_its_own_history():
    """Every path of the cross-validation is traded by itself."""
    rows = rows_of((0, 1, 5, 0.06), (0, 10, 15, -0.03))
    first, second = profit.over_paths(rows, np.array([[0.6, np.nan], [np.nan, 0.6]]), COST)
    assert first.taken.tolist() == [0]
    assert second.taken.tolist() == [1]


@st.composite
def markets(draw):
    """Any candidate rows of up to four symbols with any chances."""
    rows = draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200), st.integers(1, 96)), min_size=1, max_size=60)
    )
    rows.sort(key=lambda row: row[1])
    moves = draw(st.lists(st.floats(-0.3, 0.3), min_size=len(rows), max_size=len(rows)))
    chance = draw(st.lists(st.floats(0, 1), min_size=len(rows), max_size=len(rows)))
    made = [(symbol, start, start + length, move) for (symbol, start, length), move in zip(rows, moves, strict=True)]
    return rows_of(*made), np.array(chance)


@settings(max_examples=150, deadline=None)
@given(markets())
def test_no_market_breaks_the_limits(market):
    """Whatever the market: one bet a symbol, never more at stake than allowed, and gains that add up to the curve."""
    rows, chance = market
    made = profit.trade(rows, chance, COST, PLAIN)
    for row in range(len(made.taken)):
        now = rows.start_ms[made.taken[row]]
        running = (rows.start_ms[made.taken] <= now) & (rows.end_ms[made.taken] > now) & (np.arange(made.bets) <= row)
        assert made.stake[running].sum() <= PLAIN.gross + 1e-9
        assert len(set(rows.symbol[made.taken][running])) == running.sum()
    assert (made.stake <= PLAIN.cap).all()
    assert np.isfinite(made.equity).all()
    assert (made.equity > 0).all()
    assert len(made.equity) == rows.end_ms.max() // DAY_MS - rows.start_ms.min() // DAY_MS + 1


@settings(max_examples=50, deadline=None)
@given(markets())
def test_the_future_changes_no_bet_of_the_past(market):
    """Rows after a moment can be cut away: the bets before it stay what they were."""
    rows, chance = market
    half = len(chance) // 2
    cut = rows.first(half)
    whole, part = profit.trade(rows, chance, COST), profit.trade(cut, chance[:half], COST)
    assert whole.taken[: part.bets].tolist() == part.taken.tolist()
    assert whole.stake[: part.bets].tolist() == part.stake.tolist()
