"""What a model's reasons sound like on a phone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.learn import features
from core.learn.fit.calibration import Calibrator
from core.learn.spoken import CIRCLES, NAMED, WORDS, curve_of, points, spoken, words
from tests.learn import tiny_models

SENTENCE_MAX = 90
CIRCLED = {part: told for told, (sine, cosine, _) in CIRCLES.items() for part in (sine, cosine)}
TOLD = sorted({CIRCLED.get(name, name) for name in features.MODEL_NAMES})
RISING = Calibrator("identity").apply


def whole(**shares: float) -> tuple[tuple[str, ...], list[float], list[float]]:
    """Names, a row of halves and the shares given, base last."""
    names = features.MODEL_NAMES
    return names, [0.5] * len(names), [*(shares.get(name, 0.0) for name in names), shares.get("base", 0.0)]


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("value", [-3.0, -0.05, 0.0, 0.004, 0.5, 27.0, 150.0])
def test_every_feature_a_model_sees_has_words_of_its_own(name: str, value: float):
    """A new feature without words fails here, and no sentence is longer than two lines of a phone."""
    assert name in WORDS
    said = words(name, value)
    assert 8 <= len(said) <= SENTENCE_MAX
    assert name not in said.split()
    assert "nan" not in said


def test_words_are_kept_for_nothing_that_no_model_sees():
    """Whoever takes a feature away finds its words here."""
    assert sorted(WORDS) == TOLD


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rsi_14", 28.0, "RSI is 28: oversold"),
        ("rsi_14", 71.2, "RSI is 71: overbought"),
        ("ret_24", math.log(1.05), "The price rose 5.0% in 24 bars"),
        ("ret_24", math.log(0.95), "The price fell 5.0% in 24 bars"),
        ("over_ema_200", -0.031, "The price is 3.1% below its 200-bar average"),
        ("macd_cross", 1.0, "MACD crossed up through its signal line just now"),
        ("macd_cross", -0.25, "MACD crossed down through its signal line 3 bars ago"),
        ("macd_cross", 0.5, "MACD crossed up through its signal line 1 bar ago"),
        ("macd_cross", 0.0, "MACD has not crossed its signal line for 100 bars"),
        ("bb_place", 1.2, "The price is over its Bollinger band (1.20)"),
        ("bb_place", 0.85, "The price is 85% up its Bollinger band"),
        ("hour", 14.25, "The bar opened at 14:15 UTC"),
        ("hour", 23.9999, "The bar opened at 00:00 UTC"),
        ("week", 6.99, "The bar opened on a Sunday (UTC)"),
        ("min_24", -0.021, "The worst of 24 bars fell 2.08%"),
    ],
)
def test_a_value_is_said_as_a_person_reads_it(name: str, value: float, said: str):
    """With its unit and what it means."""
    assert words(name, value) == said


def test_the_strongest_come_first_and_the_first_is_the_measure_of_all():
    """Effects are shares of the strongest, with their sign."""
    told = spoken(*whole(rsi_14=-0.2, ret_24=0.4, adx_14=0.1))
    assert [one.name for one in told] == ["ret_24", "rsi_14", "adx_14"]
    assert [one.effect for one in told] == pytest.approx([1.0, -0.5, 0.25])


@given(st.lists(st.floats(-3, 3), min_size=len(features.MODEL_NAMES) + 1, max_size=len(features.MODEL_NAMES) + 1))
def test_whatever_the_shares_are_effects_stay_in_bounds_and_in_order(shares: list[float]):
    """At most NAMED of them, none of no effect, each once."""
    names, row, _ = whole()
    told = spoken(names, row, shares, RISING)
    effects = [abs(one.effect) for one in told]
    assert len(told) <= NAMED
    assert len({one.name for one in told}) == len(told)
    assert effects == sorted(effects, reverse=True)
    assert all(0 < effect <= 1 for effect in effects)


def test_a_model_that_hangs_on_nothing_gives_no_reasons():
    """A constant forecast has nothing that spoke."""
    assert spoken(*whole(base=-0.5)) == ()


def test_sine_and_cosine_of_the_hour_are_said_once_with_their_shares_added():
    """23:00 of a day is one thing, not two numbers; shares add up, so nothing is lost."""
    names, row, shares = whole(hour_sin=0.3, hour_cos=-0.1, rsi_14=0.1)
    turn = 2 * math.pi * 23 / 24
    row[names.index("hour_sin")], row[names.index("hour_cos")] = math.sin(turn), math.cos(turn)
    told = spoken(names, row, shares)
    assert [(one.name, one.effect) for one in told] == [("hour", 1.0), ("rsi_14", pytest.approx(0.5))]
    assert told[0].text == "The bar opened at 23:00 UTC (for)."


def test_half_a_circle_is_said_by_its_own_number():
    """A model that sees the sine alone knows no hour."""
    (told,) = spoken(("hour_sin",), (0.5,), (0.2, 0.0))
    assert told.text == "hour_sin is 0.5 (for)."


def test_points_are_what_the_chance_would_lack_without_the_feature():
    """From log-odds 0 to log-odds 0.2 the chance rises from 50% to 55%: five points."""
    told = spoken(*whole(rsi_14=0.2), RISING)
    assert told[0].text == "RSI is 0: oversold (+5.0 points)."
    assert spoken(*whole(rsi_14=-0.2), RISING)[0].text == "RSI is 0: oversold (−5.0 points)."


def test_points_are_those_of_the_calibrated_chance():
    """A curve that halves every chance halves the points; a flat one leaves the side alone."""
    assert points(0.2, 0.2, lambda raw: raw / 2) == pytest.approx(points(0.2, 0.2, RISING) / 2)
    assert spoken(*whole(rsi_14=0.2), lambda raw: 0.4)[0].text == "RSI is 0: oversold (for)."


def test_log_odds_beyond_all_measure_are_no_error():
    """A model that is certain is no crash."""
    assert abs(points(1e9, 1e9, RISING)) <= 100


def test_without_a_curve_only_the_side_is_told():
    """No number is said that cannot be said correctly."""
    assert [one.text[-10:] for one in spoken(*whole(rsi_14=-0.2))] == ["(against)."]


def test_a_manifest_s_curve_is_found_or_there_is_none():
    """What cannot be read as a curve is no reason to be silent."""
    curve = curve_of(Calibrator("beta", (1.0, 1.0, 0.5)).to_json())
    assert curve
    assert curve(0.5) == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert curve_of({}) is None


@pytest.mark.parametrize("family", ["gbdt", "rf"])
def test_contributions_add_up_to_the_log_odds_of_the_forecast(family: str):
    """What points are made of is what the model said, for boosted trees and for a forest."""
    import lightgbm as lgb

    booster, rows = lgb.Booster(model_str=tiny_models.text(family=family)), tiny_models.rows(5, seed=3)
    trees = booster.num_trees() if family == "rf" else 1
    shares = booster.predict(rows, pred_contrib=True) / trees
    for raw, own in zip(booster.predict(rows), shares, strict=True):
        assert 1 / (1 + math.exp(-sum(own))) == pytest.approx(raw)
        assert points(sum(own), sum(own), RISING) == pytest.approx(100 * (raw - 0.5))
