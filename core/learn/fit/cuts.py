"""The splits of one data set, and what has to be searched and grown for each.

Rule 1: the folds leave most of the rows to train on: the finished model's curve and bound come from them.
Rule 2: the combinations tell the same history along several paths: the judgement comes from them.
Rule 3: the last study has all rows and none to test: the finished model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.domain.errors import BadData
from core.learn.data.dataset import Dataset
from core.learn.data.splits import CombinatorialPurgedCV, PurgedKFold, Split
from core.learn.fit.boosting import Ints
from core.learn.fit.search import Study, every

FOLDS, BLOCKS, TESTED = 5, 6, 2
ROWS_MIN = 1_000
TRAIN_MIN = 200
COARSE, COARSE_MIN = 4, 4_000  # every so manieth row is searched on, as long as that leaves so many
NOBODY: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """``folds`` and ``combinations`` of the rows, ``coarse`` ones among them, and a study of each split and of all."""

    by_fold: PurgedKFold
    cv: CombinatorialPurgedCV
    folds: Sequence[Split]
    combinations: Sequence[Split]
    coarse: Ints
    studies: Sequence[Study]


def cut(dataset: Dataset, seed: int, embargo_ms: int) -> Cuts:
    """All splits of ``dataset``. Raises BadData where there are too few rows to learn anything from."""
    rows = len(dataset)
    if rows < ROWS_MIN:
        raise BadData(
            f"{rows:,} bets can be learned from, and {ROWS_MIN:,} are the fewest a model is made of: "
            "load more history (`./run fetch`) or name more symbols"
        )
    by_fold = PurgedKFold(dataset.start_ms, dataset.end_ms, FOLDS, embargo_ms)
    cv = CombinatorialPurgedCV(dataset.start_ms, dataset.end_ms, BLOCKS, TESTED, embargo_ms)
    folds, combinations = list(by_fold.split()), list(cv.split())
    coarse = every(dataset.symbol.astype(np.int64), max(1, min(COARSE, rows // COARSE_MIN)))
    splits = [*folds, *combinations, (np.arange(rows), NOBODY)]
    studies = [_study(seed + number, coarse, *split) for number, split in enumerate(splits)]
    if min(len(study.coarse) for study in studies) < TRAIN_MIN:
        raise BadData(f"fewer than {TRAIN_MIN} bets are left to train on beside each test: load more history")
    return Cuts(by_fold, cv, folds, combinations, coarse, studies)


def _study(seed: int, coarse: Ints, train: Ints, test: Ints) -> Study:
    return Study(seed, np.intersect1d(coarse, train, assume_unique=True), train, test)
