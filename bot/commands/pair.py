"""`firstmate pair`: bind the one Telegram account that is obeyed, by a code shown here and a yes typed here.

Rule 1: the code travels from this screen to the phone; who sent it is shown, and is bound only by a yes typed here.
Rule 2: while somebody is asked, others are still heard: a second one who knows the code ends it for both.
Rule 3: who is bound is in the audit before anything is.
Rule 4: no assistant runs meanwhile, or the two would take the bot's messages from each other.
"""

from __future__ import annotations

import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from bot.chatline import ChatLine
from bot.claims import Claims  # brings aiogram, slimly
from bot.credentials import armed, opened
from bot.pairing import TRIES_MAX, VALID_S, Claimer, Standing, begin
from bot.qr import qr
from core.adapters import audit, owner, statelock, telemetry
from core.domain.errors import FirstmateError, NeedsOwner
from core.mode_needs import chat_in_clear
from core.settings import Settings

# isort: split

from aiogram import Bot
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError

log = structlog.get_logger()
T = TypeVar("T")

VOID = {
    Standing.TRIED_OUT: f"{TRIES_MAX} wrong codes were sent to the bot, so the code is void and nobody was bound.",
    Standing.TOO_LATE: f"The code was good for {VALID_S / 60:.0f} minutes and is void now; nobody was bound.",
}


def main(args: Namespace, settings: Settings) -> int:
    """Pair; 0 once somebody is bound. Raises FirstmateError with the fix, nothing changed."""
    settings = armed(settings, opened(args, settings))
    _require_ready(settings)
    telemetry.start(settings, unset="warning")
    statelock.prepare(settings.home)
    with statelock.hold(settings.home):
        _require_wanted(settings)
        who = asyncio.run(_paired(settings))
    print(f"From the next start on, {_shown(who)} is obeyed, and nobody else. Start firstmate: ./run")
    return 0


def _require_ready(settings: Settings) -> None:
    if settings.owner_id is not None:
        raise NeedsOwner(
            f"FIRSTMATE_OWNER_ID says {settings.owner_id} and wins over a pairing: take it out of the settings first."
        )
    if settings.telegram_token is None:
        raise NeedsOwner("Pairing needs the bot's token first: `./run keys set telegram` (BotFather gives one).")
    for fault in chat_in_clear(settings):
        raise NeedsOwner(fault)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NeedsOwner("Pairing is confirmed by hand: run `./run pair` in a terminal.")


def _require_wanted(settings: Settings) -> None:
    """Pass when nobody is bound, or the terminal says that somebody else shall be. Raises FirstmateError."""
    known = owner.bound(settings.home)
    if known is None:
        return
    print(f"Obeyed now: {known.name} (id {known.user_id}), bound {known.at:%Y-%m-%d %H:%M} UTC.")
    if not _yes(input("Pair anew? [y/N] ")):
        raise FirstmateError("Nothing was changed.")


async def _paired(settings: Settings) -> Claimer:
    token = settings.telegram_token.reveal() if settings.telegram_token else ""
    session = ChatLine(api=TelegramAPIServer.from_base(settings.telegram_url))
    async with Bot(token, session=session) as bot:
        claims = Claims(bot, begin(time.monotonic()), time.monotonic)
        me = await claims.begin()
        _show(f"https://t.me/{me.username}?start={claims.pairing.code}", f"@{me.username}", claims.pairing.code)
        who = await _confirmed(claims)
        audit.append_everywhere(settings.home, audit.at_terminal(audit.What.PAIRED, str(who.user_id)))
        owner.bind(settings.home, owner.Binding(who.user_id, who.name, datetime.now(UTC)))
        log.info("an owner was bound", user_id=who.user_id)
        with suppress(AiogramError, OSError):  # the binding stands without it
            await bot.send_message(who.user_id, "You are my owner now. Start me on the server, then send /start.")
        return who


def _show(link: str, bot_name: str, code: str) -> None:
    print(
        f"\n{qr(link)}\nScan this with your phone, or open {link}\nand press Start; or send {bot_name} this message:"
        f" /start {code}\nThe code is good for {VALID_S / 60:.0f} minutes, for one person. Messages that waited for the"
        " bot are passed over.\n",
        flush=True,
    )


async def _confirmed(claims: Claims) -> Claimer:
    """Who sent the code and was confirmed. Raises FirstmateError where that is nobody."""
    listening = asyncio.ensure_future(claims.listen())
    try:
        await _while(listening, claims.no_longer(Standing.OPEN))
        said_yes = claims.standing is Standing.CLAIMED and await _while(listening, _asked(claims))
        await claims.finish(listening)  # who sent the code while the yes was typed
    finally:
        listening.cancel()
    _require_one(claims)
    if not said_yes:
        raise FirstmateError("Not confirmed: nobody was bound, and the code is void.")
    return claims.pairing.claimers[0]


def _require_one(claims: Claims) -> None:
    standing = claims.standing
    if standing is Standing.CONFLICT:
        people = " and ".join(_shown(who) for who in claims.pairing.claimers)
        log.warning("more than one sent the pairing code", user_ids=[who.user_id for who in claims.pairing.claimers])
        raise FirstmateError(
            f"The code was sent by {people}: somebody else has seen it. Nobody was bound, and the code is void:"
            " run ./run pair again where nobody can look on."
        )
    if standing in VOID:
        log.warning("the pairing code is void", why=standing.value)
        raise FirstmateError(f"{VOID[standing]} Run ./run pair again.")


async def _asked(claims: Claims) -> bool:
    """Whether the terminal says yes before anything else happens to the pairing."""
    who = claims.pairing.claimers[0]
    print(f"{_shown(who)} sent the code. The name can be anything, the number is the account.", flush=True)
    print("Is that you? [y/N] ", end="", flush=True)
    changed = asyncio.ensure_future(claims.no_longer(Standing.CLAIMED))
    typed = asyncio.ensure_future(_line())
    both: set[asyncio.Future[Any]] = {changed, typed}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if changed.done():
            print(flush=True)
        return typed.done() and not changed.done() and _yes(typed.result())
    finally:
        changed.cancel()
        typed.cancel()


async def _line() -> str:
    """The next line typed, read without holding up what runs beside it."""
    loop, read = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), read.set)
    try:
        await read.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline()


async def _while(listening: asyncio.Future[None], wanted: Awaitable[T]) -> T:
    """What was wanted, as long as somebody listens. Raises what ended the listening."""
    task = asyncio.ensure_future(wanted)
    both: set[asyncio.Future[Any]] = {listening, task}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            listening.result()
        return task.result()
    finally:
        task.cancel()


def _yes(text: str) -> bool:
    return text.strip().lower() in ("y", "yes")


def _shown(who: Claimer) -> str:
    return f"{who.name} (id {who.user_id})"
