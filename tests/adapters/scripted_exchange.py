"""A loopback server that answers each call as it was told to, and keeps every request it got."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from aiohttp import web

from core.adapters.binance_gate import _GATES

CUT = "cut the line after reading the request"
HANG = "never answer"
HALF = "announce more than is sent"


@dataclass
class Said:
    """One answer: ``body`` is JSON, or text as it stands, or one of CUT, HANG, HALF."""

    body: object = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    params: dict[str, str]


Reply = Callable[[dict[str, str]], object]


class ScriptedExchange:
    """Answers by path: a queue of answers for a path, the last of which is repeated, or a function of what is asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._replies: dict[str, Reply] = {}
        self._script: dict[str, deque[Said]] = {"GET time": deque([Said({"serverTime": 1_700_000_000_000})])}

    def answer(self, call: str, *answers: Said) -> None:
        """``call`` is e.g. ``POST order``, with the whole path outside of /api/v3."""
        self._script[call] = deque(answers)

    def reply(self, call: str, reply: Reply) -> None:
        """``reply`` makes the JSON body for ``call`` out of its parameters."""
        self._replies[call] = reply

    def count(self, call: str) -> int:
        """How often ``call`` arrived."""
        return sum(f"{asked.method} {asked.path}" == call for asked in self.asked)

    def last(self, call: str) -> dict[str, str]:
        """Parameters of the newest ``call``."""
        return next(a.params for a in reversed(self.asked) if f"{a.method} {a.path}" == call)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request, answered by the script."""
        body = (await request.read()).decode()
        path = request.path.removeprefix("/api/v3/")
        self.asked.append(
            Asked(request.method, path, dict(parse_qsl(f"{request.query_string}&{body}", keep_blank_values=True)))
        )
        call = f"{request.method} {path}"
        if call in self._replies:
            return web.json_response(self._replies[call](self.asked[-1].params))
        queue = self._script.get(call, deque([Said("nothing here", 404)]))
        said = queue.popleft() if len(queue) > 1 else queue[0]
        if said.body is HANG:
            await asyncio.sleep(60)
        if said.body is CUT or said.body is HALF:
            assert request.transport is not None
            if said.body is HALF:
                request.transport.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"orderId":')
            request.transport.close()
            return web.Response()
        text = said.body if isinstance(said.body, str) else json.dumps(said.body)
        return web.Response(text=text, status=said.status, headers=said.headers, content_type="application/json")


@asynccontextmanager
async def scripted_exchange() -> AsyncIterator[ScriptedExchange]:
    """A running one on a free port, gone afterwards."""
    exchange = ScriptedExchange()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", exchange.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    exchange.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield exchange
    finally:
        await runner.cleanup()
        # the next server may get this port, and no ban of this one
        _GATES.pop(exchange.url, None)


class StandingClock:
    """A clock that only moves when told to."""

    speed = 1.0

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)

    def now(self) -> datetime:
        """The moment it stands at."""
        return self.at
