from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.domain.errors import BadData
from core.learn.fit import bound
from core.learn.fit.bound import QUARTERS_NEEDED, Bound

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


def test_eight_quarters_are_the_fewest_that_carry_a_claim():
    """Of seven quarters a spread is a guess: nothing is claimed. Of eight something is."""
    assert bound.fit(*quarterly(7, 200, 0.05)).apply(0.5) == 0.0
    made = bound.fit(*quarterly(8, 200, 0.05))
    assert made.quarters == 8
    assert 0.3 < made.apply(0.5) < 0.5


@pytest.mark.parametrize(("n_quarters", "judged"), [(QUARTERS_NEEDED - 1, False), (QUARTERS_NEEDED, True)])
def test_sixteen_quarters_are_the_fewest_that_can_be_judged_by_halves(n_quarters, judged):
    """Each half has to carry a claim: with less history no model passes its gate, however good it is."""
    assert bool(bound.halves(*quarterly(n_quarters, 1000, 0.05)).cells) is judged


def test_of_quarters_that_weigh_alike_the_bound_is_the_t_test_s():
    """Of 19 quarters short by 1 to 19 hundredths the bound is where scipy's t interval of their means ends."""
    short = np.random.default_rng(1).permutation(np.arange(1, 20)) / 100
    p, _, weight, start = quarterly(19, 2000, 0.0)
    p = np.tile(np.repeat(np.linspace(0.25, 0.55, 5), 400), 19)
    made = bound.fit(p, p - np.repeat(short, 2000), weight, start)
    end = stats.ttest_1samp(-short, 0.0, alternative="greater").confidence_interval(0.9).low
    for forecast in (0.25, 0.4, 0.55):
        assert made.apply(forecast) - forecast == pytest.approx(end, abs=1e-9)


def test_a_quarter_counts_by_its_rows():
    """Doubling every row changes nothing; a bad quarter with ten times the rows of the others weighs ten times."""
    p, outcome, weight, start = quarterly(20, 250, 0.03)
    once = bound.fit(p, outcome, weight, start)
    twice = bound.fit(*(np.repeat(of, 2) for of in (p, outcome, weight, start)))
    assert once.lows == pytest.approx(twice.lows)
    bad = start < QUARTER_MS
    heavy = np.where(bad, 10.0, 1.0)
    lower = [bound.fit(p, np.where(bad, p - 0.15, outcome), w, start).apply(0.4) for w in (weight, heavy)]
    assert lower[1] < lower[0] - 0.03


def world(seed: int, n_quarters: int = 20):
    """Quarters of unlike size with luck of their own, wins by chance about p less 0.08: the truth behind every band."""
    random = np.random.default_rng(seed)
    rows = random.integers(300, 1200, n_quarters)
    start = np.repeat(np.arange(n_quarters) * QUARTER_MS + QUARTER_MS // 2, rows)
    p = random.uniform(0.35, 0.65, rows.sum())
    chance = p - SHORT + np.repeat(random.normal(0, 0.07, n_quarters), rows)
    return p, (random.uniform(size=len(p)) < chance).astype(float), np.ones_like(p), start.astype(np.int64)


SHORT, WORLDS = 0.08, 400


def as_if_rows_were_independent(off, weight):
    """The error of a mean as of single trials of chance one half: what it would be without quarters."""
    return np.full(off.shape[1], 0.5) / np.sqrt(weight.sum(axis=0))


def share_below_truth() -> float:
    """The share of worlds in which the bound at the middle of the forecasts lies below the true chance."""
    return np.mean([bound.fit(*world(seed)).apply(0.5) <= 0.5 - SHORT for seed in range(WORLDS)])


def test_the_bound_lies_below_the_truth_as_often_as_it_claims():
    """In 90 % of many worlds whose true chance is known, though every quarter has luck of its own."""
    assert 0.87 <= share_below_truth() <= 0.93


def test_a_bound_that_took_rows_for_independent_would_not(monkeypatch):
    """The measure is worth something: without quarters the same worlds break the claim far too often."""
    monkeypatch.setattr(bound, "_error", as_if_rows_were_independent)
    assert share_below_truth() < 0.82


def test_quarters_better_than_forecast_do_not_lift_the_bound():
    """A model that promised too little is not trusted beyond its word."""
    p, _, weight, start = quarterly(20, 250, 0.0)
    made = bound.fit(p, np.clip(p + 0.1, 0, 1), weight, start)
    assert made.apply(0.5) == pytest.approx(0.5)


def test_a_band_that_disappoints_holds_down_the_bands_below_it():
    """Where high forecasts came true less often than lower ones, the lower ones claim no more than the high."""
    p, _, weight, start = quarterly(20, 300, 0.0)
    made = bound.fit(p, np.where(p > 0.5, 0.25, p), weight, start)
    assert made.apply(0.45) <= made.apply(0.55) <= 0.3


def test_beyond_what_was_seen_nothing_more_is_claimed():
    """A forecast higher than any before gets the bound of the highest one that was."""
    made = bound.fit(*quarterly(20, 250, 0.02))
    assert made.apply(0.99) == made.apply(0.65) <= made.knots[-1] <= 0.6


def test_a_vector_is_bounded_as_its_numbers_are():
    """The quick way over many forecasts says what the worker's way says of each."""
    made = bound.fit(*quarterly(20, 250, 0.05))
    p = np.linspace(0, 1, 501)
    assert bound.applied(made, p) == pytest.approx([made.apply(one) for one in p.tolist()], abs=1e-12)


def far_below(measured) -> bool:
    return measured.share < measured.expected - 1.645 * measured.error


def test_halves_keep_a_right_bound_as_often_as_reckoned():
    """Of equal halves a right bound of 90 % is kept in some 82 %, by the luck of the other half, and that is found."""
    found = [bound.halves(*world(seed, 28)) for seed in range(20)]
    assert np.mean([one.expected for one in found]) == pytest.approx(stats.norm.cdf(1.2816 / math.sqrt(2)), abs=0.02)
    assert np.mean([one.share for one in found]) == pytest.approx(np.mean([one.expected for one in found]), abs=0.04)
    assert sum(map(far_below, found)) <= 3


def test_halves_show_a_bound_that_took_rows_for_independent(monkeypatch):
    """A margin that leaves out the luck of quarters is found out on the other half."""
    monkeypatch.setattr(bound, "_error", as_if_rows_were_independent)
    assert all(far_below(bound.halves(*world(seed, 28))) for seed in range(10))


def test_the_past_keeps_a_right_bound_as_often_as_reckoned():
    """Over many unchanging markets the share kept onwards is the one reckoned, and seldom is one accused."""
    found = [bound.ahead(*world(seed, 28)) for seed in range(20)]
    assert np.mean([one.share for one in found]) == pytest.approx(np.mean([one.expected for one in found]), abs=0.08)
    assert sum(map(far_below, found)) <= 3
    every = 28 - bound.QUARTERS_MIN  # the thin band at the top has too few rows in some quarters
    assert (bound.BANDS - 1) * every < max(one.cells for one in found) <= bound.BANDS * every
    assert {one.quarters for one in found} == {28}


def test_the_past_alone_shows_a_bound_that_calm_years_made_too_high():
    """Where the weather turns for good, the bound made of the years before fails, and the measure says so."""
    p, outcome, weight, start = quarterly(30, 250, 0.02)
    worse = np.where(start > 15 * QUARTER_MS, np.clip(outcome - 0.01 * (start // QUARTER_MS - 15), 0, 1), outcome)
    assert far_below(bound.ahead(p, worse, weight, start))


def test_coverage_is_not_bought_by_claiming_nothing():
    """A bound of zero always holds; it is not counted as a promise kept."""
    for measure in (bound.halves, bound.ahead):
        for cases in (quarterly(7, 250, 0.05), (np.full(5000, 0.01), *quarterly(20, 250, 0.9)[1:])):
            nothing = measure(*cases)
            assert (nothing.share, nothing.expected, nothing.cells, nothing.quarters) == (0.0, 0.0, 0, 0)
            assert nothing.error == 1.0


def test_the_same_cases_are_measured_the_same():
    """Chance has a seed: a judgement can be repeated to the last digit."""
    cases = quarterly(20, 250, 0.05)
    assert bound.halves(*cases, seed=4) == bound.halves(*cases, seed=4) != bound.halves(*cases, seed=5)
    assert bound.ahead(*cases, seed=4) == bound.ahead(*cases, seed=4)


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
