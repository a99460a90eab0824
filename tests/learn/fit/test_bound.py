from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.learn.fit import bound
from core.learn.fit.bound import Bound

share = st.floats(0.0, 1.0)
QUARTER_MS = 7_889_400_000  # a quarter of 365.25 days


@st.composite
def bounds(draw):
    """Any bound there can be."""
    knots = sorted(draw(st.sets(share, max_size=8)))
    lows = sorted(draw(share) for _ in knots)
    held, least = [], 1.0
    for p, low in zip(reversed(knots), reversed(lows), strict=True):
        least = min(least, low, p)
        held.append(least)
    return Bound(draw(st.floats(0.5, 0.99)), draw(st.integers(0, 40)), tuple(knots), tuple(reversed(held)))


def quarterly(n_quarters: int, rows: int, spread: float, seed: int = 3):
    """Forecasts whose every quarter wins more or less than forecast by a draw of its own, ``spread`` wide."""
    random = np.random.default_rng(seed)
    start = np.repeat(np.arange(n_quarters) * QUARTER_MS + QUARTER_MS // 2, rows)
    p = random.uniform(0.2, 0.6, n_quarters * rows)
    luck = np.repeat(random.normal(0, spread, n_quarters), rows)
    return p, np.clip(p + luck, 0, 1), np.ones_like(p), start.astype(np.int64)


@given(bounds(), share, share)
def test_a_higher_forecast_never_has_the_lower_bound(made, one, other):
    """The better forecast is never trusted less."""
    low, high = sorted((one, other))
    assert made.apply(low) <= made.apply(high)


@given(bounds(), share)
def test_the_bound_never_lies_above_the_forecast(made, p):
    """Doubt only ever takes away."""
    assert 0.0 <= made.apply(p) <= p


@given(bounds())
def test_a_bound_comes_back_from_json_to_the_last_bit(made):
    """A model read from its folder is doubted exactly as when it was judged."""
    assert bound.from_json(json.loads(json.dumps(made.to_json()))) == made


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 300), st.floats(0, 0.3), st.integers(0, 1000))
def test_whatever_it_is_fitted_on_it_is_a_rising_bound(n_quarters, rows, spread, seed):
    """Few rows, few quarters, wild quarters: what comes out is always a bound that can be used."""
    made = bound.fit(*quarterly(n_quarters, rows, spread, seed))
    lows = [made.apply(p / 50) for p in range(51)]
    assert lows == sorted(lows)
    assert all(low <= p / 50 for p, low in enumerate(lows))


def test_nine_quarters_are_the_fewest_that_carry_nine_tenths():
    """With eight quarters no order statistic reaches 90 %: nothing is claimed. With nine it is the worst of them."""
    assert bound.fit(*quarterly(8, 200, 0.05)).apply(0.5) == 0.0
    p, outcome, weight, start = quarterly(9, 200, 0.05)
    made = bound.fit(p, outcome, weight, start)
    assert made.quarters == 9
    worst = max((p - outcome)[start == quarter].mean() for quarter in np.unique(start))
    assert 0.4 - made.apply(0.4) == pytest.approx(worst, abs=5e-3)


def test_the_margin_is_the_conformal_quantile():
    """Of 19 quarters short by 1 to 19 hundredths the 18th, ceil(20 x 0.9), is the margin."""
    short = np.random.default_rng(1).permutation(np.arange(1, 20)) / 100
    p, _, weight, start = quarterly(19, 250, 0.0)
    made = bound.fit(p, p - np.repeat(short, 250), weight, start)
    for forecast in (0.3, 0.4, 0.55):
        assert forecast - made.apply(forecast) == pytest.approx(0.18, abs=1e-9)


def test_quarters_better_than_forecast_do_not_lift_the_bound():
    """A model that promised too little is not trusted beyond its word."""
    p, _, weight, start = quarterly(20, 250, 0.0)
    made = bound.fit(p, np.clip(p + 0.1, 0, 1), weight, start)
    assert made.apply(0.5) == 0.5


def test_a_band_that_disappoints_holds_down_the_bands_below_it():
    """Where high forecasts came true less often than lower ones, the lower ones claim no more than the high."""
    p, _, weight, start = quarterly(20, 300, 0.0)
    made = bound.fit(p, np.where(p > 0.5, 0.25, p), weight, start)
    assert made.apply(0.45) <= made.apply(0.55) <= 0.3


def test_beyond_what_was_seen_nothing_more_is_claimed():
    """A forecast higher than any before gets the bound of the highest one that was."""
    made = bound.fit(*quarterly(20, 250, 0.02))
    assert made.apply(0.99) == made.apply(0.65) <= made.knots[-1] <= 0.6


def test_quarters_that_could_trade_places_are_covered_as_claimed():
    """Over many histories the next quarter keeps the claim in 90 % of the cases, at any number of quarters."""
    for n in (9, 20):
        kept = []
        for seed in range(150):
            p, outcome, weight, start = quarterly(n + 1, 200, 0.08, seed)
            past = start < start.max()
            made = bound.fit(p[past], outcome[past], weight[past], start[past])
            middle = ~past & (p > 0.35) & (p < 0.45)
            kept.append(outcome[middle].mean() >= bound.applied(made, p[middle]).mean())
        assert 0.84 <= np.mean(kept) <= 0.98


def left_out(p, outcome, weight, start):
    return bound.coverage(p, bound.out_of_quarter(p, outcome, weight, start), outcome, weight, start)


def in_use(p, outcome, weight, start):
    return bound.coverage(p, bound.ahead(p, outcome, weight, start), outcome, weight, start)


def test_coverage_is_near_the_claim_where_the_claim_is_true():
    """Measured by leaving each quarter out, or by the past alone, an honest bound keeps what it claims."""
    cases = quarterly(40, 250, 0.05)
    measured = left_out(*cases)
    assert abs(measured.share - 0.9) <= 2 * measured.error
    assert (measured.quarters, measured.cells) == (40, 200)
    measured = in_use(*cases)
    assert abs(measured.share - 0.9) <= 2 * measured.error
    assert measured.quarters == 40 - 9


def test_the_past_alone_shows_a_bound_that_calm_years_made_too_high():
    """Where the weather turns for good, the bound made of the years before fails, and the measure says so."""
    p, outcome, weight, start = quarterly(30, 250, 0.0)
    stormy = np.where(start > 15 * QUARTER_MS, np.clip(outcome - 0.01 * (start // QUARTER_MS - 15), 0, 1), outcome)
    measured = in_use(p, stormy, weight, start)
    assert measured.share < 0.9 - 2 * measured.error


def test_coverage_is_not_bought_by_claiming_nothing():
    """A bound of zero always holds; it is not counted as a promise kept."""
    p, outcome, weight, start = quarterly(20, 250, 0.05)
    nothing = bound.coverage(p, np.zeros_like(p), outcome, weight, start)
    assert (nothing.share, nothing.cells, nothing.quarters) == (0.0, 0, 0)
    assert nothing.error == 1.0


def test_coverage_counts_bands_and_quarters_that_fell_short():
    """One band short of its low in two of ten quarters: 48 of 50 promises were kept."""
    p, outcome, weight, start = quarterly(10, 400, 0.0)
    short = (p > 0.53) & (start < 2 * QUARTER_MS)
    measured = bound.coverage(p, p - 0.05, np.where(short, p - 0.1, outcome), weight, start)
    assert (measured.share, measured.cells) == (0.96, 50)


def test_a_row_s_bound_ahead_knows_the_past_only():
    """Outcomes of a quarter turned round change the bounds of later quarters, not its own nor earlier ones."""
    p, outcome, weight, start = quarterly(20, 250, 0.05)
    quarter = bound.quarters(start)
    turn = quarter[12 * 250]
    before = bound.ahead(p, outcome, weight, start)
    after = bound.ahead(p, np.where(quarter == turn, 1 - outcome, outcome), weight, start)
    assert (before[quarter <= turn] == after[quarter <= turn]).all()
    assert (before[quarter > turn] != after[quarter > turn]).any()
    assert (before[quarter < quarter[9 * 250]] == 0.0).all()


def test_a_row_s_bound_knows_nothing_of_its_quarter():
    """Outcomes of a quarter turned round leave that quarter's own bounds as they were."""
    p, outcome, weight, start = quarterly(15, 250, 0.05)
    mine = bound.quarters(start) == bound.quarters(start)[7 * 250]
    turned = np.where(mine, 1 - outcome, outcome)
    before = bound.out_of_quarter(p, outcome, weight, start)
    after = bound.out_of_quarter(p, turned, weight, start)
    assert (before[mine] == after[mine]).all()
    assert (before[~mine] != after[~mine]).any()


def test_a_quarter_with_a_handful_of_rows_is_not_counted():
    """A hundred rows over five bands do not make averages of a quarter: the others alone are counted."""
    p, outcome, weight, start = quarterly(20, 300, 0.05)
    thin = start < QUARTER_MS
    keep = ~thin | (np.cumsum(thin) <= 100)
    assert bound.fit(p[keep], outcome[keep], weight[keep], start[keep]).quarters == 19


def test_weights_count():
    """A quarter's average is the weighted one: rows without weight say nothing."""
    p, outcome, _, start = quarterly(20, 300, 0.0)
    heavy = np.arange(len(p)) % 2 == 0
    made = bound.fit(p, np.where(heavy, outcome - 0.1, 0.0), np.where(heavy, 1.0, 0.0), start)
    assert made.apply(0.5) == pytest.approx(0.4, abs=1e-3)


def test_forecasts_that_are_all_the_same_make_one_band():
    """A model that always says the same has one margin."""
    _, outcome, weight, start = quarterly(20, 60, 0.05)
    made = bound.fit(np.full_like(outcome, 0.4), outcome, weight, start)
    assert len(made.knots) == 1
    assert 0.0 < made.apply(0.4) < 0.4


def test_quarters_are_those_of_the_calendar():
    """The last millisecond of March and the first of April 2020 lie in different quarters."""
    edge = np.array(["2020-03-31T23:59:59.999", "2020-04-01T00:00", "2020-06-30T23:59"], dtype="datetime64[ms]")
    first, second, third = bound.quarters(edge.astype(np.int64))
    assert (second - first, third - second) == (1, 0)


GOOD = {"level": 0.9, "quarters": 20, "knots": [0.2, 0.4], "lows": [0.1, 0.3]}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {**GOOD, "more": 1},
        {**GOOD, "level": 1.0},
        {**GOOD, "level": "0.9"},
        {**GOOD, "level": math.nan},
        {**GOOD, "quarters": -1},
        {**GOOD, "quarters": True},
        {**GOOD, "quarters": 1.5},
        {**GOOD, "knots": [0.4, 0.2]},
        {**GOOD, "knots": [0.2, 0.2]},
        {**GOOD, "lows": [0.3, 0.1]},
        {**GOOD, "lows": [0.1, 0.5]},
        {**GOOD, "lows": [0.1]},
        {**GOOD, "lows": [-0.1, 0.3]},
        {**GOOD, "lows": [math.nan, 0.3]},
        {**GOOD, "lows": ["0.1", 0.3]},
        {**GOOD, "lows": [False, 0.3]},
        {**GOOD, "knots": [0.2, 10**400]},
        {**GOOD, "knots": [0.001 * i for i in range(500)], "lows": [0.0] * 500},
        {**GOOD, "knots": {"a": 1}},
    ],
)
def test_a_bound_that_is_none_is_refused(said):
    """A foreign or broken file cannot make a bet look safer: every number of it is judged."""
    with pytest.raises(BadData):
        bound.from_json(said)


@pytest.mark.parametrize("p", [math.nan, -0.01, 1.01])
def test_a_forecast_that_is_no_probability_is_refused(p):
    """Nonsense gets no bound."""
    with pytest.raises(BadData, match="between 0 and 1"):
        Bound(0.9, 20).apply(p)
