"""What /model says, and what it draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bot.pieces import TEXT_MAX
from bot.views import model as views
from bot.views.fitting import size
from core.domain.state import Trust
from core.learn.drift import Drift, Level
from core.learn.paired import Duel
from core.learn.record import Bin as Lived
from core.learn.record import Track
from core.run.labview import Alike, Bin, Case, LabView, Seat, Why, Worth
from core.run.retrain import Attempt
from tests.bot.views.test_cards import decided

ZONE = ZoneInfo("Europe/Berlin")
AT = datetime(2026, 11, 21, 1, 10, tzinfo=UTC)
TRACK = Track("abc", 980, 31.0, 0.221, 0.34, 0.33, (Lived(0.3, 0.31, 412, 13.0), Lived(0.4, 0.37, 83, 3.0)))
NOTHING = Track("abc", 0, 0.0, 0.0, 0.0, 0.0, ())
WORTH = Worth(
    beats=True,
    criteria=10,
    missed=(),
    sentence="",
    error=0.012,
    floor=0.009,
    expected=0.85,
    held=0.92,
    bets=412,
    per_bet=0.0031,
    total=0.18,
    first="2018-05-04",
    last="2023-06-30",
    table=(Bin(0.3, 0.31, 0.02, 4_000), Bin(0.4, 0.39, 0.03, 4_000)),
)
POOR = replace(WORTH, beats=False, missed=("calibrated", "earns"), sentence="Forecast and outcome differ by 3.1%.")
SEAT = Seat(
    "3f2a91bc04de", AT, AT + timedelta(days=45), "gbdt", "1h", 8, 88_000, AT - timedelta(days=2000), AT, WORTH, TRACK
)
OTHER = replace(SEAT, id="aaaa91bc04de", track=NOTHING)
DUEL = Duel("3f2a91bc04de", "aaaa91bc04de", 0, 0, 0.0, (0.0, 0.0), 0.5)
VIEW = LabView(Trust("3f2a91bc04de"), False, SEAT, "", None, None, Drift(), None, None, None)
RULE = replace(VIEW, trust=Trust(), champion=None, nobody="There is no champion yet.")


def shown(view: LabView) -> str:
    """The card as text."""
    return views.model_card(view, ZONE).render()[0]


def test_a_champion_is_told_with_what_it_is_and_what_it_is_worth():
    """Who, when, on what; whether it beats doing nothing; how honest; how it does live."""
    text = shown(VIEW)
    for piece in (
        "Model 3f2a91bc04de forecasts",
        "gbdt, trained 21 Nov 2026 on 88,000 bets of 8 pairs, 1h bars from 2021-05-31 to 2026-11-21; good until 5 Jan",
        "✅ Beats doing nothing, and passed its gate: 412 bets on bars it had not seen (2018-05-04 to 2023-06-30) "
        "earned +0.31% each after costs, +18.0% in all.",
        "Forecast and outcome differed by 1.2% on average (ECE; noise alone makes 0.9%). What it wins at worst "
        "held on other quarters in 92% of the cases; a right bound shows 85% or more.",
        "When I said 40%, it was 37% of 83 times.",
        "they tell as much as 31 bets apart.",
        "No drift",
        "No training yet: /retrain begins one, or the night (03:10, no quick demo).",
    ):
        assert piece in text


def test_a_model_that_does_not_beat_doing_nothing_is_told_so_in_plain_words():
    """With what it failed and the first reason in full."""
    text = shown(replace(VIEW, champion=replace(SEAT, worth=POOR)))
    assert "❌ Not shown to beat doing nothing; its gate refuses it, for 2 of 10 criteria: calibrated, earns." in text
    assert "Forecast and outcome differ by 3.1%." in text
    assert "✅" not in text


def test_without_a_model_the_rule_is_explained_and_how_to_train():
    """Why it forecasts, that it trades on paper only, what was nearest, what to type."""
    text = shown(replace(RULE, newest=replace(SEAT, worth=POOR)))
    assert text.startswith("The rule forecasts, no model\n")
    assert "it trades on paper only" in text
    assert "The newest model, 3f2a91bc04de of 21 Nov 2026: ❌ Not shown" in text
    assert "Train one: /retrain, or firstmate train on the server." in text
    assert "real money" not in text
    assert "With real money nothing is bought until then." in shown(replace(RULE, real_money=True))


def test_a_model_that_gives_no_answer_says_so_on_its_card():
    """Also where the silence is too short, or too near to the last, for a message."""
    text = shown(replace(VIEW, silence="It did not answer within 5 s."))
    assert "🔴 No forecast at the newest bar. It did not answer within 5 s." in text
    assert "🔴" not in shown(VIEW)


def test_a_champion_that_is_refused_does_not_forecast_and_the_reason_stands_there():
    """The registry names it, the machine does not trust it: that is two things."""
    text = shown(replace(VIEW, trust=Trust(), silence="The model 3f2a91bc04de was made for bars of 4h, not of 1h."))
    assert text.startswith(
        "⚪ Model 3f2a91bc04de does not forecast now\nIt is champion, but it is not in use. The model 3f2a91bc04de was "
        "made for bars of 4h, not of 1h. The rule forecasts.\n"
    )
    assert "within a minute" not in text


@pytest.mark.parametrize(("trusted", "who"), [("", "the rule"), ("aaaa91bc04de", "the model aaaa91bc04de")])
def test_a_champion_nobody_looked_at_yet_is_said_to_be_taken_up(trusted: str, who: str):
    """In its first minute nothing is wrong with it, and what ails the one before is not its affair."""
    text = shown(replace(VIEW, trust=Trust(trusted), silence="It did not answer." if trusted else ""))
    assert text.startswith(
        f"⚪ Model 3f2a91bc04de does not forecast yet\nIt is the new champion, taken up within a minute; until then "
        f"{who} forecasts.\n"
    )
    assert "not in use" not in text
    assert "It did not answer" not in text


def test_a_model_that_is_trusted_less_says_how_far_and_why():
    """The size follows it."""
    text = shown(replace(VIEW, trust=Trust("3f2a91bc04de", Decimal("0.5"), "I said 45% and it was 33%.")))
    assert "Trusted with 50% of the usual size: I said 45% and it was 33%." in text


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (Level.NONE, "🟢 No drift"),
        (Level.WARN, "🟡 Drift, as a warning; nothing changes yet."),
        (Level.REDUCE, "🟠 Drift: new positions are halved."),
        (Level.ROLLBACK, "🔴 Drift: the model goes."),
    ],
)
def test_every_level_of_drift_has_its_sentence(level: Level, words: str):
    """And the sentences behind it."""
    text = shown(replace(VIEW, drift=Drift(level, ("5 of 40 features moved.",))))
    assert words in text
    assert "5 of 40 features moved." in text


def test_both_models_stand_side_by_side_with_their_live_record():
    """The same measures in two columns; a record of nothing shows no numbers."""
    text = shown(replace(VIEW, challenger=OTHER, duel=DUEL))
    assert "Challenger aaaa91bc04de, forecasts in its shadow" in text
    assert "           champion  challenger\nsettled         980           -\nworth      31 apart           -" in text
    assert "said          34.0%           -\ncame          33.0%           -\nBrier         0.221           -" in text
    assert DUEL.sentence in text
    assert max(map(len, views._beside(TRACK, TRACK).splitlines())) <= 32


def test_a_card_that_cannot_be_read_is_said_so():
    """No number is shown that nobody knows."""
    assert "Its card cannot be read" in shown(replace(VIEW, champion=replace(SEAT, worth=None)))


def test_a_training_under_way_and_the_last_one_are_told():
    """What runs, else what became of the newest."""
    assert "A training runs since Sat 21 Nov 02:10: /retrain" in shown(replace(VIEW, running=Attempt(AT)))
    done = Attempt(AT, ended=AT, said="No new model: too few bars.")
    assert "Last training Sat 21 Nov 02:10: No new model: too few bars." in shown(replace(VIEW, last=done))
    assert "No training yet" in shown(replace(VIEW, last=Attempt(AT, ended=AT)))


def test_the_longest_card_is_one_message():
    """With long reasons everywhere."""
    long = replace(POOR, missed=("a criterion with quite a long name",) * 12, sentence="A long sentence. " * 50)
    seat = replace(SEAT, worth=long)
    view = replace(VIEW, champion=seat, challenger=replace(seat, id="b"), drift=Drift(Level.WARN, ("word " * 60,) * 3))
    assert size(views.model_card(view, ZONE)) <= TEXT_MAX


def test_the_picture_shows_both_records_with_their_counts():
    """Tested and live, dot by dot."""
    spec = views.model_picture(VIEW, "SIMULATED", ZONE)
    assert spec
    assert [(dot.said, dot.came, dot.count, dot.error) for dot in spec.tested.dots] == [
        (0.3, 0.31, 4_000, 0.02),
        (0.4, 0.39, 4_000, 0.03),
    ]
    assert [dot.count for dot in spec.live.dots] == [412, 83]
    assert spec.subtitle == "champion; beats doing nothing"
    assert spec.notes == ("When I said 30%, it was 31% of 412 times.", "When I said 40%, it was 37% of 83 times.")
    assert spec.badge == "SIMULATED"


def test_the_newest_candidate_is_drawn_where_there_is_no_champion():
    """And nothing where there is no model."""
    spec = views.model_picture(replace(RULE, newest=replace(OTHER, worth=POOR)), "", ZONE)
    assert spec
    assert spec.subtitle == "no champion; not shown to beat doing nothing"
    assert spec.notes == ()
    assert views.model_picture(RULE, "", ZONE) is None
    empty = views.model_picture(replace(VIEW, champion=replace(OTHER, worth=None)), "", ZONE)
    assert empty
    assert (empty.tested.dots, empty.subtitle) == ((), "champion; its card cannot be read")


def test_similar_bars_are_told_in_one_sentence():
    """How they ended, since when, and what this one was given."""
    seen = Why(decided(), "", Alike(40, 13, 22, 0.37, 500, 0), AT)
    assert views.alike(seen, ZONE) == [
        "Of the 40 most alike bars I forecast since 21 Nov 2026, 13 won, 22 lost, 5 ran out of time: "
        "37% of a win on average; this one was given 62%."
    ]


def test_the_nearest_bars_stand_on_a_line_each():
    """Which, when, what was said, how it ended; of too few none."""
    ms = int(AT.timestamp() * 1000)
    nearest = tuple(
        Case(symbol, ms, ms, (), outcome, said)
        for symbol, outcome, said in (("ETHUSDT", 1.0, 0.41), ("BTCUSDT", 0.0, 0.38), ("XRPUSDT", 0.4, 0.5))
    )
    seen = Why(decided(), "", Alike(40, 13, 22, 0.37, 500, 0, nearest), AT)
    assert views.nearest(seen, ZONE) == [
        "ETHUSDT, 21 Nov 2026: given 41%, won",
        "BTCUSDT, 21 Nov 2026: given 38%, lost",
        "XRPUSDT, 21 Nov 2026: given 50%, ran out of time at 40% of a win",
    ]
    assert views.nearest(Why(decided(), "", Alike(7, 7, 0, 1.0, 7, 0, nearest), AT), ZONE) == []
    assert views.nearest(Why(decided()), ZONE) == []


def test_too_few_similar_bars_tell_nothing_and_say_so():
    """No share of seven."""
    few = Why(decided(), "What spoke cannot be told now.", Alike(7, 7, 0, 1.0, 7, 0), AT)
    assert views.alike(few, ZONE) == [
        "What spoke cannot be told now.",
        "Too few similar bars are settled to tell how they went: 7.",
    ]
    assert views.alike(Why(decided()), ZONE) == []


def test_the_question_says_where_no_training_can_come_to_anything():
    """Before the press, with the fix."""
    assert views.retrain_question(None, ZONE, "Too few bars.").render()[0].endswith("\n\nToo few bars.")
    assert "Too few" not in views.retrain_question(None, ZONE).render()[0]


def test_a_training_that_runs_says_since_when_and_by_whom():
    """Asked for, or every night's."""
    asked, nightly = (views.retrain_running(Attempt(AT, asked=who), 240.0, ZONE).render()[0] for who in (True, False))
    assert asked == "A training has run for 4 min, since Sat 21 Nov 02:10, as you asked. I tell what came of it."
    assert "as every night" in nightly
