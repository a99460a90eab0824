"""Kelly and the steps down from it: core.decide.sizing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from core.decide.sizing import break_even, has_edge, kelly_share, round_trip_cost, size_steps
from core.domain.forecast import Forecast
from core.domain.state import Limits
from tests.builders import a_forecast, an_instrument

D = Decimal
chances = st.floats(0.05, 0.95)
moves = st.floats(0.01, 0.5)
costs = st.floats(0, 0.009)
fractions = st.decimals(0, 1, places=2)


@given(p=chances, win=moves, loss=moves, cost=costs)
def test_full_kelly_is_the_stake_that_grows_money_fastest(p: float, win: float, loss: float, cost: float):
    """The formula agrees with a plain numeric search for the stake with the highest expected logarithm of wealth."""
    from math import log

    gain, pain = win - cost, loss + cost

    def slowness(stake: float) -> float:
        return -(p * log(1 + stake * gain) + (1 - p) * log(1 - stake * pain))

    best = minimize_scalar(slowness, bounds=(0, 0.999999 / pain), method="bounded", options={"xatol": 1e-10})
    assert kelly_share(p, win, loss, cost) == pytest.approx(best.x, rel=1e-3, abs=1e-3)


def test_full_kelly_of_a_known_bet():
    """Win 4 % or lose 2 % at 60 % without costs: 0.6 / 0.02 - 0.4 / 0.04 = 20 times the money."""
    assert kelly_share(0.6, 0.04, 0.02, 0) == pytest.approx(20)


@given(low=chances, more=st.floats(0, 0.5), win=moves, loss=moves, cost=costs)
def test_a_better_chance_never_gets_a_smaller_share(low: float, more: float, win: float, loss: float, cost: float):
    """The share grows with the chance of winning."""
    assert kelly_share(min(1.0, low + more), win, loss, cost) >= kelly_share(low, win, loss, cost)


@given(win=moves, loss=moves, cost=costs, off=st.floats(0.001, 0.05))
def test_the_share_is_zero_up_to_break_even_and_positive_beyond(win: float, loss: float, cost: float, off: float):
    """At the chance that just pays the costs the share is zero; a little more makes it positive."""
    even = break_even(win, loss, cost)
    assume(off < even < 1 - off)
    assert kelly_share(even, win, loss, cost) == pytest.approx(0, abs=1e-9)
    assert kelly_share(even - off, win, loss, cost) == 0
    assert kelly_share(even + off, win, loss, cost) > 0


@given(p=chances, loss=moves, win=st.floats(0.001, 0.01))
def test_a_win_that_does_not_pay_its_costs_gets_nothing(p: float, loss: float, win: float):
    """Where fees eat the whole win there is no bet, however likely it is."""
    assert kelly_share(p, win, loss, win) == 0
    assert break_even(win, loss, win) == 1


def test_costs_are_taken_on_both_sides():
    """A round trip pays the taker's fee and the slippage twice."""
    assert round_trip_cost(an_instrument(taker_fee=D("0.001"))) == D("0.0024")


@st.composite
def forecasts(draw: st.DrawFn) -> Forecast:
    """Any forecast that can be built."""
    p_win = draw(st.floats(0, 1))
    return a_forecast(
        p_win=p_win,
        p_low=p_win * draw(st.floats(0, 1)),
        win_move=draw(moves),
        loss_move=draw(moves),
        volatility=draw(st.floats(0, 900)),
    )


@given(forecasts())
def test_a_bet_has_an_edge_where_full_kelly_buys_something(forecast: Forecast):
    """What is refused for want of an edge is just what would have been worth nothing."""
    assert has_edge(forecast, an_instrument()) is (size_steps(forecast, Limits(), an_instrument())[0].share > 0)


@given(forecast=forecasts(), kelly=fractions, calm=fractions, cap=fractions)
def test_each_step_only_lowers_the_share(forecast: Forecast, kelly: Decimal, calm: Decimal, cap: Decimal):
    """From full Kelly to the cap no step raises the share, none is negative, each says what it did."""
    limits = Limits(kelly_fraction=kelly, target_volatility=calm, symbol_exposure_max=cap)
    steps = size_steps(forecast, limits, an_instrument())
    shares = [s.share for s in steps]
    assert shares == sorted(shares, reverse=True)
    assert 0 <= shares[-1] <= cap
    assert [s.name for s in steps] == ["kelly", "fraction", "volatility", "confidence", "cap"]
    assert all(s.text for s in steps)


@pytest.mark.parametrize(
    ("step", "change"),
    [
        ("fraction", {"kelly_fraction": D("0.1")}),
        ("volatility", {"target_volatility": D("0.25")}),
        ("cap", {"symbol_exposure_max": D("0.01")}),
    ],
)
def test_each_setting_moves_its_own_step(step: str, change: dict[str, Decimal]):
    """A quarter of Kelly, the target volatility and the cap each act where they say."""
    before = {s.name: s.share for s in size_steps(a_forecast(), Limits(), an_instrument())}
    after = {s.name: s.share for s in size_steps(a_forecast(), replace(Limits(), **change), an_instrument())}
    names = list(before)
    assert after[step] < before[step]
    assert all(after[n] == before[n] for n in names[: names.index(step)])


def test_the_size_rests_on_the_lower_bound_of_the_chance():
    """Fewer outcomes behind the same chance mean a smaller stake."""
    sure = size_steps(a_forecast(p_low=0.59), Limits(), an_instrument())
    unsure = size_steps(a_forecast(p_low=0.5), Limits(), an_instrument())
    assert unsure[0].share < sure[0].share
    assert unsure[3].share / unsure[2].share < sure[3].share / sure[2].share


def test_a_calm_market_does_not_raise_the_stake():
    """Below the target volatility the stake stays as it is: scaling only goes down."""
    steps = size_steps(a_forecast(volatility=0.1), Limits(), an_instrument())
    assert steps[2].share == steps[1].share
