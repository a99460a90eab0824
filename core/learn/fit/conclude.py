"""From what was found to a finished model: its curve, its bound, its manifest, and what it is worth.

Rule 1: nothing is grown here: whoever did the work can have gone, and given its memory back.
Rule 2: the finished model's curve and bound are made of the folds' forecasts; the judgement of the histories'.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import lightgbm as lgb
import numpy as np

from core.domain.market import from_ms
from core.domain.model import Manifest
from core.learn import features, rule
from core.learn.data.dataset import Dataset
from core.learn.fit import baselines, bound, calibration
from core.learn.fit.boosting import Floats
from core.learn.fit.bound import Bound
from core.learn.fit.calibration import Calibrator
from core.learn.fit.cuts import BLOCKS, FOLDS, TESTED
from core.learn.fit.groups import GROUPS
from core.learn.fit.paths import along, gathered
from core.learn.fit.search import Fitted, Trial, best
from core.learn.fit.tables import table_of
from core.learn.fit.train import Explored, Plan
from core.learn.judge import attribution, card
from core.learn.judge.assess import FLAT, Evidence, assess

LINE, RULE = "logistic regression", "the rule"
QUANTILES = 21
SAMPLE = 2_000


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """LightGBM's text, what belongs to it, and what it was found to be worth."""

    text: str
    manifest: Manifest
    card: card.Card


def conclude(dataset: Dataset, plan: Plan, found: Explored, now: datetime) -> TrainedModel:
    """The finished model of all rows, judged out of fold; ``now`` becomes its birthday."""
    every_row = np.ones(len(dataset))
    curve = calibration.fit(found.raw, dataset.outcome, every_row, found.cuts.by_fold.blocks)
    low = bound.fit(found.of_folds.p, dataset.outcome, every_row, dataset.start_ms)
    manifest = _manifest(dataset, plan, best(found.trials), found.model, curve, low, now)
    judgement = assess(_evidence(dataset, plan, found, curve.kind))
    return TrainedModel(found.model.text, manifest, card.made(_making(dataset, manifest), judgement))


def _evidence(dataset: Dataset, plan: Plan, found: Explored, curve: str) -> Evidence:
    """All that the judgement is made of."""
    return Evidence(
        rows=dataset,
        p=np.stack([one.p for one in found.histories]),
        low=np.stack([one.low for one in found.histories]),
        baselines=_baselines(dataset, found),
        fold=found.cuts.cv.blocks,
        trial_rows=found.cuts.coarse,
        trials=np.stack([trial.raw for trial in found.trials if trial.raw is not None]),
        curve=curve,
        cost=plan.cost,
        seed=plan.seed,
        groups=_leaning(dataset, found.model),
        faults=plan.faults,
    )


def _baselines(dataset: Dataset, found: Explored) -> dict[str, Floats]:
    """What each baseline says along the paths, (paths, n), learnt from the training rows of the models beside it."""
    cuts, table = found.cuts, table_of(dataset)
    bases = [baselines.flat(table, train, test) for train, test in cuts.combinations]
    base = along(cuts.cv, gathered(len(dataset), cuts.combinations, bases))
    return {FLAT: base, LINE: found.line, RULE: np.stack([baselines.by_rule(dataset, path) for path in base])}


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
