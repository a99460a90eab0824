"""From a data set to a judged model: everything between rows and registry, as values; nothing is written here.

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
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import lightgbm as lgb
import numpy as np

from core.domain.market import from_ms
from core.domain.model import Manifest
from core.learn import features, rule
from core.learn.data.dataset import Dataset
from core.learn.fit import baselines, bound, calibration
from core.learn.fit.boosting import Floats, Ints
from core.learn.fit.bound import Bound
from core.learn.fit.calibration import Calibrator
from core.learn.fit.cuts import BLOCKS, FOLDS, TESTED, Cuts, cut
from core.learn.fit.groups import GROUPS
from core.learn.fit.paths import Told, along, gathered, told
from core.learn.fit.search import Fitted, Trial, best, fitted, search
from core.learn.fit.tables import Source, Table, table_of
from core.learn.judge import attribution, card
from core.learn.judge.assess import FLAT, Evidence, assess

T = TypeVar("T")
Reached: TypeAlias = Callable[[int, int], None]

LINE, RULE = "logistic regression", "the rule"
QUANTILES = 21
SAMPLE = 2_000


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


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """LightGBM's text, what belongs to it, and what it was found to be worth."""

    text: str
    manifest: Manifest
    card: card.Card


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


def train(dataset: Dataset, plan: Plan, crew: Crew, reached: Reached, now: datetime) -> TrainedModel:
    """A model of all rows of ``dataset`` (sorted by time), judged out of fold. Raises BadData where they are too few.

    ``reached`` is told (pieces done, pieces in all); ``now`` becomes the model's birthday.
    """
    cuts = cut(dataset, plan.seed, plan.embargo_ms)
    # trials and a model for each study, a line for each combination, the histories of the paths and of the folds
    pieces = len(cuts.studies) * (plan.trials + 1) + len(cuts.combinations) + cuts.cv.n_paths + 1
    work = _Work(crew, table_of(dataset), pieces, reached)
    trials = search(work.source, cuts.studies, len(dataset.names), plan.trials, work.executor, work.tick)
    found = [best(of_study) for of_study in trials]
    recipes = [(one.recipe, one.rounds, dataset.names) for one in found]
    grown = work.all(fitted, [(study, *recipe) for study, recipe in zip(cuts.studies, recipes, strict=True)])
    own = _of_folds(len(dataset), cuts, grown)
    *histories, of_own = work.all(
        told, [*_histories(len(dataset), cuts, grown), (own, cuts.by_fold.blocks, cuts.coarse)]
    )
    every_row = np.ones(len(dataset))
    curve = calibration.fit(own, dataset.outcome, every_row, cuts.by_fold.blocks)
    low = bound.fit(of_own.p, dataset.outcome, every_row, dataset.start_ms)
    model = grown[-1]
    evidence = _evidence(dataset, plan, cuts, work, histories, trials[-1], curve.kind, _leaning(dataset, model))
    manifest = _manifest(dataset, plan, found[-1], model, curve, low, now)
    return TrainedModel(model.text, manifest, card.made(_making(dataset, manifest), assess(evidence)))


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


def _evidence(
    dataset: Dataset,
    plan: Plan,
    cuts: Cuts,
    work: _Work,
    histories: Sequence[Told],
    trials: Sequence[Trial],
    curve: str,
    groups: tuple[tuple[str, float], ...],
) -> Evidence:
    """All that the judgement is made of."""
    return Evidence(
        rows=dataset,
        p=np.stack([one.p for one in histories]),
        low=np.stack([one.low for one in histories]),
        baselines=_baselines(dataset, cuts, work),
        fold=cuts.cv.blocks,
        trial_rows=cuts.coarse,
        trials=np.stack([trial.raw for trial in trials if trial.raw is not None]),
        curve=curve,
        cost=plan.cost,
        seed=plan.seed,
        groups=groups,
        faults=plan.faults,
    )


def _baselines(dataset: Dataset, cuts: Cuts, work: _Work) -> dict[str, Floats]:
    """What each baseline says along the paths, (paths, n), learnt from the same training rows as the models."""
    pairs = [(study.coarse, test) for study, (_, test) in zip(cuts.studies[FOLDS:-1], cuts.combinations, strict=True)]
    lines = work.all(baselines.logistic, pairs)
    bases = [baselines.flat(work.source, train, test) for train, test in cuts.combinations]
    line, base = (along(cuts.cv, gathered(len(dataset), cuts.combinations, said)) for said in (lines, bases))
    return {FLAT: base, LINE: line, RULE: np.stack([baselines.by_rule(dataset, path) for path in base])}


def _leaning(dataset: Dataset, model: Fitted) -> tuple[tuple[str, float], ...]:
    """What the finished model hangs on, by kind of feature: TreeSHAP over a sample of the rows."""
    some = dataset.x[:: max(1, len(dataset) // SAMPLE)]
    parts = np.asarray(lgb.Booster(model_str=model.text).predict(some, pred_contrib=True, num_threads=1))
    return attribution.by_feature_group(parts[:, :-1], dataset.names, GROUPS)


def _manifest(
    dataset: Dataset, plan: Plan, found: Trial, model: Fitted, curve: Calibrator, low: Bound, now: datetime
) -> Manifest:
    quantiles = np.quantile(dataset.x, np.linspace(0, 1, QUANTILES), axis=0)
    params = asdict(found.recipe) | {"rounds": found.rounds, "trials": plan.trials, "cost": plan.cost}
    return Manifest(
        created_at=now,
        family=found.recipe.family,
        span=plan.span,
        symbols=dataset.symbols,
        features=dataset.names,
        feature_version=features.version(),
        barriers={"stop_atrs": rule.STOP_ATRS, "target_atrs": rule.TARGET_ATRS, "horizon": rule.HORIZON},
        calibrator=curve.to_json(),
        bound=low.to_json(),
        params=params | {"columns": [dataset.names[at] for at in model.kept]},
        seed=plan.seed,
        rows=len(dataset),
        first_ms=int(dataset.start_ms[0]),
        last_ms=int(dataset.start_ms[-1]),
        quantiles={name: tuple(column.tolist()) for name, column in zip(dataset.names, quantiles.T, strict=True)},
    )


def _making(dataset: Dataset, manifest: Manifest) -> card.Making:
    return card.Making(
        made_at=f"{manifest.created_at:%Y-%m-%d %H:%M} UTC",
        family=manifest.family,
        span=manifest.span,
        symbols=manifest.symbols,
        features=len(manifest.features),
        feature_version=manifest.feature_version,
        rows=manifest.rows,
        first=f"{from_ms(manifest.first_ms):%Y-%m-%d}",
        last=f"{from_ms(manifest.last_ms):%Y-%m-%d}",
        barriers=(
            f"entry at the next open, stop {rule.STOP_ATRS:g} ATR below, target {rule.TARGET_ATRS:g} ATR above, "
            f"{rule.HORIZON} bars at most"
        ),
        folds=(
            f"every choice of {TESTED} of {BLOCKS} blocks of time, each with a search of its own in the others, purged "
            f"by when labels end; curve and bound of the finished model come from {FOLDS} such folds"
        ),
        seed=manifest.seed,
    )
