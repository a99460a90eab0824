"""Durable outgoing messages: what the journal committed reaches the phone, in order.

Rule 1: a message leaves the outbox only when the chat took it; a chat that is down, slow or strange delays, never
        drops, and never stops the trading. Where its answer is lost a message may come twice, never not at all.
Rule 2: Retry-After is obeyed to the second; between two messages lies the pace of the chat.
Rule 3: a card is edited in place when its fate is known; a fill or an end is a message of its own, for it must ring.
Rule 4: quiet small talk that piled up is folded into one message, so that it cannot hide what matters.
Rule 5: a warning about the chat itself goes before everything else; it is kept in memory only, for nothing happened
        that the books would have to know.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, time
from itertools import takewhile

import structlog
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramRetryAfter
from aiogram.utils.formatting import Text, as_list

from bot.keyboards import proposal_buttons
from bot.pictures import Pictures
from bot.replies import chart_of, draw, edit_card, edit_text, send_card, send_text
from bot.views.chartspec import ChartSpec
from bot.views.notices import notice
from core.adapters.redaction import short
from core.domain.effects import Tell, Topic
from core.ports import Committed, Outbox, Parcel
from core.run.desk import Desk

BATCH = 20
FOLD_FROM = 4
WARNINGS_MAX = 4
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
SMALL_TALK = frozenset({Topic.REFUSAL, Topic.STATE, Topic.ERROR})
log = structlog.get_logger()


class Courier:
    """Delivers the outbox to the owner's chat; ``gap_s`` is the least time between two messages, seconds."""

    def __init__(
        self,
        bot: Bot,
        chat_id: int,
        outbox: Outbox,
        desk: Desk,
        pictures: Pictures,
        *,
        gap_s: float,
        quiet: tuple[time, time] | None = None,
    ) -> None:
        self._bot = bot
        self._chat_id = chat_id
        self._outbox = outbox
        self._desk = desk
        self._pictures = pictures
        self._gap_s = gap_s
        self._quiet = quiet
        self._work = asyncio.Event()
        self._work.set()  # what an earlier run left undelivered
        self._failures = 0
        self._warnings: deque[Text] = deque(maxlen=WARNINGS_MAX)
        self._idle = asyncio.Event()
        self.trouble = ""

    def hear(self, committed: Committed) -> None:
        """Listen to the engine: wake up when there is something to tell."""
        if any(isinstance(effect, Tell) for effect in committed.effects):
            self._idle.clear()
            self._work.set()

    def warn(self, text: Text) -> None:
        """Say this next."""
        self._warnings.append(text)
        self._idle.clear()
        self._work.set()

    async def drained(self) -> None:
        """Wait until everything committed so far is delivered."""
        await self._idle.wait()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while await self._deliver_next():
                pass
            if not self._work.is_set():
                self._idle.set()

    async def _deliver_next(self) -> bool:
        """Try what comes next; False when there is nothing left."""
        if self._warnings:
            await self._deliver_warning(self._warnings[0])
        elif batch := await self._outbox.pending(BATCH):
            await self._deliver_batch(batch)
        else:
            return False
        return True

    async def _deliver_warning(self, text: Text) -> None:
        if await self._tried(self._warn(text), ["warning"]) is None:
            return
        if self._warnings and self._warnings[0] is text:
            self._warnings.popleft()
        await asyncio.sleep(self._gap_s)

    async def _warn(self, text: Text) -> int:
        """The chat's id of the warning; one that is refused as it is must not hold up the rest."""
        try:
            return await send_text(self._bot, self._chat_id, text)
        except TelegramBadRequest as error:
            log.error("a warning was refused", why=str(error))
            return 0

    async def _deliver_batch(self, batch: Sequence[Parcel]) -> None:
        """Deliver the first of these, with small talk directly behind it folded in when there is much of it."""
        talk = list(takewhile(lambda p: p.tell.topic in SMALL_TALK and not p.tell.urgent, batch))
        parcels = talk if len(talk) >= FOLD_FROM else batch[:1]
        message_id = await self._tried(self._deliver(parcels), [parcel.tell.ref for parcel in parcels])
        if message_id is None:
            return
        for parcel in parcels:
            await self._outbox.delivered(parcel.parcel_id, message_id)
            topic = parcel.tell.topic.value
            log.info("delivered", trace=parcel.trace, topic=topic, ref=parcel.tell.ref, message_id=message_id)
        await asyncio.sleep(self._gap_s)

    async def _tried(self, sending: Awaitable[int], refs: Sequence[str]) -> int | None:
        """The chat's id of what it took; None, after the wait that is due, where it took nothing."""
        try:
            message_id = await sending
        except TelegramRetryAfter as wait:
            log.warning("the chat asks to wait", seconds=wait.retry_after)
            await asyncio.sleep(wait.retry_after)
            return None
        except (AiogramError, OSError, TimeoutError) as error:
            await self._back_off(str(error))
            return None
        except Exception as error:  # even what nobody foresaw must not stop the trading beside it
            log.exception("a message could not be delivered", refs=refs)
            await self._back_off(f"{type(error).__name__}: {error}")
            return None
        self._failures, self.trouble = 0, ""
        return message_id

    async def _back_off(self, why: str) -> None:
        wait_s = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        self.trouble = short(why)
        log.warning("the chat cannot be reached", why=why, wait_s=wait_s)
        await asyncio.sleep(wait_s)

    async def _deliver(self, parcels: Sequence[Parcel]) -> int:
        """The chat's id of the message that now says it; in plain words where its looks are refused."""
        with structlog.contextvars.bound_contextvars(trace=parcels[0].trace):
            try:
                return await self._as_meant(parcels)
            except TelegramBadRequest as error:
                log.warning("a message was refused as it is", why=str(error), refs=[p.tell.ref for p in parcels])
                return await self._plainly(parcels)

    async def _as_meant(self, parcels: Sequence[Parcel]) -> int:
        first = parcels[0]
        if len(parcels) > 1:
            folded = as_list(*(self._text(parcel.tell) for parcel in parcels))
            return await send_text(self._bot, self._chat_id, folded, silent=self._silent(first))
        if first.tell.topic in (Topic.ORDERED, Topic.EXPIRED):
            return await self._update(first, Topic.SIGNAL, edit_card)
        if first.tell.topic is Topic.PROTECTED:
            return await self._update(first, Topic.FILL, edit_text)
        return await self._send(first)

    async def _plainly(self, parcels: Sequence[Parcel]) -> int:
        """Words only; where even they are refused it is the chat that refuses, and everything waits."""
        words = "\n".join(self._text(parcel.tell).render()[0] for parcel in parcels)
        return await send_text(self._bot, self._chat_id, Text(words), silent=self._silent(parcels[0]))

    async def _send(self, parcel: Parcel) -> int:
        tell = parcel.tell
        asks = tell.topic is Topic.SIGNAL and tell.ref in self._desk.state.proposals
        markup = proposal_buttons(tell.ref) if asks else None
        png = await draw(self._pictures, await self._spec(tell))
        return await send_card(self._bot, self._chat_id, self._text(tell), png, markup, self._silent(parcel))

    async def _update(
        self, parcel: Parcel, topic: Topic, edit: Callable[[Bot, int, int, Text], Awaitable[None]]
    ) -> int:
        """Say it on the message that told of this before; where that is gone, in a new one."""
        before = await self._outbox.message_id(topic, parcel.tell.ref)
        if before:
            try:
                await edit(self._bot, self._chat_id, before, self._text(parcel.tell))
                return before
            except TelegramBadRequest as error:
                log.info("a message to be edited is gone", why=str(error))
        return await self._send(parcel)

    def _text(self, tell: Tell) -> Text:
        about = self._desk.about
        return notice(tell, self._desk.zone, about.span, self._desk.state.quote, about.staged)

    async def _spec(self, tell: Tell) -> ChartSpec | None:
        if tell.topic not in (Topic.SIGNAL, Topic.ORDERED) or tell.decision is None:
            return None
        return await chart_of(self._desk, tell.decision)

    def _silent(self, parcel: Parcel) -> bool:
        """Whether this message should not ring: quiet hours and nothing urgent."""
        if parcel.tell.urgent or self._quiet is None:
            return False
        return within(self._quiet, parcel.at.astimezone(self._desk.zone))


def within(hours: tuple[time, time], at: datetime) -> bool:
    """Whether a local time lies in these hours, which may cross midnight."""
    start, end = hours
    now = at.time()
    return start <= now < end if start <= end else now >= start or now < end
