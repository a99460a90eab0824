"""Buttons carry little, work once, and say so when they no longer do."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram.types import InlineKeyboardMarkup
from hypothesis import given
from hypothesis import strategies as st

from bot.keyboards import (
    CONFIRM_WITHIN_S,
    WAITING_MAX,
    Confirmations,
    Proposed,
    Thumb,
    confirm_button,
    proposal_buttons,
    refresh_button,
)
from core.decide.naming import intent_name
from tests.bot.fakes import START, SYMBOLS, office
from tests.bot.phones import phone

SPENT = "This button was used, is too old, or is from before a restart. Send the command again."
SYMBOL = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=5, max_size=20)


def data_of(markup: InlineKeyboardMarkup) -> list[str]:
    """What the buttons of a keyboard send."""
    return [str(button.callback_data) for row in markup.inline_keyboard for button in row]


@given(SYMBOL)
def test_callback_data_fits_telegram_for_the_longest_symbol(symbol: str):
    """Telegram takes 64 bytes; a symbol of 20 letters is the longest the settings allow."""
    datas = data_of(proposal_buttons(intent_name(symbol, START.replace(year=2099))))
    datas += data_of(confirm_button("Sell everything and halt", Confirmations().issue("panic")))
    datas += data_of(refresh_button("positions"))
    assert all(len(data.encode()) <= 64 for data in datas)


@given(SYMBOL, st.sampled_from(list(Thumb)))
def test_a_proposals_button_comes_back_as_it_was_made(symbol: str, thumb: Thumb):
    """What is pressed is what was shown."""
    made = Proposed(thumb=thumb, intent=intent_name(symbol, START))
    assert Proposed.unpack(made.pack()) == made


def test_a_confirmation_works_once():
    """The second press of the same button does nothing."""
    waiting = Confirmations()
    token = waiting.issue("panic")
    assert (waiting.take(token), waiting.take(token)) == ("panic", "")


def test_a_confirmation_runs_out():
    """A button found an hour later must not sell everything."""
    now = [0.0]
    waiting = Confirmations(lambda: now[0])
    in_time, too_late = waiting.issue("panic"), waiting.issue("panic")
    now[0] = CONFIRM_WITHIN_S - 0.1
    assert waiting.take(in_time) == "panic"
    now[0] = CONFIRM_WITHIN_S
    assert waiting.take(too_late) == ""


def test_too_many_waiting_confirmations_push_out_the_oldest():
    """Memory stays bounded, the newest button works."""
    waiting = Confirmations()
    tokens = [waiting.issue("resume") for _ in range(WAITING_MAX + 1)]
    assert waiting.take(tokens[0]) == ""
    assert all(waiting.take(token) == "resume" for token in tokens[1:])


async def test_panic_asks_first_and_its_button_works_once():
    """The command only says what it would do; the press does it, a second press says so."""
    async with office() as there:
        await there.buy()
        hand = phone(there)
        (plan,) = await hand.say("/panic")
        assert "sell" in plan
        assert there.desk.state.trading.state == "ACTIVE"
        button = hand.button("Sell everything")
        said = await hand.press(button)
        assert said[0].startswith("Halted. 1 position is being sold.")
        assert there.desk.state.trading.state == "HALTED"
        seq = there.seq()
        assert await hand.press(button) == [SPENT]
        assert there.seq() == seq


@pytest.mark.parametrize("how", ["later", "after a restart", "made up"])
async def test_a_stale_confirmation_does_nothing_and_says_so(how: str):
    """Too late, from before a restart, or invented: one clear line, no effect."""
    now: list[Any] = [0.0]
    async with office() as there:
        hand = phone(there, lambda: now[0])
        await hand.say("/panic")
        button = hand.button("Sell everything")
        if how == "later":
            now[0] = CONFIRM_WITHIN_S + 1
        if how == "after a restart":
            hand = phone(there)
            hand.next_id = 50
        before = there.seq()
        assert await hand.press("c:made-up" if how == "made up" else button) == [SPENT]
        assert there.seq() == before


@pytest.mark.parametrize("label", ["Approve", "Skip"])
async def test_a_proposals_button_pressed_twice_acts_once(label: str):
    """The second press says that the proposal is no longer open."""
    async with office() as there:
        await there.propose()
        hand = phone(there)
        await hand.say("/signal")
        button = hand.button(label)
        assert await hand.press(button) == [{"Approve": "Ordered.", "Skip": "Skipped."}[label]]
        orders = len(there.records.book)
        assert await hand.press(button) == ["This proposal is no longer open."]
        assert len(there.records.book) == orders == (1 if label == "Approve" else 0)


async def test_a_button_of_an_older_version_says_that_it_is_out_of_use():
    """Old cards stay in the chat for ever; their buttons answer."""
    async with office() as there:
        assert await phone(there).press("somethingelse:1") == ["This button is no longer in use."]


async def test_proposals_of_two_symbols_have_buttons_of_their_own():
    """Approving one leaves the other open."""
    async with office() as there:
        for symbol in SYMBOLS[:2]:
            await there.propose(1, symbol)
        hand = phone(there)
        await hand.say("/signal ETH")
        await hand.press(hand.button("Approve"))
        assert [order.symbol for order in there.records.book.values()] == ["ETHUSDT"]
        assert [p.wanted.symbol for p in there.desk.state.proposals.values()] == ["BTCUSDT"]
