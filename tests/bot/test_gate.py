"""Nothing but the owner, in the private chat, once each, gets past the gate."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from aiogram.exceptions import TelegramBadRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.gate import RATE_MAX, RATE_WINDOW_S
from bot.handlers import root
from bot.keyboards import Proposed, Refresh, Thumb
from bot.views.menu import COMMANDS
from core.domain.state import TradingState
from tests.bot.fakes import OWNER, MemoryRecords, office
from tests.bot.phones import message_json, person, phone, press_json, private

STRANGER = 666
GROUP = {"id": -100123, "type": "supergroup", "title": "A group"}
TEXTS = st.sampled_from([f"/{name}" for name in COMMANDS] + ["/limits day_loss_max 1%", "hello", "/panic@firstmate"])


# messages that only look as if the owner had typed them in the private chat
STRANGE: dict[str, dict[str, Any]] = {
    "a stranger": {"from": person(STRANGER), "chat": private(STRANGER)},
    "a stranger in the owner's chat": {"from": person(STRANGER)},
    "the owner in a stranger's chat": {"chat": private(STRANGER)},
    "the owner in a group": {"chat": GROUP},
    "a group with the owner's number": {"chat": {"id": OWNER, "type": "group", "title": "A group"}},
    "a channel with the owner's number": {"chat": {"id": OWNER, "type": "channel", "title": "A channel"}},
    "nobody": {"from": None},
    "a group that speaks for the owner": {"sender_chat": GROUP},
    "an anonymous channel": {"sender_chat": {"id": OWNER, "type": "channel", "title": "Anonymous"}, "from": None},
    "a forward": {"forward_origin": {"type": "user", "date": 1, "sender_user": person(STRANGER)}},
    "a hidden forward": {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Somebody"}},
    "another bot's words": {"via_bot": {"id": 5, "is_bot": True, "first_name": "Another bot"}},
    "a forward as older servers tell it": {"forward_date": 1, "forward_sender_name": "Somebody"},
    "an automatic forward": {"is_automatic_forward": True},
    "a business account": {"business_connection_id": "b1"},
    "a bot of a business": {"sender_business_bot": {"id": 5, "is_bot": True, "first_name": "Another bot"}},
    "a guest": {"guest_query_id": "g1"},
    "an edit": {"edit_date": 1_700_000_001},
}
# button presses by others, elsewhere, or on messages the bot cannot see
STRANGE_PRESSES: dict[str, dict[str, Any]] = {
    "a stranger": {"from": person(STRANGER)},
    "the owner in a group": {"message": {"message_id": 1, "date": 1, "chat": GROUP, "text": "card"}},
    "the owner in a stranger's chat": {"message": {"message_id": 1, "date": 1, "chat": private(STRANGER), "text": "c"}},
    "a message long gone, in a group": {"message": {"message_id": 1, "date": 0, "chat": GROUP}},
    "an inline message": {"message": None, "inline_message_id": "abc"},
}


def present(body: dict[str, Any]) -> dict[str, Any]:
    """What is left once fields set to None are taken out."""
    return {name: value for name, value in body.items() if value is not None}


def strange_messages() -> st.SearchStrategy[dict[str, Any]]:
    """One of them, with any command."""
    return st.builds(
        lambda text, change: present(message_json(text, **change)), TEXTS, st.sampled_from([*STRANGE.values()])
    )


def strange_presses() -> st.SearchStrategy[dict[str, Any]]:
    """One of them, with any button; ``start`` stands before an intent that is open."""
    starts = st.sampled_from(["p:a:", "p:s:", "r:status", "c:token", "x", ""])
    return st.builds(
        lambda change, start: {"start": start, **present(press_json("", **change))},
        st.sampled_from([*STRANGE_PRESSES.values()]),
        starts,
    )


def updates() -> st.SearchStrategy[dict[str, Any]]:
    """Every shape of update that must pass unheard."""
    kinds = st.sampled_from(["edited_message", "channel_post", "edited_channel_post", "business_message"])
    owners = st.builds(message_json, TEXTS)
    inline = {"id": "1", "from": person(), "query": "/panic", "offset": ""}
    chosen = {"result_id": "1", "from": person(), "query": "/panic"}
    return st.one_of(
        st.builds(lambda body: {"message": body}, strange_messages()),
        st.builds(lambda kind, body: {kind: body}, kinds, owners),
        st.builds(lambda body: {"callback_query": body}, strange_presses()),
        st.just({"inline_query": inline}),
        st.just({"chosen_inline_result": chosen}),
        st.builds(
            lambda a, b: {"edited_message": a, "callback_query": {**b, "data": "r:status"}}, owners, strange_presses()
        ),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(updates(), min_size=1, max_size=5))
def test_whatever_is_not_the_owners_has_no_effect_and_gets_no_word(given_updates: list[dict[str, Any]]):
    """Other people, groups, channels, forwards, anonymous and inline senders: no event and no answer."""

    async def feed_all() -> None:
        async with office() as there:
            intent = await there.propose()
            before, hand = there.seq(), phone(there)
            for update in given_updates:
                press = update.get("callback_query", {})
                if "start" in press:
                    press = {**press, "data": press["start"] + intent}
                    del press["start"]
                    update = {**update, "callback_query": press}
                await hand.feed(**update)
            assert (there.seq(), hand.chat.calls, there.records.updates) == (before, [], {})

    asyncio.run(feed_all())


@pytest.mark.parametrize("who", STRANGE)
async def test_a_message_of_somebody_else_is_dropped_without_a_word(who: str):
    """Each way to look like the owner without being the owner."""
    async with office() as there:
        hand = phone(there)
        before = there.seq()
        await hand.feed(message=present(message_json("/pause", **STRANGE[who])))
        assert (there.seq(), hand.chat.calls, there.records.updates) == (before, [], {})


@pytest.mark.parametrize("who", STRANGE_PRESSES)
async def test_a_press_of_somebody_else_is_dropped_without_a_word(who: str):
    """Approving needs the owner's id and the private chat, both."""
    async with office() as there:
        data = Proposed(thumb=Thumb.APPROVE, intent=await there.propose()).pack()
        hand = phone(there)
        before = there.seq()
        await hand.feed(callback_query=present(press_json(data, **STRANGE_PRESSES[who])))
        assert (there.seq(), hand.chat.calls, there.records.updates) == (before, [], {})


async def test_an_update_is_judged_by_what_will_be_handled():
    """A press of the owner does not carry a stranger's message past the gate."""
    async with office() as there:
        hand = phone(there)
        stranger = message_json("/pause", **{"from": person(STRANGER), "chat": private(STRANGER)})
        with structlog.testing.capture_logs() as logs:
            await hand.feed(edited_message=stranger, callback_query=press_json(Refresh(what="status").pack()))
        assert hand.chat.calls == []
        assert [line["event"] for line in logs if "dropped" in line["event"]]


async def test_a_stranger_cannot_fill_the_log():
    """A thousand dropped updates are one line now and one with their number a minute later."""
    now = [0.0]
    async with office() as there:
        hand = phone(there, lambda: now[0])
        with structlog.testing.capture_logs() as logs:
            for _ in range(1000):
                await hand.feed(message=message_json("/start", **{"from": person(STRANGER), "chat": private(STRANGER)}))
            now[0] += 61
            await hand.feed(message=message_json("/start", **{"from": person(STRANGER), "chat": private(STRANGER)}))
        assert [line["count"] for line in logs if "dropped" in line["event"]] == [1, 1000]


async def test_the_owner_in_the_private_chat_is_heard():
    """The same commands from the owner are answered."""
    async with office() as there:
        assert await phone(there).say("/pause")
        assert there.desk.state.trading.state is TradingState.REDUCING


async def test_an_update_handled_before_is_not_handled_again_not_even_after_a_restart():
    """Telegram may deliver twice; the second one finds the note in the database."""
    records = MemoryRecords()
    for run in range(2):
        async with office(records=records) as there:
            hand = phone(there)
            for _ in range(2):
                await hand.feed(update_id=41, message=message_json("/status"))
            assert len(hand.chat.calls) == (1 if run == 0 else 0)


async def test_an_update_is_noted_only_once_its_handler_is_through():
    """A crash in the middle of a command leaves it to be handled again at the next start."""
    async with office() as there:
        hand = phone(there)
        noted: list[dict[int, str]] = []

        def watch(method: Any) -> Exception:
            noted.append(dict(there.records.updates))
            raise asyncio.CancelledError

        hand.chat.fail("sendMessage", watch)
        with pytest.raises(asyncio.CancelledError):
            await hand.say("/pause")
        assert noted == [{}]
        assert there.records.updates == {}
        hand.next_id = 1
        assert await hand.say("/pause") == [
            "Paused: no new entries. Positions keep their stops and targets. /resume lifts it."
        ]
        assert there.records.updates == {1: "/pause"}
        lines = [line for line in there.journal.lines if type(line.event).__name__ == "OwnerPaused"]
        assert len(lines) == 2
        assert there.engine.state.trading.since == lines[0].event.at


async def test_a_handler_that_fails_costs_one_polite_line_with_a_trace():
    """No stack trace reaches the phone; the trace finds the log."""
    async with office() as there:
        hand = phone(there)

        async def explode(limit: int = 10) -> Any:
            raise ZeroDivisionError("secret inner workings")

        there.records.trades = explode  # type: ignore[method-assign]
        said = await hand.say("/trades")
        assert said == ["That failed, and it is logged under update:1. /status shows what holds now."]
        assert there.records.updates == {1: "/trades"}


async def test_a_refusal_of_ours_is_told_in_its_own_words():
    """A bad value is answered with the sentence that names the fix, and nothing changes."""
    async with office() as there:
        said = await phone(there).say("/signal DOGE")
        assert said == ["I do not watch DOGE. I watch BTCUSDT, ETHUSDT, 1000000MOGUSDT."]


async def test_a_refused_press_is_answered_in_a_box():
    """A button that cannot do anything says so where it was pressed."""
    async with office() as there:
        hand = phone(there)
        await hand.press("c:never-issued")
        (answer,) = hand.chat.of("answerCallbackQuery")
        assert answer.show_alert
        assert "Send the command again" in answer.text


async def test_a_press_too_old_to_be_answered_is_answered_by_a_message():
    """After an outage Telegram no longer takes the answer to a press; the owner is told all the same."""
    async with office() as there:
        hand = phone(there)
        hand.chat.fail("answerCallbackQuery", lambda m: TelegramBadRequest(m, "Bad Request: query is too old"))
        await hand.press("c:never-issued")
        (message,) = hand.chat.of("sendMessage")
        assert "Send the command again" in message.text


async def test_a_burst_is_cut_and_said_so_once():
    """Thirty updates in ten seconds pass; more are not handled, and the owner hears that once, not each time."""
    now = [0.0]
    async with office() as there:
        hand = phone(there, lambda: now[0])
        for _ in range(RATE_MAX + 5):
            await hand.say("/balance")
        assert len([text for text in hand.chat.said if text.startswith("Balances")]) == RATE_MAX
        assert [text for text in hand.chat.said if "too fast" in text] == [hand.chat.said[-1]]
        now[0] = RATE_WINDOW_S + 1
        assert (await hand.say("/balance"))[0].startswith("Balances")


async def test_a_flood_does_not_stand_in_the_way_of_the_panic_button():
    """Whoever else has the phone can type fast; the owner's thumb stops trading all the same."""
    async with office() as there:
        hand = phone(there, lambda: 0.0)
        for _ in range(RATE_MAX + 5):
            await hand.say("/balance")
        (asked,) = await hand.say("/panic")
        assert "at once" in asked
        await hand.press(hand.chat.of("sendMessage")[-1].reply_markup.inline_keyboard[0][0].callback_data)
        assert there.desk.state.trading.state is TradingState.HALTED


async def test_every_command_of_the_menu_has_a_handler_and_no_handler_lacks_an_entry():
    """What the menu offers works, and nothing works that the menu hides."""
    handled: list[str] = []
    for router in root().chain_tail:
        for handler in router.message.handlers:
            for given_filter in handler.filters or ():
                handled += getattr(given_filter.callback, "commands", ())
    assert sorted(handled) == sorted(COMMANDS)


async def test_no_handler_listens_to_anything_but_messages_and_presses():
    """There is no side door: edits, posts and inline queries have no handler at all."""
    for router in root().chain_tail:
        kinds = {name for name, observer in router.observers.items() if observer.handlers}
        assert kinds <= {"message", "callback_query"}


async def test_every_button_of_ours_passes_the_gate_for_the_owner_only():
    """The owner's press acts, a stranger's press on the same card does not."""
    async with office() as there:
        intent = await there.propose()
        hand = phone(there)
        data = Proposed(thumb=Thumb.APPROVE, intent=intent).pack()
        await hand.feed(callback_query=press_json(data, **{"from": person(STRANGER)}))
        assert there.live("BTCUSDT") == []
        await hand.press(data)
        assert len(there.live("BTCUSDT")) == 1
        await hand.press(Refresh(what="status").pack())
        assert hand.chat.of("editMessageText")
