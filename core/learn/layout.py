"""The table of features, and where each keeps what it remembers: names and places only, no arithmetic.

Rule 1: a row holds FEATURES in this order; ``AT`` finds a feature's place, never a number written elsewhere.
Rule 2: a warm-up counts the bars until the feature speaks, its own included: the full window for windows, three time
constants' worth for recursive means, after which the bar a fold happened to start on weighs less than 0.3 %.
Rule 3: the state is one flat sequence of floats; every slot has one owner, and starts as NaN, or as 0 where it counts.
"""

from __future__ import annotations

import math

from core.learn.folds import MEAN_SIZE, RANGE_HEAD, RING_HEAD

FEATURES: tuple[tuple[str, int], ...] = (
    # what the rule and the cards read: some are prices
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
    ("from_low_55", 55),
    ("volume_ratio", 20),
    ("volatility", 300),
    ("over_high_20", 21),
    # leads and crossings
    ("over_ema_20", 60),
    ("over_ema_200", 600),
    ("ema_20_50", 150),
    ("ema_50_200", 600),
    ("macd_atr", 82),
    ("macd_hist_atr", 105),
    ("di_lead", 82),
    ("rsi_change_6", 88),
    ("macd_cross", 205),
    ("rsi_macd", 205),
    # oscillators
    ("stoch_k", 14),
    ("cci_20", 20),
    ("mfi_14", 15),
    ("obv_24", 25),
    # how returns are spread
    ("ret_72", 73),
    ("ret_168", 169),
    ("ret_1_lag_1", 3),
    ("mean_24", 25),
    ("std_24", 25),
    ("min_24", 25),
    ("max_24", 25),
    ("skew_24", 25),
    ("volatility_ratio", 300),
    ("drawdown_168", 168),
    # the clock
    ("hour_sin", 1),
    ("hour_cos", 1),
    ("week_sin", 1),
    ("week_cos", 1),
)
NAMES: tuple[str, ...] = tuple(name for name, _ in FEATURES)
WARM_UPS: tuple[int, ...] = tuple(bars for _, bars in FEATURES)
WARM_UP = max(WARM_UPS)
WIDTH = len(NAMES)
AT: dict[str, int] = {name: k for k, name in enumerate(NAMES)}

YEAR_S = 8766 * 3600
NOTHING = math.nan
NEVER_MS = -1.0

# slots of the state: what is kept when a hole makes it start again, then everything else
PER_YEAR = 0
SPAN_MS = 1
KEPT = 2
OPEN_MS = KEPT
BARS = 3
HIGH_BEFORE = 4
LOW_BEFORE = 5
CLOSE_BEFORE = 6
TYPICAL_BEFORE = 7
EMA_20 = 8
EMA_50 = 9
EMA_200 = 10
EMA_12 = 11
EMA_26 = 12
EMA_SIGNAL = 13
UPS = 14
DOWNS = 15
VARIANCE = 16
CROSS_SIDE = 17
CROSS_AGE = 18
ATR = 19
RANGES = ATR + MEAN_SIZE
PLUS = RANGES + MEAN_SIZE
MINUS = PLUS + MEAN_SIZE
ADX = MINUS + MEAN_SIZE
LOGS = ADX + MEAN_SIZE
CLOSES = LOGS + RING_HEAD + 169
VOLUMES = CLOSES + RING_HEAD + 20
RSIS = VOLUMES + RING_HEAD + 20
TYPICALS = RSIS + RING_HEAD + 7
FLOWS = TYPICALS + RING_HEAD + 20
SIGNED = FLOWS + RING_HEAD + 14
MOVES = SIGNED + RING_HEAD + 24
HIGH_14 = MOVES + RING_HEAD + 24
LOW_14 = HIGH_14 + RANGE_HEAD + 14
HIGH_20 = LOW_14 + RANGE_HEAD + 14
LOW_55 = HIGH_20 + RANGE_HEAD + 20
HIGH_168 = LOW_55 + RANGE_HEAD + 55
MOST = HIGH_168 + RANGE_HEAD + 168
LEAST = MOST + RANGE_HEAD + 24
SIZE = LEAST + RANGE_HEAD + 24

_COUNTERS = (BARS, CROSS_SIDE, CROSS_AGE, *range(ATR, LOGS))
_RINGS = (LOGS, CLOSES, VOLUMES, RSIS, TYPICALS, FLOWS, SIGNED, MOVES)
_RANGES = (HIGH_14, LOW_14, HIGH_20, LOW_55, HIGH_168, MOST, LEAST)
ZEROED: tuple[int, ...] = (*_COUNTERS, *_RINGS, *_RANGES, *(slot + 1 for slot in _RANGES))
