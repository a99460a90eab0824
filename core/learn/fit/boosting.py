"""Trees by LightGBM: boosted ones, and a random forest as the second family; both end as LightGBM's own text.

Rule 1: the same rows, recipe and seed give the same text to the byte: one thread, fixed order, no pickle anywhere.
Rule 2: what depends on how many rows there are is said as a share of them, so a recipe found on every fourth row fits
        all of them: labels overlap, and four times the rows hold hardly more than the same bets.
Rule 3: how many rounds to take is learnt from purged folds together (the mean of their losses), never from a test row.
        A forest always has TREES: more of them make it steadier, not surer.
Rule 4: a feature that was not chosen is a column of zeros: the model still takes the whole row, and never splits on it.

Sources: Friedman (2001) and Ke et al., LightGBM (2017) for boosting; Breiman (2001) for the forest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

BOOSTED, FOREST = "boosted", "forest"
FAMILIES = (BOOSTED, FOREST)
ROUNDS_MAX = 240
TREES = 60
PATIENCE = 20
BINS = 63  # finer cuts fit noise, and cost time


@dataclass(frozen=True, slots=True)
class Recipe:
    """How trees are grown. Shares are of rows or features, 0..1; ``kept`` features, chosen by ``selector``.

    ``by_uniqueness``: rows count by how little their bet shares its bars with others, else equally.
    """

    family: str = BOOSTED
    leaves: int = 4
    leaf_share: float = 0.01
    feature_share: float = 0.5
    row_share: float = 0.5
    rate: float = 0.03
    l2: float = 0.001
    selector: str = "gain"
    kept: int = 20
    by_uniqueness: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to learn from: features (n, k), outcomes 0..1 (n,), weights (n,)."""

    x: Floats
    outcome: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.outcome)

    def only(self, kept: Sequence[int]) -> Rows:
        """The same rows with every column but those of ``kept`` zero."""
        x = np.zeros_like(self.x)
        x[:, list(kept)] = self.x[:, list(kept)]
        return Rows(x, self.outcome, self.weight)


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where the folds together stopped: rounds >= 1, their loss, and what each fold then said of its test rows."""

    rounds: int
    loss: float
    raw: tuple[Floats, ...]


def settings(recipe: Recipe, rows: int, seed: int) -> dict[str, Any]:
    """LightGBM's parameters for so many rows."""
    return {
        "objective": "cross_entropy",
        "metric": "cross_entropy",
        "boosting": "rf" if recipe.family == FOREST else "gbdt",
        "learning_rate": recipe.rate,
        "num_leaves": recipe.leaves,
        "min_data_in_leaf": max(1, round(recipe.leaf_share * rows)),
        "feature_fraction": recipe.feature_share,
        "bagging_fraction": recipe.row_share,
        "bagging_freq": 1,
        "lambda_l2": recipe.l2 * rows,
        "max_bin": BINS,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }


def grow(rows: Rows, names: Sequence[str], recipe: Recipe, rounds: int, seed: int) -> lgb.Booster:
    """Trees of so many rounds; ``names`` (k,) of the columns go into the text."""
    given = settings(recipe, len(rows), seed)
    data = lgb.Dataset(rows.x, rows.outcome, weight=rows.weight, feature_name=list(names), params=given)
    return lgb.train(given, data, num_boost_round=rounds)


def text_of(booster: lgb.Booster) -> str:
    """The model as LightGBM's text, which ``lgb.Booster(model_str=...)`` reads back."""
    text: str = booster.model_to_string()
    return text


def raw_of(booster: lgb.Booster, x: Floats) -> Floats:
    """Uncalibrated probabilities (n,), 0..1, for rows with every column."""
    said: Floats = np.asarray(booster.predict(x, num_threads=1), dtype=np.float64)
    return said


def grow_until(folds: Sequence[tuple[Rows, Rows]], recipe: Recipe, seed: int) -> Stopped:
    """Grow a model on each fold's training rows, round by round, until their mean loss on the test rows stays put.

    The loss is the log loss of the test rows, each by its weight there; it stops PATIENCE rounds after its lowest.
    """
    boosters = [_begun(train, test, recipe, seed) for train, test in folds]
    sizes = [float(test.weight.sum()) for _, test in folds]
    forest = recipe.family == FOREST
    lowest, rounds = np.inf, 1
    for done in range(1, (TREES if forest else ROUNDS_MAX) + 1):
        loss = float(np.average([_further(booster) for booster in boosters], weights=sizes))
        if forest or loss < lowest:
            lowest, rounds = loss, done
        elif done - rounds >= PATIENCE:
            break
    raw = tuple(
        np.asarray(booster.predict(test.x, num_iteration=rounds, num_threads=1), dtype=np.float64)
        for booster, (_, test) in zip(boosters, folds, strict=True)
    )
    return Stopped(rounds, lowest, raw)


def _begun(train: Rows, test: Rows, recipe: Recipe, seed: int) -> lgb.Booster:
    given = settings(recipe, len(train), seed)
    data = lgb.Dataset(train.x, train.outcome, weight=train.weight, params=given)
    booster = lgb.Booster(given, data)
    booster.add_valid(lgb.Dataset(test.x, test.outcome, weight=test.weight, reference=data, params=given), "test")
    return booster


def _further(booster: lgb.Booster) -> float:
    booster.update()
    return float(booster.eval_valid()[0][2])
