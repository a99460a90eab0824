"""Market data streams over WebSocket: single (/ws/<stream>), combined (/stream?streams=a/b), or asked for by message.

Rule 1: an event is made once per stream and moment, and only if somebody listens.
Rule 2: a client that does not read is cut off when its queue is full; it never holds up the others or the clock.
Rule 3: paths that begin with /stream and have no /ws in them wrap each event as {"stream", "data"}; others do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from core.sim.exchange.feeds import Feeds
from core.sim.exchange.world import SimExchange

QUEUE_MOST = 2_000
STREAMS_MOST = 1_024
_encode = msgspec.json.Encoder().encode


class Pipe:
    """One connection: what it listens to and what waits to be sent."""

    def __init__(self, socket: web.WebSocketResponse, wrapped: bool) -> None:
        self.socket = socket
        self.wrapped = wrapped
        self.names: dict[str, None] = {}
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_MOST)

    def push(self, body: bytes) -> None:
        """Queue one message; a full queue ends the connection."""
        try:
            self.waiting.put_nowait(body)
        except asyncio.QueueFull:
            self.cut()

    def cut(self) -> None:
        """Drop what waits and end the connection."""
        while not self.waiting.empty():
            self.waiting.get_nowait()
        self.waiting.put_nowait(None)

    async def pump(self) -> None:
        """Send what waits until the end."""
        while (body := await self.waiting.get()) is not None:
            await self.socket.send_str(body.decode())
        await self.socket.close(code=1008, message=b"too slow or shutting down")


class StreamGate:
    """All market stream connections of one exchange."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange
        self._feeds = Feeds(exchange)
        self._pipes: set[Pipe] = set()
        exchange.listeners.append((lambda moves: None, self._publish))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        socket = web.WebSocketResponse(heartbeat=180.0, max_msg_size=64 * 1024)
        if not socket.can_prepare(request).ok:
            return web.Response(status=426, text="This path speaks WebSocket only.")
        await socket.prepare(request)
        pipe = Pipe(socket, request.path.startswith("/stream") and not request.path.startswith("/stream/ws"))
        self._listen(pipe, self._asked(request))
        self._pipes.add(pipe)
        sender = asyncio.create_task(pipe.pump())
        try:
            await self._read(pipe)
        finally:
            self._pipes.discard(pipe)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return socket

    def _asked(self, request: web.Request) -> list[str]:
        tail = request.match_info.get("tail", "")
        names = request.query.get("streams", "").split("/")
        if request.path.startswith("/ws/"):
            names += tail.split("/")
        return [name for name in names if name]

    def _listen(self, pipe: Pipe, names: Iterable[str]) -> None:
        for name in names:
            if self._feeds.knows(name) and len(pipe.names) < STREAMS_MOST:
                self._feeds.prime(name)
                pipe.names[name] = None

    async def _read(self, pipe: Pipe) -> None:
        async for message in pipe.socket:
            if message.type is WSMsgType.TEXT:
                pipe.push(_encode(self._command(pipe, message.data)))

    def _command(self, pipe: Pipe, text: str) -> dict[str, Any]:
        """The answer to a message of the client."""
        try:
            asked = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError as fault:
            return {"error": {"code": 3, "msg": f"Invalid JSON: {fault}"}, "id": None}
        names = [name for name in asked.get("params") or [] if isinstance(name, str)]
        method, reply = asked.get("method"), {"result": None, "id": asked.get("id")}
        if method == "SUBSCRIBE":
            self._listen(pipe, names)
        elif method == "UNSUBSCRIBE":
            for name in names:
                pipe.names.pop(name, None)
        elif method == "LIST_SUBSCRIPTIONS":
            reply["result"] = list(pipe.names)
        else:
            return {"error": {"code": 2, "msg": f"Invalid request: unknown method {method}"}, "id": asked.get("id")}
        return reply

    def _publish(self) -> None:
        """Send this moment's events to whoever listens."""
        wanted = dict.fromkeys(name for pipe in self._pipes for name in pipe.names)
        made = {name: self._feeds.events(name) for name in wanted}
        self._feeds.passed()
        for pipe in list(self._pipes):
            for name in pipe.names:
                for event in made.get(name, ()):
                    pipe.push(_encode({"stream": name, "data": event} if pipe.wrapped else event))

    async def close(self) -> None:
        """End every connection."""
        for pipe in list(self._pipes):
            pipe.cut()
        await asyncio.sleep(0)
