from __future__ import annotations

import numpy as np
import pytest

from core.learn.judge import attribution, profit
from core.learn.judge.profit import DAY_MS
from tests.learn.judge.candidates import Candidates

YEAR_MS = 366 * DAY_MS
RANDOM = np.random.default_rng(5)
N = 400
START = np.sort(RANDOM.integers(0, 4 * YEAR_MS, N))
ROWS = Candidates(
    RANDOM.integers(0, 3, N),
    START,
    START + 20 * 3_600_000,
    RANDOM.normal(0, 0.05, N),
    np.full(N, 0.06),
    np.full(N, 0.03),
)
MADE = profit.trade(ROWS, RANDOM.uniform(0.2, 0.6, N), 0.0024)


def test_a_year_s_numbers_are_its_bets_own():
    """The mean move and the share that paid are those of the bets made in that year alone."""
    mine = MADE.net[ROWS.start_ms[MADE.taken] < 365 * DAY_MS]
    part = attribution.by_year(MADE, ROWS.start_ms)[0]
    assert part.per_bet == pytest.approx(mine.mean())
    assert part.paid == pytest.approx((mine > 0).mean())


def test_the_parts_of_the_years_are_the_whole():
    """Each year has its bets and its gain, and together they are the record."""
    parts = attribution.by_year(MADE, ROWS.start_ms)
    assert [part.name for part in parts] == ["1970", "1971", "1972", "1973", "1974"][: len(parts)]
    assert sum(part.gain for part in parts) == pytest.approx(MADE.gain.sum())


def test_gross_less_fees_is_net():
    """What the market gave, less what the exchange took, is what was left; without costs nothing is taken."""
    costs = attribution.by_cost(MADE)
    assert costs.net == pytest.approx(MADE.gain.sum())
    assert costs.gross - costs.fees == pytest.approx(costs.net)
    assert costs.fees > 0
    first = profit.trade(ROWS.first(1), np.array([0.9]), 0.01)
    assert attribution.by_cost(first).fees == pytest.approx(first.stake[0] * 0.01)


def test_feature_groups_share_the_whole_by_size():
    """A group's part is its features' mean size, whatever their sign; an unknown feature counts as other."""
    contributions = np.array([[1.0, -1.0, 0.5, 0.0], [-1.0, 1.0, 0.5, 1.0]])
    found = attribution.by_feature_group(contributions, ("a", "b", "c", "d"), {"a": "trend", "b": "trend", "c": "time"})
    assert found == (
        ("trend", pytest.approx(2 / 3)),
        (attribution.REST, pytest.approx(1 / 6)),
        ("time", pytest.approx(1 / 6)),
    )


def test_contributions_of_nothing_share_nothing():
    """A model that uses no feature gives no group a part."""
    assert attribution.by_feature_group(np.zeros((3, 1)), ("a",), {"a": "trend"}) == (("trend", 0.0),)


def test_a_fall_belongs_to_its_period_and_counts_from_the_top_before_it():
    """A year's fall is measured from the equity it began with; the years' returns multiply to the whole."""
    found = attribution.falls(MADE)
    assert found[0].period == "1970"
    assert np.prod([1 + one.earned for one in found]) == pytest.approx(1 + MADE.total)
    assert max(one.drawdown for one in found) <= MADE.drawdown + 1e-12
    assert all(one.drawdown >= -min(one.earned, 0.0) - 1e-12 for one in found)


def test_months_are_finer_than_years():
    """By months there are more periods, and none falls deeper than the whole."""
    months = attribution.falls(MADE, "M")
    assert months[0].period == "1970-01"
    assert len(months) > 40
    assert max(one.drawdown for one in months) <= MADE.drawdown + 1e-12
