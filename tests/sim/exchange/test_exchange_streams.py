"""What the streams say: market data by WebSocket, our account by the WebSocket API."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager

import pytest

from core.sim.exchange.streams import QUEUE_MOST, Pipe
from tests.sim.exchange.exchange_rig import HOUR_MS, KEY, SECRET, served

START_MS = 1_704_067_200_000


@asynccontextmanager
async def connected(plain, path):
    """A WebSocket and a function that reads its next JSON message."""

    async def read():
        async with asyncio.timeout(5):
            return json.loads((await socket.receive()).data)

    async with plain.session.ws_connect(plain.url.replace("http", "ws") + path) as socket:
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 0})
        await read()  # the answer proves that the connection is being served
        yield socket, read


async def test_a_closed_candle_is_told_once_and_then_the_running_one():
    """kline: the bar that ended, marked closed and equal to the REST candle, then the one that began."""
    async with served() as (exchange, plain), connected(plain, "/ws/btcusdt@kline_1h") as (_, read):
        exchange.advance()
        ended, running = await read(), await read()
        assert (ended["e"], ended["k"]["t"], ended["k"]["x"]) == ("kline", START_MS, True)
        assert (running["k"]["t"], running["k"]["x"]) == (START_MS + HOUR_MS, False)
        candle = (await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=2))[0]
        assert [ended["k"][name] for name in "ohlcv"] == candle[1:6]


async def test_combined_streams_name_the_stream_of_each_event():
    """/stream wraps each event with its stream's name, for every kind there is."""
    kinds = ["miniTicker", "ticker", "bookTicker", "depth", "depth5", "trade", "depth10@100ms"]
    names = [f"ethusdt@{kind}" for kind in kinds]
    async with served() as (exchange, plain), connected(plain, f"/stream?streams={'/'.join(names)}") as (_, read):
        exchange.advance()
        seen = {}
        while len(seen) < len(names):
            message = await read()
            seen.setdefault(message["stream"], message["data"])
        last = (await plain.get("/api/v3/ticker/price", symbol="ETHUSDT"))["price"]
        assert seen["ethusdt@miniTicker"]["c"] == last
        assert seen["ethusdt@ticker"]["c"] == last
        assert len(seen["ethusdt@depth5"]["bids"]) == 5
        assert len(seen["ethusdt@depth10@100ms"]["asks"]) == 10
        best = await plain.get("/api/v3/ticker/bookTicker", symbol="ETHUSDT")
        assert (seen["ethusdt@bookTicker"]["b"], seen["ethusdt@bookTicker"]["a"]) == (
            best["bidPrice"],
            best["askPrice"],
        )


async def test_the_markets_trades_walk_through_the_bar():
    """trade: one a step, and the last of them is the bar's close."""
    async with served() as (exchange, plain), connected(plain, "/ws/btcusdt@trade") as (_, read):
        exchange.advance()
        prices = [(await read())["p"] for _ in range(12)]
        candle = (await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=2))[0]
        assert prices[-1] == candle[4]


async def test_a_book_kept_from_a_snapshot_and_its_changes_stays_the_book():
    """depth: without a gap in the ids, and applied to a snapshot it gives the next snapshot."""
    async with served() as (exchange, plain), connected(plain, "/ws/btcusdt@depth") as (_, read):
        snapshot = await plain.get("/api/v3/depth", symbol="BTCUSDT", limit=100)
        book = {side: dict(snapshot[name]) for side, name in (("b", "bids"), ("a", "asks"))}
        last_id = snapshot["lastUpdateId"]
        for _ in range(3):
            exchange.advance()
            change = await read()
            assert change["U"] == last_id + 1
            last_id = change["u"]
            for side in "ba":
                book[side].update(change[side])
        fresh = await plain.get("/api/v3/depth", symbol="BTCUSDT", limit=100)
        assert last_id == fresh["lastUpdateId"]
        for side, name in (("b", "bids"), ("a", "asks")):
            assert {p: q for p, q in book[side].items() if float(q)} == dict(fresh[name])


async def test_streams_are_chosen_while_connected():
    """SUBSCRIBE, LIST_SUBSCRIPTIONS, UNSUBSCRIBE answer with the id they were asked with; nonsense gets an error."""
    async with served() as (_, plain), connected(plain, "/stream/ws") as (socket, read):

        async def say(method, *params):
            await socket.send_json({"method": method, "params": list(params), "id": 7})
            return await read()

        assert await say("SUBSCRIBE", "btcusdt@trade", "nope@trade", "btcusdt@nope") == {"result": None, "id": 7}
        assert (await say("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade"]
        await say("UNSUBSCRIBE", "btcusdt@trade")
        assert (await say("LIST_SUBSCRIPTIONS"))["result"] == []
        assert (await say("DANCE"))["error"]["code"] == 2
        await socket.send_str("{not json")
        assert (await read())["error"]["code"] == 3


async def test_a_client_that_does_not_read_is_cut_off():
    """A full queue ends that connection instead of growing without bound."""
    pipe = Pipe(socket=None, wrapped=False)
    for _ in range(QUEUE_MOST + 1):
        pipe.push(b"{}")
    assert pipe.waiting.qsize() == 1
    assert pipe.waiting.get_nowait() is None


def signed_params(secret=SECRET):
    text = f"apiKey={KEY}&timestamp=1"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"apiKey": KEY, "timestamp": 1, "signature": signature}


@asynccontextmanager
async def user_stream(plain):
    """A subscribed user stream and its reader."""
    async with connected(plain, "/ws-api/v3") as (socket, read):
        await socket.send_json({"id": "s", "method": "userDataStream.subscribe.signature", "params": signed_params()})
        answer = await read()
        assert (answer["status"], answer["result"]) == (200, {"subscriptionId": 0})
        yield socket, read


async def test_our_orders_are_told_as_they_happen():
    """executionReport for the order and its fill, then the balances they left."""
    async with served() as (_, plain), user_stream(plain) as (_, read):
        await plain.signed(
            "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01", newClientOrderId="m"
        )
        events = [(await read())["event"] for _ in range(3)]
        assert [(e["e"], e.get("x"), e.get("X")) for e in events] == [
            ("executionReport", "NEW", "NEW"),
            ("executionReport", "TRADE", "FILLED"),
            ("outboundAccountPosition", None, None),
        ]
        assert (events[1]["c"], events[1]["l"], events[1]["n"], events[1]["N"]) == (
            "m",
            "0.01000000",
            "0.00001000",
            "BTC",
        )
        assert {b["a"]: b["f"] for b in events[2]["B"]}["BTC"] == "0.00999000"


async def test_a_pair_that_ends_is_told_with_its_list():
    """listStatus when the list begins and when it is done, the legs' ends between them."""
    async with served() as (exchange, plain), user_stream(plain) as (_, read):
        await plain.signed("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.1")
        last = float((await plain.get("/api/v3/ticker/price", symbol="BTCUSDT"))["price"])
        await plain.signed(
            "POST",
            "/api/v3/orderList/oco",
            symbol="BTCUSDT",
            side="SELL",
            quantity="0.09",
            aboveType="LIMIT_MAKER",
            abovePrice=f"{last * 1.01:.2f}",
            belowType="STOP_LOSS_LIMIT",
            belowStopPrice=f"{last * 0.99:.2f}",
            belowPrice=f"{last * 0.9:.2f}",
            belowTimeInForce="GTC",
        )
        while exchange.venue.open:
            exchange.advance()
        seen = []
        while ("listStatus", "ALL_DONE") not in seen:
            event = (await read())["event"]
            seen.append((event["e"], event.get("X") or event.get("L")))
        assert ("listStatus", "EXECUTING") in seen
        assert ("executionReport", "FILLED") in seen
        assert ("executionReport", "EXPIRED") in seen


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -2014),
        ({"apiKey": "FAKE-KEY-of-another", "timestamp": 1, "signature": "x"}, -2015),
        (signed_params("FAKE-SECRET-wrong"), -1022),
    ],
)
async def test_the_user_stream_wants_a_signature(params, code):
    """Nobody else's ears: a wrong key or signature is refused by its code."""
    async with served() as (_, plain), connected(plain, "/ws-api/v3") as (socket, read):
        await socket.send_json({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
        assert (await read())["error"]["code"] == code


async def test_the_websocket_api_answers_time_and_silence_after_unsubscribing():
    """time answers; after unsubscribe nothing more is told."""
    async with served() as (_, plain), user_stream(plain) as (socket, read):
        await socket.send_json({"id": 2, "method": "time"})
        assert (await read())["result"] == {"serverTime": START_MS}
        await socket.send_json({"id": 3, "method": "userDataStream.unsubscribe"})
        assert (await read())["status"] == 200
        await plain.signed("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        await socket.send_json({"id": 4, "method": "ping"})
        assert (await read())["id"] == 4
        await socket.send_json({"id": 5, "method": "dance"})
        assert (await read())["status"] == 404
