"""The feature set: one bar in, one row out, the same source live and over history.

Rule 1: ``step_row`` is the only definition; history is this function called bar by bar.
Rule 2: a feature is NaN until its warm-up is over; afterwards it is finite, whatever bars come.
Rule 3: after more than HOLE_BARS missing bars everything starts again and warms up again: averages over prices nobody
saw are not averages.
Rule 4: MODEL_NAMES are free of the price level: a market quoted in thousandths has the same model row.
Rule 5: names, order or source changed means another ``version``: a saved state of another version is not used.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Iterator, MutableSequence, Sequence
from datetime import timedelta
from functools import cache
from operator import itemgetter

from core.learn import (
    cross,
    features_chart,
    features_clock,
    features_lead,
    features_spread,
    features_swing,
    folds,
    layout,
)
from core.learn.features_chart import step_chart
from core.learn.features_clock import step_clock
from core.learn.features_lead import step_lead
from core.learn.features_spread import step_spread
from core.learn.features_swing import step_swing
from core.learn.folds import State
from core.learn.layout import (
    AT,
    BARS,
    CLOSE_BEFORE,
    HIGH_BEFORE,
    KEPT,
    LOW_BEFORE,
    NAMES,
    NEVER_MS,
    NOTHING,
    OPEN_MS,
    PER_YEAR,
    SIZE,
    SPAN_MS,
    WARM_UP,
    WARM_UPS,
    WIDTH,
    YEAR_S,
    ZEROED,
)

__all__ = [
    "AT",
    "BARS",
    "HOLE_BARS",
    "MODEL_AT",
    "MODEL_NAMES",
    "NAMES",
    "NOTHING",
    "OPEN_MS",
    "SIZE",
    "WARM_UP",
    "WARM_UPS",
    "WIDTH",
    "Columns",
    "fold",
    "model_row",
    "new_state",
    "step_row",
    "version",
]

HOLE_BARS = 24

_ALONE = (
    *("ret_1", "ret_3", "ret_12", "ret_24", "ret_72", "ret_168", "ret_1_lag_1"),
    *("over_ema_20", "over_ema_200", "ema_20_50", "ema_50_200", "over_high_20", "from_low_55", "drawdown_168"),
    *("rsi_14", "rsi_change_6", "macd_atr", "macd_hist_atr", "macd_cross", "rsi_macd", "adx_14", "di_lead"),
    *("atr_share", "bb_place", "bb_width", "volatility", "volatility_ratio"),
    *("mean_24", "min_24", "max_24", "skew_24"),
    *("stoch_k", "cci_20", "mfi_14", "obv_24", "volume_ratio"),
    *("hour_sin", "hour_cos", "week_sin", "week_cos"),
)
MODEL_NAMES: tuple[str, ...] = (*_ALONE, *cross.NAMES)
MODEL_AT: tuple[int, ...] = tuple(AT[name] for name in _ALONE)
_PICK = itemgetter(*MODEL_AT)

Columns = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float], Sequence[float]]


def new_state(span: timedelta) -> list[float]:
    """A state no bar was put into, SIZE floats; bars last ``span``."""
    state = [NOTHING] * SIZE
    state[PER_YEAR] = YEAR_S / span.total_seconds()
    state[SPAN_MS] = float(span // timedelta(milliseconds=1))
    _restart(state)
    return state


def _restart(s: State) -> None:
    for k in range(KEPT, SIZE):
        s[k] = NOTHING
    for k in ZEROED:
        s[k] = 0.0
    s[OPEN_MS] = NEVER_MS


def step_row(
    s: State,
    out: MutableSequence[float],
    open_ms: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Put one closed bar, newer than the one before, into ``s`` and its WIDTH features into ``out``; NaN: not warm."""
    # a state without a bar starts again once more, which changes nothing
    if open_ms - s[OPEN_MS] >= (HOLE_BARS + 2) * s[SPAN_MS]:
        _restart(s)
    s[OPEN_MS] = open_ms
    s[BARS] += 1.0
    step_chart(s, out, high, low, close, volume)
    step_lead(s, out, close)
    step_swing(s, out, high, low, close, volume)
    step_spread(s, out, high, close)
    step_clock(out, open_ms)
    s[HIGH_BEFORE] = high
    s[LOW_BEFORE] = low
    s[CLOSE_BEFORE] = close
    if s[BARS] < WARM_UP:
        for k in range(WIDTH):
            if s[BARS] < WARM_UPS[k]:
                out[k] = NOTHING


def fold(open_ms: Sequence[int], columns: Columns, state: State) -> Iterator[list[float]]:
    """One feature row for each bar of ``columns`` (open, high, low, close, volume), moving ``state`` along."""
    for bar in zip(open_ms, *columns, strict=True):
        out = [NOTHING] * WIDTH
        step_row(state, out, *bar)
        yield out


def model_row(row: Sequence[float], among: Sequence[float]) -> tuple[float, ...] | None:
    """What the model sees of a bar, in the order of MODEL_NAMES, from its feature row and the symbol's cross-sectional
    features (``cross.NAMES``); None while one of them is not warm."""
    seen: tuple[float, ...] = (*_PICK(row), *among)
    return seen if math.isfinite(sum(seen)) else None


@cache
def version() -> str:
    """Name of this feature set, 64 hex digits: sha256 over its names and the source text of its functions."""
    parts = (layout, folds, features_chart, features_lead, features_swing, features_spread, features_clock, cross)
    sources = [inspect.getsource(module) for module in (*parts, sys.modules[__name__])]
    return hashlib.sha256("\n".join((*MODEL_NAMES, *NAMES, *sources)).encode()).hexdigest()
