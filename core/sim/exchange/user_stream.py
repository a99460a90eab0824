"""Our account's events over the WebSocket API: userDataStream.subscribe.signature, ping, time.

Rule 1: an event leaves after the input that caused it is in the log.
Rule 2: the stream is a speed-up: what it misses, and ``noise`` lets it miss some, can be read by REST.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from core.decide.venue import Move, Moves
from core.sim.exchange import show
from core.sim.exchange.auth import check_key, check_signature, check_time
from core.sim.exchange.errors import ApiError, fail
from core.sim.exchange.noise import Noise
from core.sim.exchange.params import Params
from core.sim.exchange.streams import Pipe
from core.sim.exchange.world import SimExchange

_encode = msgspec.json.Encoder().encode
Method = Callable[["UserStreamGate", Pipe, dict[str, str]], object]


class UserStreamGate:
    """All WebSocket API connections of one exchange."""

    def __init__(self, exchange: SimExchange, noise: Noise | None = None) -> None:
        self._ex = exchange
        self._noise = noise
        self._pipes: set[Pipe] = set()
        self._next_subscription = 0
        exchange.listeners.append((self._publish, lambda: None))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        socket = web.WebSocketResponse(heartbeat=180.0, max_msg_size=64 * 1024)
        if not socket.can_prepare(request).ok:
            return web.Response(status=426, text="This path speaks WebSocket only.")
        await socket.prepare(request)
        pipe = Pipe(socket, wrapped=False)
        self._pipes.add(pipe)
        sender = asyncio.create_task(pipe.pump())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    pipe.push(_encode(self._answer(pipe, message.data)))
        finally:
            self._pipes.discard(pipe)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return socket

    def _answer(self, pipe: Pipe, text: str) -> dict[str, Any]:
        try:
            asked = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            return {"id": None, "status": 400, "error": {"code": -1000, "msg": "Request is not valid JSON."}}
        try:
            method = METHODS.get(str(asked.get("method")))
            if method is None:
                raise fail("path")
            given = {str(k): _plain(v) for k, v in (asked.get("params") or {}).items()}
            return {"id": asked.get("id"), "status": 200, "result": method(self, pipe, given), "rateLimits": []}
        except ApiError as fault:
            error = {"code": fault.code, "msg": fault.text}
            return {"id": asked.get("id"), "status": fault.status, "error": error, "rateLimits": []}

    def subscribe(self, pipe: Pipe, given: dict[str, str]) -> object:
        """Tell this connection of our account from now on."""
        secret = check_key(self._ex.keys, given.get("apiKey", ""))
        check_time(Params(given), self._ex.now_ms(), strict=self._ex.speed == 1)
        signed = "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "signature")
        check_signature(secret, signed, given.get("signature", ""))
        name = str(self._next_subscription)
        self._next_subscription += 1
        pipe.names[name] = None
        return {"subscriptionId": int(name)}

    def unsubscribe(self, pipe: Pipe, given: dict[str, str]) -> object:
        """Tell it nothing more."""
        wanted = given.get("subscriptionId")
        for name in [wanted] if wanted else list(pipe.names):
            pipe.names.pop(name, None)
        return {}

    def time(self, pipe: Pipe, given: dict[str, str]) -> object:
        """The exchange's clock."""
        return {"serverTime": self._ex.now_ms()}

    def ping(self, pipe: Pipe, given: dict[str, str]) -> object:
        """Nothing."""
        return {}

    def _publish(self, moves: Moves) -> None:
        listening = [(pipe, int(name)) for pipe in self._pipes for name in pipe.names]
        if not (moves and listening):
            return
        events = account_events(self._ex, moves)
        for pipe, name in listening:
            heard = self._noise.spoiled(events) if self._noise else events
            if heard is None:
                pipe.cut()
                continue
            for event in heard:
                pipe.push(_encode({"subscriptionId": name, "event": event}))

    async def close(self) -> None:
        """End every connection."""
        for pipe in list(self._pipes):
            pipe.cut()
        await asyncio.sleep(0)


def account_events(ex: SimExchange, moves: Moves) -> list[show.Json]:
    """Execution reports and list events in order, then the balances they left."""
    at_ms = ex.tape.now_ms
    events = [
        show.execution_report(m, at_ms) if isinstance(m, Move) else show.list_status(m.orders, at_ms) for m in moves
    ]
    touched: dict[str, None] = {}
    for move in moves:
        if isinstance(move, Move):
            instrument = ex.terms(move.order.symbol).instrument
            fee_asset = [move.trade.fee_asset] if move.trade else []
            touched.update(dict.fromkeys([instrument.base, instrument.quote, *fee_asset]))
    balances = [
        {"a": asset, "f": show.num(held.free), "l": show.num(held.locked)}
        for asset in touched
        if (held := ex.venue.balances.get(asset)) is not None
    ]
    return [*events, {"e": "outboundAccountPosition", "E": at_ms, "u": at_ms, "B": balances}]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


METHODS: dict[str, Method] = {
    "userDataStream.subscribe.signature": UserStreamGate.subscribe,
    "userDataStream.unsubscribe": UserStreamGate.unsubscribe,
    "time": UserStreamGate.time,
    "ping": UserStreamGate.ping,
}
