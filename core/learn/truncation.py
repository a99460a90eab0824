"""Faults of features that only show when bars are taken away: a look ahead, and a memory of where the bars began.

Rule 1: a row must not change when later bars are cut off; if it does, the feature knew them.
Rule 2: a row must not change, once warm, when earlier bars are cut off; if it does, a live bot, which starts somewhere
else than history did, feeds its model other numbers than the model learned from.
Rule 3: nothing is assumed of how features are made; whoever computes rows from bars can be looked at.

Later bars may change nothing beyond FLOAT of a feature's spread; the start of a recursive mean may still weigh DRIFT of
it. Both ways of looking are those of freqtrade's lookahead-analysis and recursive-analysis, on rows instead of trades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from core.learn import features
from core.learn.compiled import Series, model_matrix

Floats = NDArray[np.float64]
Featurize = Callable[[int, int], Floats]
"""Rows, (stop - start, features), of the bars from ``start`` to ``stop``, exclusive, made from these bars alone."""

CUTS = 8
STARTS = 3
FLOAT = 1e-9
DRIFT = 0.02
LATEST = 5000


def faults(featurize: Featurize, bars: int, names: Sequence[str], warm_up: int) -> list[str]:
    """A sentence for each faulty feature of ``names``, none where rows hold up; ``bars`` is how many there are.

    ``warm_up`` counts the bars after which a row must no longer depend on where the bars began.
    """
    if bars < 2 * warm_up + CUTS:
        return [f"{bars} bars are too few to look for faults of features: {2 * warm_up + CUTS} are needed."]
    whole = featurize(0, bars)
    spread = _spread(whole)
    return [*_ahead(featurize, whole, spread, names, warm_up), *_begun(featurize, whole, spread, names, warm_up)]


def model_faults(series: Mapping[str, Series], span: timedelta) -> list[str]:
    """Faults of the model's own features over the latest LATEST bars of these symbols on their common time line."""
    times = np.unique(np.concatenate([bars[0] for bars in series.values()]))[-LATEST:]
    symbols = sorted(series)
    wide = len(features.MODEL_NAMES)

    def featurize(start: int, stop: int) -> Floats:
        rows = np.full((stop - start, len(symbols) * wide), np.nan)
        part = {symbol: _between(series[symbol], times[start], times[stop - 1]) for symbol in symbols}
        for k, (symbol, (places, x)) in enumerate(model_matrix(part, span).items()):
            at = np.searchsorted(times[start:stop], part[symbol][0][places])
            rows[at, k * wide : (k + 1) * wide] = x
        return rows

    names = [f"{name} of {symbol}" for symbol in symbols for name in features.MODEL_NAMES]
    return faults(featurize, len(times), names, features.WARM_UP)


def _between(bars: Series, first: np.int64, last: np.int64) -> Series:
    part = slice(np.searchsorted(bars[0], first), np.searchsorted(bars[0], last, side="right"))
    open_ms, open_, high, low, close, volume = bars
    return open_ms[part], open_[part], high[part], low[part], close[part], volume[part]


def _spread(rows: Floats) -> Floats:
    """Standard deviation of each column over its finite values, 0 where it has none; a constant one is its own unit."""
    finite = np.isfinite(rows)
    count = np.maximum(finite.sum(axis=0), 1)
    mean = np.where(finite, rows, 0.0).sum(axis=0) / count
    spread: Floats = np.sqrt((np.where(finite, rows - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.where(spread > 0.0, spread, np.maximum(np.abs(mean), 1.0))


def _ahead(featurize: Featurize, whole: Floats, spread: Floats, names: Sequence[str], warm_up: int) -> list[str]:
    found: dict[str, str] = {}
    for cut in np.linspace(warm_up, len(whole) - 1, CUTS, dtype=int):
        off = _off(featurize(0, int(cut)), whole[:cut]) > FLOAT * spread
        for k in np.flatnonzero(off.any(axis=0)).tolist():
            bar = int(np.flatnonzero(off[:, k])[0])
            sentence = (
                f"{names[k]} looks ahead: bar {bar + 1} gets another value once bars from {cut + 1} on are known."
            )
            found.setdefault(names[k], sentence)
    return list(found.values())


def _begun(featurize: Featurize, whole: Floats, spread: Floats, names: Sequence[str], warm_up: int) -> list[str]:
    found: dict[str, str] = {}
    for start in np.linspace(1, len(whole) - warm_up - CUTS, STARTS, dtype=int):
        off = _off(featurize(int(start), len(whole))[warm_up:], whole[start + warm_up :]) / spread
        for k in np.flatnonzero((off > DRIFT).any(axis=0)).tolist():
            found.setdefault(
                names[k],
                f"{names[k]} remembers where its bars began: {warm_up} bars after a start at bar {start + 1} "
                f"it is still off by {_size(off[:, k].max())}.",
            )
    return list(found.values())


def _off(one: Floats, other: Floats) -> Floats:
    """Distance of each number from its counterpart; infinite where only one of the two is there."""
    off = np.abs(one - other)
    off[np.isnan(one) != np.isnan(other)] = np.inf
    return np.nan_to_num(off, nan=0.0, posinf=np.inf)


def _size(off: float) -> str:
    return f"{off:.0%} of its spread" if np.isfinite(off) else "a value only one of the two has"
