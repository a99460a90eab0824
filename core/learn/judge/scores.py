"""How good forecasts were: losses, calibration and order, over rows that weigh and outcomes that may be parts of a win.

Rule 1: every score is a weighted mean; ``weight`` says how much of its own each overlapping label has.
Rule 2: an outcome of 0.4 counts as two fifths of a win and three fifths of a loss.
Rule 3: standard errors take blocks of time as the unit where blocks are given: rows of one month share its weather.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.learn.judge.judgement import Bin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BINS = 10
SURE = 1e-12


def losses(p: Floats, outcome: Floats) -> Floats:
    """Log loss of each row (n,), >= 0, in nats: the cross-entropy of the forecast against the (partial) outcome."""
    clear = np.clip(p, SURE, 1 - SURE)
    return -(outcome * np.log(clear) + (1 - outcome) * np.log1p(-clear))


def log_loss(p: Floats, outcome: Floats, weight: Floats) -> float:
    """Weighted mean log loss, >= 0, in nats; lower is better."""
    return float(np.average(losses(p, outcome), weights=weight))


def brier(p: Floats, outcome: Floats, weight: Floats) -> float:
    """Weighted mean squared error of the forecasts, 0..1; lower is better (Brier 1950)."""
    return float(np.average((p - outcome) ** 2, weights=weight))


def auc(p: Floats, paid: Bools, weight: Floats) -> float:
    """Chance, 0..1, that of two bets the one that paid had the higher forecast; 0.5 where all or none paid."""
    from sklearn.metrics import roc_auc_score

    if paid.all() or not paid.any():
        return 0.5
    return float(roc_auc_score(paid, p, sample_weight=weight))


def paid(outcome: Floats, win: Floats, loss: Floats, cost: float) -> Bools:
    """Whether each bet (n,) earned more than it cost: ``outcome > (loss + cost) / (win + loss)``."""
    return outcome > (loss + cost) / (win + loss)


def months(start_ms: Ints) -> Ints:
    """Calendar months (UTC) since 1970 of epoch milliseconds (n,): the blocks of time that stand for themselves."""
    return start_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def reliability(
    p: Floats, outcome: Floats, weight: Floats, block: Ints | None = None, bins: int = BINS
) -> tuple[Bin, ...]:
    """At most ``bins`` groups of equally many rows by rising forecast; equal forecasts stay together.

    ``block`` (n,) numbers the stretches of time that count as independent; without it each row does.
    """
    edges = np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, p, side="right")
    parts = (np.flatnonzero(place == one) for one in np.unique(place))
    return tuple(_bin(p[at], outcome[at], weight[at], weight.sum(), at if block is None else block[at]) for at in parts)


def _bin(p: Floats, outcome: Floats, weight: Floats, whole: float, block: Ints) -> Bin:
    share, mean = weight / weight.sum(), float(np.average(outcome, weights=weight))
    _, of = np.unique(block, return_inverse=True)
    # variance of a weighted mean whose rows may move together within a block (Liang and Zeger 1986)
    error = math.sqrt(float((np.bincount(of, share * (outcome - mean)) ** 2).sum()))
    spread = float(share @ (outcome - mean) ** 2)
    effective = spread / error**2 if error > 0 else float(len(p))
    part = min(1.0, float(weight.sum() / whole))
    return Bin(min(1.0, float(share @ p)), min(1.0, mean), len(p), part, effective, error)


def calibration_error(table: tuple[Bin, ...]) -> float:
    """Expected calibration error, 0..1: mean distance of forecast and outcome over the bins (Naeini et al. 2015)."""
    return sum(one.share * abs(one.forecast - one.outcome) for one in table)


def noise_floor(table: tuple[Bin, ...]) -> float:
    """The calibration error that perfect forecasts would show by chance alone: mean |normal| of each bin's error."""
    return sum(one.share * one.error for one in table) * math.sqrt(2 / math.pi)
