"""Somebody else with the bot's token is noticed, told of, and costs neither a position nor its stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiogram import Bot
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramConflictError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.methods import GetUpdates, TelegramMethod
from aiogram.types import WebhookInfo
from aiogram.utils.formatting import Text
from hypothesis import given
from hypothesis import strategies as st

from bot import intruders, updates
from bot.app import App, ChatAddress
from bot.intruders import QUIET_S, REVOKE, TELL_EVERY_S, WEBHOOK_EVERY_S, Alarm, Intruders, host_of
from core.domain.errors import NeedsOwner
from core.domain.events import AccessLost
from core.domain.state import TradingState
from core.run.supervisor import run_together
from core.sim.chat.server import ChatServer
from tests.bot.fakes import OWNER, TOKEN, Office, office
from tests.bot.phones import PocketChat

CONFLICT = TelegramConflictError(GetUpdates(), "Conflict: terminated by other getUpdates request")
UNKNOWN = TelegramUnauthorizedError(GetUpdates(), "Unauthorized")


class Hooked(PocketChat):
    """A chat on which somebody may have set a webhook; ``again`` sets it anew each time it is taken away."""

    def __init__(self, url: str = "", again: bool = False) -> None:
        super().__init__()
        self.url = url
        self.again = again

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Answer about webhooks, and everything else as before."""
        answer = await super().make_request(bot, method, timeout)
        if method.__api_method__ == "deleteWebhook" and not self.again:
            self.url = ""
        if method.__api_method__ == "getWebhookInfo":
            return WebhookInfo(url=self.url, has_custom_certificate=False, pending_update_count=0)
        return answer


class Watched:
    """Intruders of an office, with a clock of their own, and everything they set off."""

    def __init__(self, there: Office, chat: Hooked) -> None:
        self.at = 1_000_000.0
        self.told: list[str] = []
        self.shown: list[str] = []
        self.there = there
        bot = Bot(TOKEN, session=chat)
        self.intruders = Intruders(
            bot, self._tell, lambda: there.desk.state, Alarm(self._halt, self.shown.append), lambda: self.at
        )

    def _tell(self, text: Text) -> None:
        self.told.append(text.render()[0])

    async def _halt(self, why: str) -> None:
        await self.there.engine.post(AccessLost(self.there.clock.now(), "chat", why))

    async def passes(self, seconds: float, trouble: Exception | None = None, every_s: float = 30.0) -> None:
        """Time goes by, a poll going so every so often; the watch looks after each."""
        for _ in range(int(seconds / every_s)):
            self.at += every_s
            self.intruders.heard(trouble)
            await self.look()

    async def look(self) -> None:
        """One look of the watch. Raises what it raises."""
        one = asyncio.ensure_future(self.intruders.watch())
        for _ in range(50):
            await asyncio.sleep(0)
        one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one

    def well(self) -> bool:
        """What /health says."""
        return self.intruders.check().well


@contextlib.asynccontextmanager
async def watched(chat: Hooked | None = None) -> AsyncIterator[Watched]:
    """A watch over an office."""
    async with office() as there:
        yield Watched(there, chat or Hooked())


async def test_a_chat_that_is_ours_alone_is_well_and_nobody_is_told_anything():
    """A day of good polls: one look for a webhook every five minutes, no message."""
    chat = Hooked()
    async with watched(chat) as one:
        await one.passes(3600)
        assert (one.well(), one.told, one.shown) == (True, [], [])
        assert len(chat.of("getWebhookInfo")) == 3600 / WEBHOOK_EVERY_S
        assert one.there.desk.state.trading.state is TradingState.ACTIVE


async def test_a_foreign_webhook_is_taken_away_and_told_of_by_its_host():
    """The owner hears where their messages went, what to do, and not the thief's whole address."""
    chat = Hooked("https://evil.example:8443/FAKE-PATH?x=1")
    async with watched(chat) as one:
        await one.look()
        (told,) = one.told
        assert "evil.example" in told
        assert REVOKE in told
        assert "FAKE-PATH" not in told
        assert (chat.url, one.well()) == ("", False)
        assert chat.of("deleteWebhook")[0].drop_pending_updates is None
        assert "evil.example" in one.shown[0]


async def test_a_webhook_set_again_and_again_is_taken_away_each_time_and_told_once_an_hour():
    """A thief cannot flood the owner with warnings."""
    chat = Hooked("https://evil.example/", again=True)
    async with watched(chat) as one:
        await one.passes(TELL_EVERY_S - 60)
        assert len(one.told) == 1
        assert len(chat.of("deleteWebhook")) > 5
        await one.passes(TELL_EVERY_S)
        assert len(one.told) == 2


async def test_a_server_that_knows_no_webhooks_is_lived_with():
    """Other Bot API servers answer 404."""
    chat = Hooked()
    chat.fail("getWebhookInfo", *[lambda m: TelegramNotFound(m, "Not Found")] * 3)
    async with watched(chat) as one:
        await one.passes(900)
        assert (one.well(), one.told) == (True, [])


async def test_one_conflict_may_be_our_own_last_poll():
    """After a restart the server may still hold the poll of the process before."""
    async with watched() as one:
        await one.passes(60, CONFLICT)
        await one.passes(3600)
        assert (one.well(), one.told) == (True, [])


async def test_a_second_poller_is_told_once_and_seen_in_health():
    """What is said to the bot may go to somebody else: log, message, /health and the status line say so."""
    async with watched() as one:
        await one.passes(60)
        await one.passes(120, CONFLICT)
        assert (one.well(), len(one.told), len(one.shown)) == (False, 1, 1)
        assert "Another program" in one.told[0]
        await one.passes(QUIET_S + 60)
        assert one.well()


async def test_a_conflict_looks_for_a_webhook_at_once():
    """A webhook is the other cause of a conflict, and polling stands still until it is gone."""
    chat = Hooked()
    async with watched(chat) as one:
        await one.passes(60)
        chat.url = "https://evil.example/"
        await one.passes(30, CONFLICT)
        assert chat.url == ""


@pytest.mark.parametrize("trouble", [CONFLICT, UNKNOWN])
async def test_a_lost_chat_with_nothing_held_ends_the_program_for_the_owner(trouble: Exception):
    """Nobody can approve or stop anything any more: no new entries, and the exit code of what only the owner mends."""
    async with watched() as one:
        await one.passes(60)
        with pytest.raises(NeedsOwner, match="Revoke the token in BotFather"):
            await one.passes(1200, trouble)
        assert one.there.desk.state.trading.state is TradingState.HALTED
        assert one.shown


@pytest.mark.parametrize("trouble", [CONFLICT, UNKNOWN])
async def test_a_lost_chat_does_not_end_the_guarding_of_a_position(trouble: Exception):
    """What is held is guarded until it is sold; then the program ends."""
    async with watched() as one:
        await one.there.buy()
        await one.passes(1200, trouble)
        trading = one.there.desk.state.trading
        assert trading.state is TradingState.HALTED
        assert "BotFather" in trading.reason
        halts = [line for line in one.there.journal.lines if isinstance(line.event, AccessLost)]
        assert len(halts) == 1
        stop = next(order for order in one.there.live("BTCUSDT") if order.stop_price)
        await one.there.sell(stop)
        for order in one.there.live("BTCUSDT"):
            await one.there.sell(order)
        with pytest.raises(NeedsOwner):
            await one.passes(30, trouble)


async def test_a_rare_thief_is_found_too():
    """Somebody who looks in every five minutes takes updates as well."""
    async with watched() as one:
        for _ in range(4):
            await one.passes(270)
            await one.passes(30, CONFLICT)
        assert len(one.told) == 1
        await one.passes(270)
        with pytest.raises(NeedsOwner):
            await one.passes(30, CONFLICT)


async def test_a_token_unknown_for_a_moment_is_no_loss():
    """A server that answers 401 once and then works again did not lose us."""
    async with watched() as one:
        for _ in range(20):
            await one.passes(30, UNKNOWN)
            await one.passes(30)
        assert one.well()
        assert one.there.desk.state.trading.state is TradingState.ACTIVE


async def test_a_network_that_is_down_is_no_intruder():
    """Nothing but a 401 or a 409 says anything about the token."""
    async with watched() as one:
        await one.passes(7200, ConnectionResetError(104, "reset"))
        assert (one.well(), one.told) == (True, [])


@given(st.text(max_size=300).map(lambda text: f"https://{text}"))
def test_the_host_that_is_shown_is_plain_and_short(url: str):
    """A thief chooses the address; it brings no words, links or line breaks of theirs to the phone."""
    host = host_of(url)
    assert host == "an address that cannot be read" or all(c.isalnum() or c in ".-:" for c in host)
    assert len(host) <= 100


async def test_the_watch_ends_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch):
    """It waits between two looks, and leaves at once."""
    monkeypatch.setattr(intruders, "TICK_S", 3600.0)
    async with watched() as one:
        task = asyncio.ensure_future(one.intruders.watch())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)


@contextlib.asynccontextmanager
async def served(token: str) -> AsyncIterator[ChatServer]:
    """The local chat, for this token."""
    server = ChatServer(token, OWNER)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "RETRY_S", (0.01,))
    monkeypatch.setattr(intruders, "TICK_S", 0.01)
    monkeypatch.setattr(intruders, "UNKNOWN_AFTER_S", 0.05)


@pytest.mark.usefixtures("_impatient")
async def test_a_token_revoked_while_running_ends_the_whole_bot_with_a_case_for_the_owner():
    """From the wire to the error whose exit code keeps systemd from starting it again."""
    async with office() as there, served(TOKEN) as chat, served("424242:ANOTHER-FAKE-TOKEN") as stranger:
        app = App(ChatAddress(chat.url, TOKEN, OWNER, gap_s=0.0), there.desk, there.outbox, there.engine)
        work = asyncio.ensure_future(run_together(app.parts(), asyncio.Event()))
        chat.say("/balance")
        await chat.wait_message(lambda message: message.from_bot, 10)
        app.bot.session.api = TelegramAPIServer.from_base(stranger.url)
        chat.say("/balance")  # ends the poll that waits
        with pytest.raises(NeedsOwner, match="no longer knows") as ended:
            await asyncio.wait_for(work, 20)
        assert ended.value.exit_code == 2
        await app.close()


@pytest.mark.usefixtures("_impatient")
async def test_a_start_with_a_token_nobody_knows_goes_on_guarding_what_is_held():
    """A restart after the token was revoked must not leave a position without its guard."""
    async with office() as there, served("424242:ANOTHER-FAKE-TOKEN") as stranger:
        await there.buy()
        lost, stop = asyncio.Event(), asyncio.Event()

        async def halt(why: str) -> None:
            lost.set()

        address = ChatAddress(stranger.url, TOKEN, OWNER, gap_s=0.0)
        app = App(address, there.desk, there.outbox, there.engine, alarm=Alarm(halt))
        work = asyncio.ensure_future(run_together(app.parts(), stop))
        await asyncio.wait_for(lost.wait(), 20)
        done, _ = await asyncio.wait([work], timeout=0.2)
        assert not done
        assert [check.well for check in there.desk.health() if check.name == "token"] == [False]
        stop.set()
        await work
        await app.close()
