"""Who sends the code: the bot's updates, read while nobody else does, told to the pairing.

Rule 1: only a person in a private chat counts, with words of their own: no bot, no group, no channel, no forward.
Rule 2: nobody is answered: who guesses learns nothing.
Rule 3: updates are read one by one, so that one that cannot be read costs no other.
"""

from __future__ import annotations

import bot.slim  # noqa: F401, before whatever imports aiogram

# isort: split

import asyncio
from collections.abc import Callable, Mapping

import structlog
from aiogram import Bot
from aiogram.enums import ChatType
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramConflictError,
    TelegramUnauthorizedError,
)
from aiogram.types import Message, Update, User

from bot import pairing
from bot.ownwords import own_words
from bot.pairing import Claimer, Pairing, Standing
from bot.updates import wait_out
from core.adapters.redaction import short
from core.domain.errors import NeedsOwner, RetryLater

POLL_S = 1  # short, so that the last look is soon made
PATIENCE_S = 15  # beyond the poll itself, before a silent connection counts as dead
log = structlog.get_logger()


class Claims:
    """Listens for the code of one pairing; ``monotonic`` is the clock its seconds are of."""

    def __init__(self, bot: Bot, begun: Pairing, monotonic: Callable[[], float]) -> None:
        self._bot = bot
        self._monotonic = monotonic
        self._offset = 0
        self._news = asyncio.Event()
        self._stopping = False
        self.pairing = begun

    @property
    def standing(self) -> Standing:
        """How the pairing stands now."""
        return pairing.standing(self.pairing, self._monotonic())

    async def no_longer(self, before: Standing) -> None:
        """Wait until the pairing stands otherwise, be it by the passing of its time."""
        while self.standing is before:
            self._news.clear()
            left_s = max(0.0, self.pairing.until - self._monotonic())
            try:
                async with asyncio.timeout(left_s):
                    await self._news.wait()
            except TimeoutError:
                await asyncio.sleep(0.01)  # timers may ring a moment early

    async def begin(self) -> User:
        """The bot itself; what waited for it is passed over. Raises NeedsOwner, or RetryLater without network."""
        try:
            me = await self._bot.get_me()
            waiting = await self._bot.get_updates(offset=-1, limit=1, timeout=0)
        except ClientDecodeError as error:
            self._pass_over(error)
            return me
        except (TelegramUnauthorizedError, TelegramConflictError) as error:
            raise _fault(error) from error
        except (AiogramError, OSError) as error:
            raise RetryLater(short(f"Telegram cannot be reached: {error}")) from error
        self._offset = max((update.update_id + 1 for update in waiting), default=0)
        return me

    async def listen(self) -> None:
        """Hear codes until told to stop. Raises NeedsOwner where somebody else reads the bot's updates."""
        attempt = 0
        while not self._stopping:
            try:
                await self.look(POLL_S)
            except (TelegramUnauthorizedError, TelegramConflictError) as error:
                raise _fault(error) from error
            except (AiogramError, OSError, TimeoutError) as error:
                await wait_out(error, attempt)
                attempt += 1
            else:
                attempt = 0

    async def finish(self, listening: asyncio.Future[None]) -> None:
        """Hear what has arrived by now, the last. Raises RetryLater where that cannot be known."""
        self._stopping = True
        try:
            async with asyncio.timeout(PATIENCE_S):
                await listening  # two polls at once would be a conflict
                while await self.look(0):
                    pass
        except (AiogramError, OSError, TimeoutError) as error:
            raise RetryLater(short(f"Telegram cannot be reached any more, so nobody was bound: {error}")) from error

    async def look(self, wait_s: int) -> bool:
        """Hear the next update, up to ``wait_s`` seconds from now; whether there was one."""
        try:
            updates = await self._bot.get_updates(
                offset=self._offset,
                limit=1,
                timeout=wait_s,
                allowed_updates=["message"],
                request_timeout=wait_s + PATIENCE_S,
            )
        except ClientDecodeError as error:
            self._pass_over(error)
            return True
        for update in updates:
            self._offset = update.update_id + 1
            self._hear(update)
        return bool(updates)

    def _pass_over(self, error: ClientDecodeError) -> None:
        """Go on behind an update that cannot be read. Raises the error where it is not about one."""
        rows = error.data.get("result") if isinstance(error.data, Mapping) else None
        row = rows[-1] if isinstance(rows, list) and rows else None
        number = row.get("update_id") if isinstance(row, Mapping) else None
        if not isinstance(number, int):
            raise error
        self._offset = number + 1

    def _hear(self, update: Update) -> None:
        claim = claim_in(update.message)
        if claim is None:
            return
        who, code = claim
        before = self.pairing
        self.pairing = pairing.heard(before, who, code, self._monotonic())
        if self.pairing.wrong > before.wrong:
            log.warning("a wrong pairing code", user_id=who.user_id, wrong=self.pairing.wrong)
        elif self.pairing is not before:
            log.info("the pairing code was sent", user_id=who.user_id)
        self._news.set()


def claim_in(message: Message | None) -> tuple[Claimer, str] | None:
    """Who sent which code ("/start CODE"), or None for whatever does not count."""
    if message is None or message.from_user is None or message.from_user.is_bot:
        return None
    if message.chat.type != ChatType.PRIVATE or message.chat.id != message.from_user.id:
        return None
    if not own_words(message):
        return None
    words = (message.text or "").split()
    if len(words) != 2 or words[0] != "/start":
        return None
    user = message.from_user
    name = pairing.shown_name(user.first_name, user.last_name, f"@{user.username}" if user.username else None)
    return Claimer(user.id, name), words[1]


def _fault(error: AiogramError) -> NeedsOwner:
    if isinstance(error, TelegramUnauthorizedError):
        return NeedsOwner("Telegram does not know this bot token: copy it again from BotFather.")
    return NeedsOwner(
        "Another program reads this bot's messages, or a webhook takes them: stop it, or take a new token from"
        " BotFather (/revoke). Nobody was bound."
    )
