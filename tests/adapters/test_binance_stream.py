"""The stream of our orders against the simulated exchange, and against a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from core.adapters.binance import Binance
from core.adapters.binance_gate import _GATES
from core.adapters.binance_stream import Pace
from core.domain.errors import NeedsOwner, RetryLater
from core.domain.orders import Order, OrderKind, Purpose, Side
from core.sim.exchange.server import listening
from tests.adapters.stream_rig import (
    FAST,
    KEY,
    SECRET,
    WAIT_S,
    WELCOME,
    Clock,
    answer_pings,
    banned_for,
    event,
    listener,
    misbehaving,
    sim_exchange,
    until,
)


async def test_an_order_of_ours_is_heard_with_its_symbol_and_only_so() -> None:
    """Placed by whomever: one look at its symbol; the balances that come along ask for no look at everything."""
    exchange = sim_exchange()
    async with listening(exchange) as url, listener(url, Pace()) as ears:
        await ears.until(lambda: ears.connections == 1)
        binance = Binance(url, Clock(), KEY, SECRET, paced=False)
        rules = (await binance.instruments(["BTCUSDT"]))["BTCUSDT"]
        qty = rules.floor_qty(1000 / (await binance.quotes(["BTCUSDT"]))["BTCUSDT"].ask)
        order = Order("fm-1-e", "BTCUSDT", Side.BUY, OrderKind.MARKET, Purpose.ENTRY, qty, datetime.now(UTC))
        await binance.submit(order)
        await ears.until(lambda: "BTCUSDT" in ears.heard)
        await binance.close()
        assert (ears.connections, set(ears.heard)) == (1, {"BTCUSDT"})


async def test_a_line_that_is_cut_is_made_again_and_told_each_time() -> None:
    """Each new subscription is a reason to compare everything: events in between are lost."""

    async def cut(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)

    async with misbehaving(cut) as (url, asked), listener(url) as ears:
        await ears.until(lambda: ears.connections >= 4)
        assert len(asked) >= 4


async def test_an_exchange_that_goes_away_and_comes_back_is_found_again() -> None:
    """Nobody has to restart us because the exchange did."""
    async with AsyncExitStack() as whole:
        async with listening(sim_exchange()) as url:
            ears = await whole.enter_async_context(listener(url))
            await ears.until(lambda: ears.connections == 1)
        await whole.enter_async_context(listening(sim_exchange(), int(url.rpartition(":")[2])))
        await ears.until(lambda: ears.connections == 2)


async def test_a_line_on_which_nothing_answers_is_given_up() -> None:
    """Connected and dead is the usual way a stream fails."""

    async def mute(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)
        await asyncio.sleep(WAIT_S)

    async with misbehaving(mute) as (url, _), listener(url) as ears:
        await ears.until(lambda: ears.connections >= 2)


async def test_a_quiet_line_that_answers_its_pings_is_kept() -> None:
    """No trade for an hour is no reason to connect again."""

    async def quiet(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)
        answers = 0
        async for message in socket:
            answers += 1
            await socket.send_json({"id": json.loads(message.data)["id"], "status": 200, "result": {}})
            if answers == 12:  # twice as long as the silence that would end it
                await socket.send_json(event("executionReport", s="BTCUSDT"))

    async with misbehaving(quiet) as (url, _), listener(url) as ears:
        await ears.until(lambda: ears.heard == ["BTCUSDT"])
        assert ears.connections == 1


@pytest.mark.parametrize(
    ("frame", "heard"),
    [
        (json.dumps(event("executionReport", s="ETHUSDT", S="BUY")), "ETHUSDT"),
        (json.dumps(event("listStatus", s="BTCUSDT")), "BTCUSDT"),
        (json.dumps({"e": "executionReport", "s": "SOLUSDT"}), "SOLUSDT"),
        (json.dumps(event("balanceUpdate", a="BTC", d="1")), ""),
        (json.dumps(event("balanceUpdate", a="BTC")), ""),
        (json.dumps(event("executionReport")), ""),
        (json.dumps(event("executionReport", s=7)), ""),
        ("not JSON at all", ""),
        ('{"half":', ""),
        ("[1, 2]", ""),
        ("[" * 50_000, ""),
        ('{"event": "text"}', ""),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_every_frame_is_heard_and_garbage_means_look_everywhere(frame: str, heard: str) -> None:
    """What cannot be read may have been an event: one look too many harms nobody."""

    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)
        await socket.send_str(frame)
        await answer_pings(socket)

    async with misbehaving(talk) as (url, _), listener(url) as ears:
        await ears.until(lambda: bool(ears.heard))
        assert (ears.heard, ears.connections) == ([heard], 1)


async def test_bytes_and_pings_of_the_server_do_no_harm() -> None:
    """The other kinds of frame a WebSocket knows."""

    async def odd(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)
        await socket.ping(b"1700000000000")
        await socket.send_bytes(b"\x00\xff")
        await socket.send_json(event("executionReport", s="BTCUSDT"))
        await answer_pings(socket)

    async with misbehaving(odd) as (url, _), listener(url) as ears:
        await ears.until(lambda: "BTCUSDT" in ears.heard)
        assert (ears.heard, ears.connections) == (["", "BTCUSDT"], 1)


async def test_a_stream_the_exchange_ends_on_purpose_is_asked_for_again() -> None:
    """Once a day, and whenever it moves house."""

    async def ended(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)
        if number == 1:
            await socket.send_json(event("eventStreamTerminated"))
        await answer_pings(socket)

    async with misbehaving(ended) as (url, _), listener(url) as ears:
        await ears.until(lambda: ears.connections == 2)


async def test_a_refused_key_is_told_and_tried_again_slowly_without_a_secret_in_the_log() -> None:
    """The owner must act; until then nothing is hammered and nothing leaks."""
    slow = replace(FAST, refused_s=1000.0)
    with capture_logs() as lines:
        async with listening(sim_exchange()) as url, listener(url, slow, secret="FAKE-WRONG-SECRET") as ears:
            await until(lambda: any(line["log_level"] == "error" for line in lines))
            await asyncio.sleep(0.3)  # many times the wait after any other failure
            assert ears.connections == 0
    assert [line["next_try_s"] for line in lines if line["log_level"] == "error"] == [1000.0]
    assert not any(secret in repr(lines) for secret in (KEY, "FAKE-WRONG-SECRET", "signature="))


async def test_a_key_that_is_put_right_is_taken_at_the_next_try() -> None:
    """Nobody has to restart us for it."""
    exchange = sim_exchange()
    right, exchange.keys = exchange.keys, {}
    with capture_logs() as lines:
        async with listening(exchange) as url, listener(url) as ears:
            await until(lambda: any(line["log_level"] == "error" for line in lines))
            exchange.keys = right
            await ears.until(lambda: ears.connections == 1)


async def test_a_wrong_clock_is_learned_and_the_next_try_passes() -> None:
    """Ten minutes fast: refused, compared with the exchange's, and taken."""
    exchange = sim_exchange()
    async with listening(exchange) as url, listener(url, clock=Clock(timedelta(minutes=10))) as ears:
        await ears.until(lambda: ears.connections == 1)


async def test_a_ban_of_the_stream_is_one_for_every_call_of_the_process() -> None:
    """It is the address that is banned, whichever door it knocked at."""

    async def ban(socket: web.WebSocketResponse, number: int) -> None:
        data = {"serverTime": 1_700_000_000_000, "retryAfter": 1_700_000_090_000}
        error = {"code": -1003, "msg": "Way too much request weight used", "data": data}
        await socket.send_json({"id": "hello", "status": 418, "error": error})

    async with misbehaving(ban) as (url, asked), listener(url):
        await until(lambda: banned_for(url) > 80)
        binance = Binance(url, Clock(), KEY, SECRET, paced=False)
        with pytest.raises(RetryLater) as later:
            await binance.balances()
        await binance.close()
        assert 80 < later.value.retry_after_s <= 90
        assert len(asked) == 1


@pytest.mark.parametrize("status", [429, 418])
async def test_a_handshake_that_is_refused_for_its_number_shuts_the_gate_too(status: int) -> None:
    """Too many connections count like too many requests."""
    knocks = 0

    async def refuse(request: web.Request) -> web.StreamResponse:
        nonlocal knocks
        knocks += 1
        return web.Response(status=status, headers={"Retry-After": "120"})

    app = web.Application()
    app.router.add_get("/ws-api/v3", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with listener(url):
        await until(lambda: banned_for(url) > 100)
    await runner.cleanup()
    _GATES.pop(url, None)
    assert knocks == 1


async def test_a_server_that_is_not_there_does_not_end_the_stream() -> None:
    """The network is down at the start, too."""
    with capture_logs() as lines:
        async with listener("http://127.0.0.1:9") as ears:
            await asyncio.sleep(0.3)
            assert ears.connections == 0
    assert 1 <= len(lines) <= 2, "one line for a streak, not one a try"


async def test_what_is_asked_is_signed_over_its_sorted_parameters() -> None:
    """With the exchange's time and nothing that is not needed."""

    async def welcome(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(WELCOME)
        await answer_pings(socket)

    async with misbehaving(welcome) as (url, asked), listener(url) as ears:
        await ears.until(lambda: ears.connections == 1)
    params = asked[0]["params"]
    assert asked[0]["method"] == "userDataStream.subscribe.signature"
    assert isinstance(params, dict)
    assert list(params) == ["apiKey", "recvWindow", "timestamp", "signature"]


async def test_without_a_key_there_is_no_stream() -> None:
    """Refused before any connection is made."""
    binance = Binance("http://127.0.0.1:9", Clock(), paced=False)
    with pytest.raises(NeedsOwner):
        binance.stream("ws://127.0.0.1:9/ws-api/v3")
    await binance.close()
