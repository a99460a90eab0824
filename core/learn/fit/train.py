"""All that is searched, grown and forecast for a model: the work that takes time, as values; nothing is written here.

Rule 1: nested: every split searches its own recipe inside its own training rows, so what is judged is the whole way of
        making a model, not one recipe that was lucky.
Rule 2: the forecasts that are judged come from combinatorial purged cross-validation; those that the curve and the
        bound of the finished model are made of, from purged folds that leave more to train on.
Rule 3: the finished model is grown on all rows by a search over all rows; by its trials the judgement is deflated.
Rule 4: the same data set, plan and seed give the same model to the byte, whoever does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from core.learn.data.dataset import Dataset
from core.learn.fit import baselines
from core.learn.fit.boosting import Floats, Ints
from core.learn.fit.cuts import FOLDS, Cuts, cut
from core.learn.fit.paths import Told, along, gathered, told
from core.learn.fit.search import Fitted, Trial, best, fitted, search
from core.learn.fit.tables import Source, Table, table_of

T = TypeVar("T")
Reached: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train: ``span`` as `firstmate` names it; ``cost`` of a round trip, a fraction of the notional;
    ``embargo_ms`` after each test block; ``faults`` found in how the rows are made."""

    span: str
    trials: int
    seed: int
    cost: float
    embargo_ms: int
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Explored:
    """What the crew found: the finished ``model`` and all ``trials`` of its search; ``raw`` (n,) what the folds' models
    said and ``of_folds`` the same calibrated; the ``histories`` to judge, and the ``line`` (paths, n) beside them."""

    cuts: Cuts
    trials: Sequence[Trial]
    model: Fitted
    raw: Floats
    of_folds: Told
    histories: Sequence[Told]
    line: Floats


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work: an executor, and how a data set's table is put where its workers can open it."""

    executor: Executor
    place: Callable[[Table], Source]


class _Work:
    """Work under way on one table, and how much of it is done."""

    def __init__(self, crew: Crew, table: Table, total: int, reached: Reached) -> None:
        self.executor = crew.executor
        self.source = crew.place(table)
        self._done, self._total, self._reached = 0, total, reached

    def tick(self) -> None:
        """One more piece is done."""
        self._done += 1
        self._reached(self._done, self._total)

    def all(self, work: Callable[..., T], given: Sequence[tuple[Any, ...]]) -> list[T]:
        """``work(source, *one)`` for each of ``given``, in their order, done by whoever is free."""
        found = []
        for future in [self.executor.submit(work, self.source, *one) for one in given]:
            found.append(future.result())
            self.tick()
        return found


def explore(dataset: Dataset, plan: Plan, crew: Crew, reached: Reached) -> Explored:
    """All that is searched, grown and forecast on ``dataset`` (sorted by time). Raises BadData on too few rows.

    ``reached`` is told (pieces done, pieces in all). What it comes to needs no crew any more: see ``conclude``.
    """
    cuts = cut(dataset, plan.seed, plan.embargo_ms)
    # trials and a model for each study, a line for each combination, the histories of the paths and of the folds
    pieces = len(cuts.studies) * (plan.trials + 1) + len(cuts.combinations) + cuts.cv.n_paths + 1
    work = _Work(crew, table_of(dataset), pieces, reached)
    trials = search(work.source, cuts.studies, len(dataset.names), plan.trials, work.executor, work.tick)
    found = [best(of_study) for of_study in trials]
    recipes = [(one.recipe, one.rounds, dataset.names) for one in found]
    grown = work.all(fitted, [(study, *recipe) for study, recipe in zip(cuts.studies, recipes, strict=True)])
    raw = _of_folds(len(dataset), cuts, grown)
    lines = work.all(baselines.logistic, [(study.coarse, study.test) for study in cuts.studies[FOLDS:-1]])
    *histories, of_folds = work.all(
        told, [*_histories(len(dataset), cuts, grown), (raw, cuts.by_fold.blocks, cuts.coarse)]
    )
    line = along(cuts.cv, gathered(len(dataset), cuts.combinations, lines))
    return Explored(cuts, trials[-1], grown[-1], raw, of_folds, histories, line)


def _of_folds(count: int, cuts: Cuts, grown: Sequence[Fitted]) -> Floats:
    """The raw forecast of each row (n,) by the model of the fold that left it out."""
    own = np.empty(count)
    for (_, test), one in zip(cuts.folds, grown[:FOLDS], strict=True):
        own[test] = one.raw
    return own


def _histories(count: int, cuts: Cuts, grown: Sequence[Fitted]) -> Iterator[tuple[Floats, Ints, Ints]]:
    of_splits = gathered(count, cuts.combinations, [one.raw for one in grown[FOLDS:-1]])
    for path in along(cuts.cv, of_splits):
        yield path, cuts.cv.blocks, cuts.coarse
