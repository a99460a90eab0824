"""Which features a model may use: four ways to order them, best first, each from training rows alone.

Rule 1: an order is made inside the training rows of one fold; test rows are no argument here.
Rule 2: every order is complete, so that how many are kept can be one more number to search for.
Rule 3: the same rows and seed give the same order; equals stay in the order of their columns.

``mutual``: mutual information of the binned feature with lost / partly / won (Cover and Thomas; scikit-learn's).
``gain`` and ``shap``: recursive elimination (Guyon et al. 2002) by the gain of splits, or by mean |TreeSHAP|
(Lundberg et al. 2020). ``permutation``: what shuffling a feature costs on rows held out (Breiman 2001; scikit-learn's).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import lightgbm as lgb
import numpy as np
from sklearn.feature_selection import mutual_info_classif
from sklearn.inspection import permutation_importance

from core.learn.data.splits import PurgedKFold
from core.learn.fit.boosting import Floats, Ints, Recipe, Rows, grow, raw_of

Order: TypeAlias = tuple[int, ...]

SELECTORS = ("mutual", "gain", "shap", "permutation")
QUANTILES = 10
ROUNDS = 30
DROPPED = 0.3  # share of the features left that one step of the elimination lets go
LEAST = 4
SAMPLE = 2000
PARTS = 4
MARGIN = 1e-6
PLAIN = Recipe(leaves=7, rate=0.1)


def order(selector: str, rows: Rows, start_ms: Ints, end_ms: Ints, seed: int) -> Order:
    """Column numbers, best first, by the way of this name; ``start_ms`` and ``end_ms`` (n,) are of these rows."""
    if selector == "mutual":
        return by_information(rows)
    if selector == "permutation":
        return by_permutation(rows, start_ms, end_ms, seed)
    return by_elimination(rows, seed, _gain if selector == "gain" else _shap)


def chosen(order: Order, count: int) -> Order:
    """The ``count`` best of an order, ascending."""
    return tuple(sorted(order[:count]))


def by_information(rows: Rows) -> Order:
    """By mutual information with the kind of outcome: lost, partly, won."""
    inner = np.linspace(0, 1, QUANTILES + 1)[1:-1]
    binned = np.column_stack([np.searchsorted(np.quantile(column, inner), column) for column in rows.x.T])
    kind = np.digitize(rows.outcome, [MARGIN, 1 - MARGIN])
    return _falling(mutual_info_classif(binned, kind, discrete_features=True))


def by_elimination(rows: Rows, seed: int, worth: Callable[[lgb.Booster, Rows], Floats]) -> Order:
    """Grow, let the least worthy of the features left go, and again: who stays longest is best."""
    left = list(range(rows.x.shape[1]))
    gone: list[int] = []
    while True:
        worths = worth(_plain(rows, left, seed), rows)
        left.sort(key=lambda column: (-worths[column], column))
        if len(left) <= LEAST:
            return (*left, *reversed(gone))
        keep = max(LEAST, min(len(left) - 1, int(len(left) * (1 - DROPPED))))
        gone += reversed(left[keep:])
        left = left[:keep]


def by_permutation(rows: Rows, start_ms: Ints, end_ms: Ints, seed: int) -> Order:
    """By the log loss that shuffling a feature adds on the newest part of these rows, purged from the others."""
    train, held = list(PurgedKFold(start_ms, end_ms, PARTS).split())[-1]
    columns = range(rows.x.shape[1])
    model = _plain(Rows(rows.x[train], rows.outcome[train], rows.weight[train]), columns, seed)
    held = held[:: max(1, len(held) // SAMPLE)]
    found = permutation_importance(
        _Fitted(model), rows.x[held], rows.outcome[held], scoring=_score, n_repeats=2, random_state=seed
    )
    return _falling(found.importances_mean)


class _Fitted:
    """A grown model as scikit-learn takes one."""

    def __init__(self, booster: lgb.Booster) -> None:
        self._booster = booster

    def fit(self, x: Floats, outcome: Floats) -> _Fitted:
        """Nothing: it is grown already; scikit-learn asks for the name."""
        return self

    def predict(self, x: Floats) -> Floats:
        """Probabilities (n,)."""
        return raw_of(self._booster, x)


def _score(model: _Fitted, x: Floats, outcome: Floats) -> float:
    p = np.clip(model.predict(x), MARGIN, 1 - MARGIN)
    return float(np.mean(outcome * np.log(p) + (1 - outcome) * np.log1p(-p)))


def _plain(rows: Rows, kept: list[int] | range, seed: int) -> lgb.Booster:
    names = [str(column) for column in range(rows.x.shape[1])]
    return grow(rows.only(kept), names, PLAIN, ROUNDS, seed)


def _gain(booster: lgb.Booster, rows: Rows) -> Floats:
    return np.asarray(booster.feature_importance("gain"), dtype=np.float64)


def _shap(booster: lgb.Booster, rows: Rows) -> Floats:
    some = rows.x[:: max(1, len(rows) // SAMPLE)]
    parts = np.asarray(booster.predict(some, pred_contrib=True, num_threads=1))
    size: Floats = np.abs(parts[:, :-1]).mean(axis=0)
    return size


def _falling(worths: Floats) -> Order:
    return tuple(int(column) for column in np.argsort(-np.asarray(worths), kind="stable"))
