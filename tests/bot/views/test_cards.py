"""What a card must say, and how long it may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from aiogram.enums import MessageEntityType
from hypothesis import given
from hypothesis import strategies as st

from bot.pieces import utf16_length
from bot.views.cards import signal_card, why_card
from bot.views.fitting import CAPTION_MAX, size
from core.domain.forecast import Contribution, Forecast
from core.domain.orders import Refusal, SizeStep
from core.domain.state import Decision, Outcome
from tests.bot.fakes import HOUR, START, forecast, with_contributions

ZONE = ZoneInfo("Europe/Berlin")
STEPS = (
    SizeStep("kelly", Decimal("0.468"), "full Kelly at the lower bound 55.0%, cost 0.24%"),
    SizeStep("cap", Decimal("0.2"), "at most 20% of equity in one symbol"),
)
ODD = st.text(st.sampled_from("<b>&_*[]()`~#+-=|{}.!\\/@é😀\n\"' ab"), min_size=1, max_size=60)


def decided(**changes: object) -> Decision:
    """An order of BTC, sized and reasoned, with changes."""
    decision = Decision(
        symbol="BTCUSDT",
        at=START + HOUR,
        bar_open_at=START,
        price=Decimal("136108.46"),
        outcome=Outcome.ORDERED,
        refusal=None,
        forecast=forecast(0),
        steps=STEPS,
        qty=Decimal("0.01462"),
        stop=Decimal("130781.15"),
        target=Decimal("146763.07"),
        intent="BTCUSDT-abc",
    )
    return replace(decision, **changes)  # type: ignore[arg-type]


def shown(decision: Decision, *, staged: str = "SIMULATED", note: str = "") -> str:
    """The signal card as text."""
    return signal_card(decision, ZONE, HOUR, "USDT", staged, note).render()[0]


def reasoned(decision: Decision, *, staged: str = "SIMULATED") -> str:
    """The why card as text."""
    return why_card(decision, ZONE, HOUR, "USDT", staged).render()[0]


def worst() -> Decision:
    """Everything as long as it gets in earnest: a long name, small prices, long sentences."""
    spoke = [
        (f"It is a long sentence about feature number {n}, its value 12.345678 and its meaning.", 0.9 - n / 10)
        for n in range(4)
    ]
    against = [(text, -effect) for text, effect in spoke]
    steps = tuple(
        SizeStep(f"s{n}", Decimal("0.123456789"), "times 0.87 for volatility 1234% a year, in words") for n in range(5)
    )
    sentence = "123,456.78 USDT wanted for 1000000ELONMUSKSUSDT, only 12,345.67 left in symbols that move together." * 2
    return decided(
        symbol="1000000ELONMUSKSUSDT",
        price=Decimal("0.00000012345678"),
        stop=Decimal("0.00000011345678"),
        target=Decimal("0.00000014345678"),
        qty=Decimal("123456789012.12345678"),
        refusal=Refusal("BUCKET_EXPOSURE", sentence),
        forecast=with_contributions(forecast(0, model_id="rule:a-rule-with-quite-a-long-name@12"), *spoke, *against),
        steps=steps,
    )


@pytest.mark.parametrize("card", [shown, reasoned])
def test_a_rule_calls_itself_a_rule(card):
    """Nobody takes a fixed rule for a learned model."""
    assert "by a fixed rule (trend-pullback@1), not a learned model" in card(decided())


@pytest.mark.parametrize("card", [shown, reasoned])
def test_a_learned_model_is_named(card):
    """And is not called a rule."""
    text = card(decided(forecast=forecast(0, model_id="lgbm@2024-01")))
    assert "by lgbm@2024-01" in text
    assert "rule" not in text


@pytest.mark.parametrize("card", [shown, reasoned])
@pytest.mark.parametrize("staged", ["SIMULATED", "REPLAYED", ""])
def test_a_market_that_is_not_real_is_called_so_and_a_real_one_is_not(card, staged: str):
    """On every card, also one without a forecast."""
    for decision in (decided(), decided(forecast=None)):
        told = card(decision, staged=staged)
        assert [word for word in ("SIMULATED", "REPLAYED") if word in told] == ([staged] if staged else [])


def test_a_card_says_what_how_much_and_how_it_ends():
    """Price, quantity in the coin, money in the quote, both barriers, time limit, chance with its lower bound."""
    text = shown(decided())
    for piece in (
        "BUY BTCUSDT at 136,108.46",
        "Buy 0.01462 BTC for about 1,989.91 USDT, at most 20.0% of equity",
        "Target 146,763.07 (+7.8%)",
        "Stop 130,781.15 (−3.9%)",
        "Sold after 96 bars (4 d) at the latest",
        "Chance 62.0%, at worst 55.0% (55 past outcomes); a win pays 2.0 times a loss",
        "1h bar of Mon 1 Jan 01:00",
    ):
        assert piece in text


def test_reasons_stand_on_their_side_strongest_first():
    """For and against, each a line."""
    text = shown(decided())
    spoke_for, against = text.split("Against")
    assert spoke_for.index("50-bar average") < spoke_for.index("The price is 7.1%")
    assert "• Not resumed" in against


def test_what_became_of_a_card_stands_on_it():
    """The note is on the card."""
    assert "✅ Ordered." in shown(decided(), note="✅ Ordered.")


def test_why_not_names_the_reason_and_its_code():
    """A refusal is a sentence and a code to look up."""
    refused = decided(outcome=Outcome.REFUSED, refusal=Refusal("DAY_LOSS", "Today's loss is 3.1%."), qty=Decimal(0))
    text = reasoned(refused)
    assert text.startswith("BTCUSDT: refused by a limit")
    assert "Why not: Today's loss is 3.1%. [DAY_LOSS]" in text
    assert "Buy " not in text


def test_why_shows_each_step_of_the_size():
    """From full Kelly down to the cap."""
    text = reasoned(decided())
    assert "46.8% full Kelly at the lower bound 55.0%, cost 0.24%" in text
    assert "20.0% at most 20% of equity in one symbol" in text


def test_a_bar_without_a_forecast_still_has_an_answer():
    """Silence is explained too."""
    quiet = decided(
        forecast=None, steps=(), qty=Decimal(0), outcome=Outcome.QUIET, refusal=Refusal("NO_FORECAST", "Too young.")
    )
    assert "no order" in reasoned(quiet)
    assert "Too young." in reasoned(quiet)


def test_the_longest_card_fits_a_caption():
    """With the longest names, the smallest prices and six long reasons, note included."""
    note = "Not ordered: " + "The price moved from 0.00000012345678 to 0.00000013345678; the bet is another one now."
    assert size(signal_card(replace(worst(), refusal=None), ZONE, HOUR, "USDT", True, note)) <= CAPTION_MAX
    for decision in (replace(worst(), refusal=None), replace(worst(), qty=Decimal(0))):
        assert size(why_card(decision, ZONE, HOUR, "USDT", True)) <= CAPTION_MAX


def test_single_cases_are_left_out_for_a_caption_and_stand_on_a_card_that_has_room():
    """With the reasons, weakest and farthest first; numbers stay, and a message of its own has all of them."""
    cases = [f"BTCUSDT, {n} Nov 2026: given 4{n}%, " + "ran out of time at 40% of a win" for n in (1, 2, 3)]

    def card(decision: Decision, *more: str) -> str:
        return why_card(decision, ZONE, HOUR, "USDT", "", more, cases).render()[0]

    text = card(decided(), "Of the 40 most alike bars 13 won.")
    assert text.index("13 won.") < text.index("The nearest") < text.index("Size, as a share")
    assert all(case in text for case in cases)
    assert utf16_length(text) <= CAPTION_MAX
    tight = card(decided(), "x" * (CAPTION_MAX - utf16_length(text) + 40))
    assert utf16_length(tight) <= CAPTION_MAX
    assert (cases[0] in tight, cases[2] in tight) == (True, False)
    assert all(case in card(decided(), "x" * CAPTION_MAX) for case in cases)


def test_a_usual_card_shows_three_reasons_of_each_side():
    """Shortening is for the worst case only."""
    usual = with_contributions(forecast(0), *((f"A reason of usual length, about number {n}.", 0.5) for n in range(5)))
    assert shown(decided(forecast=usual)).count("• ") == 3


@given(ODD, ODD, ODD)
def test_no_text_can_be_mistaken_for_markup(symbol: str, reason: str, sentence: str):
    """Whatever stands in names and sentences arrives as it is; only our own pieces are bold or italic."""
    given_forecast: Forecast = replace(forecast(0), contributions=(Contribution("x", 1.0, 0.5, reason),))
    decision = decided(symbol=symbol, forecast=given_forecast, refusal=Refusal("C", sentence))
    for text in (signal_card(decision, ZONE, HOUR, "USDT", True), why_card(decision, ZONE, HOUR, "USDT", True)):
        kwargs = text.as_caption_kwargs()
        assert kwargs["parse_mode"] is None
        assert symbol in kwargs["caption"]
        assert f"• {reason}" in kwargs["caption"]
        assert {e.type for e in kwargs["caption_entities"]} <= {MessageEntityType.BOLD, MessageEntityType.ITALIC}


def test_the_length_of_a_bar_is_named():
    """A four-hour bar is called one."""
    assert "4h bar of" in signal_card(decided(), ZONE, timedelta(hours=4), "USDT", True).render()[0]
