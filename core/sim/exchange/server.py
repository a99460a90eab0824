"""The exchange on a loopback port: REST, market streams, user stream.

Rule 1: loopback only, and nothing for web pages: it is a stand-in, not a service.
Rule 2: one task moves the time; stopping cancels it, closes every stream and lets go of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from core.domain.errors import NeedsOwner
from core.sim.exchange.face import Face, Line
from core.sim.exchange.fault_plan import FaultPlan
from core.sim.exchange.faults import FaultyLine
from core.sim.exchange.noise import Noise
from core.sim.exchange.rest import BODY_MOST, RestGate
from core.sim.exchange.streams import StreamGate
from core.sim.exchange.user_stream import UserStreamGate
from core.sim.exchange.world import SimExchange
from core.sim.loopback import is_foreign
from core.sim.market import Market

HOST = "127.0.0.1"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Faults:
    """Which faults a served exchange has: all that follow from ``seed``, in ``share`` (0..1) of the requests."""

    seed: int
    share: float


@asynccontextmanager
async def listening(exchange: SimExchange, port: int = 0, faults: Faults | None = None) -> AsyncIterator[str]:
    """``http://127.0.0.1:PORT`` while the exchange answers there, as badly as ``faults`` says; port 0 takes a free one.

    Raises NeedsOwner where the port is taken.
    """
    faulty = _faulty(exchange, faults) if faults else None
    line: Line = faulty or Face(exchange)
    streams = StreamGate(exchange)
    users = UserStreamGate(exchange, Noise(faulty, faults.seed) if faulty and faults else None)
    app = web.Application(client_max_size=BODY_MOST, middlewares=[_own_programs_only])
    app.router.add_get("/ws-api/v3", users.handle)
    for path in ("/ws", "/ws/{tail:.*}", "/stream", "/stream/{tail:.*}"):
        app.router.add_get(path, streams.handle)
    app.router.add_route("*", "/{tail:.*}", RestGate(line).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    clock: asyncio.Task[None] | None = None
    try:
        bound = await _bind(runner, port)
        clock = asyncio.create_task(exchange.run(), name="exchange-clock")
        clock.add_done_callback(_tell_if_it_failed)
        yield f"http://{HOST}:{bound}"
    finally:
        if clock is not None:
            clock.cancel()
            await asyncio.wait([clock])
        if faulty is not None:
            await faulty.close()
        await streams.close()
        await users.close()
        await runner.cleanup()


def _faulty(exchange: SimExchange, faults: Faults) -> FaultyLine:
    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds / exchange.speed)

    return FaultyLine(Face(exchange), FaultPlan(share=faults.share), faults.seed, wait)


def _tell_if_it_failed(clock: asyncio.Task[None]) -> None:
    """Time that stands still because its log cannot be written must not look like a quiet market."""
    failure = None if clock.cancelled() else clock.exception()
    if failure:
        log.error("the simulated exchange's time stands still", why=str(failure))


@web.middleware
async def _own_programs_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if is_foreign(request.headers):
        return web.json_response({"code": -1002, "msg": "You are not authorized to execute this request."}, status=403)
    return await handler(request)


async def _bind(runner: web.AppRunner, port: int) -> int:
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as fault:
        raise NeedsOwner(f"port {port} on {HOST} is not free ({fault.strerror}): choose another one") from fault
    return int(runner.addresses[0][1])


async def serve(
    port: int,
    market: Market,
    speed: float | None,
    *,
    start: datetime,
    keys: Mapping[str, str],
    balances: Mapping[str, Decimal],
    path: Path | None = None,
    faults: Faults | None = None,
    ready: asyncio.Future[str] | None = None,
) -> None:
    """Serve until cancelled; ``ready`` learns the address. At speed max POST /sim/v1/advance moves the time."""
    exchange = SimExchange(market, start=start, speed=speed, keys=keys, balances=balances, path=path)
    try:
        async with listening(exchange, port, faults) as url:
            if ready is not None and not ready.done():
                ready.set_result(url)
            await asyncio.Event().wait()
    finally:
        exchange.close()
