"""Updates come one after the other, whatever the chat does in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import ClientDecodeError, TelegramConflictError, TelegramRetryAfter, TelegramServerError
from aiogram.methods import GetUpdates, TelegramMethod
from aiogram.types import Update
from hypothesis import given
from hypothesis import strategies as st

from bot import updates
from core.sim.chat.server import ChatServer
from tests.bot.fakes import OWNER, TOKEN
from tests.bot.phones import FaultySession, PocketChat, message_json, person, private
from tests.bot.test_groups import group, put_into

FIELDS = ["update_id", "message", "callback_query", "my_chat_member", "from", "chat", "id", "text", "date", "new"]

TROUBLES: list[Callable[[Any], Exception]] = [
    lambda m: TelegramServerError(m, "Internal Server Error"),
    lambda m: TelegramConflictError(m, "Conflict: terminated by other getUpdates request"),
    lambda m: TelegramRetryAfter(m, "Too Many Requests", 0),
    lambda m: ClientDecodeError("Failed to decode object", ValueError(), "<html>Bad Gateway</html>"),
    lambda m: ClientDecodeError("Failed to deserialize object", ValueError(), {"ok": True, "result": "nonsense"}),
    lambda m: ConnectionResetError(104, "Connection reset by peer"),
    lambda m: TypeError("argument of type 'NoneType' is not iterable"),
]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "RETRY_S", (0.001,))


@pytest.fixture
async def chat() -> AsyncIterator[ChatServer]:
    """The local chat."""
    server = ChatServer(TOKEN, OWNER)
    await server.start()
    yield server
    await server.stop()


class Ear:
    """Hears texts of updates and lets a test wait for so many of them."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._more = asyncio.Event()

    async def __call__(self, update: Update) -> None:
        """Take one update."""
        assert update.message is not None
        self.heard.append(update.message.text or "")
        self._more.set()

    async def has(self, count: int) -> list[str]:
        """Everything heard, once it is ``count`` texts."""
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()
        return self.heard


class Rows(PocketChat):
    """A server whose getUpdates answers these rows, however wrong, as long as they are not acknowledged."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__()
        self.rows = rows
        self.offsets: list[int | None] = []

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Let aiogram read the rows as they would come over the wire."""
        if not isinstance(method, GetUpdates):
            return await super().make_request(bot, method, timeout)
        self.offsets.append(method.offset)
        if method.offset:
            await asyncio.sleep(3600)
        return self.check_response(bot, method, 200, json.dumps({"ok": True, "result": self.rows})).result


@contextlib.asynccontextmanager
async def listening(
    session: FaultySession | PocketChat,
    handle: Callable[[Update], Awaitable[Any]],
    heard: updates.Heard = updates.unheard,
) -> AsyncIterator[None]:
    """Somebody listens."""
    async with Bot(TOKEN, session=session) as bot:
        task = asyncio.ensure_future(updates.listen(bot, handle, heard))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_while_polling_loses_and_repeats_nothing(chat: ChatServer, trouble: Callable[[Any], Exception]):
    """After three failures of a kind everything arrives, once, in order."""
    session, ear = FaultySession(chat.url), Ear()
    session.fail("getUpdates", *[trouble] * 3)
    for text in ("one", "two", "three"):
        chat.say(text)
    async with listening(session, ear):
        assert await ear.has(3) == ["one", "two", "three"]
        chat.say("four")
        assert await ear.has(4) == ["one", "two", "three", "four"]


async def test_an_update_that_cannot_be_read_does_not_block_those_behind_it(chat: ChatServer):
    """A stranger's message in a shape nobody knows yet is passed over."""
    chat.say("before")
    chat.deliver("message", {"message_id": 9, "date": 1, "chat": private(666), "gift": {"gift": "of a new kind"}})
    chat.say("behind")
    ear = Ear()
    async with listening(FaultySession(chat.url), ear):
        assert await ear.has(2) == ["before", "behind"]


async def test_a_handler_that_fails_does_not_end_the_listening(chat: ChatServer):
    """One update that cannot be handled is logged; the next is handled."""
    ear = Ear()

    async def picky(update: Update) -> None:
        if update.message and update.message.text == "bad":
            raise RuntimeError("no")
        await ear(update)

    chat.say("bad")
    chat.say("good")
    async with listening(FaultySession(chat.url), picky):
        assert await ear.has(1) == ["good"]


async def test_an_update_is_acknowledged_after_its_handler_only(chat: ChatServer):
    """Whoever dies in the middle of an update gets it again."""
    chat.say("first")
    stuck = asyncio.Event()

    async def hang(update: Update) -> None:
        stuck.set()
        await asyncio.Event().wait()

    async with listening(FaultySession(chat.url), hang):
        await asyncio.wait_for(stuck.wait(), 10)
    ear = Ear()
    async with listening(FaultySession(chat.url), ear):
        assert await ear.has(1) == ["first"]


async def test_only_messages_presses_and_our_own_places_are_asked_for(chat: ChatServer):
    """What no handler wants is not even delivered; that somebody put us into a group is."""
    kinds: list[str] = []
    ear = Ear()

    async def note(update: Update) -> None:
        kinds.append(update.event_type)
        if update.message:
            await ear(update)

    async with listening(FaultySession(chat.url), note):
        chat.say("hello")
        await ear.has(1)
        chat.deliver("inline_query", {"id": "1", "from": person(666), "query": "/panic", "offset": ""})
        chat.deliver("my_chat_member", put_into(group()))
        chat.say("again")
        assert await ear.has(2) == ["hello", "again"]
    assert kinds == ["message", "my_chat_member", "message"]


async def test_how_each_poll_went_is_told(chat: ChatServer):
    """Whoever watches for others with our token hears of each poll, well or not."""
    session, ear = FaultySession(chat.url), Ear()
    session.fail("getUpdates", TROUBLES[1], TROUBLES[0])
    heard: list[str] = []
    chat.say("one")
    async with listening(session, ear, lambda trouble: heard.append(type(trouble).__name__)):
        await ear.has(1)
    assert heard[:3] == ["TelegramConflictError", "TelegramServerError", "NoneType"]


NUMBERLESS: list[Any] = [7, None, "text", [], {}, {"update_id": "9"}, {"update_id": 2**70}, {"update_id": -4}]


@pytest.mark.parametrize("row", NUMBERLESS)
async def test_an_update_without_a_number_is_passed_over(row: Any):
    """What cannot be acknowledged does not stand before what can."""
    session, ear = Rows([row, {"update_id": 5, "message": message_json("behind")}]), Ear()
    async with listening(session, ear):
        assert await ear.has(1) == ["behind"]
    assert session.offsets[:2] == [0, 6]


async def test_nothing_but_updates_without_numbers_is_trouble_and_waited_out():
    """A server that brings nothing on is not asked again at once, for ever."""
    session, ear = Rows([{"update_id": 2**70}]), Ear()
    heard: list[str] = []
    waited = asyncio.Event()

    def hear(trouble: Exception | None) -> None:
        heard.append(type(trouble).__name__)
        if len(heard) == 3:
            waited.set()

    async with listening(session, ear, hear):
        await asyncio.wait_for(waited.wait(), 10)
    assert heard[:3] == ["NothingNew"] * 3
    assert session.offsets[:3] == [0, 0, 0]


rows = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(rows)
def test_whatever_stands_in_place_of_an_update_is_read_or_passed_over(row: Any):
    """No shape of a row raises anything: it is an update, or its number, or nothing."""
    number, update = updates._read(Bot(TOKEN), row)
    assert isinstance(number, int)
    assert update is None or update.update_id == number
