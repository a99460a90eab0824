"""The outer gate on every update: before routing, before any handler, without exception.

Rule 1: only the owner's numeric id in the private chat with the bot passes; everything else is dropped without a word.
Rule 2: an update that was handled before is dropped; it is noted as handled only after its handler is through,
        so a crash in between repeats the handler and the machine drops the repeated command.
Rule 3: whatever a handler raises becomes one polite line; the trace in it finds the log.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiogram import BaseMiddleware, Bot
from aiogram.enums import ChatType
from aiogram.exceptions import TelegramAPIError
from aiogram.types import CallbackQuery, Message, TelegramObject, Update

from core.domain.errors import FirstmateError
from core.run.desk import Asked, Desk

RATE_MAX = 30
RATE_WINDOW_S = 10.0
log = structlog.get_logger()

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class Gate(BaseMiddleware):
    """Lets the owner's updates through once each, with ``asked`` (update id and trace) for the handler."""

    def __init__(self, owner_id: int, desk: Desk, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._owner_id = owner_id
        self._desk = desk
        self._monotonic = monotonic
        self._passed: deque[float] = deque(maxlen=RATE_MAX)

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Handle an update, or drop it."""
        if not isinstance(event, Update) or not self._from_owner(event):
            log.info("dropped an update that is not the owner's")
            return None
        if self._too_fast() or await self._desk.seen(event.update_id):
            return None
        trace = f"update:{event.update_id}"
        data["asked"] = Asked(event.update_id, trace)
        with structlog.contextvars.bound_contextvars(trace=trace):
            await self._guarded(handler, event, data, trace)
            await self._desk.note(event.update_id, _said(event))
        return None

    def _from_owner(self, update: Update) -> bool:
        """Whether the sender is the owner and the chat is their private one: both, whatever else the update claims."""
        if message := update.message:
            sender, chat = message.from_user, message.chat
            plain = message.sender_chat is None
        elif (press := update.callback_query) and press.message:
            sender, chat, plain = press.from_user, press.message.chat, True
        else:
            return False
        private = chat.type == ChatType.PRIVATE and chat.id == self._owner_id
        return plain and private and sender is not None and sender.id == self._owner_id

    def _too_fast(self) -> bool:
        now = self._monotonic()
        full = len(self._passed) == RATE_MAX and now - self._passed[0] < RATE_WINDOW_S
        if not full:
            self._passed.append(now)
        return full

    async def _guarded(self, handler: Handler, update: Update, data: dict[str, Any], trace: str) -> None:
        try:
            await handler(update, data)
        except FirstmateError as error:
            log.info("refused", why=error.user_text)
            await _answer(update, data["bot"], error.user_text)
        except TelegramAPIError as error:
            log.warning("the chat did not take an answer", why=str(error))
        except Exception:
            log.exception("a handler failed")
            await _answer(update, data["bot"], f"That failed, and it is logged under {trace}. Nothing was changed.")


def _said(update: Update) -> str:
    if update.message:
        return (update.message.text or "")[:100]
    return (update.callback_query.data or "")[:100] if update.callback_query else ""


async def _answer(update: Update, bot: Bot, text: str) -> None:
    """One line back, a toast for a button; a chat that is gone is not worth another error."""
    target: Message | CallbackQuery | None = update.message or update.callback_query
    try:
        if isinstance(target, CallbackQuery):
            await bot.answer_callback_query(target.id, text=text[:200], show_alert=True)
        elif target:
            await bot.send_message(target.chat.id, text)
    except TelegramAPIError as error:
        log.warning("the chat did not take an answer", why=str(error))
