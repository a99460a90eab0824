"""What was committed reaches the phone: in order, once, whatever the chat does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import time, timedelta
from io import BytesIO
from typing import Any

import pytest
from aiogram import Bot
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.utils.formatting import Bold
from PIL import Image

from bot import courier as courier_module
from bot.courier import Courier, within
from core.domain.effects import Tell, Topic
from core.domain.events import Accepted
from core.run.desk import Asked
from core.sim.chat.flood import FloodPolicy
from core.sim.chat.server import ChatServer
from tests.bot.fakes import OWNER, START, TOKEN, Office, office
from tests.bot.phones import Easel, FaultySession, PocketChat

TROUBLES: dict[str, Callable[[Any], Exception]] = {
    "429": lambda m: TelegramRetryAfter(m, "Too Many Requests", 0),
    "500": lambda m: TelegramServerError(m, "Internal Server Error"),
    "a page instead of an answer": lambda m: ClientDecodeError("Failed to decode object", ValueError(), "<html>502"),
    "blocked": lambda m: TelegramForbiddenError(m, "Forbidden: bot was blocked by the user"),
    "connection reset": lambda m: ConnectionResetError(104, "Connection reset by peer"),
    "an answer without words": lambda m: TypeError("argument of type 'NoneType' is not iterable"),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "BACKOFF_S", (0.001,))


def news(text: str, *, urgent: bool = True, topic: Topic = Topic.ERROR) -> Tell:
    """A message of plain words."""
    return Tell(topic, text, text, urgent=urgent)


@contextlib.asynccontextmanager
async def running(
    there: Office, session: PocketChat | FaultySession, easel: Easel | None = None, **quiet: Any
) -> AsyncIterator[Courier]:
    """A courier of this office at work."""
    bot = Bot(TOKEN, session=session)
    courier = Courier(bot, OWNER, there.outbox, there.desk, easel or Easel(), gap_s=0, **quiet)  # type: ignore[arg-type]
    there.engine.listen(courier.hear)
    task = asyncio.ensure_future(courier.run())
    try:
        yield courier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await bot.session.close()


@contextlib.asynccontextmanager
async def served(**options: Any) -> AsyncIterator[ChatServer]:
    """The local chat."""
    server = ChatServer(TOKEN, OWNER, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def drawn() -> Easel:
    """An easel whose picture a chat accepts."""
    file = BytesIO()
    Image.new("RGB", (60, 40), "navy").save(file, "PNG")
    return Easel(png=file.getvalue())


def asked(update_id: int) -> Asked:
    """The owner's command in this update."""
    return Asked(update_id, f"update:{update_id}")


def accepted(client_id: str) -> Accepted:
    """The exchange has this order."""
    return Accepted(START, "test", client_id, f"x{client_id}")


async def all_sent(courier: Courier) -> None:
    """Wait until nothing is left to deliver."""
    async with asyncio.timeout(10):
        await courier.drained()


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_chat_in_trouble_delays_messages_but_loses_and_swaps_none(trouble: str):
    """Whatever goes wrong, each message arrives exactly once, in the order in which things happened."""
    async with office() as there:
        session = PocketChat()
        session.fail("sendMessage", *[TROUBLES[trouble]] * 3)
        for number in range(4):
            there.outbox.put(news(f"message {number}"))
        async with running(there, session) as courier:
            await all_sent(courier)
        arrived = session.said[3:]
        assert arrived == [f"🔴 message {number}" for number in range(4)]


async def test_a_connection_refused_is_waited_out():
    """While nobody answers at the chat's address, messages wait; once somebody does, they arrive."""
    async with office() as there, served() as server:
        there.outbox.put(news("first"))
        session = FaultySession("http://127.0.0.1:1")
        async with running(there, session) as courier:
            async with asyncio.timeout(10):
                await session.failed.wait()
            assert server.messages() == ()
            session.api = TelegramAPIServer.from_base(server.url)
            await server.wait_message(lambda m: m.text == "🔴 first", 10)
            await all_sent(courier)
            assert courier.trouble == ""


async def test_the_seconds_a_full_chat_asks_for_are_waited():
    """A chat that takes one message a second gets them all, one after the other."""
    async with office() as there, served(flood=FloodPolicy(1, 0.5)) as server:
        for number in range(2):
            there.outbox.put(news(f"{number}"))
        async with running(there, FaultySession(server.url)) as courier:
            await all_sent(courier)
        assert [message.text for message in server.messages()] == ["🔴 0", "🔴 1"]


async def test_a_message_refused_as_it_is_goes_out_in_plain_words():
    """A 400 for its shape costs a message its looks, not its words."""
    async with office() as there:
        session = PocketChat()
        session.fail("sendMessage", lambda m: TelegramBadRequest(m, "Bad Request: can't parse entities"))
        there.outbox.put(news("the words"))
        async with running(there, session) as courier:
            await all_sent(courier)
        assert session.calls[-1].text == "🔴 the words"
        assert not session.calls[-1].entities


async def test_a_chat_that_does_not_know_the_owner_yet_gets_everything_later():
    """Before the owner's first /start Telegram answers "chat not found"; nothing may be thrown away for it."""
    async with office() as there:
        session = PocketChat()
        session.fail("sendMessage", *[lambda m: TelegramBadRequest(m, "Bad Request: chat not found")] * 4)
        there.outbox.put(news("kept"))
        async with running(there, session) as courier:
            await all_sent(courier)
        assert there.outbox.sent == {1: 1}
        assert session.said[-1] == "🔴 kept"


async def test_after_a_restart_what_was_not_delivered_is_sent_and_nothing_else():
    """The outbox remembers across runs."""
    async with office() as there:
        there.outbox.put(news("old"))
        first, second = PocketChat(), PocketChat()
        async with running(there, first) as courier:
            await all_sent(courier)
        there.outbox.put(news("new"))
        async with running(there, second) as courier:
            await all_sent(courier)
        assert (first.said, second.said) == (["🔴 old"], ["🔴 new"])


async def test_a_proposal_comes_with_its_picture_and_buttons_and_is_edited_when_ordered():
    """One card, first asking, then saying what became of it; its buttons are gone by then."""
    async with office() as there, served() as server, running(there, FaultySession(server.url), drawn()) as courier:
        intent = await there.propose()
        await all_sent(courier)
        (card,) = server.messages()
        assert [button.text for row in card.buttons for button in row] == ["✅ Approve", "Skip"]
        assert card.photo
        await there.desk.approve(asked(1), intent)
        await all_sent(courier)
        (card,) = server.messages()
        assert "✅ Ordered." in card.text
        assert (card.buttons, bool(card.photo)) == ((), True)


async def test_a_proposal_that_runs_out_is_edited_in_place():
    """The card itself says that the time to approve has run out."""
    async with office() as there, served() as server, running(there, FaultySession(server.url)) as courier:
        await there.propose()
        await there.see(2)
        await all_sent(courier)
        (card,) = server.messages()
        assert "The time to approve has run out." in card.text
        assert card.buttons == ()


async def test_a_fill_is_a_message_of_its_own_and_its_protection_is_said_on_it():
    """The purchase rings; that stop and target stand is added to the same message."""
    async with office(auto=True) as there, served() as server, running(there, FaultySession(server.url)) as courier:
        await there.see(1, fires=True)
        await there.fill("BTCUSDT")
        await all_sent(courier)
        card, fill = server.messages()
        assert card.text.startswith("🟢 BUY")
        assert "Placing" in fill.text
        for order in there.live("BTCUSDT"):
            await there.engine.post(accepted(order.client_id))
        await all_sent(courier)
        assert len(server.messages()) == 2
        assert "Protected on the exchange" in server.messages()[1].text


async def test_where_the_card_is_gone_a_new_message_says_what_became_of_it():
    """An owner who deleted the card still hears that it was ordered."""
    async with office() as there, served() as server, running(there, FaultySession(server.url), drawn()) as courier:
        intent = await there.propose()
        await all_sent(courier)
        (card,) = server.messages()
        async with Bot(TOKEN, session=FaultySession(server.url)) as bot:
            await bot.delete_message(OWNER, card.id)
        await there.desk.approve(asked(1), intent)
        await all_sent(courier)
        (fresh,) = server.messages()
        assert fresh.id != card.id
        assert "✅ Ordered." in fresh.text


async def test_small_talk_that_piled_up_comes_as_one_message():
    """Five refusals while the phone was away are one message; what is urgent stays on its own."""
    async with office() as there:
        session = PocketChat()
        for number in range(5):
            there.outbox.put(Tell(Topic.REFUSAL, f"S{number}USDT", "No room."))
        there.outbox.put(news("the important one"))
        async with running(there, session) as courier:
            await all_sent(courier)
        folded, important = session.said
        assert folded.count("not bought") == 5
        assert important == "🔴 the important one"
        assert there.outbox.sent == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2}


async def test_a_pile_too_long_for_one_message_is_cut_into_several():
    """Folding never makes a message longer than Telegram takes."""
    async with office() as there, served() as server:
        for number in range(20):
            there.outbox.put(Tell(Topic.ERROR, str(number), f"{number} " + "😀 long " * 60))
        async with running(there, FaultySession(server.url)) as courier:
            await all_sent(courier)
        together = "".join(message.text for message in server.messages())
        assert all(f"{number} 😀" in together for number in range(20))
        assert len(server.messages()) == 3


async def test_in_quiet_hours_only_what_is_urgent_rings():
    """Hours are the owner's own, in the owner's zone, and may cross midnight."""
    async with office(zone="Asia/Tokyo") as there:
        session = PocketChat()
        at = START + timedelta(hours=14)  # 23:00 in Tokyo
        there.outbox.put(news("psst", urgent=False), at)
        there.outbox.put(news("fire"), at)
        there.outbox.put(news("morning", urgent=False), at + timedelta(hours=9))
        async with running(there, session, quiet=(time(22), time(7))) as courier:
            await all_sent(courier)
        assert [bool(call.disable_notification) for call in session.of("sendMessage")] == [True, False, False]


@pytest.mark.parametrize(("hour", "quiet"), [(21, False), (22, True), (0, True), (6, True), (7, False), (12, False)])
def test_quiet_hours_include_their_start_and_not_their_end(hour: int, quiet: bool):
    """22 to 7 is quiet at 22:00 and loud at 07:00."""
    assert within((time(22), time(7)), START.replace(hour=hour)) is quiet


async def test_a_picture_that_cannot_be_drawn_costs_nothing_but_itself():
    """The card arrives as text."""
    async with office() as there:
        session = PocketChat()
        async with running(there, session, Easel(broken=True)) as courier:
            await there.propose()
            await all_sent(courier)
        assert session.of("sendPhoto") == []
        assert session.said[0].startswith("🟢 BUY BTCUSDT")


async def test_bars_that_cannot_be_read_cost_nothing_but_the_picture():
    """A broken bar store does not keep a proposal from the owner."""
    async with office() as there:
        session = PocketChat()

        def broken(*args: Any) -> Any:
            raise RuntimeError("the store is gone")

        there.bars.stream = broken  # type: ignore[method-assign]
        async with running(there, session) as courier:
            await there.propose()
            await all_sent(courier)
        assert session.said[0].startswith("🟢 BUY BTCUSDT")


@pytest.mark.parametrize("refusal", [TelegramNotFound, TelegramServerError, TelegramBadRequest])
async def test_a_picture_the_chat_does_not_take_costs_nothing_but_itself(refusal: type[Exception]):
    """Servers without photos exist; text and buttons arrive all the same."""
    async with office() as there:
        session = PocketChat()
        session.fail("sendPhoto", *[lambda m: refusal(m, "no photos here")] * 3)  # type: ignore[call-arg]
        async with running(there, session) as courier:
            await there.propose()
            await all_sent(courier)
        (message,) = session.of("sendMessage")
        assert message.text.startswith("🟢 BUY BTCUSDT")
        assert message.reply_markup


async def test_drained_waits_for_what_was_committed_before_it():
    """When it returns, the chat has everything."""
    async with office(auto=True) as there:
        session = PocketChat()
        async with running(there, session) as courier:
            await courier.drained()
            for hour in range(1, 4):
                await there.see(hour, fires=True, symbol=there.desk.about.symbols[hour - 1])
                await courier.drained()
                assert len(there.outbox.sent) == len(there.outbox.parcels) == hour


async def test_a_fill_no_longer_in_sight_is_told_again_with_its_protection():
    """A deleted purchase message does not hide that the position is protected."""
    async with office(auto=True) as there:
        session = PocketChat()
        await there.see(1, fires=True)
        await there.fill("BTCUSDT")
        async with running(there, session) as courier:
            await all_sent(courier)
            session.fail("editMessageText", lambda m: TelegramBadRequest(m, "Bad Request: message to edit not found"))
            for order in there.live("BTCUSDT"):
                await there.engine.post(accepted(order.client_id))
            await all_sent(courier)
        assert "Protected on the exchange" in session.of("sendMessage")[-1].text


async def test_a_warning_about_the_chat_goes_before_everything_else():
    """That a thief reads along must not wait behind twenty messages."""
    async with office() as there:
        chat = PocketChat()
        for number in range(3):
            there.outbox.put(news(f"news {number}"))
        chat.fail("sendMessage", TROUBLES["500"])
        async with running(there, chat) as courier:
            courier.warn(Bold("revoke the token"))
            await asyncio.wait_for(courier.drained(), 10)
        assert chat.said[1] == "revoke the token"
        assert len(chat.said) == 5


async def test_a_warning_the_chat_refuses_does_not_hold_up_the_news():
    """Only what the books know of is tried for ever."""
    async with office() as there:
        chat = PocketChat()
        there.outbox.put(news("bought"))
        chat.fail("sendMessage", lambda m: TelegramBadRequest(m, "Bad Request: no"))
        async with running(there, chat) as courier:
            courier.warn(Bold("revoke the token"))
            await asyncio.wait_for(courier.drained(), 10)
        assert ["bought" in text for text in chat.said] == [False, True]


async def test_warnings_are_bounded():
    """A chat that is down for days finds the newest few."""
    async with office() as there:
        chat = PocketChat()
        async with running(there, chat) as courier:
            for number in range(50):
                courier.warn(Bold(f"warning {number}"))
            await asyncio.wait_for(courier.drained(), 10)
        assert len(chat.said) == courier_module.WARNINGS_MAX
