"""Why there is no order, with the numbers that stopped it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.views.whynot import why_not
from core.decide.signal import NO_MODEL
from core.domain.orders import Refusal, SizeStep

HOUR = timedelta(hours=1)
NO_EDGE = Refusal(
    "NO_EDGE",
    "At worst 31.2% of such setups won; 36.4% are needed to pay the costs.",
    (("p_low", "0.3120"), ("break_even", "0.3640")),
)


def said(refusal: Refusal, *steps: SizeStep, span: timedelta = HOUR) -> str:
    """The sentence with its code."""
    sentence, code = why_not(refusal, steps, span)
    return f"{sentence} [{code}]"


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            NO_EDGE,
            "At worst 31.2% of such setups won; 36.4% are needed to pay the costs: 5.2 points short. [NO_EDGE]",
        ),
        (
            Refusal("NO_FORECAST", "WARMING_UP: 120 of 600 bars"),
            "Warming up: 120 of 600 bars are known, 20 d to go. [WARMING_UP]",
        ),
        (
            Refusal("NO_FORECAST", "NO_ANSWER: No forecast: the analyst did not answer within 2 s."),
            "The model gave no answer, and nothing stands in for it: the analyst did not answer within 2 s. "
            "[NO_ANSWER]",
        ),
        (
            Refusal("NO_FORECAST", "HOLE: 30 bars are missing before this one"),
            "30 bars are missing before this one [HOLE]",
        ),
        (
            Refusal("NO_FORECAST", "There is no forecast for this bar."),
            "There is no forecast for this bar. [NO_FORECAST]",
        ),
        (
            Refusal("DAY_LOSS", "Today's loss is 3.1%; the limit is 3%."),
            "Today's loss is 3.1%; the limit is 3%. [DAY_LOSS]",
        ),
        (
            NO_MODEL,
            "No learned model has passed its gate; the rule trades on paper only. "
            "/model says what is missing, /retrain trains one. [NO_MODEL]",
        ),
    ],
)
def test_a_reason_is_told_with_its_numbers_and_its_code(refusal: Refusal, words: str):
    """How far short, how long still, what to do."""
    assert said(refusal) == words


def test_how_long_a_warm_up_still_takes_depends_on_the_bar():
    """480 bars of four hours are eighty days."""
    assert "80 d to go" in said(Refusal("NO_FORECAST", "WARMING_UP: 120 of 600 bars"), span=4 * HOUR)


def test_a_size_that_was_cut_because_of_drift_is_named():
    """Half a size can be what falls below the exchange's minimum."""
    small = Refusal("BELOW_MINIMUM", "4.10 USDT is too small to trade and protect.")
    steps = (
        SizeStep("kelly", Decimal("0.1"), "full Kelly"),
        SizeStep("trust", Decimal("0.05"), "times 0.5: I said 45% and it was 33%."),
    )
    assert said(small, *steps) == (
        "4.10 USDT is too small to trade and protect. The model is trusted less, so the size was cut before: "
        "times 0.5: I said 45% and it was 33%. [BELOW_MINIMUM]"
    )


@pytest.mark.parametrize("numbers", [(), (("p_low", "x"), ("break_even", "0.3"))])
def test_numbers_that_are_missing_or_strange_leave_the_sentence(numbers: tuple[tuple[str, str], ...]):
    """An old decision out of the journal has what it had."""
    assert said(Refusal("NO_EDGE", "Too thin.", numbers)) == "Too thin. [NO_EDGE]"
    assert said(Refusal("NO_FORECAST", "WARMING_UP: soon")) == "soon [WARMING_UP]"
