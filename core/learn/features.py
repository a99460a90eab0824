"""The feature set: one bar in, one row out, the same source live and over history.

Rule 1: ``step_row`` is the only definition; history is this function called bar by bar.
Rule 2: a feature is NaN until its warm-up is over; afterwards it is finite, whatever bars come.
Rule 3: names, order or source changed means another ``version``: a saved state of another version is not used.

Warm-up is the full window for windows and three time constants' worth of bars for recursive means,
after which the bar the fold happened to start on weighs less than 0.3 %.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Iterator, MutableSequence, Sequence
from datetime import timedelta
from functools import cache

from core.learn import folds
from core.learn.folds import (
    MEAN_SIZE,
    RANGE_HEAD,
    RING_HEAD,
    State,
    before,
    highest,
    mean_from,
    push,
    share,
    smooth,
    spread_from,
    strength,
    true_range,
    wilder_mean,
    wilder_sum,
)

FEATURES: tuple[tuple[str, int], ...] = (
    ("ret_1", 2),
    ("ret_3", 4),
    ("ret_12", 13),
    ("ret_24", 25),
    ("ema_20", 60),
    ("ema_50", 150),
    ("ema_200", 600),
    ("rsi_14", 82),
    ("macd", 78),
    ("macd_signal", 105),
    ("macd_hist", 105),
    ("atr_14", 82),
    ("atr_share", 82),
    ("adx_14", 164),
    ("di_plus", 82),
    ("di_minus", 82),
    ("bb_place", 20),
    ("bb_width", 20),
    ("from_high_20", 20),
    ("from_low_20", 20),
    ("from_high_55", 55),
    ("from_low_55", 55),
    ("volume_ratio", 20),
    ("volatility", 300),
    ("over_high_20", 21),
)
NAMES: tuple[str, ...] = tuple(name for name, _ in FEATURES)
WARM_UPS: tuple[int, ...] = tuple(bars for _, bars in FEATURES)
WARM_UP = max(WARM_UPS)
WIDTH = len(NAMES)
AT: dict[str, int] = {name: k for k, name in enumerate(NAMES)}

YEAR_S = 8766 * 3600
NOTHING = math.nan

# slots of the state
BARS = 0
PER_YEAR = 1
HIGH_BEFORE = 2
LOW_BEFORE = 3
CLOSE_BEFORE = 4
EMA_20 = 5
EMA_50 = 6
EMA_200 = 7
EMA_12 = 8
EMA_26 = 9
EMA_SIGNAL = 10
UPS = 11
DOWNS = 12
VARIANCE = 13
ATR = 14
RANGES = ATR + MEAN_SIZE
PLUS = RANGES + MEAN_SIZE
MINUS = PLUS + MEAN_SIZE
ADX = MINUS + MEAN_SIZE
LOGS = ADX + MEAN_SIZE
CLOSES = LOGS + RING_HEAD + 25
VOLUMES = CLOSES + RING_HEAD + 20
HIGH_20 = VOLUMES + RING_HEAD + 20
LOW_20 = HIGH_20 + RANGE_HEAD + 20
HIGH_55 = LOW_20 + RANGE_HEAD + 20
LOW_55 = HIGH_55 + RANGE_HEAD + 55
SIZE = LOW_55 + RANGE_HEAD + 55

_ZEROED = (BARS, *range(ATR, LOGS), LOGS, CLOSES, VOLUMES)
_RANGES = (HIGH_20, LOW_20, HIGH_55, LOW_55)


def new_state(span: timedelta) -> list[float]:
    """A state no bar was put into, SIZE floats; bars last ``span``."""
    state = [NOTHING] * SIZE
    for slot in _ZEROED:
        state[slot] = 0.0
    for slot in _RANGES:
        state[slot] = state[slot + 1] = 0.0
    state[PER_YEAR] = YEAR_S / span.total_seconds()
    return state


def step_row(
    s: State, out: MutableSequence[float], open_: float, high: float, low: float, close: float, volume: float
) -> None:
    """Put one closed bar into ``s`` and its WIDTH features into ``out``, NaN where not warm yet."""
    s[BARS] += 1.0
    _returns(s, out, close)
    _averages(s, out, close)
    _momentum(s, out, close)
    _ranges(s, out, high, low, close)
    _bands(s, out, close)
    _extremes(s, out, high, low, close)
    _volume(s, out, volume)
    s[HIGH_BEFORE] = high
    s[LOW_BEFORE] = low
    s[CLOSE_BEFORE] = close
    if s[BARS] < WARM_UP:
        for k in range(WIDTH):
            if s[BARS] < WARM_UPS[k]:
                out[k] = NOTHING


def _returns(s: State, out: MutableSequence[float], close: float) -> None:
    log_close = math.log(close)
    push(s, LOGS, log_close, 25)
    one = log_close - before(s, LOGS, 1, 25)
    out[0] = one
    out[1] = log_close - before(s, LOGS, 3, 25)
    out[2] = log_close - before(s, LOGS, 12, 25)
    out[3] = log_close - before(s, LOGS, 24, 25)
    if one == one:
        out[23] = math.sqrt(smooth(s, VARIANCE, one * one, 2.0 / 101.0) * s[PER_YEAR])


def _averages(s: State, out: MutableSequence[float], close: float) -> None:
    out[4] = smooth(s, EMA_20, close, 2.0 / 21.0)
    out[5] = smooth(s, EMA_50, close, 2.0 / 51.0)
    out[6] = smooth(s, EMA_200, close, 2.0 / 201.0)
    line = smooth(s, EMA_12, close, 2.0 / 13.0) - smooth(s, EMA_26, close, 2.0 / 27.0)
    signal = line
    # the signal line starts where the slow mean has its first full window
    if s[BARS] >= 26.0:
        signal = smooth(s, EMA_SIGNAL, line, 2.0 / 10.0)
    out[8] = line
    out[9] = signal
    out[10] = line - signal


def _momentum(s: State, out: MutableSequence[float], close: float) -> None:
    up = 0.0
    down = 0.0
    if close > s[CLOSE_BEFORE]:
        up = close - s[CLOSE_BEFORE]
    elif close < s[CLOSE_BEFORE]:
        down = s[CLOSE_BEFORE] - close
    out[7] = strength(smooth(s, UPS, up, 1.0 / 14.0), smooth(s, DOWNS, down, 1.0 / 14.0))


def _ranges(s: State, out: MutableSequence[float], high: float, low: float, close: float) -> None:
    width = true_range(high, low, s[CLOSE_BEFORE])
    out[11] = wilder_mean(s, ATR, width, 14)
    out[12] = out[11] / close
    if s[BARS] < 2.0:
        return
    rise = high - s[HIGH_BEFORE]
    fall = s[LOW_BEFORE] - low
    plus = rise if rise > fall and rise > 0.0 else 0.0
    minus = fall if fall > rise and fall > 0.0 else 0.0
    total = wilder_sum(s, RANGES, width, 14)
    out[14] = share(wilder_sum(s, PLUS, plus, 14), total)
    out[15] = share(wilder_sum(s, MINUS, minus, 14), total)
    if s[BARS] > 14.0:
        out[13] = wilder_mean(s, ADX, share(abs(out[14] - out[15]), out[14] + out[15]), 14)


def _bands(s: State, out: MutableSequence[float], close: float) -> None:
    push(s, CLOSES, close, 20)
    offset = mean_from(s, CLOSES, close, 20)
    deviation = spread_from(s, CLOSES, close, offset, 20)
    out[16] = 0.5
    if deviation > 0.0:
        out[16] = 0.5 - offset / (4.0 * deviation)
    out[17] = 4.0 * deviation / (close + offset)


def _extremes(s: State, out: MutableSequence[float], high: float, low: float, close: float) -> None:
    out[24] = close / s[HIGH_20 + 2] - 1.0
    out[18] = close / highest(s, HIGH_20, high, 20) - 1.0
    out[19] = -close / highest(s, LOW_20, -low, 20) - 1.0
    out[20] = close / highest(s, HIGH_55, high, 55) - 1.0
    out[21] = -close / highest(s, LOW_55, -low, 55) - 1.0


def _volume(s: State, out: MutableSequence[float], volume: float) -> None:
    push(s, VOLUMES, volume, 20)
    mean = mean_from(s, VOLUMES, 0.0, 20)
    out[22] = 0.0
    if mean > 0.0:
        out[22] = volume / mean


Columns = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float], Sequence[float]]


def fold(columns: Columns, state: State) -> Iterator[list[float]]:
    """One feature row for each bar of ``columns`` (open, high, low, close, volume), moving ``state`` along."""
    for bar in zip(*columns, strict=True):
        out = [NOTHING] * WIDTH
        step_row(state, out, *bar)
        yield out


@cache
def version() -> str:
    """Name of this feature set, 64 hex digits: sha256 over its names and the source text of its functions."""
    text = "\n".join((*NAMES, inspect.getsource(folds), inspect.getsource(inspect.getmodule(step_row) or folds)))
    return hashlib.sha256(text.encode()).hexdigest()
