"""Who becomes the owner: one person, with the right code, in time, before too many guesses."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram.types import Message
from hypothesis import given
from hypothesis import strategies as st

from bot import pairing
from bot.claims import claim_in
from bot.pairing import TRIES_MAX, VALID_S, Claimer, Pairing, Standing, begin, heard, shown_name, standing
from tests.bot.phones import message_json, person, private

ADA, BOB = Claimer(77, "Ada"), Claimer(666, "Bob")
CODE = "FAKEcodeForTests"


def fresh() -> Pairing:
    """A pairing that began at second 0."""
    return Pairing(CODE, VALID_S)


def test_the_right_code_in_time_claims():
    """One person, one code; sending it twice changes nothing."""
    once = heard(fresh(), ADA, CODE, 1.0)
    assert standing(once, 2.0) is Standing.CLAIMED
    assert heard(once, ADA, CODE, 3.0) == once


def test_a_code_is_void_once_its_time_is_over():
    """To the second, also for whoever sent it in time and was not confirmed."""
    assert standing(heard(fresh(), ADA, CODE, VALID_S - 0.001), VALID_S - 0.001) is Standing.CLAIMED
    late = heard(fresh(), ADA, CODE, VALID_S)
    assert (standing(late, VALID_S), late.claimers) == (Standing.TOO_LATE, ())
    assert standing(heard(fresh(), ADA, CODE, 1.0), VALID_S) is Standing.TOO_LATE


def test_two_who_know_the_code_are_a_conflict_for_ever():
    """Nobody is preferred for being first, and no later message undoes it."""
    both = heard(heard(fresh(), ADA, CODE, 1.0), BOB, CODE, 1.0)
    assert standing(both, 1.0) is Standing.CONFLICT
    assert both.claimers == (ADA, BOB)
    assert standing(both, VALID_S + 1) is Standing.CONFLICT


def test_the_right_code_after_five_wrong_ones_is_worth_nothing():
    """Guessing is not a way in."""
    tried = fresh()
    for number in range(TRIES_MAX):
        assert standing(tried, 1.0) is Standing.OPEN
        tried = heard(tried, BOB, f"guess{number}", 1.0)
    tried = heard(tried, ADA, CODE, 1.0)
    assert (standing(tried, 1.0), tried.claimers) == (Standing.TRIED_OUT, ())


EVENTS = st.lists(
    st.tuples(st.sampled_from([ADA, BOB]), st.sampled_from([CODE, "wrong", CODE[:-1], ""]), st.floats(0, 200)),
    max_size=20,
)


@given(EVENTS)
def test_whatever_is_sent_when_only_a_lone_right_code_in_time_is_claimed(events: list[tuple[Claimer, str, float]]):
    """Compared with the sentence itself, after each message."""
    now, state, right, wrong, void = 0.0, fresh(), [], 0, False
    for who, code, pause_s in events:
        now += pause_s
        void = void or len({w.user_id for w in right}) > 1 or wrong >= TRIES_MAX or now >= VALID_S
        if not void:
            right, wrong = ([*right, who], wrong) if code == CODE else (right, wrong + 1)
        state = heard(state, who, code, now)
        people = {w.user_id for w in right}
        claimed = len(people) == 1 and wrong < TRIES_MAX and now < VALID_S
        assert (standing(state, now) is Standing.CLAIMED) == claimed
        if claimed:
            assert {w.user_id for w in state.claimers} == people


@given(st.text(st.characters(), max_size=200))
def test_any_text_can_be_sent_as_a_code(text: str):
    """Emoji, halves of characters, nothing: a wrong code, never an error."""
    assert heard(fresh(), BOB, text, 1.0).wrong == 1


def test_codes_are_new_each_time_and_hold_enough_chance():
    """More than 60 bits, in characters a link and a person can carry, 64 at most."""
    codes = {begin(0.0).code for _ in range(50)}
    assert len(codes) == 50
    assert len(set(pairing.ALPHABET)) ** pairing.CODE_CHARS > 2**60
    assert all(code.isalnum() and code.isascii() and len(code) <= 64 for code in codes)


@given(st.lists(st.none() | st.text(max_size=80), max_size=3))
def test_a_name_cannot_play_tricks_on_the_terminal(parts: list[str | None]):
    """No control characters, no turned reading direction, one short line, never nothing."""
    name = shown_name(*parts)
    assert name.isprintable()
    assert 0 < len(name) <= pairing.NAME_MAX


def test_a_name_with_escape_sequences_is_shown_as_question_marks():
    """Neither colours nor a cleared screen, nor a name written from right to left."""
    assert shown_name("A\x1b[2Jda", "\u202eboB", None, "@ada") == "A?[2Jda ?boB @ada"


def message(**changes: Any) -> Message:
    """A Message of the Bot API that is a claim, with changes."""
    body = {**message_json("/start abc"), **changes}
    return Message.model_validate({name: value for name, value in body.items() if value is not None})


def test_a_person_in_private_claims():
    """Name and number as they are."""
    assert claim_in(message()) == (Claimer(77, "Somebody"), "abc")


@pytest.mark.parametrize(
    "changes",
    [
        {"from": {**person(), "is_bot": True}},
        {"from": None},
        {"chat": private(5)},
        {"chat": {"id": 77, "type": "group", "title": "A group"}},
        {"chat": {"id": 77, "type": "channel", "title": "A channel"}},
        {"sender_chat": {"id": -100, "type": "channel", "title": "A channel"}},
        {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Somebody"}},
        {"via_bot": {"id": 5, "is_bot": True, "first_name": "Another bot"}},
        {"text": "/start"},
        {"text": "abc"},
        {"text": "/start abc def"},
        {"text": "/start@firstmate abc"},
        {"text": None},
    ],
)
def test_whatever_is_not_a_person_saying_start_and_a_code_does_not_count(changes: dict[str, Any]):
    """Bots, groups, channels, forwards, other words: not even a wrong try."""
    assert claim_in(message(**changes)) is None
