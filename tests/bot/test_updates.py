"""Updates come one after the other, whatever the chat does in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import ClientDecodeError, TelegramConflictError, TelegramRetryAfter, TelegramServerError
from aiogram.types import Update

from bot import updates
from core.sim.chat.server import ChatServer
from tests.bot.fakes import OWNER, TOKEN
from tests.bot.phones import FaultySession, private

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


@contextlib.asynccontextmanager
async def listening(session: FaultySession, handle: Callable[[Update], Awaitable[Any]]) -> AsyncIterator[None]:
    """Somebody listens."""
    async with Bot(TOKEN, session=session) as bot:
        task = asyncio.ensure_future(updates.listen(bot, handle))
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


async def test_only_messages_and_presses_are_asked_for(chat: ChatServer):
    """What no handler wants is not even delivered."""
    ear = Ear()
    async with listening(FaultySession(chat.url), ear):
        chat.say("hello")
        await ear.has(1)
        chat.deliver("my_chat_member", {})
        chat.deliver("inline_query", {})
        chat.say("again")
        assert await ear.has(2) == ["hello", "again"]
