"""A stream that listens, ears that keep what it tells, and a server that misbehaves as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from aiohttp import WSMsgType, web

from core.adapters.binance import Binance
from core.adapters.binance_gate import _GATES
from core.adapters.binance_stream import BinanceStream, Pace
from core.domain.errors import RetryLater
from core.domain.market import to_ms
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket

KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
FAST = Pace(ping_s=0.05, silent_s=0.3, first_s=0.01, most_s=0.05, refused_s=0.05)
WAIT_S = 20.0
Play = Callable[[web.WebSocketResponse, int], Awaitable[None]]


class Clock:
    """The wall's clock, off by as much as a test wants."""

    speed = 1.0

    def __init__(self, off: timedelta = timedelta()) -> None:
        self.off = off

    def now(self) -> datetime:
        """Now, and a bit."""
        return datetime.now(UTC) + self.off


class Ears:
    """Keeps what was heard and can wait for it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.connections = 0
        self._changed = asyncio.Event()

    def hear(self, symbol: str) -> None:
        """An event came."""
        self.heard.append(symbol)
        self._changed.set()

    def connect(self) -> None:
        """A subscription stands."""
        self.connections += 1
        self._changed.set()

    async def until(self, look: Callable[[], bool]) -> None:
        """Wait until ``look`` is true."""
        async with asyncio.timeout(WAIT_S):
            while not look():
                self._changed.clear()
                await self._changed.wait()


async def until(look: Callable[[], bool]) -> None:
    """Wait until ``look`` is true, for what nobody can be told of."""
    for _ in range(round(WAIT_S / 0.01)):
        if look():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def banned_for(url: str) -> float:
    """Seconds that no call to ``url`` may leave this process."""
    try:
        _GATES[url].check()
    except RetryLater as later:
        return later.retry_after_s
    return 0.0


@asynccontextmanager
async def listener(
    url: str, pace: Pace = FAST, secret: str = SECRET, clock: Clock | None = None
) -> AsyncIterator[Ears]:
    """A stream that listens at the exchange of ``url`` until the block is left."""
    binance = Binance(url, clock or Clock(), KEY, secret, paced=False)
    stream = BinanceStream(url.replace("http", "ws", 1) + "/ws-api/v3", binance._wire, pace)
    ears = Ears()
    task = asyncio.create_task(stream.listen(ears.hear, ears.connect))
    try:
        yield ears
        assert not task.done(), "the stream ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await binance.close()


def sim_exchange() -> SimExchange:
    """An exchange at the wall's own speed with some money in it."""
    now = datetime.now(UTC)
    market = SeededMarket(("BTCUSDT",), 7, 60_000, to_ms(now), 100)
    return SimExchange(market, start=now, speed=1.0, keys={KEY: SECRET}, balances={"USDT": Decimal(100_000)})


@asynccontextmanager
async def misbehaving(play: Play) -> AsyncIterator[tuple[str, list[dict[str, object]]]]:
    """A server that lets ``play`` talk to the n-th connection, and everything it was asked."""
    asked: list[dict[str, object]] = []
    count = 0

    async def serve(request: web.Request) -> web.StreamResponse:
        nonlocal count
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        count += 1
        hello = await socket.receive()
        if hello.type is WSMsgType.TEXT:
            asked.append(json.loads(hello.data))
            with suppress(ConnectionError):
                await play(socket, count)
        return socket

    async def time(request: web.Request) -> web.StreamResponse:
        return web.json_response({"serverTime": to_ms(datetime.now(UTC))})

    app = web.Application()
    app.router.add_get("/ws-api/v3", serve)
    app.router.add_get("/api/v3/time", time)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield url, asked
    finally:
        await runner.cleanup()
        _GATES.pop(url, None)


WELCOME = {"id": "hello", "status": 200, "result": {"subscriptionId": 0}}


def event(kind: str, **fields: object) -> dict[str, object]:
    """A frame with one event of our account."""
    return {"subscriptionId": 0, "event": {"e": kind, **fields}}


async def answer_pings(socket: web.WebSocketResponse) -> None:
    """Stay on the line as the real one does."""
    async for message in socket:
        await socket.send_json({"id": json.loads(message.data)["id"], "status": 200, "result": {}})
