"""What the analyst says about one closed bar.

Rule 1: a forecast travels inside the event, so a replay needs neither model nor features.
Rule 2: a probability never comes without its lower bound and the number of outcomes behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.domain.errors import BadData

RULE, MODEL = "rule:", "model:"


@dataclass(frozen=True, slots=True)
class Contribution:
    """One thing that spoke for (``effect`` > 0) or against (< 0) an entry; ``effect`` in -1..1."""

    name: str
    value: float
    effect: float
    text: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """A triple-barrier bet on one bar: reach ``win_move`` before ``loss_move`` within ``horizon_bars``.

    ``p_win`` and its lower confidence bound ``p_low`` in 0..1; moves are fractions of the price, > 0;
    ``volatility`` is an annualised fraction (a year has 8,766 h); ``samples`` counts the outcomes behind the
    probability.
    """

    symbol: str
    bar_open_at: datetime
    fires: bool
    p_win: float
    p_low: float
    win_move: float
    loss_move: float
    horizon_bars: int
    samples: int
    volatility: float
    model_id: str
    contributions: tuple[Contribution, ...] = ()

    @property
    def by_rule(self) -> bool:
        """Whether the fixed rule made it, not a learned model."""
        return self.model_id.startswith(RULE)

    def __post_init__(self) -> None:
        probabilities_fit = 0 <= self.p_low <= self.p_win <= 1
        moves_fit = 0 < self.win_move < 10 and 0 < self.loss_move < 1 and self.horizon_bars > 0
        if not (probabilities_fit and moves_fit and 0 <= self.volatility < 1000):
            raise BadData(f"{self.symbol}: the forecast of {self.model_id} holds impossible numbers")
