"""Redirects are not followed and answers are bounded: REST and the stream, against servers that mean harm."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from core.adapters.binance import Binance
from core.adapters.binance_gate import _GATES
from core.adapters.binance_stream import FRAME_MOST
from core.adapters.httpline import ANSWER_MOST, Redirected, TooLong, session
from core.domain.errors import OutcomeUnknown, RetryLater
from core.domain.orders import Order, OrderKind, Purpose, Side
from tests.adapters.stream_rig import KEY, SECRET, WELCOME, Clock, answer_pings, event, listener, misbehaving, until

REDIRECTS = (301, 302, 303, 307, 308)
ORDER = Order(
    "fm-1-e", "BTCUSDT", Side.BUY, OrderKind.MARKET, Purpose.ENTRY, Decimal(1), datetime(2024, 1, 1, tzinfo=UTC)
)


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[str]:
    """A server that lets ``handle`` answer everything."""
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield url
    finally:
        await runner.cleanup()
        _GATES.pop(url, None)


@asynccontextmanager
async def lured(status: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that sends everybody on to a thief, and what arrived at the thief's."""
    stolen: list[str] = []

    async def thief(request: web.Request) -> web.Response:
        stolen.append(f"{request.method} {request.path_qs} {dict(request.headers)} {await request.text()}")
        return web.json_response({"serverTime": 1})

    async with server(thief) as other:

        async def lure(request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{other}{request.path_qs}"})

        async with server(lure) as url:
            yield url, stolen


@pytest.mark.parametrize("status", REDIRECTS)
async def test_no_request_of_ours_follows_a_redirect(status: int) -> None:
    """Neither what is public nor what is signed arrives anywhere but where it was sent."""
    async with lured(status) as (url, stolen):
        binance = Binance(url, Clock(), KEY, SECRET, paced=False)
        for read in (binance.server_time(), binance.balances(), binance.rights(), binance.sync_clock()):
            with pytest.raises(RetryLater, match="another address"):
                await read
        for change in (binance.submit(ORDER), binance.cancel("BTCUSDT", "fm-1-e")):
            with pytest.raises(OutcomeUnknown, match="another address"):
                await change
        await binance.close()
        assert stolen == []


@pytest.mark.parametrize("status", REDIRECTS)
async def test_the_stream_follows_no_redirect(status: int) -> None:
    """The subscription is signed, too; it is tried again at the address that was set."""
    tries = 0
    stolen: list[str] = []

    async def thief(request: web.Request) -> web.StreamResponse:
        stolen.append(request.path_qs)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        stolen.append((await socket.receive()).data)
        return socket

    async with server(thief) as other:

        async def lure(request: web.Request) -> web.Response:
            nonlocal tries
            tries += 1
            return web.Response(status=status, headers={"Location": f"{other}{request.path_qs}"})

        async with server(lure) as url, listener(url):
            await until(lambda: tries >= 3)
    assert stolen == []


async def test_a_redirect_names_no_address() -> None:
    """The address of a Bot API server holds the token; no message and no log line repeats where one was sent."""
    async with lured(302) as (url, _), session() as line:
        with pytest.raises(Redirected) as refused:
            await line.get(f"{url}/bot424242:FAKE-TOKEN-for-tests/getMe")
        assert "FAKE" not in f"{refused.value} {refused.value!r}"
        assert "http" not in str(refused.value)


def endless(chunk: bytes, sent: list[int]) -> Handler:
    """A handler that never stops answering; ``sent`` counts its bytes."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range((1 << 30) // len(chunk)):
            await response.write(chunk)
            sent.append(len(chunk))
        return response

    return handle


async def cut_off(binance: Binance) -> int:
    """The most memory held while an answer without end is refused, bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(RetryLater, match="longer than 8 MiB"):
            await binance.balances()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_gigabyte_of_answer_is_cut_off_and_never_held() -> None:
    """Reading ends a little above the bound, whatever the server goes on sending."""
    sent: list[int] = []
    async with server(endless(b" " * (1 << 20), sent)) as url:
        binance = Binance(url, Clock(), KEY, SECRET, paced=False)
        peak = await cut_off(binance)
        with pytest.raises(OutcomeUnknown, match="longer than 8 MiB"):
            await binance.submit(ORDER)
        await binance.close()
    assert peak < 5 * ANSWER_MOST
    assert sum(sent) < 2 * 4 * ANSWER_MOST


def bomb(encoding: str) -> bytes:
    """256 MiB of blanks, packed into some hundred kilobytes."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(256)) + packer.flush()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_packed_answer_that_unpacks_without_end_is_cut_off(encoding: str) -> None:
    """It is the unpacked size that counts, and no more than that is ever unpacked."""
    packed = bomb(encoding)
    assert len(packed) < 1 << 19

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": encoding, "Content-Type": "application/json"})

    async with server(handle) as url:
        binance = Binance(url, Clock(), KEY, SECRET, paced=False)
        peak = await cut_off(binance)
        await binance.close()
    assert peak < 5 * ANSWER_MOST


async def test_an_answer_as_long_as_allowed_arrives_whole_packed_or_not() -> None:
    """The bound takes nothing away from what is an answer; one byte more is none."""
    body = b"x" * ANSWER_MOST

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/packed":
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return web.Response(body=body + b"x" * int(request.path == "/longer"))

    async with server(handle) as url, session() as line:
        for path in ("/plain", "/packed"):
            async with line.get(url + path) as answer:
                assert await answer.read() == body
        async with line.get(f"{url}/longer") as answer:
            with pytest.raises(TooLong):
                await answer.text()


@pytest.mark.parametrize("text", ["[" * 1_000_000, '{"a":' * 500_000, "9" * 1_000_000, '{"balances":' + "[" * 5_000])
async def test_an_answer_nested_or_long_beyond_reason_is_no_answer(text: str) -> None:
    """It is tried again, and an order that was answered so is in doubt."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    async with server(handle) as url:
        binance = Binance(url, Clock(), KEY, SECRET, paced=False)
        with pytest.raises(RetryLater):
            await binance.balances()
        with pytest.raises(OutcomeUnknown):
            await binance.submit(ORDER)
        await binance.close()


async def test_a_server_that_sets_cookies_gets_none_back() -> None:
    """What a server says in one answer is not carried into the next request."""
    seen: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        response = web.json_response({"serverTime": 1})
        response.set_cookie("track", "me")
        return response

    async with server(handle) as url:
        # a name, because cookies of bare addresses are not kept anyway
        binance = Binance(url.replace("127.0.0.1", "localhost"), Clock(), paced=False)
        for _ in range(2):
            await binance.server_time()
        await binance.close()
        _GATES.pop(url.replace("127.0.0.1", "localhost"), None)
    assert seen == [None, None]


async def test_a_frame_beyond_every_size_is_not_taken_in_and_ends_the_line() -> None:
    """One byte above the bound: whatever stands in it is not heard, and the next connection is made."""

    async def huge(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)
        frame = json.dumps(event("executionReport", s="BTCUSDT"))
        await socket.send_str(frame + " " * (FRAME_MOST + 1 - len(frame)))
        await answer_pings(socket)

    async with misbehaving(huge) as (url, _), listener(url) as ears:
        await ears.until(lambda: ears.connections >= 3)
        assert ears.heard == []
