"""From raw forecasts of many purged splits to whole histories of calibrated ones with their lower bounds.

Rule 1: no row's forecast was made, calibrated or bounded by anything that knew its outcome: the model was grown without
        its block, the curve found without its block, the bound without its quarter.
Rule 2: every row counts once (see ``search``). A curve is found on the coarse rows and applied to all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.learn.data.splits import CombinatorialPurgedCV, Split
from core.learn.fit import bound, calibration
from core.learn.fit.boosting import Floats, Ints
from core.learn.fit.tables import Source, opened


@dataclass(frozen=True, slots=True)
class Told:
    """One history of forecasts, (n,) each: calibrated ``p`` and its bound ``low`` made without the row's quarter."""

    p: Floats
    low: Floats


def gathered(count: int, splits: Sequence[Split], said: Sequence[Floats]) -> Floats:
    """What each split said of its test rows, (splits, n); NaN for rows it did not test."""
    whole = np.full((len(splits), count), np.nan)
    for row, ((_, test), one) in enumerate(zip(splits, said, strict=True)):
        whole[row, test] = one
    return whole


def along(cv: CombinatorialPurgedCV, of_splits: Floats) -> Floats:
    """Each path's forecasts (paths, n) out of those of the splits (splits, n)."""
    rows = np.arange(of_splits.shape[1])
    return np.stack([of_splits[path[cv.blocks], rows] for path in cv.paths()])


def told(source: Source, raw: Floats, block: Ints, coarse: Ints) -> Told:
    """A history of raw forecasts (n,), calibrated and bounded; ``block`` (n,) is the fold each was forecast in."""
    table = opened(source)
    every_row = np.ones(len(raw))
    p = calibration.out_of_fold(raw, table.outcome, every_row, block, coarse)
    start_ms = np.asarray(table.start_ms)
    return Told(p, bound.out_of_quarter(p, table.outcome, every_row, start_ms))
