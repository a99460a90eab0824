from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.learn.judge import scores

RANDOM = np.random.default_rng(11)
N = 4_000
P = RANDOM.uniform(0.1, 0.7, N)
WON = (RANDOM.uniform(size=N) < P).astype(float)
WEIGHT = RANDOM.uniform(0.2, 2.0, N)


def test_log_loss_is_the_library_s():
    """On wins and losses the log loss is scikit-learn's."""
    assert scores.log_loss(P, WON, WEIGHT) == pytest.approx(sklearn.metrics.log_loss(WON, P, sample_weight=WEIGHT))


def test_a_part_of_a_win_is_so_much_won_and_the_rest_lost():
    """An outcome of 0.4 costs two fifths of a win's loss and three fifths of a loss's."""
    part = 0.1 + 0.8 * WON
    split = sklearn.metrics.log_loss(
        np.repeat([1.0, 0.0], N), np.tile(P, 2), sample_weight=np.concatenate([WEIGHT * part, WEIGHT * (1 - part)])
    )
    assert scores.log_loss(P, part, WEIGHT) == pytest.approx(split)


def test_brier_is_the_library_s():
    """The Brier score is scikit-learn's, weights and all."""
    expected = sklearn.metrics.brier_score_loss(WON, P, sample_weight=WEIGHT)
    assert scores.brier(P, WON, WEIGHT) == pytest.approx(expected)


def test_a_coin_said_to_be_a_coin_costs_ln_2():
    """Always saying one half costs ln 2 nats a case."""
    assert scores.log_loss(np.full(N, 0.5), WON, WEIGHT) == pytest.approx(math.log(2))


@given(arrays.arrays(float, 20, elements=st.floats(0, 1)), arrays.arrays(float, 20, elements=st.floats(0, 1)))
def test_no_forecast_costs_less_than_the_truth(outcome, p):
    """Log loss and Brier are lowest where the forecast is what came: lying never pays."""
    weight = np.ones(20)
    assert scores.log_loss(outcome, outcome, weight) <= scores.log_loss(p, outcome, weight) + 1e-9
    assert scores.brier(outcome, outcome, weight) <= scores.brier(p, outcome, weight)


def test_auc_knows_order_from_disorder():
    """1 where every bet that paid had the higher forecast, 0 where the lower, one half where all are alike."""
    paid = np.array([False, False, True, True])
    rising, weight = np.array([0.1, 0.2, 0.3, 0.4]), np.ones(4)
    assert scores.auc(rising, paid, weight) == 1.0
    assert scores.auc(rising[::-1], paid, weight) == 0.0
    assert scores.auc(np.full(4, 0.3), paid, weight) == 0.5
    assert scores.auc(rising, np.ones(4, dtype=bool), weight) == 0.5


def test_a_bet_paid_when_it_earned_more_than_it_cost():
    """With 6 % to win, 3 % to lose and costs of 0.3 % a part of 36 % loses, one of 37 % pays."""
    outcome, win, loss = np.array([0.36, 0.37]), np.full(2, 0.06), np.full(2, 0.03)
    assert scores.paid(outcome, win, loss, 0.003).tolist() == [False, True]
    moves = outcome * (win + loss) - loss
    assert (moves - 0.003 > 0).tolist() == [False, True]


def test_the_table_holds_every_row_once_in_bins_of_equal_size():
    """Ten bins of equally many rows, forecasts rising, weights adding up to one."""
    table = scores.reliability(P, WON, WEIGHT)
    assert [one.rows for one in table] == [N // 10] * 10
    assert [one.forecast for one in table] == sorted(one.forecast for one in table)
    assert sum(one.share for one in table) == pytest.approx(1.0)
    assert sum(one.share * one.outcome for one in table) == pytest.approx(np.average(WON, weights=WEIGHT))


def test_equal_forecasts_are_not_torn_apart():
    """A model that always says the same has one bin, and the error of its mean alone."""
    table = scores.reliability(np.full(N, 0.5), WON, WEIGHT)
    assert len(table) == 1
    assert scores.calibration_error(table) == pytest.approx(abs(0.5 - np.average(WON, weights=WEIGHT)))


def test_the_calibration_error_is_the_mean_distance():
    """Forecasts ten points too high have an error of ten points; true ones stay near what noise alone makes."""
    true = scores.reliability(P, P, WEIGHT)
    assert scores.calibration_error(true) == pytest.approx(0.0, abs=1e-12)
    high = scores.reliability(P + 0.1, P, WEIGHT)
    assert scores.calibration_error(high) == pytest.approx(0.1)


def test_true_forecasts_show_the_error_that_noise_makes():
    """Over many draws perfect forecasts have, on average, the calibration error the noise floor names."""
    errors, floors = [], []
    for seed in range(100, 160):
        won = (np.random.default_rng(seed).uniform(size=N) < P).astype(float)
        table = scores.reliability(P, won, WEIGHT)
        errors.append(scores.calibration_error(table))
        floors.append(scores.noise_floor(table))
    assert np.mean(errors) == pytest.approx(np.mean(floors), rel=0.08)


def test_independent_rows_count_fully_and_have_the_textbook_error():
    """Rows of equal weight that stand alone: the effective count is the count, the error s / sqrt(n)."""
    (one,) = scores.reliability(np.full(N, 0.4), WON, np.ones(N))
    assert one.effective == pytest.approx(N)
    assert one.error == pytest.approx(WON.std() / math.sqrt(N))


def test_copies_of_a_row_do_not_make_the_table_surer():
    """Every row four times within its block leaves the standard error where it was."""
    p, won, weight, block = np.full(N, 0.4), WON, np.ones(N), np.arange(N)
    (alone,) = scores.reliability(p, won, weight, block)
    (copied,) = scores.reliability(*(np.tile(one, 4) for one in (p, won, weight, block)))
    assert copied.error == pytest.approx(alone.error)
    assert copied.effective == pytest.approx(alone.effective)
    assert copied.rows == 4 * alone.rows


@settings(max_examples=50)
@given(
    arrays.arrays(float, 30, elements=st.floats(0, 1)),
    arrays.arrays(float, 30, elements=st.floats(0, 1)),
    arrays.arrays(float, 30, elements=st.floats(0.01, 5)),
)
def test_any_table_is_a_table(p, outcome, weight):
    """Whatever the forecasts, all rows are in the table and its error lies between 0 and 1."""
    table = scores.reliability(p, outcome, weight)
    assert sum(one.rows for one in table) == 30
    assert 0.0 <= scores.calibration_error(table) <= 1.0 + 1e-12
    assert all(one.error >= 0 for one in table)


def test_months_are_those_of_the_calendar():
    """Rows of one UTC month share a number, the next month has the next."""
    times = np.array(["2020-02-01", "2020-02-29T23:59", "2020-03-01"], dtype="datetime64[ms]").astype(np.int64)
    first, same, after = scores.months(times)
    assert (same - first, after - first) == (0, 1)
