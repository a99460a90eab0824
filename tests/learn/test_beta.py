from __future__ import annotations

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from core.learn import beta

counts = st.floats(0.1, 1e4)


@settings(max_examples=200, deadline=None)
@given(counts, counts, st.floats(0.001, 0.999))
def test_quantiles_equal_scipy(a, b, q):
    """The lower bound on a card is the statistician's, to ten digits."""
    assert beta.quantile(a, b, q) == pytest.approx(scipy.stats.beta.ppf(q, a, b), abs=1e-10)


@settings(max_examples=200, deadline=None)
@given(counts, counts, st.floats(0, 1))
def test_the_distribution_equals_scipy(a, b, x):
    """The probability below any rate is right over the whole range of records."""
    assert beta.cumulative(a, b, x) == pytest.approx(scipy.stats.beta.cdf(x, a, b), abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 500), st.floats(0, 500), st.floats(0.5, 0.99))
def test_asking_for_more_confidence_never_raises_the_bound(wins, losses, level):
    """The surer one wants to be, the less one may claim."""
    assert beta.lower_bound(wins, losses, 7, 13, level + 0.005) <= beta.lower_bound(wins, losses, 7, 13, level)


def test_the_same_rate_from_more_outcomes_is_claimed_more_firmly():
    """Forty wins in a hundred bets prove more than four in ten."""
    assert beta.lower_bound(4, 6, 1, 1, 0.9) < beta.lower_bound(40, 60, 1, 1, 0.9) < 0.4


def test_the_ends_of_the_range_are_the_ends():
    """Certainty about nothing and about everything has an answer too."""
    assert (beta.quantile(2, 3, 0.0), beta.quantile(2, 3, 1.0)) == (0.0, 1.0)
