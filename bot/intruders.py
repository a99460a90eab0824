"""Whether somebody else uses the bot's token: a webhook, a second poller, a token that Telegram no longer knows.

Rule 1: who polls needs no webhook, so one that stands is somebody else's. It is taken away, and told of by its host.
Rule 2: two who poll with one token take the updates from each other (409). Once or twice it may have been a poll of
        our own that the server still held; what goes on is another program.
Rule 3: a chat that is lost (two pollers for LOST_AFTER_S, a token unknown for UNKNOWN_AFTER_S) stops new entries. What
        is held is guarded for as long as it is held; then the program ends, as a case for the owner.
Rule 4: it is told by log, /health, a message where one still arrives, the line in systemd's status and the exit code;
        a message of a kind once an hour, so that a thief cannot hide it among a thousand like it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramConflictError, TelegramUnauthorizedError
from aiogram.utils.formatting import Code, Text

from core.adapters.redaction import short
from core.domain.errors import NeedsOwner
from core.domain.state import State
from core.run.questions import Check

TICK_S = 10.0
WEBHOOK_EVERY_S = 300.0
QUIET_S = 600.0  # troubles further apart than this are two: a thief may look in only now and then
LOST_AFTER_S, LOST_FROM = 300.0, 5
UNKNOWN_AFTER_S = 60.0
TELL_EVERY_S = 3600.0
SURE_FROM = 3  # conflicts: one or two may be polls of ours that the server still held
REVOKE = "Revoke the token in BotFather (/revoke), give me the new one, start me again and say /resume."
TAKEN = f"Another program receives this bot's messages with its token, and what you say here may not reach me. {REVOKE}"
UNKNOWN = f"Telegram no longer knows this bot's token: it was revoked or replaced. {REVOKE}"
log = structlog.get_logger()


async def nobody(why: str) -> None:
    """There is nothing to stop."""


def nowhere(text: str) -> None:
    """There is nobody to show it to."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a lost chat sets off: ``halt`` stops new entries, ``show`` puts a line where the machine's owner looks."""

    halt: Callable[[str], Awaitable[None]] = nobody
    show: Callable[[str], object] = nowhere


@dataclass(frozen=True, slots=True)
class Spell:
    """One trouble that keeps coming: its first and last moment, seconds, and how often it came."""

    first: float = -math.inf
    last: float = -math.inf
    count: int = 0

    def again(self, now: float) -> Spell:
        """With one more time; a new spell where the last one is long over."""
        return Spell(self.first, now, self.count + 1) if self.on(now) else Spell(now, now, 1)

    def on(self, now: float) -> bool:
        """Whether it is not over yet."""
        return now - self.last <= QUIET_S

    def lasted(self, now: float) -> float:
        """Seconds it has lasted, 0 where it is over."""
        return self.last - self.first if self.on(now) else 0.0


class Intruders:
    """Judges what the chat's server answers; ``tell`` sends the owner a message, ``state`` is the committed one."""

    def __init__(
        self,
        bot: Bot,
        tell: Callable[[Text], None],
        state: Callable[[], State],
        alarm: Alarm,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bot = bot
        self._tell = tell
        self._state = state
        self._alarm = alarm
        self._monotonic = monotonic
        self._conflict = Spell()
        self._unknown = Spell()
        self._webhook = ""
        self._looked_at = -math.inf
        self._told: dict[str, float] = {}
        self._lost = ""

    def heard(self, trouble: Exception | None) -> None:
        """Take note of how a poll went; None for well."""
        now = self._monotonic()
        if trouble is None:
            self._unknown = Spell()
        elif isinstance(trouble, TelegramUnauthorizedError):
            self._unknown = self._unknown.again(now)
        elif isinstance(trouble, TelegramConflictError):
            self._conflict = self._conflict.again(now)
            self._looked_at = min(self._looked_at, now - WEBHOOK_EVERY_S)  # a webhook is one cause: look for it

    def holding(self) -> bool:
        """Whether something is held or may still be bought."""
        state = self._state()
        return bool(state.positions) or any(order.live for order in state.orders.values())

    def check(self) -> Check:
        """A line of /health."""
        now = self._monotonic()
        if self._unknown.on(now):
            return Check("token", False, UNKNOWN)
        if self._taken(now):
            return Check("token", False, TAKEN)
        if self._webhook:
            return Check("token", False, f"a webhook to {self._webhook} was set and taken away. {REVOKE}")
        return Check("token", True, "nobody else uses it, as far as can be seen")

    async def watch(self) -> None:
        """Look until cancelled. Raises NeedsOwner once the chat is lost and nothing is held."""
        while True:
            await self._look_for_webhook()
            self._tell_of_conflict()
            await self._give_up()
            await asyncio.sleep(TICK_S)

    async def _look_for_webhook(self) -> None:
        now = self._monotonic()
        if now - self._looked_at < WEBHOOK_EVERY_S:
            return
        self._looked_at = now
        try:
            found = await self._bot.get_webhook_info()
            if found.url:
                await self._take_away(found.url)
        except Exception as error:  # servers that know no webhooks are lived with; the next look comes
            log.info("could not look for a webhook", why=short(f"{type(error).__name__}: {error}"))

    async def _take_away(self, url: str) -> None:
        self._webhook = host_of(url)
        log.error("a webhook was set on this bot", host=self._webhook)
        self._alarm.show(f"a webhook to {self._webhook} was set on the bot: revoke its token")
        await self._bot.delete_webhook()
        said = Text(
            "A webhook to ", Code(self._webhook), " was set on this bot, and not by me: whoever did it has the "
        )
        self._once_an_hour(
            "webhook", Text(said, f"bot's token and may have read what you wrote. I took it away. {REVOKE}")
        )

    def _taken(self, now: float) -> bool:
        """Whether another program polls with our token."""
        return self._conflict.on(now) and self._conflict.count >= SURE_FROM

    def _tell_of_conflict(self) -> None:
        if self._taken(self._monotonic()):
            self._once_an_hour("conflict", Text(TAKEN))

    def _once_an_hour(self, kind: str, text: Text) -> None:
        now = self._monotonic()
        if now - self._told.get(kind, -math.inf) < TELL_EVERY_S:
            return
        self._told[kind] = now
        log.error("somebody else uses the bot's token", kind=kind)
        self._alarm.show(text.render()[0])
        self._tell(text)

    async def _give_up(self) -> None:
        """Halt once the chat is lost; end once nothing is held."""
        lost = self._loss(self._monotonic())
        if lost and lost != self._lost:
            log.error("the chat is lost: no new entries, what is held stays protected", why=lost)
            self._alarm.show(lost)
            await self._alarm.halt(lost)
        self._lost = lost
        if lost and not self.holding():
            raise NeedsOwner(lost)

    def _loss(self, now: float) -> str:
        """Why the chat is lost, empty where it is not."""
        if self._unknown.lasted(now) >= UNKNOWN_AFTER_S:
            return UNKNOWN
        taken = self._conflict.lasted(now) >= LOST_AFTER_S and self._conflict.count >= LOST_FROM
        return TAKEN if taken else ""


def host_of(url: str) -> str:
    """The host of an address somebody else chose, fit to be shown."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    plain = "".join(c for c in host[:100] if c.isascii() and (c.isalnum() or c in ".-:"))
    return plain or "an address that cannot be read"
