"""Hearing the code from the chat: everything strange is passed over, and nobody is bound on half of what was said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from aiogram import Bot
from aiogram.exceptions import ClientDecodeError, TelegramConflictError, TelegramServerError, TelegramUnauthorizedError

from bot import claims, updates
from bot.claims import Claims
from bot.commands.pair import _require_one
from bot.pairing import Pairing, Standing
from core.domain.errors import FirstmateError, NeedsOwner, RetryLater
from core.sim.chat.server import ChatServer
from core.sim.chat.values import ChatUser
from tests.bot.fakes import TOKEN
from tests.bot.phones import FaultySession, person, private

CODE = "FAKEcodeForTests"
ADA, BOB = ChatUser(77, "Ada"), ChatUser(666, "Bob")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "RETRY_S", (0.001,))
    monkeypatch.setattr(claims, "POLL_S", 0)


class Booth:
    """Claims over the local chat, and the line between them."""

    def __init__(self, chat: ChatServer, session: FaultySession, valid_s: float) -> None:
        self.chat = chat
        self.session = session
        self.claims = Claims(Bot(TOKEN, session=session), Pairing(CODE, time.monotonic() + valid_s), time.monotonic)

    async def until_not(self, standing: Standing) -> None:
        """Wait until the pairing stands otherwise."""
        async with asyncio.timeout(20):
            await self.claims.no_longer(standing)


@asynccontextmanager
async def booth(valid_s: float = 60.0) -> AsyncIterator[Booth]:
    """A booth that has begun."""
    chat = ChatServer(TOKEN, 1)
    await chat.start()
    one = Booth(chat, FaultySession(chat.url), valid_s)
    try:
        yield one
    finally:
        await one.session.close()
        await chat.stop()


@asynccontextmanager
async def listening(one: Booth) -> AsyncIterator[asyncio.Future[None]]:
    """It hears the chat within the block."""
    await one.claims.begin()
    task = asyncio.ensure_future(one.claims.listen())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_waited_before_the_code_was_made_does_not_count():
    """Not even as a wrong try; what comes after does."""
    async with booth() as one:
        for _ in range(7):
            one.chat.say("/start guess", user=BOB)
        async with listening(one):
            one.chat.say(f"/start {CODE}", user=ADA)
            await one.until_not(Standing.OPEN)
        assert (one.claims.standing, one.claims.pairing.wrong) == (Standing.CLAIMED, 0)


async def test_a_second_claimer_in_the_last_moment_is_still_heard():
    """The yes was typed already, but the message was on its way: nobody is bound, both are named."""
    async with booth() as one, listening(one) as task:
        one.chat.say(f"/start {CODE}", user=BOB)
        await one.until_not(Standing.OPEN)
        one.chat.say(f"/start {CODE}", user=ADA)
        await one.claims.finish(task)
        with pytest.raises(FirstmateError, match=r"Bob \(id 666\) and Ada \(id 77\)"):
            _require_one(one.claims)


async def test_a_code_sent_after_its_time_is_void():
    """Nobody claims it any more, and the line says how long it was good for."""
    async with booth(valid_s=0.2) as one, listening(one) as task:
        await one.until_not(Standing.OPEN)
        one.chat.say(f"/start {CODE}", user=ADA)
        await one.claims.finish(task)
        assert one.claims.pairing.claimers == ()
        with pytest.raises(FirstmateError, match="good for 10 minutes and is void"):
            _require_one(one.claims)


async def test_updates_that_cannot_be_read_cost_no_other():
    """A stranger cannot keep the owner out by sending something new to the world."""
    async with booth() as one, listening(one):
        one.chat.deliver("message", {"message_id": "?", "chat": 5})
        one.chat.deliver("edited_message", {"message_id": 1, "date": 1, "chat": private(), "from": person()})
        one.chat.deliver("message", {"nonsense": True})
        one.chat.say(f"/start {CODE}", user=ADA)
        await one.until_not(Standing.OPEN)
        assert one.claims.standing is Standing.CLAIMED


TROUBLES = [
    lambda m: TelegramServerError(m, "Internal Server Error"),
    lambda m: ClientDecodeError("Failed to decode object", ValueError(), "<html>Bad Gateway</html>"),
    lambda m: ClientDecodeError("Failed to deserialize", ValueError(), {"ok": True, "result": "nonsense"}),
    lambda m: ConnectionResetError(104, "Connection reset by peer"),
]


async def test_a_chat_in_trouble_is_waited_out():
    """Errors in between lose no code."""
    async with booth() as one, listening(one):
        one.session.fail("getUpdates", *TROUBLES)
        one.chat.say(f"/start {CODE}", user=ADA)
        await one.until_not(Standing.OPEN)
        assert one.claims.standing is Standing.CLAIMED


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_where_the_last_look_fails_nobody_is_bound(trouble: Any):
    """Whether a second one knows the code cannot be told."""
    async with booth() as one, listening(one) as task:
        one.chat.say(f"/start {CODE}", user=ADA)
        await one.until_not(Standing.OPEN)
        one.claims._stopping = True
        await task
        one.session.fail("getUpdates", trouble)
        with pytest.raises(RetryLater, match="nobody was bound"):
            await one.claims.finish(task)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda m: TelegramConflictError(m, "Conflict: can't use getUpdates while webhook is active"), "webhook"),
        (lambda m: TelegramUnauthorizedError(m, "Unauthorized"), "does not know this bot token"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_token_that_is_somebody_elses_too_ends_it(fault: Any, words: str, at_once: bool):
    """Another poller, a webhook, a revoked token: said at once and while waiting."""
    async with booth() as one:
        if at_once:
            one.session.fail("getUpdates", fault)
            with pytest.raises(NeedsOwner, match=words):
                await one.claims.begin()
            return
        async with listening(one) as task:
            one.session.fail("getUpdates", fault)
            one.chat.say("hello", user=BOB)
            with pytest.raises(NeedsOwner, match=words):
                await asyncio.wait_for(task, 20)


async def test_without_a_network_it_says_so_at_once():
    """Exit code 5, not a long silence."""
    async with booth() as one:
        await one.chat.stop()
        with pytest.raises(RetryLater, match="cannot be reached"):
            await one.claims.begin()


async def test_the_log_names_who_tried_and_never_what():
    """Numbers of accounts, no codes: neither the right one nor a guess that was close."""
    with structlog.testing.capture_logs() as logs:
        async with booth() as one, listening(one):
            one.chat.say(f"/start {CODE[:-1]}", user=BOB)
            one.chat.say(f"/start {CODE}", user=ADA)
            await one.until_not(Standing.OPEN)
    assert [(line["event"], line["user_id"]) for line in logs if "user_id" in line] == [
        ("a wrong pairing code", 666),
        ("the pairing code was sent", 77),
    ]
    assert CODE[:-1] not in str(logs)


async def test_nobody_is_answered():
    """Neither a wrong code nor a right one gets a word from here."""
    async with booth() as one, listening(one) as task:
        one.chat.say("/start wrong", user=BOB)
        one.chat.say(f"/start {CODE}", user=ADA)
        await one.until_not(Standing.OPEN)
        await one.claims.finish(task)
        assert set(one.session.calls) == {"getMe", "getUpdates"}
