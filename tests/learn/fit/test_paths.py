"""Histories put together from many splits: each row's forecast by models, curves and bounds that did not know it."""

import numpy as np
import pytest

from core.learn.data.splits import CombinatorialPurgedCV
from core.learn.fit.boosting import Recipe, Rows, grow, raw_of
from core.learn.fit.paths import along, gathered, told
from core.learn.fit.tables import table_of
from tests.learn.fit.drawn import drawn


def blocks(data, count=6, tested=2) -> CombinatorialPurgedCV:
    return CombinatorialPurgedCV(data.start_ms, data.end_ms, count, tested)


def test_each_path_is_a_whole_history_and_no_split_serves_a_block_twice():
    """Five histories out of fifteen splits: every row is forecast on each, by another split each time."""
    data = drawn(1200)
    cv = blocks(data)
    splits = list(cv.split())
    names = gathered(len(data), splits, [np.full(len(test), float(k)) for k, (_, test) in enumerate(splits)])
    paths = along(cv, names)
    assert paths.shape == (5, len(data))
    assert not np.isnan(paths).any()
    assert all(len(set(column)) == 5 for column in paths.T)


def test_a_row_is_forecast_by_a_split_that_had_it_in_its_test():
    """What a path says of a row was said by a model that was not trained on it."""
    data = drawn(1200)
    cv = blocks(data)
    splits = list(cv.split())
    names = gathered(len(data), splits, [np.full(len(test), float(k)) for k, (_, test) in enumerate(splits)])
    for path in along(cv, names):
        for row in range(0, len(data), 37):
            train, test = splits[int(path[row])]
            assert row in test
            assert row not in train


def raw_forecasts(data) -> np.ndarray:
    return raw_of(grow(Rows(data.x, data.outcome, data.weight), list("abcdef"), Recipe(), 20, 1), data.x)


def history(data, raw):
    block = blocks(data).blocks
    return told(table_of(data), raw, block, np.arange(len(data))), block


def test_the_outcomes_of_a_block_do_not_bend_its_own_forecasts():
    """Whatever came of the rows of a block, the curve that calibrates them is made of the others."""
    data = drawn(4000, strength=0.8)
    raw = raw_forecasts(data)
    found, block = history(data, raw)
    mine = block == 3
    data.outcome[mine] = 1 - data.outcome[mine]
    again, _ = history(data, raw)
    assert (again.p[mine] == found.p[mine]).all()
    assert (again.p[~mine] != found.p[~mine]).any()


def test_calibration_mends_forecasts_that_are_too_sure():
    """Forecasts twice as sure as they should be come out as often as they say."""
    data = drawn(6000, strength=0.8)
    chance = 1 / (1 + np.exp(0.7 - 0.8 * data.x[:, 2]))
    logit = np.log(chance / (1 - chance)) * 2
    found, _ = history(data, 1 / (1 + np.exp(-logit)))
    high = found.p > np.quantile(found.p, 0.8)
    assert found.p[high].mean() == pytest.approx(data.outcome[high].mean(), abs=0.03)


def test_a_bound_lies_below_its_forecast():
    """0 <= low <= p, on every row of every history."""
    data = drawn(6000, strength=0.8)
    found, _ = history(data, raw_forecasts(data))
    assert ((found.low >= 0) & (found.low <= found.p)).all()
