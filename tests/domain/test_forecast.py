"""What a forecast may say: core.domain.forecast."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from core.domain.errors import BadData
from tests.builders import a_forecast


@pytest.mark.parametrize(
    "wrong",
    [
        {"p_win": 1.1},
        {"p_low": -0.1},
        {"p_low": 0.7, "p_win": 0.6},
        {"p_win": nan},
        {"p_low": nan},
        {"win_move": 0.0},
        {"win_move": nan},
        {"win_move": inf},
        {"loss_move": 0.0},
        {"loss_move": 1.0},
        {"loss_move": nan},
        {"horizon_bars": 0},
        {"volatility": -0.1},
        {"volatility": nan},
        {"volatility": inf},
    ],
)
def test_an_impossible_forecast_cannot_be_built(wrong: dict[str, Any]):
    """Chances lie in 0..1 above their lower bound, moves are real and positive, and nothing is not-a-number."""
    with pytest.raises(BadData, match="rule-1"):
        a_forecast(**wrong)


@pytest.mark.parametrize("edge", [{"p_low": 0.0, "p_win": 0.0}, {"p_low": 1.0, "p_win": 1.0}, {"volatility": 0.0}])
def test_the_edges_are_possible(edge: dict[str, Any]):
    """Certainty either way and a market that does not move can be said."""
    assert a_forecast(**edge)
