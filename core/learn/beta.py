"""Quantiles of the Beta distribution: how sure a win rate is, given how many outcomes stand behind it.

Rule 1: ``math`` only; agrees with scipy to 1e-10.
Rule 2: outcomes may be fractions of a win: the counts are floats.
"""

from __future__ import annotations

import math

_TINY = 1e-300
_TERMS = 1000


def lower_bound(wins: float, losses: float, prior_wins: float, prior_losses: float, level: float) -> float:
    """Win rate, 0..1, that the true one exceeds with probability ``level`` (0..1), under a Beta prior."""
    return quantile(prior_wins + wins, prior_losses + losses, 1.0 - level)


def quantile(a: float, b: float, q: float) -> float:
    """The x in 0..1 below which Beta(a, b) has probability ``q``, by bisection to the last bit."""
    if q <= 0.0 or q >= 1.0:
        return min(max(q, 0.0), 1.0)
    low, high = 0.0, 1.0
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        if cumulative(a, b, middle) < q:
            low = middle
        else:
            high = middle


def cumulative(a: float, b: float, x: float) -> float:
    """Probability, 0..1, that Beta(a, b) lies below ``x``: the regularised incomplete beta (DLMF 8.17)."""
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x),
    )
    # the fraction converges fast on this side of the mean only; the other side is its mirror image
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Continued fraction DLMF 8.17.22 by the modified method of Lentz."""
    c, d = 1.0, 1.0 / _apart(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _apart(1.0 + term * d)
            c = _apart(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return value


def _apart(x: float) -> float:
    """``x``, kept away from zero so that it can be divided by."""
    return x if abs(x) > _TINY else _TINY
