"""Prices and averages made free of the price level: leads of one over another, and the crossings of RSI and MACD.

Rule 1: read from the row the chart's features were put into, so no average is computed twice.
Rule 2: a MACD line nearer to its signal than float noise, NOISE of the price, is on neither side of it.
Rule 3: a crossing is 1 / (1 + bars since it), signed by its direction, and forgotten after FORGET bars.
"""

from __future__ import annotations

from collections.abc import MutableSequence

from core.learn.folds import NOISE, State, before, push
from core.learn.layout import AT, BARS, CROSS_AGE, CROSS_SIDE, RSIS

FORGET = 100
# the bar on which the MACD's signal line is warm: a side taken before it would be one of the seed's
SIGNAL_WARM = 105

_EMA_20 = AT["ema_20"]
_EMA_50 = AT["ema_50"]
_EMA_200 = AT["ema_200"]
_RSI_14 = AT["rsi_14"]
_MACD = AT["macd"]
_MACD_HIST = AT["macd_hist"]
_ATR_14 = AT["atr_14"]
_DI_PLUS = AT["di_plus"]
_DI_MINUS = AT["di_minus"]
_OVER_EMA_20 = AT["over_ema_20"]
_OVER_EMA_200 = AT["over_ema_200"]
_EMA_20_50 = AT["ema_20_50"]
_EMA_50_200 = AT["ema_50_200"]
_MACD_ATR = AT["macd_atr"]
_MACD_HIST_ATR = AT["macd_hist_atr"]
_DI_LEAD = AT["di_lead"]
_RSI_CHANGE_6 = AT["rsi_change_6"]
_MACD_CROSS = AT["macd_cross"]
_RSI_MACD = AT["rsi_macd"]


def step_lead(s: State, out: MutableSequence[float], close: float) -> None:
    """Put leads (fractions), MACD in ATRs, DI and RSI differences (points) and crossings (-1..1) into ``out``."""
    out[_OVER_EMA_20] = close / out[_EMA_20] - 1.0
    out[_OVER_EMA_200] = close / out[_EMA_200] - 1.0
    out[_EMA_20_50] = out[_EMA_20] / out[_EMA_50] - 1.0
    out[_EMA_50_200] = out[_EMA_50] / out[_EMA_200] - 1.0
    out[_MACD_ATR] = 0.0
    out[_MACD_HIST_ATR] = 0.0
    if out[_ATR_14] > NOISE * close:
        out[_MACD_ATR] = out[_MACD] / out[_ATR_14]
        out[_MACD_HIST_ATR] = out[_MACD_HIST] / out[_ATR_14]
    out[_DI_LEAD] = out[_DI_PLUS] - out[_DI_MINUS]
    push(s, RSIS, out[_RSI_14], 7)
    out[_RSI_CHANGE_6] = out[_RSI_14] - before(s, RSIS, 6, 7)
    out[_MACD_CROSS] = _crossing(s, out[_MACD_HIST], NOISE * close)
    out[_RSI_MACD] = (out[_RSI_14] / 50.0 - 1.0) * out[_MACD_CROSS]


def _crossing(s: State, hist: float, noise: float) -> float:
    """Newness of the last crossing of MACD and signal, above 0 upwards and below 0 downwards; 0: none, or long ago."""
    side = 0.0
    if hist > noise:
        side = 1.0
    elif hist < -noise:
        side = -1.0
    s[CROSS_AGE] += 1.0
    if side != 0.0 and s[BARS] >= SIGNAL_WARM:
        if s[CROSS_SIDE] == -side:
            s[CROSS_AGE] = 0.0
        elif s[CROSS_SIDE] == 0.0:
            s[CROSS_AGE] = FORGET + 1.0
        s[CROSS_SIDE] = side
    if s[CROSS_AGE] > FORGET:
        return 0.0
    return s[CROSS_SIDE] / (1.0 + s[CROSS_AGE])
