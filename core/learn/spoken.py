"""What spoke for and against in a model's forecast, in sentences fit for a phone, from its TreeSHAP contributions.

Rule 1: every feature a model may see has words here: its value as a person says it, then for or against.
Rule 2: TreeSHAP adds up, so what tells one thing in two numbers (the hour as sine and cosine) is added and said once.
Rule 3: the points of a contribution are what the calibrated chance would lack without it: curve(z) - curve(z - share),
with z the raw log-odds; where that moves no tenth of a point, or no curve is known, only the side is told.
Rule 4: a feature speaks for or against in this forecast only; nothing here says that it causes anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from core.domain.errors import BadData
from core.domain.forecast import Contribution
from core.learn.fit import calibration

NAMED = 8
LEAST_POINTS = 0.05
_FAR = 700.0  # beyond it exp overflows

Curve = Callable[[float], float]
Say = Callable[[float], str]


def spoken(
    names: Sequence[str], row: Sequence[float], shares: Sequence[float], curve: Curve | None = None
) -> tuple[Contribution, ...]:
    """The strongest contributions, strongest first, ``effect`` in -1..1 of the strongest.

    ``shares``: one a feature, in log-odds, then the base they start from; ``curve``: raw chance to calibrated one.
    """
    parts = list(_parts(names, row, shares))
    ranked = sorted((part for part in parts if part[2]), key=lambda part: -abs(part[2]))[:NAMED]
    if not ranked:
        return ()
    top, total = abs(ranked[0][2]), sum(shares)
    return tuple(
        Contribution(name, value, share / top, _sentence(name, value, share, points(total, share, curve)))
        for name, value, share in ranked
    )


def curve_of(calibrator: Mapping[str, object]) -> Curve | None:
    """The curve a manifest keeps, None where it keeps none that can be read."""
    try:
        return calibration.from_json(dict(calibrator)).apply
    except BadData:
        return None


def points(total: float, share: float, curve: Curve | None) -> float:
    """Percentage points of the calibrated chance that a contribution makes, 0 where no curve is known."""
    return 100.0 * (curve(_chance(total)) - curve(_chance(total - share))) if curve else 0.0


def words(name: str, value: float) -> str:
    """What a feature's value means, without a full stop; its bare number where the feature has no words."""
    say = WORDS.get(name)
    return say(value) if say else f"{name} is {value:.3g}"


def _chance(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -_FAR), _FAR)))


def _sentence(name: str, value: float, share: float, made: float) -> str:
    side = f"{made:+.1f} points".replace("-", "−") if abs(made) >= LEAST_POINTS else "for" if share > 0 else "against"
    return f"{words(name, value)} ({side})."


# two numbers of one thing: what they are told as, and how far round its circle is one turn
CIRCLES = {"hour": ("hour_sin", "hour_cos", 24.0), "week": ("week_sin", "week_cos", 7.0)}
_OF_CIRCLES = {part: told for told, (sine, cosine, _) in CIRCLES.items() for part in (sine, cosine)}


def _parts(names: Sequence[str], row: Sequence[float], shares: Sequence[float]) -> Iterator[tuple[str, float, float]]:
    """Name, value and share of each thing that can be told."""
    value, share = dict(zip(names, row, strict=False)), dict(zip(names, shares, strict=False))
    for told, (sine, cosine, turn) in CIRCLES.items():
        if sine in value and cosine in value:
            at = math.atan2(value[sine], value[cosine]) / (2.0 * math.pi) % 1.0
            yield told, at * turn, share[sine] + share[cosine]
    whole = {told for told, (sine, cosine, _) in CIRCLES.items() if sine in value and cosine in value}
    yield from ((name, value[name], share[name]) for name in names if _OF_CIRCLES.get(name) not in whole)


def _percent(value: float, digits: int = 1) -> str:
    return f"{abs(value):.{digits}%}"


def _returned(log_return: float) -> float:
    return math.expm1(min(log_return, 10.0))  # nobody reads a longer number


def _moved(bars: int) -> Say:
    def say(value: float) -> str:
        return f"The price {'rose' if value >= 0 else 'fell'} {_percent(_returned(value))} in {bars} bars"

    return say


def _one_bar(which: str) -> Say:
    def say(value: float) -> str:
        return f"{which} {'rose' if value >= 0 else 'fell'} {_percent(_returned(value), 2)}"

    return say


def _lead(what: str, over: str) -> Say:
    def say(value: float) -> str:
        return f"{what} is {_percent(value)} {'above' if value >= 0 else 'below'} {over}"

    return say


def _level(what: str, low: float, few: str, high: float, many: str, between: str) -> Say:
    def say(value: float) -> str:
        kind = few if value < low else many if value > high else between
        return f"{what} is {value:.0f}: {kind}"

    return say


def _times(what: str, than: str) -> Say:
    def say(value: float) -> str:
        return f"{what} {value:.1f} times {than}"

    return say


def _rsi_change(value: float) -> str:
    return f"RSI {'rose' if value >= 0 else 'fell'} {abs(value):.0f} in 6 bars"


def _ranges(what: str, over: str) -> Say:
    def say(value: float) -> str:
        return f"{what} is {abs(value):.2f} average ranges {'above' if value >= 0 else 'below'} {over}"

    return say


def _crossed(value: float) -> str:
    if not value:
        return "MACD has not crossed its signal line for 100 bars"
    ago = round(1.0 / abs(value)) - 1
    when = "just now" if ago < 1 else f"{ago} bar{'s' * (ago != 1)} ago"
    return f"MACD crossed {'up' if value > 0 else 'down'} through its signal line {when}"


def _together(value: float) -> str:
    if not value:
        return "RSI and MACD say nothing together"
    return f"RSI and the newest MACD crossing {'agree' if value > 0 else 'disagree'} ({value:+.2f})"


def _di_lead(value: float) -> str:
    return f"{'Rises' if value >= 0 else 'Falls'} lead by {abs(value):.0f} points of DI"


def _band(value: float) -> str:
    if not 0.0 <= value <= 1.0:
        return f"The price is {'over' if value > 1 else 'under'} its Bollinger band ({value:.2f})"
    return f"The price is {value:.0%} up its Bollinger band"


def _skew(value: float) -> str:
    return f"Its largest moves of 24 bars were {'rises' if value >= 0 else 'falls'} (skew {value:+.1f})"


def _balance(value: float) -> str:
    return f"Volume of 24 bars went with {'rises' if value >= 0 else 'falls'} ({value:+.0%} in balance)"


def _strength(value: float) -> str:
    return f"It did {_percent(value)} {'better' if value >= 0 else 'worse'} than BTC in 24 bars, beta counted"


def _hour(value: float) -> str:
    minutes = round(value * 60) % 1440
    return f"The bar opened at {minutes // 60:02d}:{minutes % 60:02d} UTC"


def _weekday(value: float) -> str:
    """The day (UTC) of days since Monday 00:00."""
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    # a sine knows no exact midnight
    return days[int(value + 1e-6) % 7]


WORDS: Mapping[str, Say] = {
    "ret_1": _one_bar("The bar"),
    "ret_3": _moved(3),
    "ret_12": _moved(12),
    "ret_24": _moved(24),
    "ret_72": _moved(72),
    "ret_168": _moved(168),
    "ret_1_lag_1": _one_bar("The bar before"),
    "over_ema_20": _lead("The price", "its 20-bar average"),
    "over_ema_200": _lead("The price", "its 200-bar average"),
    "ema_20_50": _lead("The 20-bar average", "the 50-bar one"),
    "ema_50_200": _lead("The 50-bar average", "the 200-bar one"),
    "over_high_20": _lead("The close", "the high of the 20 bars before"),
    "from_low_55": _lead("The price", "its 55-bar low"),
    "drawdown_168": _lead("The price", "its 168-bar high"),
    "rsi_14": _level("RSI", 30, "oversold", 70, "overbought", "in the middle"),
    "rsi_change_6": _rsi_change,
    "macd_atr": _ranges("MACD", "zero"),
    "macd_hist_atr": _ranges("MACD", "its signal line"),
    "macd_cross": _crossed,
    "rsi_macd": _together,
    "adx_14": _level("ADX", 20, "no clear trend", 25, "a clear trend", "a weak trend"),
    "di_lead": _di_lead,
    "atr_share": lambda value: f"The average range of a bar is {_percent(value, 2)} of the price",
    "bb_place": _band,
    "bb_width": lambda value: f"Its Bollinger band is {_percent(value)} of the price wide",
    "volatility": lambda value: f"Volatility is {_percent(value, 0)} a year",
    "volatility_ratio": _times("The last 24 bars were", "as volatile as usual"),
    "mean_24": _one_bar("A bar of the last 24 on average"),
    "min_24": _one_bar("The worst of 24 bars"),
    "max_24": _one_bar("The best of 24 bars"),
    "skew_24": _skew,
    "stoch_k": _level("Stochastic", 20, "near its 14-bar low", 80, "near its 14-bar high", "inside its 14-bar range"),
    "cci_20": _level("CCI", -100, "far below its average", 100, "far above its average", "near its average"),
    "mfi_14": _level("Money flow (MFI)", 20, "mostly selling", 80, "mostly buying", "mixed"),
    "obv_24": _balance,
    "volume_ratio": _times("Volume is", "its 20-bar average"),
    "hour": _hour,
    "week": lambda value: f"The bar opened on a {_weekday(value)} (UTC)",
    "rank_24": lambda value: f"Its return of 24 bars is ahead of {value:.0%} of the other symbols",
    "beta_btc": _times("It moves", "as much as BTC (beta)"),
    "strength_btc": _strength,
}
