"""Trend with pullback: buy where an uptrend that paused makes a new high again.

Trend: the 50-bar average is above the 200-bar one, and the close is above the 200-bar average.
Pullback: the RSI of 14 was under 45 within the last 24 bars.
Resumption: the close is above every high of the 20 bars before.
Barriers: stop 3 ATR below the entry, target 6 ATR above, 96 bars at most.

Rule 1: the numbers are round and were chosen on 2017-2019 alone; docs/rule.md shows what they did afterwards.
Rule 2: its win probability is a Beta posterior of its own past outcomes on this symbol. The prior is worth
20 outcomes at the rate a walk without drift would have, loss / (win + loss): without a record there is no edge.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.learn import beta
from core.learn.features import AT
from core.learn.folds import State

MODEL_ID = "rule:trend-pullback@1"

RSI_PULLBACK = 45.0
PULLBACK_BARS = 24
STOP_ATRS = 3.0
TARGET_ATRS = 6.0
HORIZON = 96

LEVEL = 0.90
PRIOR_WEIGHT = 20.0
EVEN_ODDS = STOP_ATRS / (STOP_ATRS + TARGET_ATRS)

RULE_SIZE = 1
NEVER = 1e9

_EMA_50 = AT["ema_50"]
_EMA_200 = AT["ema_200"]
_RSI = AT["rsi_14"]
_OVER_HIGH = AT["over_high_20"]


def age_of_pullback(s: State, i: int, row: Sequence[float]) -> float:
    """Bars since the RSI was last in pullback, 0 for this one; NEVER before the first. 1 slot at ``i``."""
    if row[_RSI] < RSI_PULLBACK:
        s[i] = 0.0
    elif s[i] < NEVER:
        s[i] += 1.0
    return s[i]


def fires(row: Sequence[float], age: float, close: float) -> bool:
    """Whether the bar asks for an entry; a feature that is not warm yet (NaN) never does."""
    trend = row[_EMA_50] > row[_EMA_200] and close > row[_EMA_200]
    return trend and age <= PULLBACK_BARS and row[_OVER_HIGH] > 0.0


def chances(won: float, lost: float) -> tuple[float, float]:
    """Win probability and its one-sided lower bound at LEVEL, both 0..1, from weighted outcomes."""
    prior_wins = PRIOR_WEIGHT * EVEN_ODDS
    prior_losses = PRIOR_WEIGHT - prior_wins
    # gaps through the stop can push the wins below zero; the prior is then all there is on that side
    won = max(won, 0.0)
    mean = (prior_wins + won) / (PRIOR_WEIGHT + won + lost)
    return mean, min(mean, beta.lower_bound(won, lost, prior_wins, prior_losses, LEVEL))


def barriers(atr_share: float) -> tuple[float, float]:
    """Win and loss of the bet as fractions of the entry price, both > 0, from the ATR as a fraction of the price."""
    return TARGET_ATRS * atr_share, STOP_ATRS * atr_share


def barriers_fit(atr_share: float) -> bool:
    """Whether such a bet can be placed: prices move at all, and the stop stays well above zero."""
    return 0.0 < STOP_ATRS * atr_share < 0.9
