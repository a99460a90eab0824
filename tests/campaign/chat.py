"""The real bot in front of the real chat core, in process: gate, handlers, courier, over a Telegram that fails.

Rule 1: what the owner types or presses waits in the chat until the bot has taken it, and may be handed over again.
Rule 2: strangers write and press as well; nothing of theirs may ever reach the journal.
Rule 3: a message may be lost on its way there or back, refused with 429, or answered with a server's error.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import bot.app  # before whatever imports aiogram

# isort: split

from aiogram import Bot
from aiogram.client.session.base import BaseSession
from aiogram.exceptions import TelegramNetworkError
from aiogram.methods import TelegramMethod

from bot.app import App, ChatAddress
from bot.gate import Gate
from bot.keyboards import Confirmations
from bot.pictures import PictureFailed
from core.compose import Whole
from core.sim.chat import room as events
from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.flood import FloodMeter, FloodPolicy
from core.sim.chat.methods import run
from core.sim.chat.polling import Poller
from core.sim.chat.values import ApiError, ChatMessage, ChatUser
from tests.campaign.process import Process, outside

TOKEN, OWNER_ID = "123456:FAKE-TOKEN-for-tests", 4711
STRANGER = ChatUser(6666, "Mallory")
WORDS = {"pause": "/pause", "resume": "/resume", "panic": "/panic", "tighten": "/limits symbol_exposure_max"}
LABELS = {"approve": "Approve", "skip": "Skip"}


class Telegram:
    """The chat's server and the people at it; it outlives every bot."""

    def __init__(self, now: Callable[[], Any], rng: Random, note: Callable[[str], None], share: Callable[[], float]):
        self.chat = Chat(TOKEN, ChatUser(OWNER_ID), now, None, "firstmate", wall=now)
        self.chat.open()
        self.rng = rng
        self.note = note
        self.share = share
        self.on_signal: Callable[[str], None] = lambda ref: None
        self.on_halt: Callable[[], None] = lambda: None
        self._flood = FloodMeter(FloodPolicy(20, 5.0))
        self._poller = Poller(self.chat)
        self._last: dict[str, Any] | None = None
        self._wants: list[str] = []
        self.strange: list[int] = []
        self.chat.listeners.append(self._read)

    def close(self) -> None:
        """Everybody goes home."""
        self._poller.close()
        self.chat.close()

    # people

    def say(self, verb: str, about: str = "") -> None:
        """The owner types a command or presses a button; a stranger may try the same."""
        self.note(f"OWNER {verb} {about}")
        if verb in LABELS:
            if self.rng.random() < 0.3:  # in truth a stranger could not even see these buttons
                self._press(int(about), LABELS[verb], STRANGER)
            self._press(int(about), LABELS[verb])
        elif verb in WORDS:
            if self.rng.random() < 0.3:
                self.strange.append(self.chat.say(f"{WORDS[verb]} {about}".strip(), STRANGER))
            self._wants.append(verb)
            self.chat.say(f"{WORDS[verb]} {about}".strip())

    def _press(self, message_id: int, label: str, user: ChatUser | None = None) -> None:
        message = self.chat.room.messages.get(message_id)
        data = _button(message, label) if message else ""
        if message and data:
            for _ in range(2 if self.rng.random() < 0.2 else 1):  # a thumb may tap twice
                number = self.chat.press(message.id, data, user)
                self.strange += [number] if user else []

    def _read(self, event: object) -> None:
        """The owner looks at their phone."""
        if not isinstance(event, events.Posted) or not event.message.from_bot:
            return
        message = event.message
        self.note(f"  phone: {' '.join(message.text.split())[:100]}")
        if message.chat_id != OWNER_ID:
            self.note("  a stranger was answered")
        elif _button(message, "Approve"):
            self.on_signal(str(message.id))
        elif self._wants and (label := _button_label(message, ("Sell everything", "Resume trading"))):
            self._later(lambda: self._press(message.id, label))
        elif "HALTED" in message.text:
            self.on_halt()

    def _later(self, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(self.rng.uniform(0.5, 20))
            act()

        outside(wait())

    # the server

    async def answer(self, call: Call) -> dict[str, Any]:
        """The body of one answer, by a server that fails in its own ways."""
        await asyncio.sleep(self.rng.uniform(0.01, 0.2))
        luck = self.rng.random() / max(self.share(), 1e-9)
        if luck < 0.2:
            raise ConnectionResetError("on the way there")
        body = await self._done(call, luck)
        await asyncio.sleep(self.rng.uniform(0.01, 0.2))
        if 0.2 <= luck < 0.5:
            raise ConnectionResetError("on the way back")
        return body

    async def _done(self, call: Call, luck: float) -> dict[str, Any]:
        try:
            if 0.5 <= luck < 0.7:
                wait_s = self.rng.randint(1, 10)
                raise ApiError(429, f"Too Many Requests: retry after {wait_s}", wait_s)
            if 0.7 <= luck < 0.85:
                raise ApiError(502, "Bad Gateway")
            return {"ok": True, "result": await self._result(call, 0.85 <= luck < 1.0)}
        except ApiError as error:
            body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
            return body | ({"parameters": {"retry_after": error.retry_after_s}} if error.retry_after_s else {})

    async def _result(self, call: Call, again: bool) -> Any:
        if call.method != "getupdates":
            return run(self.chat, self._flood, call)
        updates = await self._poller.get_updates(call)
        if again and self._last is not None:  # an update that was confirmed long ago comes once more
            updates = [self._last, *updates]
        self._last = updates[-1] if updates else self._last
        return updates


def _button(message: ChatMessage, label: str) -> str:
    return next((b.data for row in message.buttons for b in row if label in b.text), "")


def _button_label(message: ChatMessage, labels: tuple[str, ...]) -> str:
    return next((label for label in labels if _button(message, label)), "")


class Line(BaseSession):
    """aiogram's session, calling the chat core in process; of one process of the program."""

    def __init__(self, telegram: Telegram, process: Process, **options: Any) -> None:
        super().__init__(**options)
        self._telegram = telegram
        self._process = process

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """What the chat answers, or the error aiogram would raise."""
        await self._process.reach()
        files: dict[str, Any] = {}
        given = {k: self.prepare_value(v, bot=bot, files=files) for k, v in method.model_dump(warnings=False).items()}
        call = Call(method.__api_method__.lower(), {k: v for k, v in given.items() if v})
        answer = outside(self._telegram.answer(call))
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(timeout or self.timeout):
                body = await asyncio.shield(answer)
        except (OSError, TimeoutError) as error:
            raise TelegramNetworkError(method=method, message=f"{type(error).__name__}: {error}") from error
        finally:
            await self._process.reach()
        status = 200 if body["ok"] else body["error_code"]
        return self.check_response(bot, method, status, json.dumps(body)).result

    async def close(self) -> None:
        """Nothing is open."""

    async def stream_content(self, *_: Any, **__: Any) -> Any:
        """No files here."""
        raise NotImplementedError
        yield b""


class NoPictures:
    """Draws nothing: a card is never late for its picture."""

    async def draw(self, *_: object) -> bytes:
        raise PictureFailed("No picture in here")


@contextmanager
def _in_process(telegram: Telegram, process: Process, clock: Callable[[], float]) -> Iterator[None]:
    changes: dict[str, Any] = {
        "ChatLine": functools.partial(Line, telegram, process),
        "Pictures": NoPictures,
        "Gate": functools.partial(Gate, monotonic=clock),
        "Confirmations": functools.partial(Confirmations, monotonic=clock),
    }
    before = {name: getattr(bot.app, name) for name in changes}
    try:
        for name, change in changes.items():
            setattr(bot.app, name, change)
        yield
    finally:
        for name, value in before.items():
            setattr(bot.app, name, value)


def parts(
    telegram: Telegram, process: Process, whole: Whole, clock: Callable[[], float]
) -> dict[str, Callable[[], Awaitable[None]]]:
    """The bot's parts, as it runs beside the assistant."""
    address = ChatAddress("http://chat.invalid", TOKEN, OWNER_ID, gap_s=0.3)
    with _in_process(telegram, process, clock):
        app = App(address, whole.assistant.desk, whole.outbox, whole.assistant.engine)
    return app.parts()
