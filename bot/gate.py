"""The outer gate on every update: before routing, before any handler, without exception.

Rule 1: only the owner's numeric id in the private chat with the bot passes, and only with words of their own;
        everything else is dropped without a word. A group or channel it was put into is left, as silently.
Rule 2: an update that was handled before is dropped; it is noted as handled only after its handler is through,
        so a crash in between repeats the handler and the machine drops the repeated command.
Rule 3: whatever a handler raises becomes one polite line; the trace in it finds the log.
Rule 4: more updates than a person can type are not handled, and the owner is told so; the panic button always is.
Rule 5: a stranger fills neither the memory nor the log: what is dropped is counted, and told once a minute.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiogram import BaseMiddleware, Bot
from aiogram.enums import ChatType
from aiogram.exceptions import AiogramError, TelegramBadRequest
from aiogram.types import CallbackQuery, Message, TelegramObject, Update, User
from aiogram.types import Chat as TelegramChat
from aiogram.types.update import UpdateTypeLookupError

from bot.groups import Groups
from bot.keyboards import Confirmed
from bot.ownwords import keepable, own_words
from bot.replies import toast
from core.domain.errors import FirstmateError
from core.run.desk import Asked, Desk

RATE_MAX = 30
RATE_WINDOW_S = 10.0
TELL_DROPPED_EVERY_S = 60.0
log = structlog.get_logger()

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class Gate(BaseMiddleware):
    """Lets the owner's updates through once each, with ``asked`` (update id and trace) for the handler."""

    def __init__(self, owner_id: int, desk: Desk, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._owner_id = owner_id
        self._desk = desk
        self._monotonic = monotonic
        self._passed: deque[float] = deque(maxlen=RATE_MAX)
        self._told_too_fast = False
        self._groups = Groups(monotonic)
        self._dropped = 0
        self._told_dropped_at = -math.inf

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Handle an update, or drop it."""
        if not isinstance(event, Update) or not self._from_owner(event):
            await self._drop(event, data)
            return None
        if self._too_fast() and not _stops(event):
            await self._slow_down(event, data["bot"])
            return None
        if await self._desk.seen(event.update_id):
            return None
        trace = f"update:{event.update_id}"
        data["asked"] = Asked(event.update_id, trace)
        with structlog.contextvars.bound_contextvars(trace=trace):
            await self._guarded(handler, event, data, trace)
            await self._desk.note(event.update_id, _said(event))
        return None

    def _from_owner(self, update: Update) -> bool:
        """Whether the owner typed or pressed this in their private chat; what routing would not see does not count."""
        kind = _kind(update)
        if kind == "message" and (message := update.message):
            return own_words(message) and self._is_owner(message.from_user, message.chat)
        if kind == "callback_query" and (press := update.callback_query) and press.message:
            return self._is_owner(press.from_user, press.message.chat)
        return False

    def _is_owner(self, sender: User | None, chat: TelegramChat) -> bool:
        private = chat.type == ChatType.PRIVATE and chat.id == self._owner_id
        return private and sender is not None and sender.id == self._owner_id

    async def _drop(self, event: TelegramObject, data: dict[str, Any]) -> None:
        """Nothing of this is handled; where it says that we are in a chat that is not the owner's, we leave it."""
        self._dropped += 1
        now = self._monotonic()
        if now - self._told_dropped_at >= TELL_DROPPED_EVERY_S:
            log.info("dropped updates that are not the owner's", count=self._dropped)
            self._dropped, self._told_dropped_at = 0, now
        if isinstance(event, Update) and _kind(event) == "my_chat_member" and event.my_chat_member:
            await self._groups.leave(event.my_chat_member, data["bot"])

    def _too_fast(self) -> bool:
        now = self._monotonic()
        full = len(self._passed) == RATE_MAX and now - self._passed[0] < RATE_WINDOW_S
        if not full:
            self._passed.append(now)
            self._told_too_fast = False
        return full

    async def _slow_down(self, update: Update, bot: Bot) -> None:
        """Say once a burst that the rest of it was not read."""
        log.warning("an update came too fast")
        if not self._told_too_fast:
            self._told_too_fast = True
            await _answer(update, bot, "That was too fast for me and was not read. Wait ten seconds and send it again.")

    async def _guarded(self, handler: Handler, update: Update, data: dict[str, Any], trace: str) -> None:
        try:
            await handler(update, data)
        except FirstmateError as error:
            log.info("refused", why=keepable(error.user_text))  # it may quote what was typed
            await _answer(update, data["bot"], error.user_text)
        except TelegramBadRequest as error:
            log.error("the chat refused an answer", why=str(error))
            await _answer(update, data["bot"], f"I had an answer that cannot be shown; it is logged under {trace}.")
        except (AiogramError, OSError) as error:
            log.warning("the chat did not take an answer", why=str(error))
        except Exception:
            log.exception("a handler failed")
            await _answer(
                update, data["bot"], f"That failed, and it is logged under {trace}. /status shows what holds now."
            )


def _kind(update: Update) -> str:
    """What routing takes this update for, empty where it knows no handler for it."""
    try:
        return update.event_type
    except UpdateTypeLookupError:
        return ""


def _stops(update: Update) -> bool:
    """Whether this is the panic button, or a press on what asks for it: no flood may stand in its way."""
    typed = update.message.text if update.message else ""
    pressed = update.callback_query.data if update.callback_query else ""
    return (typed or "").split("@")[0].strip() == "/panic" or (pressed or "").startswith(f"{Confirmed.__prefix__}:")


def _said(update: Update) -> str:
    if update.message:
        return keepable(update.message.text or "")[:100]
    return (update.callback_query.data or "")[:100] if update.callback_query else ""


async def _answer(update: Update, bot: Bot, text: str) -> None:
    """One line back, in a box for a button; a chat that is gone is not worth another error."""
    target: Message | CallbackQuery | None = update.message or update.callback_query
    try:
        if isinstance(target, CallbackQuery):
            await toast(bot, target, text, alert=True)
        elif target:
            await bot.send_message(target.chat.id, text)
    except (AiogramError, OSError) as error:
        log.warning("the chat did not take an answer", why=str(error))
