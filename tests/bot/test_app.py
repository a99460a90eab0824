"""The bot as a whole: it waits for the chat, works in order, and leaves without a sound."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import BotCommandScopeChat

from bot import courier as courier_module
from bot import updates
from bot.app import App, ChatAddress
from core.domain.errors import NeedsOwner
from core.domain.state import TradingState
from core.run.supervisor import run_together
from core.sim.chat.flood import FloodPolicy
from core.sim.chat.server import ChatServer
from core.sim.chat.values import ChatMessage, ChatUser
from tests.bot.fakes import OWNER, TOKEN, Office, office

OTHER = "424242:ANOTHER-FAKE-TOKEN"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "RETRY_S", (0.01,))
    monkeypatch.setattr(courier_module, "BACKOFF_S", (0.01,))


@contextlib.asynccontextmanager
async def serving(token: str = TOKEN, **options: Any) -> AsyncIterator[ChatServer]:
    """The local chat."""
    server = ChatServer(token, OWNER, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def bot_at(url: str, there: Office) -> AsyncIterator[App]:
    """The whole bot at work against the chat at ``url``."""
    app = App(ChatAddress(url, TOKEN, OWNER, gap_s=0.0), there.desk, there.outbox, there.engine)
    stop = asyncio.Event()
    work = asyncio.ensure_future(run_together(app.parts(), stop))
    try:
        yield app
    finally:
        stop.set()
        await work
        await app.close()


def said(word: str) -> Callable[[ChatMessage], bool]:
    """Accepts a message of the bot with that word."""
    return lambda message: message.from_bot and word in message.text


async def test_a_command_walks_from_the_chat_to_the_engine_and_back():
    """Typed, gated, journaled, answered."""
    async with office() as there, serving() as chat, bot_at(chat.url, there):
        chat.say("/pause")
        await chat.wait_message(said("Paused"), 10)
        assert there.desk.state.trading.state is TradingState.REDUCING


async def test_a_stranger_hears_nothing_at_all():
    """While the owner is answered, somebody else's commands are not even refused."""
    async with office() as there, serving() as chat, bot_at(chat.url, there):
        chat.say("/pause", user=ChatUser(666, "Stranger"))
        chat.say("/balance")
        await chat.wait_message(said("Balances"), 10)
        assert there.desk.state.trading.state is TradingState.ACTIVE
        assert [message.chat_id for message in chat.messages() if message.from_bot] == [OWNER]


async def test_strangers_leave_nothing_behind_in_memory():
    """However many people find the bot, nothing of them is remembered."""
    async with office() as there, serving() as chat, bot_at(chat.url, there) as app:
        for number in range(1000, 1020):
            chat.say("/start", user=ChatUser(number, "Stranger"))
        chat.say("/balance")
        await chat.wait_message(said("Balances"), 10)
        assert not app._dispatcher.fsm.storage.storage  # type: ignore[attr-defined]


async def test_the_menu_is_offered_to_the_owner_only():
    """The chat's menu holds our commands, in the owner's chat."""
    async with office() as there, serving() as chat, bot_at(chat.url, there) as app:
        chat.say("/help")
        await chat.wait_message(said("/panic"), 10)
        offered = await app.bot.get_my_commands(scope=BotCommandScopeChat(chat_id=OWNER))
        assert "panic" in [command.command for command in offered]
        assert await app.bot.get_my_commands() == []


@pytest.mark.parametrize("code", [404, 500])
async def test_a_server_without_a_command_menu_is_lived_with(code: int):
    """Other Bot API servers answer 404 or 500 to it; the bot talks all the same."""
    async with office() as there, serving(faults={"setmycommands": code}) as chat, bot_at(chat.url, there):
        chat.say("/balance")
        await chat.wait_message(said("Balances"), 10)


async def test_a_flooded_chat_answers_a_command_once_it_may():
    """An answer that got a 429 is sent when the chat allows it, not forgotten."""
    async with office() as there, serving(flood=FloodPolicy(1, 0.3)) as chat, bot_at(chat.url, there):
        chat.say("/balance")
        chat.say("/orders")
        await chat.wait_message(said("Balances"), 10)
        await chat.wait_message(said("No orders"), 10)


async def test_commands_typed_fast_are_handled_in_the_order_typed():
    """One after the other: the last word counts."""
    async with office() as there, serving() as chat, bot_at(chat.url, there):
        for text in ("/pause", "/resume", "/pause", "/resume", "/balance"):
            chat.say(text)
        await chat.wait_message(said("Balances"), 10)
        events = [type(line.event).__name__ for line in there.journal.lines[3:]]
        assert events == ["OwnerPaused", "OwnerResumed"] * 2
        assert there.desk.state.trading.state is TradingState.ACTIVE


async def test_a_token_the_chat_does_not_know_is_for_the_owner_to_mend():
    """A wrong token ends the start with the line that names the fix."""
    async with office() as there, serving(OTHER) as chat:
        app = App(ChatAddress(chat.url, TOKEN, OWNER, gap_s=0.0), there.desk, there.outbox, there.engine)
        try:
            with pytest.raises(NeedsOwner, match="keys set telegram"):
                await app.poll()
        finally:
            await app.close()


async def test_without_a_network_at_the_start_the_bot_waits_and_then_works():
    """Nobody at the chat's address at first; the trading goes on, and the first command after that is answered."""
    async with office() as there, serving() as chat, bot_at("http://127.0.0.1:1", there) as app:
        async with asyncio.timeout(10):
            with structlog.testing.capture_logs() as logs:
                while not any("cannot be reached" in line["event"] for line in logs):
                    await there.see(there.seq())
        app.bot.session.api = TelegramAPIServer.from_base(chat.url)
        chat.say("/balance")
        await chat.wait_message(said("Balances"), 10)


async def test_the_bot_leaves_promptly_and_without_a_sound():
    """The waiting poll ends with the bot: no task stays behind, nothing is logged when the chat closes after it."""
    with structlog.testing.capture_logs() as logs:
        async with office() as there, serving() as chat:
            before = asyncio.all_tasks()
            async with bot_at(chat.url, there):
                chat.say("/balance")
                await chat.wait_message(said("Balances"), 10)
            assert {task.get_name() for task in asyncio.all_tasks() - before if "Request" not in repr(task)} == set()
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []


async def test_what_was_handled_before_a_stop_is_not_handled_again_after_it():
    """The chat delivers the last update once more, and the note in the database drops it."""
    async with serving() as chat, office() as there:
        async with bot_at(chat.url, there):
            chat.say("/balance")
            await chat.wait_message(said("Balances"), 10)
        async with bot_at(chat.url, there):
            chat.say("/orders")
            await chat.wait_message(said("No orders"), 10)
        assert [said("Balances")(message) for message in chat.messages()].count(True) == 1
