"""/mode: what runs, what that means for money, and the way to live as far as the chat goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.passage import Passage
from bot.views import mode as views
from core.adapters import permits
from core.domain import events as ev
from core.domain.state import Config
from core.run.golive import PHRASE, Hurdle
from tests.bot.fakes import OWNER, START, Office, office
from tests.bot.phones import Phone, phone
from tests.bot.test_passage import NOW, Account, settings
from tests.practice import practised
from tests.run.fakes import HandClock


def hand_with(there: Office, passage: Passage) -> Phone:
    """A phone whose bot knows a way to live."""
    hand = phone(there)
    hand.dispatcher["passage"] = passage
    return hand


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("demo", "made up"),
        ("paper", "play money"),
        ("testnet", "worth nothing"),
        ("live", "REAL MONEY moves"),
    ],
)
async def test_the_mode_is_told_in_words_with_what_it_means_for_money(mode: str, words: str):
    """Nobody has to know what a testnet is."""
    async with office(mode=mode, staged="") as there:
        (answer,) = await phone(there).say("/mode")
        assert answer.startswith(f"{mode} mode, its account since 2024-01-01 00:00\n")
        assert words in answer
        assert ("REAL MONEY moves" in answer) == (mode == "live")


async def test_reduced_trades_are_counted_down():
    """Live says how many small trades are left, and then says nothing of it."""
    async with office(mode="live") as there:
        config = replace(there.desk.state.config, first_trades=3)
        await there.engine.post(ev.Configured(START, "start", config))
        (answer,) = await phone(there).say("/mode")
        assert "next 3 trades will be small: 25.0% of the usual size" in answer
        done = there.desk.state.with_(entries=2)
        assert "next 1 trade will" in views.mode(there.desk.about, done, there.desk.zone).as_kwargs()["text"]
        over = there.desk.state.with_(entries=3)
        assert "small" not in views.mode(there.desk.about, over, there.desk.zone).as_kwargs()["text"]


async def test_outside_live_no_trade_is_small():
    """Play money is traded at full size from the first trade on."""
    assert Config().first_trades == 0
    async with office(mode="paper") as there:
        assert "small" not in (await phone(there).say("/mode"))[0]


async def test_the_way_to_live_shows_the_checks_then_takes_the_exact_phrase(tmp_path):
    """The phrase is kept with its time and its owner; nothing else happens."""
    practised(tmp_path, 20)
    async with office(mode="paper", staged="") as there:
        hand = hand_with(there, Passage(settings(tmp_path), Account().open, HandClock(NOW).now))
        seq = there.seq()
        (shown,) = await hand.say("/mode live")
        assert shown.count("✅") == 9
        assert shown.count("ℹ️ model: No model of live's own has passed its gate yet") == 1
        assert PHRASE in shown
        for wrong in (PHRASE.lower(), f"{PHRASE}!", "yes"):
            assert (await hand.say(wrong))[0].startswith("I do not know that")
        assert permits.phrase(tmp_path) is None
        (noted,) = await hand.say(PHRASE)
        assert "go-live" in noted
        assert permits.phrase(tmp_path) == permits.Phrase(NOW, OWNER)
        assert permits.permit(tmp_path) is None
        assert there.seq() == seq


async def test_a_failed_check_is_shown_with_its_fix_and_no_phrase_is_taken(tmp_path):
    """What has to be mended stands there; the phrase is not even told."""
    async with office(mode="paper", staged="") as there:
        hand = hand_with(there, Passage(settings(tmp_path), Account().open, HandClock(NOW).now))
        (shown,) = await hand.say("/mode live")
        assert shown.count("❌") == 1
        assert "→ let it trade on paper" in shown
        assert PHRASE not in shown
        assert "Send /mode live first" in (await hand.say(PHRASE))[0]
        assert permits.phrase(tmp_path) is None


async def test_without_a_key_the_chat_says_so_once(tmp_path):
    """What cannot be looked at is shown as such, and is no fault of its own."""
    practised(tmp_path, 20)
    async with office(mode="paper", staged="") as there:
        keyless = replace(settings(tmp_path), api_key=None)
        (shown,) = await hand_with(there, Passage(keyless, Account().open, HandClock(NOW).now)).say("/mode live")
        assert (shown.count("needs a key"), shown.count("❌"), shown.count("➖")) == (1, 1, 4)
        assert "1 check did not pass" in shown
        assert PHRASE not in shown


@pytest.mark.parametrize(
    ("mode", "text", "says"),
    [
        ("demo", "/mode live", "no way from demo to live"),
        ("demo", PHRASE, "no way from demo to live"),
        ("live", "/mode live", "live already"),
        ("paper", "/mode demo", "only /mode live"),
    ],
)
async def test_what_cannot_be_asked_for_is_one_polite_line(mode: str, text: str, says: str):
    """From a demo there is no way, from live none is needed, and other modes are started on the server."""
    async with office(mode=mode) as there:
        (answer,) = await phone(there).say(text)
        assert says in answer


def test_the_checks_fit_one_message_however_long_their_reasons():
    """A server that answers with a novel does not silence the list."""
    found = [Hurdle(f"check {n}", False, "x" * 900, "y" * 900) for n in range(9)]
    text = views.hurdles(found).as_kwargs()["text"]
    assert len(text) <= 4096
    assert "9 checks did not pass" in text
