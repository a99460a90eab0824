"""The picture of a decision shows what its card says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bot.views.chartspec import Tone
from bot.views.picture import SPOKEN_SHOWN, decimals, decision_chart
from core.domain.forecast import Contribution
from core.domain.orders import Refusal
from core.domain.state import Outcome
from tests.bot.fakes import bar, forecast, with_contributions
from tests.bot.views.test_cards import decided
from tests.bot.views.test_notices import HELD

BARS = [bar(hour) for hour in range(3)]
TICK = Decimal("0.01")


def chart(decision=None, **options):
    """The picture of a decision about three bars."""
    return decision_chart(
        decision or decided(), BARS, TICK, "Europe/Berlin", options.pop("staged", "SIMULATED"), **options
    )


def test_the_barriers_of_a_plan_are_lines():
    """Entry, stop and target at their prices, with how far they are."""
    lines = {line.tone: (line.label, line.price) for line in chart().lines}
    assert lines == {
        Tone.ENTRY: ("entry", 136108.46),
        Tone.STOP: ("stop −3.9%", 130781.15),
        Tone.TARGET: ("target +7.8%", 146763.07),
    }


def test_a_held_position_shows_what_was_really_paid():
    """The entry line is the average price of the purchase."""
    entry = next(line for line in chart(position=HELD).lines if line.tone is Tone.ENTRY)
    assert entry.price == pytest.approx(136124.9, abs=0.1)


def test_a_refusal_shows_the_last_price_and_its_sentence():
    """No barriers where nothing is planned."""
    nothing = replace(decided(), qty=Decimal(0), stop=Decimal(0), target=Decimal(0), outcome=Outcome.REFUSED)
    spec = chart(replace(nothing, refusal=Refusal("NO_EDGE", "Too thin.")))
    assert [(line.label, line.tone) for line in spec.lines] == [("last", Tone.LAST)]
    assert spec.subtitle == "Too thin."
    assert chart(nothing).subtitle == "no order"


@pytest.mark.parametrize("staged", ["SIMULATED", "REPLAYED", ""])
def test_a_market_that_is_not_real_has_its_badge(staged: str):
    """The word is in the picture itself, which may be forwarded without its caption."""
    assert chart(staged=staged).badge == staged


def test_a_rule_is_called_a_rule_in_the_picture():
    """And a model by its name."""
    assert chart().footer == "rule:trend-pullback@1, not a learned model; 55 past outcomes"
    assert chart(decided(forecast=forecast(0, model_id="lgbm@1"))).footer == "lgbm@1; 55 past outcomes"
    assert chart(decided(forecast=None)).footer == ""


def test_reasons_are_short_enough_for_their_column():
    """The rule's own sentences are cut off in the picture, so it has short ones."""
    names = {"trend": 0.0491, "price": -0.071, "pullback": 65.4, "new_high": 0.0002, "record": 0.502}
    spoke = tuple(Contribution(name, value, 0.5, "A long sentence " * 5) for name, value in names.items())
    labels = [spoke.label for spoke in chart(decided(forecast=replace(forecast(0), contributions=spoke))).spoke_for]
    assert labels == [
        "50- to 200-bar average +4.9%",
        "price to 200-bar average -7.1%",
        "pullback, RSI now 65",
        "close to 20-bar high +0.0%",
        "own record, at worst 50%",
    ]


def test_a_reason_without_a_short_form_keeps_its_sentence():
    """Other models speak too."""
    assert chart().spoke_against[0].strength == 0.6
    given = with_contributions(forecast(0), *((f"reason {n}", 0.9) for n in range(9)))
    assert [spoke.label for spoke in chart(decided(forecast=given)).spoke_for] == [
        f"reason {n}" for n in range(SPOKEN_SHOWN)
    ]


@pytest.mark.parametrize(("tick", "places"), [("0.01", 2), ("0.010", 2), ("1", 0), ("10", 0), ("0.00000001", 8)])
def test_prices_have_the_decimals_of_their_tick(tick: str, places: int):
    """The axis reads like the exchange."""
    assert decimals(Decimal(tick)) == places


def test_candles_and_times_are_those_of_the_bars():
    """Oldest first, in the owner's zone."""
    spec = chart()
    assert [candle.open_ms for candle in spec.candles] == [1_704_067_200_000 + n * 3_600_000 for n in range(3)]
    assert spec.time_zone == "Europe/Berlin"
    assert spec.title == "BTCUSDT 1h"
