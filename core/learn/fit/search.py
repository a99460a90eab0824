"""The search for a recipe: Optuna's TPE over purged folds of the training rows, on however many processes.

Rule 1: a study sees its training rows only; the rows it will be judged on are no argument of anything here.
Rule 2: a study asks for its next trial when its last one was told, and draws from its own seed: what it finds does not
        depend on the executor, the number of workers, or who was faster. Studies run beside each other.
Rule 3: it looks at every ``coarse``-th row of each symbol: labels overlap, so the others would hardly say more.
Rule 4: trials are judged by the log loss with every row counted once. Uniqueness weights may steer the growing, never
        the judgement: a bet that ends fast is more unique, and it ends fast because it was lost.

Sources: Bergstra et al. (2011) for TPE; Akiba et al., Optuna (2019); Cawley and Talbot (2010) on nested selection.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from core.learn.data.splits import PurgedKFold
from core.learn.fit.boosting import FAMILIES, Floats, Ints, Recipe, Stopped, grow, grow_until, raw_of, text_of
from core.learn.fit.selection import SELECTORS, Order, chosen, order
from core.learn.fit.tables import Source, opened

Tick: TypeAlias = Callable[[], None]

INNER = 5
KEPT_LEAST = 6


@dataclass(frozen=True, slots=True)
class Study:
    """Rows of a table to find a recipe on (``coarse``), to fit it on (``train``), and to forecast then (``test``)."""

    seed: int
    coarse: Ints
    train: Ints
    test: Ints


@dataclass(frozen=True, slots=True)
class Trial:
    """One recipe, the rounds its folds stopped at, and their log loss; ``raw`` (n coarse rows,) where kept."""

    recipe: Recipe
    rounds: int
    loss: float
    raw: Floats | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model's text, the columns it may split on, and its raw probabilities for the rows of ``test``."""

    text: str
    kept: Order
    raw: Floats


def every(symbol: Ints, step: int) -> Ints:
    """Numbers of every ``step``-th row of each symbol, ascending; ``symbol`` (n,) is the symbol of each row."""
    place = np.empty(len(symbol), dtype=np.int64)
    for one in np.unique(symbol):
        mine = np.flatnonzero(symbol == one)
        place[mine] = np.arange(len(mine))
    return np.flatnonzero(place % step == 0)


def space(features: int) -> dict[str, BaseDistribution]:
    """What is searched: small, well-held trees; the field of each is one of Recipe."""
    return {
        "family": CategoricalDistribution(FAMILIES),
        "leaves": IntDistribution(2, 16, log=True),
        "leaf_share": FloatDistribution(0.003, 0.1, log=True),
        "feature_share": FloatDistribution(0.2, 1.0),
        "row_share": FloatDistribution(0.3, 0.9),
        "rate": FloatDistribution(0.01, 0.1, log=True),
        "l2": FloatDistribution(1e-5, 0.1, log=True),
        "selector": CategoricalDistribution(SELECTORS),
        "kept": IntDistribution(min(KEPT_LEAST, features), features),
        "by_uniqueness": CategoricalDistribution((False, True)),
    }


def ordered(source: Source, rows: Ints, selector: str, seed: int) -> tuple[Order, ...]:
    """The order of the features in each purged fold of ``rows``, from the training part of the fold alone."""
    table = opened(source)
    return tuple(
        order(selector, table.rows(train), table.start_ms[train], table.end_ms[train], seed)
        for train, _ in folds(source, rows)
    )


def folds(source: Source, rows: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Purged folds of ``rows`` of the table, as rows of the table."""
    table = opened(source)
    for pair in PurgedKFold(table.start_ms[rows], table.end_ms[rows], INNER).split():
        yield table.parts(rows, pair)


def tried(source: Source, rows: Ints, kept: Sequence[Order], recipe: Recipe, seed: int) -> Stopped:
    """A recipe on every purged fold of ``rows``; ``kept`` are the columns of each fold."""
    table = opened(source)
    parts = [
        (table.rows(train, only, recipe.by_uniqueness), table.rows(test))
        for (train, test), only in zip(folds(source, rows), kept, strict=True)
    ]
    return grow_until(parts, recipe, seed)


def fitted(source: Source, study: Study, recipe: Recipe, rounds: int, names: Sequence[str]) -> Fitted:
    """The recipe on all training rows of a study, its features chosen on the coarse ones among them."""
    table = opened(source)
    at = study.coarse
    best_first = order(recipe.selector, table.rows(at), table.start_ms[at], table.end_ms[at], study.seed)
    kept = chosen(best_first, recipe.kept)
    booster = grow(table.rows(study.train, kept, recipe.by_uniqueness), names, recipe, rounds, study.seed)
    raw = raw_of(booster, table.x[study.test]) if len(study.test) else np.empty(0)
    return Fitted(text_of(booster), kept, raw)


class _Asked:
    """One study under way: the trial it tries now, the orders of features it knows, and the trials it was told."""

    def __init__(self, study: Study, features: int, keep_raw: bool) -> None:
        self.trials: list[Trial] = []
        self._study = study
        self._keep_raw = keep_raw
        self._space = space(features)
        self._orders: dict[str, tuple[Order, ...]] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(multivariate=True, seed=study.seed)
        self._optuna = optuna.create_study(sampler=sampler)
        self._optuna.enqueue_trial(asdict(replace(Recipe(), kept=min(Recipe().kept, features))))
        self._ask()

    def _ask(self) -> None:
        self._trial = self._optuna.ask(self._space)
        self._recipe = Recipe(**self._trial.params)

    def submit(self, source: Source, executor: Executor) -> Future[Any]:
        """The trial it tries now, or what must be known before: the order its way of choosing puts the features in."""
        study, recipe = self._study, self._recipe
        known = self._orders.get(recipe.selector)
        if known is None:
            return executor.submit(ordered, source, study.coarse, recipe.selector, study.seed)
        kept = [chosen(of_fold, recipe.kept) for of_fold in known]
        return executor.submit(tried, source, study.coarse, kept, recipe, study.seed)

    def heard(self, found: Stopped | tuple[Order, ...]) -> bool:
        """Take what came of it; whether that was a trial."""
        if not isinstance(found, Stopped):
            self._orders[self._recipe.selector] = found
            return False
        self._optuna.tell(self._trial, found.loss)
        raw = np.concatenate(found.raw) if self._keep_raw else None
        self.trials.append(Trial(self._recipe, found.rounds, found.loss, raw))
        self._ask()
        return True


def search(
    source: Source, studies: Sequence[Study], features: int, trials: int, executor: Executor, tick: Tick
) -> list[list[Trial]]:
    """All trials of each study, in the order they were asked for; ``raw`` is kept for the last study only.

    ``tick`` is called at the end of each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = [_Asked(study, features, study is studies[-1]) for study in studies]
    running = {one.submit(source, executor): one for one in asked}
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            one = running.pop(future)
            if one.heard(future.result()):
                tick()
            if len(one.trials) < trials:
                running[one.submit(source, executor)] = one
    return [one.trials for one in asked]


def best(trials: Sequence[Trial]) -> Trial:
    """The trial of the lowest loss, the earliest of equals."""
    return min(trials, key=lambda trial: trial.loss)
