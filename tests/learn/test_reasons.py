from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.learn.features import AT, WIDTH
from core.learn.reasons import reasons
from core.learn.rule import NEVER, PULLBACK_BARS, fires

prices = st.floats(1, 1000)


def row(ema_50: float, ema_200: float, rsi: float, over_high: float) -> list[float]:
    made = [0.0] * WIDTH
    for name, value in (("ema_50", ema_50), ("ema_200", ema_200), ("rsi_14", rsi), ("over_high_20", over_high)):
        made[AT[name]] = value
    return made


ages = st.one_of(st.integers(0, 100).map(float), st.just(NEVER))


@given(prices, prices, st.floats(0, 100), st.floats(-0.5, 0.5), prices, ages)
def test_the_reasons_agree_with_the_rule(ema_50, ema_200, rsi, over_high, close, age):
    """An entry is asked for exactly when trend, price, pullback and new high all speak for it."""
    made = row(ema_50, ema_200, rsi, over_high)
    said = reasons(made, age, close, (0.4, 0.35), 50)
    assert all(one.effect > 0 for one in said if one.name != "record") == fires(made, age, close)
    assert all(-1 <= one.effect <= 1 for one in said)


@given(prices, prices, st.floats(0, 100), st.floats(-0.5, 0.5), prices, ages, st.integers(0, 500))
def test_each_reason_is_one_short_sentence(ema_50, ema_200, rsi, over_high, close, age, samples):
    """What is said fits a phone."""
    for one in reasons(row(ema_50, ema_200, rsi, over_high), age, close, (0.4, 0.35), samples):
        assert one.text.endswith(".")
        assert len(one.text) < 110


def test_a_rule_without_a_record_says_so():
    """With no finished bet behind it the rule admits that it knows nothing."""
    said = reasons(row(2, 1, 50, 0.1), 0.0, 3.0, (1 / 3, 0.2), 0)
    assert "no finished bet" in said[-1].text
    assert said[-1].effect < 0


def test_an_old_pullback_is_named_with_its_age():
    """The owner reads how long ago the pullback was."""
    assert "7 bars ago" in reasons(row(2, 1, 50, 0.1), 7.0, 3.0, (0.4, 0.3), 9)[2].text
    assert "No pullback" in reasons(row(2, 1, 50, 0.1), PULLBACK_BARS + 1.0, 3.0, (0.4, 0.3), 9)[2].text
