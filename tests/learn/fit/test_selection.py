"""Which features are chosen: by four ways, each of which finds what knows something."""

from dataclasses import replace

import numpy as np
import pytest

from core.learn.fit.boosting import Rows
from core.learn.fit.selection import SELECTORS, chosen, order
from tests.learn.fit.drawn import HOUR_MS, SIGNAL, drawn


def ordered(selector, data):
    return order(selector, Rows(data.x, data.outcome, data.weight), data.start_ms, data.end_ms, 1)


@pytest.mark.parametrize("selector", SELECTORS)
def test_what_knows_something_comes_first(selector):
    """Each way puts the one feature that tells the outcome before five that tell nothing."""
    assert ordered(selector, drawn(3000, strength=1.5))[0] == SIGNAL


@pytest.mark.parametrize("selector", SELECTORS)
def test_an_order_holds_every_feature_once(selector):
    """However many features shall be kept, the order says which."""
    assert sorted(ordered(selector, drawn(3000))) == list(range(6))


@pytest.mark.parametrize("selector", SELECTORS)
def test_the_same_rows_and_seed_give_the_same_order(selector):
    """A choice can be made again."""
    assert ordered(selector, drawn(2000, strength=0.3)) == ordered(selector, drawn(2000, strength=0.3))


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_constant_feature_is_never_chosen_before_one_that_knows_something(selector):
    """A column without any content is harmless."""
    data = drawn(2000, strength=1.5)
    data.x[:, 0] = 3.0
    found = ordered(selector, data)
    assert found.index(0) > found.index(SIGNAL)


def test_what_is_held_out_was_not_learnt_from_by_labels_that_reach_into_it():
    """Rows whose bets still run when the held-out part begins teach the permutation nothing, whatever came of them."""
    data = drawn(2000, strength=0.3)
    held = data.start_ms[len(data) * 3 // 4]
    reaching = (data.start_ms < held) & (data.start_ms > held - 250 * 4 * HOUR_MS)
    late = replace(data, end_ms=np.where(reaching, held, data.end_ms))
    other = replace(late, outcome=np.where(reaching, data.x[:, 0] > 0, data.outcome))
    assert ordered("permutation", other) == ordered("permutation", late)


def test_the_best_are_kept_in_the_order_of_the_columns():
    """How many are kept is a number to search for; which, the order says."""
    assert chosen((4, 0, 3, 1, 2), 3) == (0, 3, 4)


@pytest.mark.parametrize("selector", ["gain", "shap"])
def test_elimination_lets_go_what_only_repeats(selector):
    """A copy of the best feature is not needed beside it: elimination keeps one of both above all noise."""
    data = drawn(3000, strength=1.5)
    twice = replace(data, x=np.column_stack([data.x, data.x[:, SIGNAL]]))
    assert ordered(selector, twice)[0] in (SIGNAL, 6)
