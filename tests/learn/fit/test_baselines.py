"""What a model has to beat is computed as honestly as the model."""

import numpy as np
import pytest

from core.learn import rule
from core.learn.fit import baselines
from core.learn.fit.tables import table_of
from tests.learn.fit.drawn import HOUR_MS, drawn

TRAIN, TEST = np.arange(600), np.arange(600, 800)


def test_flat_forecasts_what_the_training_rows_did():
    """Who looks at nothing says the base rate of the past, and sees no test row for it."""
    data = drawn(1600)
    table = table_of(data)
    said = baselines.flat(table, TRAIN, TEST)
    table.outcome[TEST] = 1.0
    assert said == pytest.approx(np.full(200, data.outcome[:600].mean()))
    assert (baselines.flat(table, TRAIN, TEST) == said).all()


def test_a_straight_line_finds_a_straight_signal():
    """Logistic regression forecasts more where the feature that knows something is higher."""
    data = drawn(1600, strength=1.5)
    said = baselines.logistic(table_of(data), TRAIN, TEST)
    assert np.corrcoef(said, data.x[TEST, 2])[0, 1] > 0.95
    assert said.mean() == pytest.approx(data.outcome[TRAIN].mean(), abs=0.03)


def test_the_line_does_not_care_for_units():
    """A feature in thousandths, or far from zero, leads to the same forecasts."""
    data = drawn(1600, strength=1.0)
    said = baselines.logistic(table_of(data), TRAIN, TEST)
    data.x[:, 2] = data.x[:, 2] * 1e-3 + 50
    assert baselines.logistic(table_of(data), TRAIN, TEST) == pytest.approx(said, abs=1e-4)


def test_a_crash_in_the_test_rows_leaves_the_line_finite():
    """A feature a million deviations away is only far away, and no other row's forecast moves with it."""
    data = drawn(1600, strength=0.3)
    before = baselines.logistic(table_of(data), TRAIN, TEST)
    data.x[700] = 1e6
    said = baselines.logistic(table_of(data), TRAIN, TEST)
    assert 0.05 < said[100] < 0.95
    assert (np.delete(said, 100) == np.delete(before, 100)).all()


def test_the_rule_says_its_prior_first_and_its_record_later():
    """Before any outcome the rule knows what a walk without drift knows; many wins raise it."""
    data = drawn(4000, symbols=1)
    data.rule[:] = True
    data.move[:] = data.win
    said = baselines.by_rule(data, np.full(len(data), 0.3))
    assert said[0] == pytest.approx(rule.chances(0, 0)[0])
    assert said[-1] > 0.8
    assert (np.diff(said) >= 0).all()


def test_the_rule_knows_no_outcome_before_it_has_ended():
    """What a bet became changes no forecast made before its last bar had closed."""
    data = drawn(800, symbols=1, seed=3)
    data.rule[:] = True
    data.end_ms[:] = data.start_ms + 40 * HOUR_MS
    said = baselines.by_rule(data, np.zeros(len(data)))
    at = 50
    data.move[at:] = -data.loss[at:]
    data.outcome[at:] = 0.0
    again = baselines.by_rule(data, np.zeros(len(data)))
    known = data.start_ms < data.end_ms[at:].min()
    assert (again[known] == said[known]).all()
    assert (again[~known] != said[~known]).any()


def test_where_the_rule_is_silent_the_base_stands():
    """The rule says nothing of bars on which it does not fire."""
    data = drawn(800)
    base = np.linspace(0.2, 0.4, len(data))
    said = baselines.by_rule(data, base)
    assert (said[~data.rule] == base[~data.rule]).all()


def test_one_symbols_record_is_not_anothers():
    """Wins of one symbol say nothing about another one."""
    data = drawn(1600)
    data.rule[:] = True
    data.move[:] = np.where(data.symbol == 0, data.win, -data.loss)
    said = baselines.by_rule(data, np.zeros(len(data)))
    assert said[data.symbol == 0][-1] > 0.7
    assert said[data.symbol == 1][-1] < 0.2
