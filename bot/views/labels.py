"""What spoke for or against in some thirty characters: as much as a column of a picture holds.

Rule 1: pure; the caption under the picture has the whole sentence.
"""

from __future__ import annotations

from core.domain.forecast import Contribution

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# what is kept as a log return is small enough that its percentage reads the same
LABELS = {
    # the rule's
    "trend": "50- to 200-bar average {:+.1%}",
    "price": "price to 200-bar average {:+.1%}",
    "pullback": "pullback, RSI now {:.0f}",
    "new_high": "close to 20-bar high {:+.1%}",
    "record": "own record, at worst {:.0%}",
    # a model's
    "ret_1": "return of this bar {:+.2%}",
    "ret_3": "return of 3 bars {:+.1%}",
    "ret_12": "return of 12 bars {:+.1%}",
    "ret_24": "return of 24 bars {:+.1%}",
    "ret_72": "return of 72 bars {:+.1%}",
    "ret_168": "return of 168 bars {:+.1%}",
    "ret_1_lag_1": "return of the bar before {:+.2%}",
    "over_ema_20": "price to 20-bar average {:+.1%}",
    "over_ema_200": "price to 200-bar average {:+.1%}",
    "ema_20_50": "20- to 50-bar average {:+.1%}",
    "ema_50_200": "50- to 200-bar average {:+.1%}",
    "over_high_20": "close to 20-bar high {:+.1%}",
    "from_low_55": "price over 55-bar low {:+.1%}",
    "drawdown_168": "price to 168-bar high {:+.1%}",
    "rsi_14": "RSI {:.0f}",
    "rsi_change_6": "RSI in 6 bars {:+.0f}",
    "macd_atr": "MACD {:+.2f} average ranges",
    "macd_hist_atr": "MACD to signal {:+.2f} ranges",
    "macd_cross": "newness of MACD cross {:+.2f}",
    "rsi_macd": "RSI times MACD cross {:+.2f}",
    "adx_14": "strength of trend, ADX {:.0f}",
    "di_lead": "rises lead falls, DI {:+.0f}",
    "atr_share": "average range {:.2%}",
    "bb_place": "place in Bollinger band {:.0%}",
    "bb_width": "Bollinger band width {:.1%}",
    "volatility": "volatility {:.0%} a year",
    "volatility_ratio": "volatility to usual, x{:.1f}",
    "mean_24": "mean of 24 returns {:+.2%}",
    "min_24": "worst of 24 bars {:+.2%}",
    "max_24": "best of 24 bars {:+.2%}",
    "skew_24": "skew of 24 returns {:+.1f}",
    "stoch_k": "Stochastic {:.0f}",
    "cci_20": "CCI {:.0f}",
    "mfi_14": "money flow, MFI {:.0f}",
    "obv_24": "volume with rises {:+.0%}",
    "volume_ratio": "volume to usual, x{:.1f}",
    "rank_24": "rank among symbols {:.0%}",
    "beta_btc": "beta to BTC {:.1f}",
    "strength_btc": "strength beside BTC {:+.1%}",
}


def label(spoke: Contribution) -> str:
    """The short form of a contribution; its sentence where it has none."""
    if spoke.name == "hour":
        minutes = round(spoke.value * 60) % 1440
        return f"time of day {minutes // 60:02d}:{minutes % 60:02d} UTC"
    if spoke.name == "week":
        return f"day of the week {DAYS[int(spoke.value + 1e-6) % 7]}"
    form = LABELS.get(spoke.name)
    return _no_minus_zero(form.format(spoke.value)) if form else spoke.text


def _no_minus_zero(text: str) -> str:
    head, _, last = text.rpartition(" ")
    zero = last.startswith("-") and not any(digit in "123456789" for digit in last)
    return f"{head} +{last[1:]}" if zero else text
