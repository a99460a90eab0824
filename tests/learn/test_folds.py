from __future__ import annotations

import math
import statistics

from hypothesis import given
from hypothesis import strategies as st

from core.learn import folds

prices = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=80)


@given(prices, st.integers(2, 20))
def test_the_rolling_high_is_the_highest_of_exactly_its_window(values, n):
    """The shortcut that avoids rescanning the window never forgets a high or keeps an old one."""
    state = [0.0, 0.0, math.nan, *([math.nan] * n)]
    for k, value in enumerate(values):
        assert folds.highest(state, 0, value, n) == max(values[max(0, k - n + 1) : k + 1])


@given(prices, st.integers(1, 20))
def test_a_ring_remembers_what_was_pushed_so_many_steps_ago(values, n):
    """Looking back k bars gives the bar k steps ago and nothing else."""
    state = [0.0, *([math.nan] * n)]
    for value in values:
        folds.push(state, 0, value, n)
    for k in range(min(n, len(values))):
        assert folds.before(state, 0, k, n) == values[-1 - k]


def test_an_exponential_mean_starts_at_its_first_value():
    """The first price is the mean; the second pulls it by its share."""
    state = [math.nan]
    assert folds.smooth(state, 0, 10.0, 0.5) == 10.0
    assert folds.smooth(state, 0, 20.0, 0.5) == 15.0


def test_wilders_mean_is_plain_until_its_window_is_full():
    """The seed is the mean of the first n values, as Wilder wrote it."""
    state = [0.0, 0.0]
    seen = [folds.wilder_mean(state, 0, x, 3) for x in (3.0, 6.0, 9.0, 12.0)]
    assert seen == [3.0, 4.5, 6.0, 8.0]


def test_equal_prices_have_no_spread_at_all():
    """A market that stands still has bands of exactly zero width, not of rounding noise."""
    state = [0.0, *([0.1] * 20)]
    assert folds.mean_from(state, 0, 0.1, 20) == 0.0
    assert folds.spread_from(state, 0, 0.1, 20) == (0.0, 0.0)
    assert folds.stray_from(state, 0, 0.1, 20) == 0.0


@given(st.lists(st.floats(0.01, 1e5), min_size=20, max_size=20))
def test_one_pass_over_a_window_finds_its_mean_and_spread(values):
    """The short way to a deviation, squares less squared mean, is as right as the long one."""
    state = [0.0, *values]
    mean, spread = folds.spread_from(state, 0, values[7], 20)
    assert math.isclose(mean + values[7], statistics.fmean(values), rel_tol=1e-9)
    assert math.isclose(spread, statistics.pstdev(values), rel_tol=1e-7, abs_tol=1e-9)


def test_a_balance_is_what_flowed_in_less_what_flowed_out():
    """All in is 1, all out is -1, nothing at all is 0."""
    assert folds.balance([0.0, 3.0, 1.0], 0, 2) == 1.0
    assert folds.balance([0.0, -3.0, -1.0], 0, 2) == -1.0
    assert folds.balance([0.0, 3.0, -1.0], 0, 2) == 0.5
    assert folds.balance([0.0, 0.0, 0.0], 0, 2) == 0.0


def test_a_gap_belongs_to_the_range_of_the_bar_after_it():
    """A bar that opens far away is as wide as the jump it took to get there."""
    assert folds.true_range(12.0, 11.0, 10.0) == 2.0
    assert folds.true_range(12.0, 11.0, 15.0) == 4.0
    assert folds.true_range(12.0, 11.0, math.nan) == 1.0


def test_a_market_that_does_not_move_is_neither_strong_nor_weak():
    """RSI without any move is 50 and a share of nothing is zero: no division by zero reaches a card."""
    assert folds.strength(0.0, 0.0) == 50.0
    assert folds.share(0.0, 0.0) == 0.0
