"""getUpdates waits, wakes, acknowledges and tolerates one poller only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.polling import Poller
from core.sim.chat.values import ApiError, ChatUser

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def chat_at(path: Path | None = None) -> Chat:
    """An open chat of the owner with id 77."""
    chat = Chat("424242:FAKE-TOKEN-for-tests", ChatUser(77), lambda: NOW, path, "firstmate")
    chat.open()
    return chat


async def poll(poller: Poller, **params: Any) -> list[int]:
    """Ids of the updates given."""
    return [update["update_id"] for update in await poller.get_updates(Call("getupdates", params))]


@pytest.fixture
def chat():
    """A chat without a log."""
    chat = chat_at()
    yield chat
    chat.close()


async def test_a_poll_waits_until_something_is_said(chat: Chat):
    """Long polling: the answer comes with the message, not before."""
    poller = Poller(chat)
    waiting = asyncio.create_task(poll(poller, timeout=50))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    update_id = chat.say("hello")
    assert await waiting == [update_id]


async def test_a_poll_without_a_timeout_does_not_wait(chat: Chat):
    """Short polling answers at once."""
    assert await poll(Poller(chat), timeout=0) == []


async def test_time_running_out_gives_nothing(chat: Chat):
    """A poll ends by itself."""
    assert await poll(Poller(chat), timeout="1") == []


async def test_an_offset_confirms_what_lies_below_it(chat: Chat):
    """Unconfirmed updates come again, confirmed ones never."""
    poller = Poller(chat)
    first, second, third = (chat.say(text) for text in "abc")
    assert await poll(poller) == [first, second, third]
    assert await poll(poller, offset=first) == [first, second, third]
    assert await poll(poller, offset=second) == [second, third]
    assert await poll(poller) == [second, third]
    assert await poll(poller, offset=third + 1) == []
    assert await poll(poller, offset=0) == []


async def test_a_negative_offset_keeps_the_last_ones(chat: Chat):
    """-1 forgets all but the newest."""
    poller = Poller(chat)
    *_, last = (chat.say(text) for text in "abc")
    assert await poll(poller, offset=-1) == [last]
    assert await poll(poller) == [last]


async def test_a_limit_gives_the_oldest_first(chat: Chat):
    """Two at a time, in order."""
    poller = Poller(chat)
    ids = [chat.say(text) for text in "abc"]
    assert await poll(poller, limit=2) == ids[:2]


async def test_a_second_poller_ends_the_first(chat: Chat):
    """The waiting one gets Telegram's conflict, the new one goes on."""
    poller = Poller(chat)
    first = asyncio.create_task(poll(poller, timeout=50))
    await asyncio.sleep(0)
    second = asyncio.create_task(poll(poller, timeout=50))
    with pytest.raises(ApiError, match="terminated by other getUpdates request; make sure") as conflict:
        await first
    assert conflict.value.code == 409
    update_id = chat.say("still here")
    assert await second == [update_id]


async def test_only_wanted_kinds_are_queued(chat: Chat):
    """allowed_updates holds until it is changed."""
    poller = Poller(chat)
    assert await poll(poller, allowed_updates='["callback_query"]') == []
    chat.say("not wanted")
    assert await poll(poller) == []
    update_id = chat.press(1, "x")
    assert await poll(poller) == [update_id]


async def test_closing_sends_a_waiting_poll_home(chat: Chat):
    """A server that stops does not keep its bot waiting."""
    poller = Poller(chat)
    waiting = asyncio.create_task(poll(poller, timeout=50))
    await asyncio.sleep(0)
    poller.close()
    assert await waiting == []
