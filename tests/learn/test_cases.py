"""Similar past bars: near in what matters, not the same bet twice, and never from the future."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.learn.cases import LEAST, MOST, Case, alike, place, weights_of

HOUR = 3_600_000
EVEN = (0.0, 25.0, 50.0, 75.0, 100.0)


def case(
    n: int, value: float = 50.0, outcome: float = 0.0, symbol: str = "BTC", other: float = 0.0, said: float = 0.4
) -> Case:
    """The n-th of bets that do not overlap, ten hours apart, on a bar with these two features."""
    return Case(symbol, n * 10 * HOUR, n * 10 * HOUR + 9 * HOUR, (value, other), outcome, said)


def found(cases, value=50.0, at=10_000, weights=(1.0, 0.0)):
    """What came of those alike a bar with these values."""
    return alike((value, 0.0), at * HOUR, cases, (EVEN, EVEN), weights)


def test_the_nearest_forty_are_counted_by_how_they_ended():
    """Won, lost, and what ran out of time, with the mean part of a win."""
    near = [case(n, 51.0, outcome) for n, outcome in enumerate([1.0] * 13 + [0.0] * 22 + [0.4] * 5)]
    far = [case(100 + n, 90.0, 1.0) for n in range(60)]
    seen = found([*far, *near])
    assert (seen.count, seen.won, seen.lost, seen.late, seen.among) == (MOST, 13, 22, 5, 100)
    assert seen.mean == pytest.approx((13 + 5 * 0.4) / 40)


def test_the_three_nearest_stand_one_by_one():
    """The nearest first, each with what it was given and how it ended; no two of one bet."""
    far = [case(n, 60.0 + n, 0.0) for n in range(20)]
    near = [case(30, 51.0, 1.0, said=0.41), case(40, 50.5, 0.0, said=0.42), case(50, 52.0, 0.4, said=0.43)]
    twice = replace(near[1], open_ms=near[1].open_ms + HOUR, ended_ms=near[1].ended_ms + HOUR, row=(50.6, 0.0))
    seen = found([*far, *near, twice]).nearest
    assert [one.said for one in seen] == [0.42, 0.41, 0.43]
    assert [(one.won, one.lost) for one in seen] == [(False, True), (True, False), (False, False)]


def test_bets_that_overlapped_in_one_symbol_count_once():
    """An hour later it is nearly the same bet; another symbol's is another bet."""
    one = [Case("BTC", k * HOUR, k * HOUR + 9 * HOUR, (50.0, 0.0), 1.0, 0.4) for k in range(9)]
    assert found(one).count == 1
    assert found([*one, *(Case("ETH", c.open_ms, c.ended_ms, c.row, 1.0, 0.4) for c in one)]).count == 2


def test_nothing_from_the_future_counts():
    """Not the bar itself, and none after it."""
    assert found([case(n) for n in range(5)], at=20).count == 2


def test_what_did_not_speak_does_not_make_bars_alike():
    """A feature without weight may differ as it likes."""
    cases = [case(1, 50.0, 1.0, other=100.0), *(case(n, 60.0, 0.0) for n in range(2, 60))]
    assert found(cases).won == 1
    assert found(cases, weights=(0.0, 1.0)).won == 0


def test_units_do_not_matter():
    """A feature in thousandths weighs as much as one in thousands: both are ranked by training."""
    small = tuple(q / 1e6 for q in EVEN)
    cases = [
        Case("BTC", 1, 2, (0.0, 50e-6), 1.0, 0.4),
        *(Case("BTC", n * 10, n * 10 + 5, (0.0, 60e-6), 0.0, 0.4) for n in range(1, 60)),
    ]
    assert alike((0.0, 50e-6), 10**9, cases, (EVEN, small), (1.0, 1.0)).won == 1


def test_too_few_are_not_told():
    """Seven cases say nothing."""
    assert not found([case(n) for n in range(LEAST - 1)]).enough
    assert found([case(n) for n in range(LEAST)]).enough
    assert found([]).since_ms == 0


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_place_never_falls_as_the_value_rises(a: float, b: float):
    """Between nothing and everything training has seen."""
    low, high = sorted((a, b))
    assert 0.0 <= place(EVEN, low) <= place(EVEN, high) <= 1.0


def test_equal_quantiles_are_no_division_by_nothing():
    """A feature that is mostly zero has many equal quantiles."""
    assert place((0.0, 0.0, 0.0, 1.0), 0.0) == pytest.approx(2 / 3)
    assert place((0.0, 0.0, 0.0, 1.0), 0.5) == pytest.approx(2.5 / 3)


def test_the_order_of_cases_does_not_matter():
    """The same past gives the same answer."""
    cases = [case(n, n % 7 * 10.0, n % 3 / 2) for n in range(120)]
    shuffled = random.Random(1).sample(cases, len(cases))
    assert found(cases) == found(shuffled)


def test_the_hour_weighs_on_both_of_its_numbers():
    """What is told as one thing is looked for in both columns it comes from."""
    assert weights_of(("hour_sin", "hour_cos", "rsi_14"), {"hour": -0.5, "rsi_14": 1.0}) == [0.5, 0.5, 1.0]
    assert weights_of(("hour_sin", "rsi_14"), {"adx_14": 1.0}) == [1.0, 1.0]
