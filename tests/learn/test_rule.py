from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from core.learn import rule
from core.learn.features import AT, WIDTH


def row(**values: float) -> list[float]:
    """A feature row in an uptrend that has just resumed, with these values changed."""
    made = [0.0] * WIDTH
    for name, value in ({"ema_50": 105.0, "ema_200": 100.0, "rsi_14": 60.0, "over_high_20": 0.01} | values).items():
        made[AT[name]] = value
    return made


def test_it_fires_where_an_uptrend_makes_a_new_high_after_a_pullback():
    """Trend, pullback and resumption together ask for an entry."""
    assert rule.fires(row(), 5.0, 110.0)


def test_each_condition_alone_can_silence_it():
    """Take away the trend, the price above it, the pullback or the new high, and it does not fire."""
    assert not rule.fires(row(ema_50=99.0), 5.0, 110.0)
    assert not rule.fires(row(), 5.0, 99.0)
    assert not rule.fires(row(), rule.PULLBACK_BARS + 1.0, 110.0)
    assert not rule.fires(row(over_high_20=0.0), 5.0, 110.0)


def test_a_feature_that_is_not_warm_never_fires():
    """What is not known cannot speak for an entry."""
    for name in ("ema_50", "ema_200", "over_high_20"):
        assert not rule.fires(row(**{name: math.nan}), 5.0, 110.0), name


def test_the_age_of_a_pullback_counts_bars():
    """A pullback is zero bars old on its own bar and one older with each after it."""
    state = [rule.NEVER]
    assert rule.age_of_pullback(state, 0, row(rsi_14=math.nan)) == rule.NEVER
    assert rule.age_of_pullback(state, 0, row(rsi_14=44.9)) == 0.0
    assert rule.age_of_pullback(state, 0, row(rsi_14=45.0)) == 1.0


def test_without_a_record_it_claims_no_edge():
    """With no outcomes the expected rate is that of a walk without drift and the bound lies below it."""
    mean, low = rule.chances(0.0, 0.0)
    assert math.isclose(mean, rule.EVEN_ODDS)
    assert low < rule.EVEN_ODDS


@given(st.floats(-5, 500), st.floats(0, 500))
def test_the_bound_never_exceeds_the_rate(won, lost):
    """Whatever the record, the lower bound is a lower bound and both are probabilities."""
    mean, low = rule.chances(won, lost)
    assert 0.0 <= low <= mean <= 1.0


def test_a_bet_fits_only_where_prices_move_and_the_stop_stays_above_zero():
    """A dead market and one that swings by a third an hour get no stop and no target."""
    assert rule.barriers_fit(0.01)
    assert not rule.barriers_fit(0.0)
    assert not rule.barriers_fit(0.31)
    assert not rule.barriers_fit(math.nan)


def test_it_calls_itself_a_rule():
    """No card can take the rule for a learned model."""
    assert rule.MODEL_ID.startswith("rule:")
