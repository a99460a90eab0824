"""Which kind of thing each feature tells of, so that a model's leaning can be said in a few words.

Rule 1: every feature of a model row has exactly one group.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMES: Mapping[str, tuple[str, ...]] = {
    "past returns": ("ret_1", "ret_3", "ret_12", "ret_24", "ret_72", "ret_168", "ret_1_lag_1", "mean_24"),
    "trend": ("over_ema_20", "over_ema_200", "ema_20_50", "ema_50_200", "adx_14", "di_lead"),
    "place in the range": ("over_high_20", "from_low_55", "drawdown_168", "bb_place", "stoch_k", "min_24", "max_24"),
    "momentum": ("rsi_14", "rsi_change_6", "macd_atr", "macd_hist_atr", "macd_cross", "rsi_macd", "cci_20"),
    "volatility": ("atr_share", "bb_width", "volatility", "volatility_ratio", "skew_24"),
    "volume": ("mfi_14", "obv_24", "volume_ratio"),
    "time": ("hour_sin", "hour_cos", "week_sin", "week_cos"),
    "beside the market": ("rank_24", "beta_btc", "strength_btc"),
}
GROUPS: Mapping[str, str] = {name: group for group, names in _NAMES.items() for name in names}
