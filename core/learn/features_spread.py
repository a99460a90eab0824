"""How returns are spread: longer and earlier ones, and mean, deviation, extremes and skew of the last 24.

Rule 1: returns are logarithmic and of one bar; their window is exact, no sum is carried along.
Rule 2: a window whose returns deviate by less than float noise has no skew, and the ratio of two such is 1.
"""

from __future__ import annotations

import math
from collections.abc import MutableSequence

from core.learn.folds import NOISE, RING_HEAD, State, before, highest, push
from core.learn.layout import AT, HIGH_168, LEAST, LOGS, MOST, MOVES, PER_YEAR

PART = 1.0 / 24.0  # multiplying is quicker than dividing, and both paths do the same

_RET_1 = AT["ret_1"]
_VOLATILITY = AT["volatility"]
_RET_72 = AT["ret_72"]
_RET_168 = AT["ret_168"]
_LAG_1 = AT["ret_1_lag_1"]
_MEAN_24 = AT["mean_24"]
_STD_24 = AT["std_24"]
_MIN_24 = AT["min_24"]
_MAX_24 = AT["max_24"]
_SKEW_24 = AT["skew_24"]
_VOLATILITY_RATIO = AT["volatility_ratio"]
_DRAWDOWN_168 = AT["drawdown_168"]


def step_spread(s: State, out: MutableSequence[float], high: float, close: float) -> None:
    """Put returns and their moments (fractions), skew, ratio of volatilities and drawdown (<= 0) into ``out``."""
    newest = before(s, LOGS, 0, 169)
    out[_RET_72] = newest - before(s, LOGS, 72, 169)
    out[_RET_168] = newest - before(s, LOGS, 168, 169)
    out[_LAG_1] = before(s, LOGS, 1, 169) - before(s, LOGS, 2, 169)
    out[_MAX_24] = highest(s, MOST, out[_RET_1], 24)
    out[_MIN_24] = -highest(s, LEAST, -out[_RET_1], 24)
    push(s, MOVES, out[_RET_1], 24)
    _moments(s, out, out[_RET_1])
    out[_VOLATILITY_RATIO] = 1.0
    if out[_VOLATILITY] > NOISE:
        out[_VOLATILITY_RATIO] = out[_STD_24] * math.sqrt(s[PER_YEAR]) / out[_VOLATILITY]
    out[_DRAWDOWN_168] = close / highest(s, HIGH_168, high, 168) - 1.0


def _moments(s: State, out: MutableSequence[float], one: float) -> None:
    """Mean, population deviation and Fisher's skew m3 / m2^1.5 of the last 24 returns, the newest of them ``one``.

    Powers are summed from the newest, which lies within sqrt(23) deviations of the mean: no digits to speak of
    are lost, and returns that are all the same deviate by exactly zero.
    """
    first = first_too = square = square_too = cube = cube_too = 0.0
    for k in range(MOVES + RING_HEAD, MOVES + RING_HEAD + 24, 2):
        d = s[k] - one
        e = s[k + 1] - one
        first += d
        first_too += e
        square += d * d
        square_too += e * e
        cube += d * d * d
        cube_too += e * e * e
    mean = (first + first_too) * PART
    variance = (square + square_too) * PART - mean * mean
    if variance < 0.0:
        variance = 0.0
    deviation = math.sqrt(variance)
    out[_MEAN_24] = one + mean
    out[_STD_24] = deviation
    out[_SKEW_24] = 0.0
    if deviation > NOISE:
        third = (cube + cube_too) * PART - 3.0 * mean * variance - mean * mean * mean
        out[_SKEW_24] = third / (variance * deviation)
