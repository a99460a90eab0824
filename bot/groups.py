"""Leaves every group and channel that somebody puts the bot into.

Rule 1: the bot talks to one person in private; whoever adds it elsewhere sees it go, without a word.
Rule 2: at most LEFT_MAX in LEFT_WITHIN_S: adding it to a thousand groups must not cost the owner's commands their turn.
        Where it stays it hears nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog
from aiogram import Bot
from aiogram.enums import ChatMemberStatus, ChatType
from aiogram.exceptions import AiogramError
from aiogram.types import ChatMemberUpdated

from core.adapters.redaction import short

LEFT_MAX = 20
LEFT_WITHIN_S = 60.0
PATIENCE_S = 5.0
GONE = (ChatMemberStatus.LEFT, ChatMemberStatus.KICKED)
log = structlog.get_logger()


class Groups:
    """Where the bot was put, and left again; ``monotonic`` in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left: deque[float] = deque(maxlen=LEFT_MAX)

    async def leave(self, change: ChatMemberUpdated, bot: Bot) -> None:
        """Go where we are now and do not belong."""
        if change.chat.type == ChatType.PRIVATE or change.new_chat_member.status in GONE or self._too_many():
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await bot.leave_chat(change.chat.id)
        except (AiogramError, OSError, TimeoutError) as error:
            log.warning("could not leave a chat", chat=change.chat.id, why=short(error))
        else:
            log.warning("left a chat that is not the owner's", chat=change.chat.id, kind=change.chat.type)

    def _too_many(self) -> bool:
        now = self._monotonic()
        full = len(self._left) == LEFT_MAX and now - self._left[0] < LEFT_WITHIN_S
        if not full:
            self._left.append(now)
        return full
