"""Updates from the chat, one after the other, for as long as somebody listens.

Rule 1: an update is acknowledged by the request after its handler: a crash in between repeats it.
Rule 2: a chat that is away or strange is waited out, Retry-After to the second; nothing it does ends the listening.
Rule 3: an update that cannot be read is passed over, or a stranger could block the owner's chat with one.
Rule 4: cancelled means gone: the request that waits is closed with it.
Rule 5: a list of updates that brings nothing on is trouble, not a reason to ask again at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import ClientDecodeError, TelegramRetryAfter
from aiogram.types import Update
from pydantic import ValidationError

from core.adapters.redaction import short

KINDS = ["message", "callback_query", "my_chat_member"]
ID_MAX = 2**53  # what JSON numbers are good for, and a database keeps
POLL_S = 20
PATIENCE_S = 15  # beyond the poll itself, before a silent connection counts as dead
RETRY_S = (1.0, 2.0, 5.0, 15.0, 30.0)
log = structlog.get_logger()

Handle = Callable[[Update], Awaitable[Any]]
Heard = Callable[[Exception | None], None]
Fetched = tuple[int, Update | None]


class NothingNew(Exception):
    """Updates without a number to go on from."""


async def wait_out(error: Exception, attempt: int) -> None:
    """Sleep before the next try: as long as the chat asks for, else longer with every ``attempt`` (0, 1, ...)."""
    wait_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
    if isinstance(error, TelegramRetryAfter):
        wait_s = error.retry_after
    log.warning("the chat cannot be reached", why=short(f"{type(error).__name__}: {error}"), wait_s=wait_s)
    await asyncio.sleep(wait_s)


def unheard(trouble: Exception | None) -> None:
    """Nobody wants to know how a poll went."""


async def listen(bot: Bot, handle: Handle, heard: Heard = unheard) -> None:
    """Hand every update to ``handle``, in order, until cancelled; ``heard`` is told how each poll went."""
    offset, attempt = 0, 0
    while True:
        try:
            fetched = await _fetch(bot, offset)
        except Exception as error:
            heard(error)
            await wait_out(error, attempt)
            attempt += 1
            continue
        heard(None)
        attempt = 0
        for update_id, update in fetched:
            await _handle(handle, update_id, update)
            offset = update_id + 1


async def _fetch(bot: Bot, offset: int) -> Sequence[Fetched]:
    """The waiting updates by their ids, None in place of one that cannot be read."""
    try:
        updates = await bot.get_updates(
            offset=offset, timeout=POLL_S, allowed_updates=KINDS, request_timeout=POLL_S + PATIENCE_S
        )
    except ClientDecodeError as error:
        rows = error.data.get("result") if isinstance(error.data, Mapping) else None
        if not isinstance(rows, list) or not rows:
            raise
        return _onward([_read(bot, row) for row in rows])
    return _onward([(update.update_id, update) for update in updates])


def _onward(rows: Sequence[Fetched]) -> Sequence[Fetched]:
    """Those with a number that can be acknowledged. Raises NothingNew where there are only others."""
    good = [row for row in rows if 0 <= row[0] < ID_MAX]
    if rows and not good:
        raise NothingNew(f"{len(rows)} updates without a number")
    return good


def _read(bot: Bot, row: object) -> Fetched:
    """The number of an update, -1 where it has none, and the update, None where it cannot be read."""
    number = row.get("update_id") if isinstance(row, Mapping) else None
    if not isinstance(number, int):
        return -1, None
    try:
        return number, Update.model_validate(row, context={"bot": bot})
    except (ValidationError, RecursionError):
        return number, None


async def _handle(handle: Handle, update_id: int, update: Update | None) -> None:
    if update is None:
        log.warning("passed over an update that cannot be read", update_id=update_id)
        return
    try:
        await handle(update)
    except Exception:
        log.exception("an update could not be handled", update_id=update_id)
