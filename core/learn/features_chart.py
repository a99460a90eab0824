"""What the rule and the cards read: returns, averages, RSI, MACD, ATR, ADX, Bollinger bands, extremes, volume.

Rule 1: they are what every textbook and charting site calls by that name; tests hold them against the ``ta`` package.
Rule 2: definitions of Wilder (1978) for RSI, ATR and ADX, of Appel for MACD (12, 26, 9), of Bollinger (2001) for bands.
Rule 3: moves that differ by less than NOISE of the price are a tie, so that DI and ADX do not turn on the last bit.
"""

from __future__ import annotations

import math
from collections.abc import MutableSequence

from core.learn.folds import (
    NOISE,
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
from core.learn.layout import (
    ADX,
    AT,
    ATR,
    BARS,
    CLOSE_BEFORE,
    CLOSES,
    DOWNS,
    EMA_12,
    EMA_20,
    EMA_26,
    EMA_50,
    EMA_200,
    EMA_SIGNAL,
    HIGH_20,
    HIGH_BEFORE,
    LOGS,
    LOW_55,
    LOW_BEFORE,
    MINUS,
    PER_YEAR,
    PLUS,
    RANGES,
    UPS,
    VARIANCE,
    VOLUMES,
)

_RET_1 = AT["ret_1"]
_RET_3 = AT["ret_3"]
_RET_12 = AT["ret_12"]
_RET_24 = AT["ret_24"]
_EMA_20 = AT["ema_20"]
_EMA_50 = AT["ema_50"]
_EMA_200 = AT["ema_200"]
_RSI_14 = AT["rsi_14"]
_MACD = AT["macd"]
_MACD_SIGNAL = AT["macd_signal"]
_MACD_HIST = AT["macd_hist"]
_ATR_14 = AT["atr_14"]
_ATR_SHARE = AT["atr_share"]
_ADX_14 = AT["adx_14"]
_DI_PLUS = AT["di_plus"]
_DI_MINUS = AT["di_minus"]
_BB_PLACE = AT["bb_place"]
_BB_WIDTH = AT["bb_width"]
_FROM_LOW_55 = AT["from_low_55"]
_VOLUME_RATIO = AT["volume_ratio"]
_VOLATILITY = AT["volatility"]
_OVER_HIGH_20 = AT["over_high_20"]


def step_chart(s: State, out: MutableSequence[float], high: float, low: float, close: float, volume: float) -> None:
    """Put the first 22 features of a bar into ``out``; the bar before must still stand in its slots."""
    _returns(s, out, close)
    _averages(s, out, close)
    _momentum(s, out, close)
    _ranges(s, out, high, low, close)
    _bands(s, out, close)
    _extremes(s, out, high, low, close)
    _volume(s, out, volume)


def _returns(s: State, out: MutableSequence[float], close: float) -> None:
    log_close = math.log(close)
    push(s, LOGS, log_close, 169)
    one = log_close - before(s, LOGS, 1, 169)
    out[_RET_1] = one
    out[_RET_3] = log_close - before(s, LOGS, 3, 169)
    out[_RET_12] = log_close - before(s, LOGS, 12, 169)
    out[_RET_24] = log_close - before(s, LOGS, 24, 169)
    if one == one:
        out[_VOLATILITY] = math.sqrt(smooth(s, VARIANCE, one * one, 2.0 / 101.0) * s[PER_YEAR])


def _averages(s: State, out: MutableSequence[float], close: float) -> None:
    out[_EMA_20] = smooth(s, EMA_20, close, 2.0 / 21.0)
    out[_EMA_50] = smooth(s, EMA_50, close, 2.0 / 51.0)
    out[_EMA_200] = smooth(s, EMA_200, close, 2.0 / 201.0)
    line = smooth(s, EMA_12, close, 2.0 / 13.0) - smooth(s, EMA_26, close, 2.0 / 27.0)
    signal = line
    # the signal line starts where the slow mean has its first full window
    if s[BARS] >= 26.0:
        signal = smooth(s, EMA_SIGNAL, line, 2.0 / 10.0)
    out[_MACD] = line
    out[_MACD_SIGNAL] = signal
    out[_MACD_HIST] = line - signal


def _momentum(s: State, out: MutableSequence[float], close: float) -> None:
    up = 0.0
    down = 0.0
    if close > s[CLOSE_BEFORE]:
        up = close - s[CLOSE_BEFORE]
    elif close < s[CLOSE_BEFORE]:
        down = s[CLOSE_BEFORE] - close
    out[_RSI_14] = strength(smooth(s, UPS, up, 1.0 / 14.0), smooth(s, DOWNS, down, 1.0 / 14.0))


def _ranges(s: State, out: MutableSequence[float], high: float, low: float, close: float) -> None:
    width = true_range(high, low, s[CLOSE_BEFORE])
    out[_ATR_14] = wilder_mean(s, ATR, width, 14)
    out[_ATR_SHARE] = out[_ATR_14] / close
    if s[BARS] < 2.0:
        return
    rise = high - s[HIGH_BEFORE]
    fall = s[LOW_BEFORE] - low
    # moves of as many ticks are a tie, whatever their last bits say
    plus = rise if rise - fall > NOISE * close and rise > 0.0 else 0.0
    minus = fall if fall - rise > NOISE * close and fall > 0.0 else 0.0
    total = wilder_sum(s, RANGES, width, 14)
    out[_DI_PLUS] = share(wilder_sum(s, PLUS, plus, 14), total)
    out[_DI_MINUS] = share(wilder_sum(s, MINUS, minus, 14), total)
    if s[BARS] > 14.0:
        apart = share(abs(out[_DI_PLUS] - out[_DI_MINUS]), out[_DI_PLUS] + out[_DI_MINUS])
        out[_ADX_14] = wilder_mean(s, ADX, apart, 14)


def _bands(s: State, out: MutableSequence[float], close: float) -> None:
    push(s, CLOSES, close, 20)
    offset, deviation = spread_from(s, CLOSES, close, 20)
    out[_BB_PLACE] = 0.5
    if deviation > 0.0:
        out[_BB_PLACE] = 0.5 - offset / (4.0 * deviation)
    out[_BB_WIDTH] = 4.0 * deviation / (close + offset)


def _extremes(s: State, out: MutableSequence[float], high: float, low: float, close: float) -> None:
    out[_OVER_HIGH_20] = close / s[HIGH_20 + 2] - 1.0
    highest(s, HIGH_20, high, 20)
    out[_FROM_LOW_55] = -close / highest(s, LOW_55, -low, 55) - 1.0


def _volume(s: State, out: MutableSequence[float], volume: float) -> None:
    push(s, VOLUMES, volume, 20)
    mean = mean_from(s, VOLUMES, 0.0, 20)
    out[_VOLUME_RATIO] = 0.0
    if mean > 0.0:
        out[_VOLUME_RATIO] = volume / mean
