"""The bot put together: one Bot, one Dispatcher, the gate before everything, the courier beside it.

Rule 1: the chat never stops the trading: no network at start, 404s and 500s are waited out or lived with.
Rule 2: updates are handled one after the other and acknowledged after their handler, so none is lost in a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import time

import structlog
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramAPIError, TelegramUnauthorizedError
from aiogram.types import BotCommandScopeChat

from bot.courier import Courier
from bot.gate import Gate
from bot.handlers import commands, root
from bot.keyboards import Confirmations
from bot.pictures import Pictures
from core.domain.errors import NeedsOwner
from core.ports import Outbox
from core.run.desk import Desk
from core.run.engine import Engine

UPDATES = ["message", "callback_query"]
RETRY_S = (1.0, 2.0, 5.0, 15.0, 30.0)
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


class App:
    """The bot's side of the assistant."""

    def __init__(self, address: ChatAddress, desk: Desk, outbox: Outbox, engine: Engine) -> None:
        session = AiohttpSession(api=TelegramAPIServer.from_base(address.url))
        self.bot = Bot(address.token, session=session)
        self._owner_id = address.owner_id
        pictures = Pictures()
        self.courier = Courier(
            self.bot, address.owner_id, outbox, desk, pictures, gap_s=address.gap_s, quiet=address.quiet
        )
        engine.listen(self.courier.hear)
        self._dispatcher = Dispatcher(desk=desk, pictures=pictures, confirmations=Confirmations())
        self._dispatcher.update.outer_middleware(Gate(address.owner_id, desk))
        self._dispatcher.include_router(root())

    def parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What runs for as long as the bot does."""
        return {"courier": self.courier.run, "chat": self.poll}

    async def poll(self) -> None:
        """Receive updates until cancelled, from whenever the chat can be reached."""
        await self._reach()
        await self._offer_commands()
        polling = asyncio.ensure_future(
            self._dispatcher.start_polling(
                self.bot,
                handle_as_tasks=False,
                handle_signals=False,
                close_bot_session=False,
                allowed_updates=UPDATES,
                polling_timeout=20,
            )
        )
        try:
            await asyncio.shield(polling)
        finally:  # start_polling, cancelled, would leave a task behind that goes on taking updates
            if not polling.done():
                await self._dispatcher.stop_polling()
                await polling

    async def _reach(self) -> None:
        """Wait for the chat; a token it does not know is for the owner to mend. Raises NeedsOwner."""
        for attempt in range(10**9):
            try:
                me = await self.bot.get_me()
            except TelegramUnauthorizedError as error:
                raise NeedsOwner(
                    "Telegram does not know this bot token: copy it again from BotFather into FIRSTMATE_TELEGRAM_TOKEN."
                ) from error
            except (TelegramAPIError, OSError, TimeoutError) as error:
                wait_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                log.warning("the chat cannot be reached yet", why=str(error)[:200], wait_s=wait_s)
                await asyncio.sleep(wait_s)
            else:
                log.info("the chat is there", bot=me.username)
                return

    async def _offer_commands(self) -> None:
        """The command menu, in the owner's chat only; a server that cannot show it is no reason not to talk."""
        try:
            await self.bot.set_my_commands(commands(), scope=BotCommandScopeChat(chat_id=self._owner_id))
        except (TelegramAPIError, OSError, TimeoutError) as error:
            log.info("no command menu", why=str(error)[:200])

    async def close(self) -> None:
        """Give the connection back."""
        await self.bot.session.close()
