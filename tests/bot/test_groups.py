"""The bot goes where it was put by others, silently and within bounds."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram.exceptions import TelegramForbiddenError

from bot.groups import LEFT_MAX, LEFT_WITHIN_S
from tests.bot.fakes import OWNER, office
from tests.bot.phones import message_json, person, phone, private

BOT = {"id": 424242, "is_bot": True, "first_name": "firstmate"}
STATES: dict[str, dict[str, Any]] = {
    "member": {"status": "member", "user": BOT},
    "left": {"status": "left", "user": BOT},
    "kicked": {"status": "kicked", "user": BOT, "until_date": 0},
}


def put_into(chat: dict[str, Any], status: str = "member", by: int = 666) -> dict[str, Any]:
    """A my_chat_member update: somebody changed our place in a chat."""
    old = STATES["left" if status == "member" else "member"]
    return {"chat": chat, "from": person(by), "date": 1, "old_chat_member": old, "new_chat_member": STATES[status]}


def group(number: int = -100123, kind: str = "supergroup") -> dict[str, Any]:
    """A chat that is not private."""
    return {"id": number, "type": kind, "title": "A group"}


@pytest.mark.parametrize("kind", ["group", "supergroup", "channel"])
@pytest.mark.parametrize("by", [666, OWNER])
async def test_put_into_a_group_or_channel_the_bot_leaves_without_a_word(kind: str, by: int):
    """Whoever did it, the owner too: what it says is for one chat."""
    async with office() as there:
        hand = phone(there)
        await hand.feed(my_chat_member=put_into(group(kind=kind), by=by))
        (left,) = hand.chat.calls
        assert (left.__api_method__, left.chat_id) == ("leaveChat", -100123)
        assert there.records.updates == {}


async def test_a_private_chat_and_a_group_already_left_ask_for_nothing():
    """A stranger who starts or blocks the bot hears nothing; where we are not we do not leave."""
    async with office() as there:
        hand = phone(there)
        await hand.feed(my_chat_member=put_into(private(666)))
        for status in ("left", "kicked"):
            await hand.feed(my_chat_member=put_into(group(), status))
        assert hand.chat.calls == []


async def test_a_thousand_groups_cost_the_owner_nothing():
    """So many a minute are left, the others are left alone, and the owner is answered in between."""
    now = [0.0]
    async with office() as there:
        hand = phone(there, lambda: now[0])
        for number in range(1000):
            await hand.feed(my_chat_member=put_into(group(-number - 1)))
        assert len(hand.chat.of("leaveChat")) == LEFT_MAX
        assert (await hand.say("/balance"))[0].startswith("Balances")
        now[0] = LEFT_WITHIN_S + 1
        await hand.feed(my_chat_member=put_into(group(-5000)))
        assert len(hand.chat.of("leaveChat")) == LEFT_MAX + 1


async def test_a_group_that_cannot_be_left_is_lived_with():
    """The chat may refuse; the next command is answered."""
    async with office() as there:
        hand = phone(there)
        hand.chat.fail("leaveChat", lambda m: TelegramForbiddenError(m, "Forbidden: bot is not a member"))
        await hand.feed(my_chat_member=put_into(group()))
        assert (await hand.say("/balance"))[0].startswith("Balances")


async def test_an_update_that_is_more_than_one_is_what_routing_takes_it_for():
    """A place in a group does not carry the owner's command past the gate, nor the other way round."""
    async with office() as there:
        hand = phone(there)
        before = there.seq()
        await hand.feed(my_chat_member=put_into(group()), edited_message=message_json("/pause"))
        assert (there.seq(), hand.chat.calls) == (before, [])
