"""What spoke for and against an entry, in sentences fit for a phone.

Rule 1: only what the rule looks at is named; a number that decided nothing speaks neither for nor against.
Rule 2: ``effect`` is above zero exactly where the condition holds, and grows to 1 with the distance named in SCALES.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.forecast import Contribution
from core.learn.features import AT
from core.learn.rule import EVEN_ODDS, LEVEL, NEVER, PULLBACK_BARS, RSI_PULLBACK

# distance at which a contribution counts in full
SCALES = {"trend": 0.03, "price": 0.06, "new_high": 0.02, "record": 0.10}


def reasons(
    row: Sequence[float], age: float, close: float, chance: tuple[float, float], samples: int
) -> tuple[Contribution, ...]:
    """The rule's three conditions in four parts, and its own record, each with value, effect and sentence."""
    ema_50, ema_200 = row[AT["ema_50"]], row[AT["ema_200"]]
    return (
        _trend(ema_50 / ema_200 - 1.0),
        _price(close / ema_200 - 1.0),
        _pullback(row[AT["rsi_14"]], age),
        _new_high(row[AT["over_high_20"]]),
        _record(chance, samples),
    )


def _effect(name: str, distance: float) -> float:
    return max(-1.0, min(1.0, distance / SCALES[name]))


def _trend(lead: float) -> Contribution:
    place = "above" if lead > 0 else "below"
    kind = "an uptrend" if lead > 0 else "no uptrend"
    text = f"The 50-bar average is {abs(lead):.1%} {place} the 200-bar one: {kind}."
    return Contribution("trend", lead, _effect("trend", lead), text)


def _price(lead: float) -> Contribution:
    place = "above" if lead > 0 else "below"
    return Contribution(
        "price", lead, _effect("price", lead), f"The price is {abs(lead):.1%} {place} its 200-bar average."
    )


def _pullback(rsi: float, age: float) -> Contribution:
    if age <= PULLBACK_BARS:
        text = f"It pulled back: {age:.0f} bars ago RSI was under {RSI_PULLBACK:.0f}, it is {rsi:.0f} now."
        if age == 0:
            text = f"It is pulling back: RSI {rsi:.0f}, under {RSI_PULLBACK:.0f}."
        return Contribution("pullback", rsi, 1.0 - age / (2.0 * PULLBACK_BARS), text)
    how = "yet" if age >= NEVER else f"for {age:.0f} bars"
    return Contribution("pullback", rsi, -0.5, f"No pullback {how}: RSI stays over {RSI_PULLBACK:.0f}, {rsi:.0f} now.")


def _new_high(lead: float) -> Contribution:
    if lead > 0:
        text = f"It resumed: the close is {lead:.1%} over the high of the 20 bars before."
    else:
        text = f"Not resumed: the close is {abs(lead):.1%} under the high of the 20 bars before."
    return Contribution("new_high", lead, _effect("new_high", lead), text)


def _record(chance: tuple[float, float], samples: int) -> Contribution:
    mean, low = chance
    if samples == 0:
        text = f"The rule has no finished bet here yet, so it claims no more than even odds, {EVEN_ODDS:.0%}."
    else:
        text = (
            f"Win rate {mean:.0%} after {samples} past bets, over {low:.0%} with {LEVEL:.0%} confidence; "
            f"even odds are {EVEN_ODDS:.0%}."
        )
    return Contribution("record", low, _effect("record", low - EVEN_ODDS), text)
