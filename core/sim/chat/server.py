"""The Bot API server on loopback and the owner's side of it, in one object.

Rule 1: only loopback addresses are served; the bot's token opens the API to programs of this computer, not to web
        pages; a one-time link opens the page.
Rule 2: JSON, form and multipart bodies, GET and POST, mean the same; method names ignore case.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from core.sim.chat.body import read_call
from core.sim.chat.chat import Chat, utc_now
from core.sim.chat.flood import FloodMeter, FloodPolicy
from core.sim.chat.media import FILE_MAX_BYTES
from core.sim.chat.methods import run
from core.sim.chat.page import Page
from core.sim.chat.polling import Poller
from core.sim.chat.room import Acting, Event
from core.sim.chat.transcript import lines_of
from core.sim.chat.values import ApiError, CallbackAnswer, ChatMessage, ChatUser
from core.sim.loopback import is_foreign

_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+")
BODY_MAX_BYTES = FILE_MAX_BYTES + 1024 * 1024
STOP_WAIT_S = 1.0
T = TypeVar("T")


class ChatServer:
    """One bot's chat with its owner; ``faults`` maps a lower-case method to the HTTP error it shall answer."""

    def __init__(
        self,
        token: str,
        owner_id: int,
        *,
        path: Path | None = None,
        now: Callable[[], datetime] = utc_now,
        transcript: Callable[[str], None] | None = None,
        flood: FloodPolicy = FloodPolicy(),  # noqa: B008 - a frozen value
        faults: Mapping[str, int] | None = None,
        bot_name: str = "firstmate",
    ) -> None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("the bot token must look like 123456:LETTERS-AND-DIGITS")
        self._token = token
        self._chat = Chat(token, ChatUser(owner_id), now, path, bot_name)
        self._flood = FloodMeter(flood)
        self._faults = dict(faults or {})
        self._poller = Poller(self._chat)
        self._page = Page(self._chat)
        self._changed: set[asyncio.Future[None]] = set()
        self._runner: web.AppRunner | None = None
        self.url = ""
        if transcript is not None:
            self._chat.listeners.append(_teller(transcript, bot_name))
        self._chat.listeners.append(self._wake)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve on a loopback ``host``; port 0 takes a free one. Raises ValueError or OSError with the fix."""
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the chat server serves this computer only: {host} is not a loopback address")
        self._chat.open()
        app = web.Application(client_max_size=BODY_MAX_BYTES)
        app.router.add_route("*", "/bot{token}/{method}", self._api)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._page.add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_WAIT_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"
        self._page.serve_at(self.url)

    async def stop(self) -> None:
        """End every connection and let go of the log."""
        self._poller.close()
        await self._page.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._chat.close()

    @property
    def page_url(self) -> str:
        """Address of the web page with a fresh one-time token."""
        return self._page.mint()

    def on_page_opened(self, callback: Callable[[], None]) -> None:
        """Call back whenever a one-time link was used up."""
        self._page.opened = callback

    def say(self, text: str, *, user: ChatUser | None = None) -> int:
        """A person writes (the owner unless ``user``); the id of the update."""
        return self._chat.say(text, user)

    def press(self, message_id: int, data: str, *, user: ChatUser | None = None) -> int:
        """A person presses a button; the id of the update. Raises ValueError if the message is gone."""
        return self._chat.press(message_id, data, user)

    def deliver(self, kind: str, payload: dict[str, Any]) -> int:
        """Any other update, as the Bot API would send it; the id of the update."""
        return self._chat.deliver(kind, payload)

    def messages(self) -> Sequence[ChatMessage]:
        """Every standing message, oldest first."""
        return tuple(self._chat.room.messages.values())

    def answers(self) -> Sequence[CallbackAnswer]:
        """What the bot answered to pressed buttons since the start, oldest first."""
        return tuple(self._chat.room.answers.values())

    async def wait_message(self, match: Callable[[ChatMessage], bool], timeout_s: float) -> ChatMessage:
        """The newest message that ``match`` accepts, now or within ``timeout_s``. Raises TimeoutError."""
        return await self._wait_for(lambda: next(filter(match, reversed(self.messages())), None), timeout_s, "message")

    async def wait_answer(self, match: Callable[[CallbackAnswer], bool], timeout_s: float) -> CallbackAnswer:
        """The newest button answer that ``match`` accepts, now or within ``timeout_s``. Raises TimeoutError."""
        return await self._wait_for(lambda: next(filter(match, reversed(self.answers())), None), timeout_s, "answer")

    async def wait_update(self, kind: str, timeout_s: float) -> dict[str, Any]:
        """The newest unconfirmed update of ``kind``, now or within ``timeout_s``. Raises TimeoutError."""

        def find() -> dict[str, Any] | None:
            waiting = [update.payload for update in self._chat.room.pending.values() if update.kind == kind]
            return waiting[-1] if waiting else None

        return await self._wait_for(find, timeout_s, "update")

    async def _wait_for(self, find: Callable[[], T | None], timeout_s: float, what: str) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                while (found := find()) is None:
                    await self._change()
        except TimeoutError:
            seen = " | ".join(message.text[:80] for message in self.messages()[-3:]) or "nothing"
            raise TimeoutError(f"no such {what} within {timeout_s} s; the last messages: {seen}") from None
        return found

    async def _change(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed.add(waiter)
        try:
            await waiter
        finally:
            self._changed.discard(waiter)

    def _wake(self, event: Event | Acting) -> None:
        for waiter in self._changed:
            if not waiter.done():
                waiter.set_result(None)

    async def _api(self, request: web.Request) -> web.Response:
        try:
            self._authorise(request)
            call = await read_call(request)
            if call.method in self._faults:
                code = self._faults[call.method]
                raise ApiError(code, "Not Found" if code == 404 else "Internal Server Error")
            result = (
                await self._poller.get_updates(call)
                if call.method == "getupdates"
                else run(self._chat, self._flood, call)
            )
        except ApiError as error:
            return _refusal(error)
        except OSError as error:
            return _refusal(ApiError(500, f"Internal Server Error: {error.strerror or error}"))
        return web.json_response({"ok": True, "result": result})

    def _authorise(self, request: web.Request) -> None:
        if is_foreign(request.headers):
            raise ApiError(403, "Forbidden: this server talks to programs of this computer only")
        token = request.match_info["token"]
        if not _TOKEN.fullmatch(token):
            raise ApiError(404, "Not Found")
        if not secrets.compare_digest(token, self._token):
            raise ApiError(401, "Unauthorized")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        try:
            self._authorise(request)
        except ApiError as error:
            return _refusal(error)
        wanted = request.match_info["path"]
        for file in self._chat.room.files.values():
            if file.api_path == wanted and file.path.exists():
                return web.FileResponse(file.path, headers={"Content-Type": "application/octet-stream"})
        return _refusal(ApiError(404, "Not Found"))


def _teller(transcript: Callable[[str], None], bot_name: str) -> Callable[[Event | Acting], None]:
    def tell(event: Event | Acting) -> None:
        for line in lines_of(event, bot_name):
            transcript(line)

    return tell


def _refusal(error: ApiError) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    headers = {}
    if error.retry_after_s is not None:
        body["parameters"] = {"retry_after": error.retry_after_s}
        headers["Retry-After"] = str(error.retry_after_s)
    return web.json_response(body, status=error.code, headers=headers)


async def serve(port: int, token: str, owner_id: int, state: Path | None) -> None:
    """Serve any bot until cancelled; prints where the bot and the owner find it, and the chat as it goes."""
    server = ChatServer(token, owner_id, path=state, transcript=_say_line)
    await server.start(port=port)
    server.on_page_opened(lambda: _say_line(f"page:  {server.page_url}  (the next one-time link)"))
    _say_line(f"bot:   set the Bot API address to {server.url} (token {token.split(':')[0]}:…, owner {owner_id})")
    _say_line(f"page:  {server.page_url}  (opens once)")
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


def _say_line(line: str) -> None:
    print(line, flush=True)
