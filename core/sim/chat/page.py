"""The owner's web page: who may open it, and what it is told.

Rule 1: a link opens once and becomes an HttpOnly, SameSite=Strict session cookie; a used link is refused.
Rule 2: every request must name this server as Host, a WebSocket also as Origin: another site's page gets nothing.
Rule 3: a page gets everything on connect and then each change; one that cannot keep up is cut off and reconnects.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import Callable
from importlib import resources
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import WSMsgType, web

from core.sim.chat import room as events
from core.sim.chat.chat import Chat, query_id
from core.sim.chat.methods import owners_commands
from core.sim.chat.room import Acting, Event
from core.sim.chat.values import ChatMessage
from core.sim.chat.wire import entity_json

LINKS_MAX = 8
SESSIONS_MAX = 8
QUEUE_MAX = 500
PING_S = 20.0
FRAME_MAX_BYTES = 64 * 1024
LINK_USED = "This link has been used or is not of this run. Take the newest one from the terminal."


class Page:
    """Serves page.html, pictures and the live connection of the owner's browser."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._links: list[str] = []
        self._sessions: list[str] = []
        self._queues: dict[web.WebSocketResponse, asyncio.Queue[dict[str, Any]]] = {}
        self._base = ""
        self._hosts: frozenset[str] = frozenset()
        self._cookie = ""
        self._html = resources.files("core.sim.chat").joinpath("page.html").read_text(encoding="utf-8")
        self.opened: Callable[[], None] = lambda: None
        chat.listeners.append(self._heard)

    def serve_at(self, url: str) -> None:
        """Remember the address browsers must use."""
        port = urlsplit(url).port
        self._base = url
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        # Cookies ignore ports: two chats on one computer must not overwrite each other's session.
        self._cookie = f"firstmate_chat_{port}"

    def add_routes(self, app: web.Application) -> None:
        """Hang the page into ``app``."""
        app.router.add_get("/", self._open, allow_head=False)  # a preview must not use up a link
        app.router.add_get("/ws", self._live)
        app.router.add_get("/media/{file_id}", self._media)

    def mint(self) -> str:
        """A fresh address that opens the page once; only the newest 8 stay valid."""
        link = secrets.token_urlsafe(24)
        self._links = [*self._links, link][-LINKS_MAX:]
        return f"{self._base}/?t={link}"

    async def close(self) -> None:
        """Hang up on every browser."""
        await asyncio.gather(*(socket.close() for socket in tuple(self._queues)), return_exceptions=True)

    def _refuse_strangers(self, request: web.Request, *, session: bool = True, origin: bool = False) -> None:
        if request.headers.get("Host", "") not in self._hosts:
            raise web.HTTPForbidden(text="Wrong host.")
        given = request.headers.get("Origin")
        if (given or origin) and given not in {f"http://{host}" for host in self._hosts}:
            raise web.HTTPForbidden(text="Wrong origin.")
        if session and request.cookies.get(self._cookie) not in self._sessions:
            raise web.HTTPForbidden(text=LINK_USED)

    async def _open(self, request: web.Request) -> web.Response:
        link = request.query.get("t")
        self._refuse_strangers(request, session=link is None)
        if link is None:
            return web.Response(text=self._html, content_type="text/html", headers=self._headers())
        if link not in self._links:
            raise web.HTTPForbidden(text=LINK_USED)
        self._links.remove(link)
        session = secrets.token_urlsafe(24)
        self._sessions = [*self._sessions, session][-SESSIONS_MAX:]
        answer = web.Response(status=303, headers={"Location": "/", "Cache-Control": "no-store"})
        answer.set_cookie(self._cookie, session, httponly=True, samesite="Strict", path="/")
        self.opened()
        return answer

    def _headers(self) -> dict[str, str]:
        hashes = {tag: _hash_of(self._html, tag) for tag in ("style", "script")}
        sockets = " ".join(sorted(f"ws://{host}" for host in self._hosts if not host.startswith("[")))
        return {
            "Content-Security-Policy": f"default-src 'none'; img-src 'self' data:; style-src {hashes['style']}; "
            f"script-src {hashes['script']}; connect-src 'self' {sockets}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    async def _media(self, request: web.Request) -> web.StreamResponse:
        self._refuse_strangers(request)
        file = self._chat.room.files.get(request.match_info["file_id"])
        if file is None or not file.path.exists():
            raise web.HTTPNotFound(text="No such file.")
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}
        if file.kind == "photo":
            headers["Content-Type"] = file.mime
        else:
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
        return web.FileResponse(file.path, headers=headers)

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        self._refuse_strangers(request, origin=True)
        socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=FRAME_MAX_BYTES)
        await socket.prepare(request)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_MAX)
        queue.put_nowait(self._everything())
        self._queues[socket] = queue
        writer = asyncio.create_task(_write(socket, queue))
        try:
            async for frame in socket:
                if frame.type == WSMsgType.TEXT:
                    self._asked(queue, frame.data)
        finally:
            self._queues.pop(socket, None)
            writer.cancel()
        return socket

    def _asked(self, queue: asyncio.Queue[dict[str, Any]], text: str) -> None:
        try:
            asked = json.loads(text)
            if asked["do"] == "say":
                self._chat.say(str(asked["text"]))
            elif asked["do"] == "press":
                update_id = self._chat.press(int(asked["id"]), str(asked["data"]))
                _offer(queue, {"t": "pressed", "id": asked["id"], "data": asked["data"], "query": query_id(update_id)})
        except Exception as error:  # a page must not be able to stop the server; it is told instead
            _offer(queue, {"t": "refused", "text": str(error)})

    def _everything(self) -> dict[str, Any]:
        mine = [_shown(m) for m in self._chat.room.messages.values() if m.chat_id == self._chat.owner.id]
        return {"t": "all", "bot": self._chat.bot["first_name"], "messages": mine, "commands": self._menu()}

    def _menu(self) -> list[dict[str, str]]:
        return [{"command": item.command, "description": item.description} for item in owners_commands(self._chat)]

    def _heard(self, event: Event | Acting) -> None:
        news = self._news(event) if self._queues else None
        if news is None:
            return
        for socket, queue in tuple(self._queues.items()):
            if not _offer(queue, news):
                self._queues.pop(socket)

    def _news(self, event: Event | Acting) -> dict[str, Any] | None:
        match event:
            case events.Posted(message) | events.Edited(message) if message.chat_id == self._chat.owner.id:
                return {"t": "message", "message": _shown(message)}
            case events.Deleted(message_id):
                return {"t": "deleted", "id": message_id}
            case events.Answered(answer):
                return {"t": "answer", "id": answer.query_id, "text": answer.text, "alert": answer.alert}
            case events.CommandsSet():
                return {"t": "commands", "commands": self._menu()}
            case Acting(chat_id, action) if chat_id == self._chat.owner.id:
                return {"t": "acting", "action": action}
        return None


def _offer(queue: asyncio.Queue[dict[str, Any]], news: dict[str, Any]) -> bool:
    """False when the browser is too far behind: its queue gets the mark that ends the connection."""
    if queue.qsize() < QUEUE_MAX - 1:
        queue.put_nowait(news)
        return True
    if not queue.full():
        queue.put_nowait({})
    return False


async def _write(socket: web.WebSocketResponse, queue: asyncio.Queue[dict[str, Any]]) -> None:
    with contextlib.suppress(ConnectionError):  # the browser went away; the reading side tidies up
        while news := await queue.get():
            await socket.send_json(news)
        await socket.close()


def _hash_of(html: str, tag: str) -> str:
    """The CSP source that allows exactly this page's one inline ``tag``."""
    match = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    assert match is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(match.group(1).encode()).digest()).decode()}'"


def _shown(message: ChatMessage) -> dict[str, Any]:
    keyboard, photo, document = message.keyboard, message.photo, message.document
    return {
        "id": message.id,
        "bot": message.from_bot,
        "text": message.text,
        "entities": [entity_json(entity) for entity in message.entities],
        "date": message.date.timestamp(),
        "edited": message.edited is not None,
        "reply": message.reply_to,
        "photo": photo and {"id": photo.file_id, "w": photo.width, "h": photo.height},
        "document": document and {"id": document.file_id, "name": document.name, "size": document.size},
        "keyboard": keyboard
        and {
            "kind": keyboard.kind,
            "rows": [[_button(button) for button in row] for row in keyboard.rows],
            "oneTime": keyboard.one_time,
            "placeholder": keyboard.placeholder,
        },
    }


def _button(button: Any) -> dict[str, Any]:
    return {name: getattr(button, name) for name in ("text", "data", "url", "copy", "style", "disabled")}
