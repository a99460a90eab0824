"""The bot put together: one Bot, one Dispatcher, the gate before everything, the courier beside it.

Rule 1: the chat never stops the trading: no network at start, 404s and 500s are waited out or lived with.
Rule 2: only a token that Telegram does not know is for the owner to mend, and said at once; while something is held the
        trading is worth more than the chat, and goes on guarding it.
Rule 3: an answer the chat has no room for waits as long as the chat asks, once; the courier's messages wait for ever.
"""

from __future__ import annotations

import bot.slim  # noqa: F401, before whatever imports aiogram

# isort: split

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import time

import structlog
from aiogram import Bot, Dispatcher
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramRetryAfter, TelegramUnauthorizedError
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import BotCommandScopeChat

from bot.chatline import ChatLine
from bot.courier import Courier
from bot.discretion import Discretion
from bot.gate import Gate
from bot.handlers import commands, root
from bot.handlers.twin import Comparing
from bot.intruders import Alarm, Intruders
from bot.keyboards import Confirmations
from bot.passage import Passage
from bot.pictures import Pictures
from bot.stepup import StepUp
from bot.updates import listen, wait_out
from core.adapters.redaction import short
from core.domain.errors import NeedsOwner
from core.ports import Outbox
from core.run.desk import Desk
from core.run.engine import Engine
from core.run.labdesk import LabDesk
from core.run.questions import Check

PATIENCE_S = 15.0
ANSWERED_WITHIN_S = 20.0  # a slow chat must not hold up the command that comes next
TELEGRAM_GAP_S = 1.05  # Telegram allows about one message a second in a chat
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ChatAddress:
    """Which bot talks to whom, and where: ``gap_s`` is the least time between two pushed messages, seconds."""

    url: str
    token: str
    owner_id: int
    gap_s: float
    quiet: tuple[time, time] | None = None


class Patience(BaseRequestMiddleware):
    """Obeys one Retry-After of up to PATIENCE_S, so that a command typed in a busy minute is answered all the same."""

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        """Make the request, twice where the chat asks for patience."""
        try:
            return await make_request(bot, method)
        except TelegramRetryAfter as wait:
            if wait.retry_after > PATIENCE_S:
                raise
            await asyncio.sleep(wait.retry_after)
            return await make_request(bot, method)


class App:
    """The bot's side of the assistant."""

    def __init__(
        self,
        address: ChatAddress,
        desk: Desk,
        outbox: Outbox,
        engine: Engine,
        passage: Passage | None = None,
        twin: Comparing | None = None,
        stepup: StepUp | None = None,
        alarm: Alarm | None = None,
        lab: LabDesk | None = None,
    ) -> None:
        session = ChatLine(api=TelegramAPIServer.from_base(address.url), timeout=ANSWERED_WITHIN_S)
        session.middleware(Patience())
        session.middleware(Discretion())
        self.bot = Bot(address.token, session=session)
        self._owner_id = address.owner_id
        pictures = Pictures()
        self.courier = Courier(
            self.bot, address.owner_id, outbox, desk, pictures, gap_s=address.gap_s, quiet=address.quiet
        )
        engine.listen(self.courier.hear)
        desk.add_check(self._messages)
        self._intruders = Intruders(self.bot, self.courier.warn, lambda: desk.state, alarm or Alarm())
        desk.add_check(self._intruders.check)
        self._stepup = stepup if desk.about.guarded else None
        if self._stepup:
            desk.add_check(self._stepup.check)
        # aiogram would remember a state for everybody who ever wrote, before the gate sees them
        self._dispatcher = Dispatcher(
            disable_fsm=True,
            desk=desk,
            pictures=pictures,
            confirmations=Confirmations(),
            passage=passage,
            twin=twin,
            stepup=self._stepup,
            lab=lab,
        )
        self._dispatcher.update.outer_middleware(Gate(address.owner_id, desk))
        self._dispatcher.include_router(root())

    def parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What runs for as long as the bot does."""
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "courier": self.courier.run,
            "chat": self.poll,
            "intruders": self._intruders.watch,
        }
        if self._stepup:
            say = functools.partial(self.bot.send_message, self._owner_id)
            parts["second proof"] = functools.partial(self._stepup.run, say)
        return parts

    def _messages(self) -> Check:
        trouble = self.courier.trouble
        return Check("messages", not trouble, trouble or "the chat takes them")

    async def poll(self) -> None:
        """Receive updates until cancelled, from whenever the chat can be reached."""
        await self._reach()
        await self._offer_commands()
        await listen(self.bot, functools.partial(self._dispatcher.feed_update, self.bot), self._intruders.heard)

    async def _reach(self) -> None:
        """Wait for the chat. Raises NeedsOwner for a token it does not know."""
        attempt = 0
        while True:
            try:
                me = await self.bot.get_me()
            except Exception as error:
                self._unless_for_the_owner(error)
                await wait_out(error, attempt)
                attempt += 1
            else:
                log.info("the chat is there", bot=me.username)
                return

    def _unless_for_the_owner(self, error: Exception) -> None:
        """Pass for what can be waited out. Raises NeedsOwner for a token Telegram does not know, if nothing is held."""
        self._intruders.heard(error)
        if isinstance(error, TelegramUnauthorizedError) and not self._intruders.holding():
            raise NeedsOwner(
                "Telegram does not know this bot token: copy it again from BotFather: `./run keys set telegram`."
            ) from error

    async def _offer_commands(self) -> None:
        """The command menu, in the owner's chat only; a server that cannot show it is no reason not to talk."""
        try:
            await self.bot.set_my_commands(commands(), scope=BotCommandScopeChat(chat_id=self._owner_id))
        except Exception as error:
            log.info("no command menu", why=short(error))

    async def close(self) -> None:
        """Give the connection back."""
        await self.bot.session.close()
