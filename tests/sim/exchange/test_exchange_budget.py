"""Request weight and order counts: core.sim.exchange.budget."""

from __future__ import annotations

import pytest

from core.sim.exchange.budget import Budget
from core.sim.exchange.errors import ApiError


def test_a_window_that_is_full_says_how_long_to_wait_and_opens_again():
    """429 with the seconds left; the next minute starts from nothing."""
    budget = Budget(enforced=True, weight_max=10)
    budget.spend(30_000, 10, 0)
    with pytest.raises(ApiError) as caught:
        budget.spend(30_500, 1, 0)
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (429, -1003, 30)
    budget.spend(60_000, 4, 0)
    assert budget.weight == 4


def test_orders_have_a_window_of_their_own():
    """Too many orders in ten seconds are refused while reading goes on."""
    budget = Budget(enforced=True, orders_max=2)
    budget.spend(0, 1, 2)
    with pytest.raises(ApiError) as caught:
        budget.spend(1, 1, 1)
    assert (caught.value.code, caught.value.retry_after_s) == (-1015, 10)
    budget.spend(2, 1, 0)
    budget.spend(10_000, 1, 1)


def test_a_standing_clock_counts_and_never_refuses():
    """In lock-step no window would ever open again."""
    budget = Budget(enforced=False, weight_max=1, orders_max=1)
    for _ in range(5):
        budget.spend(0, 5, 5)
    assert (budget.weight, budget.orders) == (25, 25)
