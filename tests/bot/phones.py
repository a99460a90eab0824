"""The owner's side in tests of the bot: a chat in memory, a line that fails as told, a phone in front of the gate."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.base import BaseSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import TelegramMethod
from aiogram.types import Chat, Message, Update, User

from bot.gate import Gate
from bot.handlers import root
from bot.keyboards import Confirmations
from bot.pictures import PictureFailed
from bot.stepup import StepUp
from bot.views.chartspec import ChartSpec
from bot.views.modelspec import ModelSpec
from core.run.labdesk import LabDesk
from tests.bot.fakes import OWNER, START, TOKEN, Office

PNG = b"\x89PNG\r\n\x1a\n a picture"


@dataclass
class Easel:
    """Draws the same small picture every time, or never while ``broken``."""

    broken: bool = False
    png: bytes = PNG
    drawn: list[Any] = field(default_factory=list)

    async def draw(self, spec: ChartSpec | ModelSpec, timeout_s: float = 10.0) -> bytes:
        """A picture, or PictureFailed."""
        if self.broken:
            raise PictureFailed("No picture: the easel is broken")
        self.drawn.append(spec)
        return self.png


class PocketChat(BaseSession):
    """A chat in memory behind aiogram's session: keeps every call, answers as a Bot API would."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[TelegramMethod[Any]] = []
        self._failures: dict[str, deque[Callable[[TelegramMethod[Any]], Exception]]] = defaultdict(deque)
        self._last_id = 0

    def fail(self, method: str, *failures: Callable[[TelegramMethod[Any]], Exception]) -> None:
        """Let the next calls of ``method`` (as in the Bot API) fail, one after the other."""
        self._failures[method].extend(failures)

    def of(self, method: str) -> list[Any]:
        """Every call of one method, oldest first."""
        return [call for call in self.calls if call.__api_method__ == method]

    @property
    def said(self) -> list[str]:
        """What the owner could read, oldest first: texts, captions, edits, toasts."""
        texts = [getattr(call, "text", None) or getattr(call, "caption", None) for call in self.calls]
        return [text for text in texts if text]

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Keep the call, then answer it or fail as told."""
        self.calls.append(method)
        if self._failures[method.__api_method__]:
            raise self._failures[method.__api_method__].popleft()(method)
        if method.__api_method__ == "getMe":
            return User(id=424242, is_bot=True, first_name="firstmate", username="firstmate")
        if method.__api_method__.startswith(("send", "editMessage")):
            self._last_id += 1
            message = Message(message_id=self._last_id, date=START, chat=Chat(id=OWNER, type="private"))
            return message.as_(bot)
        return True

    async def close(self) -> None:
        """Nothing is open."""

    async def stream_content(self, *args: Any, **kwargs: Any) -> Any:
        """No files here."""
        raise NotImplementedError
        yield b""


class FaultySession(AiohttpSession):
    """The real session over HTTP; ``fail`` puts failures before the next calls of a method."""

    def __init__(self, url: str) -> None:
        super().__init__(api=TelegramAPIServer.from_base(url))
        self._failures: dict[str, deque[Callable[[TelegramMethod[Any]], Exception]]] = defaultdict(deque)
        self.calls: list[str] = []
        self.failed = asyncio.Event()

    def fail(self, method: str, *failures: Callable[[TelegramMethod[Any]], Exception]) -> None:
        """Let the next calls of ``method`` fail, one after the other."""
        self._failures[method].extend(failures)

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Fail as told, else ask the server."""
        self.calls.append(method.__api_method__)
        if self._failures[method.__api_method__]:
            raise self._failures[method.__api_method__].popleft()(method)
        try:
            return await super().make_request(bot, method, timeout)
        except Exception:
            self.failed.set()
            raise


@dataclass
class Phone:
    """The owner's side of a chat in memory: everything goes through the gate and the real handlers."""

    office: Office
    chat: PocketChat
    bot: Bot
    dispatcher: Dispatcher
    easel: Easel
    next_id: int = 1

    async def feed(self, **update: Any) -> None:
        """Any update, as JSON of the Bot API."""
        body = {"update_id": self.next_id, **update}
        self.next_id = max(self.next_id, body["update_id"]) + 1
        await self.dispatcher.feed_update(self.bot, Update.model_validate(body, context={"bot": self.bot}))

    async def say(self, text: str) -> list[str]:
        """Type a message; what came back."""
        known = len(self.chat.said)
        await self.feed(message=message_json(text))
        return self.chat.said[known:]

    async def press(self, data: str, message_id: int = 1) -> list[str]:
        """Press a button; what came back."""
        known = len(self.chat.said)
        await self.feed(callback_query=press_json(data, message_id))
        return self.chat.said[known:]

    def button(self, label: str) -> str:
        """Data of the newest button whose label holds ``label``."""
        for call in reversed(self.chat.calls):
            for row in getattr(getattr(call, "reply_markup", None), "inline_keyboard", None) or ():
                for button in row:
                    if label in button.text:
                        return str(button.callback_data)
        raise AssertionError(f"no button {label}")


def person(user_id: int = OWNER) -> dict[str, Any]:
    """A User of the Bot API."""
    return {"id": user_id, "is_bot": False, "first_name": "Somebody"}


def private(chat_id: int = OWNER) -> dict[str, Any]:
    """A private Chat of the Bot API."""
    return {"id": chat_id, "type": "private", "first_name": "Somebody"}


def message_json(text: str, **changes: Any) -> dict[str, Any]:
    """A Message of the owner in the private chat, with changes."""
    return {"message_id": 1, "date": 1_700_000_000, "from": person(), "chat": private(), "text": text, **changes}


def press_json(data: str, message_id: int = 1, **changes: Any) -> dict[str, Any]:
    """A CallbackQuery of the owner on a message in the private chat, with changes."""
    under = {"message_id": message_id, "date": 1_700_000_000, "chat": private(), "text": "card"}
    return {"id": "1", "from": person(), "chat_instance": "1", "message": under, "data": data, **changes}


def phone(
    office: Office,
    monotonic: Callable[[], float] | None = None,
    stepup: StepUp | None = None,
    lab: LabDesk | None = None,
) -> Phone:
    """A phone for this office, with a clock of its own for rates and confirmations where one is given."""
    chat, easel = PocketChat(), Easel()
    bot = Bot(TOKEN, session=chat)
    timed = {"monotonic": monotonic} if monotonic else {}
    confirmations = Confirmations(**timed)
    dispatcher = Dispatcher(
        disable_fsm=True, desk=office.desk, pictures=easel, confirmations=confirmations, stepup=stepup, lab=lab
    )
    dispatcher.update.outer_middleware(Gate(OWNER, office.desk, **timed))
    dispatcher.include_router(root())
    return Phone(office, chat, bot, dispatcher, easel)
