"""Whether a record is skill or the best of many tries.

Rule 1: crypto trades all year: 365.25 days. A Sharpe ratio inside a formula is per period, never annual.
Rule 2: a record that was chosen among many is judged against the best that many worthless ones would have shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Measure = Callable[[Floats, Floats, Floats], Floats]

DAYS_PER_YEAR = 365.25
EULER = 0.5772156649015329
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Record:
    """What the formulas need of a series of returns: its Sharpe ratio per period, length and shape."""

    sharpe: float
    periods: int
    skew: float = 0.0
    kurtosis: float = 3.0  # 3 for a normal distribution

    @property
    def variance(self) -> float:
        """Variance of the Sharpe ratio times the periods less one, > 0 (Lo 2002; Mertens 2002 where not normal)."""
        return max(1 - self.skew * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2, 1e-12)


def record(returns: Floats) -> Record:
    """The record of returns per period (n,); one that never moves has a Sharpe ratio of 0."""
    if len(returns) < 2 or float(np.ptp(returns)) == 0.0:
        return Record(0.0, len(returns))
    spread, off = float(returns.std()), returns - returns.mean()
    skew, kurtosis = (float((off**power).mean()) / spread**power for power in (3, 4))
    return Record(float(returns.mean() / returns.std(ddof=1)), len(returns), skew, kurtosis)


def annual(sharpe: float) -> float:
    """A Sharpe ratio per day as one per year, were returns independent."""
    return sharpe * math.sqrt(DAYS_PER_YEAR)


def probabilistic(of: Record, benchmark: float = 0.0) -> float:
    """Probability, 0..1, that the true Sharpe ratio is above ``benchmark`` per period: Bailey, Lopez de Prado 2012."""
    return NORMAL.cdf((of.sharpe - benchmark) * math.sqrt(max(of.periods - 1, 0) / of.variance))


def best_of_nothing(trials: float, variance: float) -> float:
    """Sharpe ratio per period, >= 0, that the best of so many independent worthless trials is expected to show.

    ``variance`` is that of the trials' Sharpe ratios per period. Bailey, Lopez de Prado 2014, equation 1.
    """
    if trials <= 1:
        return 0.0
    high, far = NORMAL.inv_cdf(1 - 1 / trials), NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return max(0.0, math.sqrt(variance) * ((1 - EULER) * high + EULER * far))


def deflated(of: Record, trials: float, variance: float) -> float:
    """Probability, 0..1, that the record is more than the best of ``trials`` tries: Bailey, Lopez de Prado 2014."""
    return probabilistic(of, best_of_nothing(trials, variance))


def independent_trials(returns: Floats) -> float:
    """How many independent trials (periods, trials) amount to, 1..trials: ``r + (1 - r) m``, r the mean correlation.

    Bailey, Lopez de Prado 2014, appendix 3. Trials that never moved are left out.
    """
    alive = returns[:, np.ptp(returns, axis=0) > 0] if returns.size else returns
    count = int(alive.shape[1])
    if count < 2:
        return 1.0
    together = np.corrcoef(alive.T)
    mean = float((together.sum() - count) / (count * (count - 1)))
    return min(float(count), max(1.0, mean + (1 - mean) * count))


def shortest_record(of: Record, benchmark: float = 0.0, sure: float = 0.95) -> float:
    """Periods a record like this must last to be above ``benchmark`` with probability ``sure``; infinite if it is not.

    Minimum track record length: Bailey, Lopez de Prado 2012.
    """
    if of.sharpe <= benchmark:
        return math.inf
    far = NORMAL.inv_cdf(sure) / (of.sharpe - benchmark)
    return 1 + of.variance * far * far


def ratios(first: Floats, square: Floats, size: Floats) -> Floats:
    """Sharpe ratios per period from sums, sums of squares and numbers of periods; 0 for what never moved."""
    mean = first / size[:, None]
    variance = square / size[:, None] - mean**2
    still = variance <= 1e-12 * (square / size[:, None])
    endless = np.where(mean > 0, np.inf, np.where(mean < 0, -np.inf, 0.0))
    return np.where(still, endless, mean / np.sqrt(np.where(still, 1.0, variance)))


def means(first: Floats, square: Floats, size: Floats) -> Floats:
    """Mean performance per period from sums and numbers of periods; ``square`` plays no part."""
    return first / size[:, None]


def overfitting(performance: Floats, blocks: int = 16, by: Measure = ratios) -> float:
    """Probability, 0..1, that the best of several trials in sample is not above the median out of sample.

    ``performance`` (periods, trials): returns, or anything of which more is better. The periods are cut into ``blocks``
    (even) stretches; each half of them chooses ``by`` a measure, the other half judges: combinatorially symmetric
    cross-validation, Bailey, Borwein, Lopez de Prado, Zhu 2015. Ties share a rank. A single trial was not chosen: 0.
    """
    periods, trials = performance.shape
    blocks = min(blocks, periods) // 2 * 2
    if trials < 2:
        return 0.0
    if blocks < 2:
        return 1.0
    edges = np.linspace(0, periods, blocks + 1).astype(int)
    sums = (np.add.reduceat(performance, edges[:-1]), np.add.reduceat(performance**2, edges[:-1]))
    size = np.diff(edges).astype(float)
    chosen = _halves(blocks)
    inside, outside = (by(half @ sums[0], half @ sums[1], half @ size) for half in (chosen, 1 - chosen))
    of_best = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
    rank = (outside < of_best).sum(axis=1) + ((outside == of_best).sum(axis=1) + 1) / 2
    # a relative rank of one half has a logit of zero, and counts as overfitted as in the paper
    return float((rank / (trials + 1) <= 0.5).mean())


def _halves(blocks: int) -> Floats:
    """Every choice of half of the blocks as a row of ones and zeros, (choices, blocks)."""
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, half] = 1.0
    return chosen
