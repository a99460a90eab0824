"""What the REST face answers, good and bad, by the exchange's own codes."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal

import pytest

from core.sim.exchange.auth import signed_text
from tests.sim.exchange.exchange_rig import HOUR_MS, KEY, SECRET, served

BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
START_MS = 1_704_067_200_000


async def price(plain, share="1"):
    last = Decimal((await plain.get("/api/v3/ticker/price", symbol="BTCUSDT"))["price"])
    return f"{last * Decimal(share):.2f}"


async def test_time_stands_still_in_lock_step_and_every_reading_is_the_same():
    """Between two advances the exchange is one picture."""
    async with served() as (exchange, plain):
        paths = ["/api/v3/time", "/api/v3/ticker/24hr", "/api/v3/ticker/bookTicker", "/sim/v1/state"]
        first = [await plain.get(path) for path in paths]
        assert first == [await plain.get(path) for path in paths]
        assert first[0] == {"serverTime": START_MS}
        exchange.advance()
        assert await plain.get("/api/v3/time") == {"serverTime": START_MS + HOUR_MS}


async def test_the_last_candle_is_not_finished():
    """The newest candle has only just begun: nothing of its future can be seen in it."""
    async with served() as (exchange, plain):
        *closed, running = await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=3)
        assert [k[0] for k in closed] == [START_MS - 2 * HOUR_MS, START_MS - HOUR_MS]
        assert running[0] == START_MS
        assert running[1:6] == [closed[-1][4]] * 4 + ["0.00000000"]
        exchange.advance()
        became = await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=2)
        assert became[0][0] == START_MS
        assert became[0][5] != "0.00000000"


async def test_candles_are_found_by_time_and_added_up():
    """startTime, endTime and limit as documented, and a day is its hours."""
    async with served() as (_, plain):
        day = START_MS - 24 * HOUR_MS
        hours = await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", startTime=day, limit=24)
        assert [k[0] for k in hours] == [day + i * HOUR_MS for i in range(24)]
        upto = await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", endTime=day, limit=2)
        assert [k[0] for k in upto] == [day - HOUR_MS, day]
        whole = (await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1d", startTime=day, limit=1))[0]
        assert (whole[1], whole[4]) == (hours[0][1], hours[-1][4])
        assert Decimal(whole[2]) == max(Decimal(k[2]) for k in hours)
        assert abs(Decimal(whole[5]) - sum(Decimal(k[5]) for k in hours)) < Decimal("0.0001")
        fine = await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="5m", startTime=day, limit=12)
        assert (fine[0][1], fine[-1][4]) == (hours[0][1], hours[0][4])
        assert await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", startTime=START_MS + HOUR_MS) == []


async def test_recent_trades_end_at_the_last_price():
    """The market's last trade is its last price."""
    async with served() as (_, plain):
        trades = await plain.get("/api/v3/trades", symbol="BTCUSDT", limit=5)
        last = await plain.get("/api/v3/ticker/price", symbol="BTCUSDT")
        assert [t["time"] for t in trades] == sorted(t["time"] for t in trades)
        assert trades[-1]["price"] == last["price"]


async def test_taking_from_the_book_costs_what_the_matching_charges():
    """The book shown is the book met: walking it gives nearly the price of the fill."""
    async with served() as (_, plain):
        book = await plain.get("/api/v3/depth", symbol="BTCUSDT", limit=100)
        qty = sum(Decimal(q) for _, q in book["asks"][:10])
        walked = sum(Decimal(p) * Decimal(q) for p, q in book["asks"][:10]) / qty
        _, _, answer = await plain.signed("POST", "/api/v3/order", **{**BUY, "quantity": "0.05"})
        paid = Decimal(answer["cummulativeQuoteQty"]) / Decimal(answer["executedQty"])
        best = Decimal(book["asks"][0][0])
        assert best <= paid < best * Decimal("1.001")
        assert walked < best * Decimal("1.01")


async def test_an_order_answers_as_short_as_asked():
    """ACK, RESULT and FULL, by request or by the order's type."""
    async with served() as (_, plain):
        answers = {}
        for kind in ("ACK", "RESULT", "FULL"):
            _, headers, answers[kind] = await plain.signed("POST", "/api/v3/order", **BUY, newOrderRespType=kind)
        assert set(answers["ACK"]) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
        assert answers["RESULT"]["status"] == "FILLED"
        assert "fills" not in answers["RESULT"]
        fill = answers["FULL"]["fills"][0]
        assert (fill["qty"], fill["commission"], fill["commissionAsset"]) == ("0.01000000", "0.00001000", "BTC")
        assert headers["X-MBX-ORDER-COUNT-10S"] == "3"


async def test_a_test_order_is_checked_and_not_placed():
    """order/test says whether it would do, and does nothing."""
    async with served() as (exchange, plain):
        assert (await plain.signed("POST", "/api/v3/order/test", **BUY))[2] == {}
        refused = await plain.error("POST", "/api/v3/order/test", **{**BUY, "quantity": "900"})
        assert refused[:2] == (400, -1013)
        assert not exchange.history.orders
        assert exchange.venue.next_order_id == 1


async def test_spending_an_amount_of_quote_buys_what_it_pays_for():
    """quoteOrderQty spends at most that much."""
    async with served() as (exchange, plain):
        asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "1000"}
        _, _, answer = await plain.signed("POST", "/api/v3/order", **asked)
        assert 990 < Decimal(answer["cummulativeQuoteQty"]) <= 1000
        assert Decimal(99_000) <= exchange.totals()["USDT"] < Decimal(99_010)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"symbol": ""}, -1102),
        ({"quantity": ""}, -1102),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0.010000001"}, -1111),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP_LOSS"}, -1116),
        ({"timeInForce": "GTD"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"price": ""}, -1102),
        ({"price": "0.001"}, -1013),
        ({"quantity": "0.000001"}, -1013),
        ({"stopPrice": "1"}, -1106),
        ({"newClientOrderId": "no spaces"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
    ],
)
async def test_a_wrong_order_gets_the_exchanges_own_code(change, code):
    """Every mistake has its number, and none of them places an order."""
    async with served() as (exchange, plain):
        asked = {**LIMIT, "price": await price(plain, "0.9"), **change}
        assert (await plain.error("POST", "/api/v3/order", **asked))[:2] == (400, code)
        assert not exchange.history.orders


async def test_filters_and_refusals_carry_the_exchanges_words():
    """Clients read the sentence too."""
    async with served() as (_, plain):
        low, high = await price(plain, "0.9"), await price(plain, "1.1")
        cases = [
            ({**LIMIT, "price": low, "quantity": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
            ({**LIMIT, "price": await price(plain, "6")}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
            (
                {**LIMIT, "price": low, "quantity": "90"},
                -2010,
                "Account has insufficient balance for requested action.",
            ),
            ({**_maker(high)}, -2010, "Order would immediately match and take."),
            ({**_stop(low, high)}, -2010, "Stop price would trigger immediately."),
        ]
        for asked, code, words in cases:
            assert await plain.error("POST", "/api/v3/order", **asked) == (400, code, words)


def _maker(high):
    return {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.01", "price": high}


def _stop(low, high):
    return {**LIMIT, "type": "STOP_LOSS_LIMIT", "price": high, "stopPrice": low}


async def test_only_the_key_with_its_signature_may_ask():
    """Key format, key, signature: each wrong one has its own code."""
    async with served() as (_, plain):
        path = "/api/v3/account"
        status, _, body = await plain.ask("GET", path, timestamp=1, signature="x")
        assert (status, body["code"]) == (401, -2014)
        assert (await plain.signed("GET", path, key="FAKE-KEY-of-another"))[2]["code"] == -2015
        assert (await plain.signed("GET", path, secret="FAKE-SECRET-wrong"))[2]["code"] == -1022
        assert (await plain.ask("GET", path, key=KEY, timestamp=1))[2]["code"] == -1022
        assert (await plain.signed("GET", path, timestamp=""))[2]["code"] == -1102
        assert (await plain.signed("GET", path))[0] == 200


async def test_at_the_walls_own_speed_request_times_are_checked():
    """Too early, too late, too wide a window: refused; within it: answered."""
    async with served(speed=1) as (exchange, plain):
        now = exchange.now_ms()
        assert await plain.error("GET", "/api/v3/account", timestamp=now + 60_000) == (
            400,
            -1021,
            "Timestamp for this request was 1000ms ahead of the server's time.",
        )
        assert await plain.error("GET", "/api/v3/account", timestamp=now - 60_000) == (
            400,
            -1021,
            "Timestamp for this request is outside of the recvWindow.",
        )
        assert (await plain.error("GET", "/api/v3/account", timestamp=now, recvWindow=60_001))[1] == -1131
        assert (await plain.signed("GET", "/api/v3/account", timestamp=exchange.now_ms()))[0] == 200


async def test_used_weight_is_shown_and_too_much_of_it_is_refused():
    """Every answer tells the weight used; over the limit it is 429 with the seconds to wait."""
    async with served(speed=1) as (_, plain):
        _, headers, _ = await plain.ask("GET", "/api/v3/exchangeInfo")
        assert headers["X-MBX-USED-WEIGHT-1M"] == "20"
        for _ in range(300):
            status, headers, body = await plain.ask("GET", "/api/v3/exchangeInfo")
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(headers["Retry-After"]) <= 60


async def test_orders_are_found_by_id_by_name_and_by_time():
    """allOrders, openOrders and myTrades page the way clients expect."""
    async with served() as (exchange, plain):
        for _ in range(3):
            await plain.signed("POST", "/api/v3/order", **BUY)
            exchange.advance()
        await plain.signed("POST", "/api/v3/order", **LIMIT, price=await price(plain, "0.5"), newClientOrderId="rest")
        by_name = (await plain.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="rest"))[2]
        by_id = (await plain.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=by_name["orderId"]))[2]
        assert by_name == by_id
        assert (await plain.error("GET", "/api/v3/order", symbol="BTCUSDT"))[1] == -1102
        everything = (await plain.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT"))[2]
        assert [o["orderId"] for o in everything] == [1, 2, 3, 4]
        assert [o["orderId"] for o in (await plain.signed("GET", "/api/v3/openOrders"))[2]] == [4]
        trades = (await plain.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=2, limit=1))[2]
        assert [t["id"] for t in trades] == [2]
        assert len((await plain.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", startTime=START_MS + 1))[2]) == 2
        assert len((await plain.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=3))[2]) == 1
        assert (await plain.signed("GET", "/api/v3/myTrades", symbol="ETHUSDT"))[2] == []
        assert len((await plain.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT"))[2]) == 1
        assert (await plain.error("DELETE", "/api/v3/openOrders", symbol="BTCUSDT"))[1] == -2011


async def test_a_chain_of_orders_is_placed_shown_and_cancelled():
    """OTOCO: the entry fills, the pair comes alive, cancelling one leg ends the list."""
    async with served() as (exchange, plain):
        asked = {
            "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC",
            "workingPrice": await price(plain, "1.01"), "workingQuantity": "0.1", "pendingSide": "SELL",
            "pendingQuantity": "0.0999", "pendingAboveType": "LIMIT_MAKER",
            "pendingAbovePrice": await price(plain, "1.2"),
            "pendingBelowType": "STOP_LOSS_LIMIT", "pendingBelowStopPrice": await price(plain, "0.8"),
            "pendingBelowPrice": await price(plain, "0.75"), "pendingBelowTimeInForce": "GTC",
            "listClientOrderId": "chain",
        }  # fmt: skip
        _, _, answer = await plain.signed("POST", "/api/v3/orderList/otoco", **asked)
        assert [r["status"] for r in answer["orderReports"]] == ["FILLED", "NEW", "NEW"]
        shown = (await plain.signed("GET", "/api/v3/orderList", origClientOrderId="chain"))[2]
        assert (shown["contingencyType"], shown["listOrderStatus"]) == ("OTO", "EXECUTING")
        assert [x["orderListId"] for x in (await plain.signed("GET", "/api/v3/openOrderList"))[2]] == [1]
        leg = answer["orderReports"][2]["clientOrderId"]
        ended = (await plain.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=leg))[2]
        assert ended["listOrderStatus"] == "ALL_DONE"
        assert (await plain.error("DELETE", "/api/v3/orderList", symbol="BTCUSDT", orderListId=1))[1] == -2011
        assert (await plain.error("GET", "/api/v3/orderList", orderListId=9))[1] == -2018
        assert exchange.venue.balances["BTC"].locked == 0


async def test_a_single_pending_order_is_placed_too():
    """OTO: one order places one other."""
    async with served() as (_, plain):
        asked = {
            "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC",
            "workingPrice": await price(plain, "0.9"), "workingQuantity": "0.1", "pendingType": "LIMIT",
            "pendingSide": "SELL", "pendingQuantity": "0.09", "pendingPrice": await price(plain, "1.2"),
            "pendingTimeInForce": "GTC",
        }  # fmt: skip
        _, _, answer = await plain.signed("POST", "/api/v3/orderList/oto", **asked)
        assert [r["status"] for r in answer["orderReports"]] == ["NEW", "PENDING_NEW"]
        wrong = {**asked, "workingType": "MARKET"}
        assert (await plain.error("POST", "/api/v3/orderList/oto", **wrong))[1] in (-1106, -1116)


async def test_advancing_by_hand_works_in_lock_step_only():
    """The clock of a running exchange is not anybody's to turn."""
    async with served() as (_, plain):
        assert (await plain.ask("POST", "/sim/v1/advance", bars=3))[2] == {"time": START_MS + 3 * HOUR_MS}
    async with served(speed=60) as (_, plain):
        assert (await plain.ask("POST", "/sim/v1/advance"))[0] == 400


async def test_an_unknown_path_or_symbol_is_told_so():
    """404 for what is not there, -1121 for a symbol that is not traded."""
    async with served() as (_, plain):
        assert (await plain.ask("GET", "/api/v3/nothing"))[0] == 404
        assert (await plain.ask("GET", "/api/v3/klines", symbol="NOPE", interval="1h"))[2]["code"] == -1121
        assert (await plain.ask("GET", "/api/v3/klines", symbol="BTCUSDT", interval="7h"))[2]["code"] == -1120
        assert (await plain.ask("GET", "/api/v3/exchangeInfo", symbols="[oops"))[2]["code"] == -1100


def test_the_signature_covers_query_and_body_as_sent():
    """Whatever the place of the parameters, what was signed is what is checked."""
    whole = "symbol=BTCUSDT&timestamp=1"
    signature = hmac.new(SECRET.encode(), whole.encode(), hashlib.sha256).hexdigest()
    assert signed_text(f"{whole}&signature={signature}", "") == (whole, signature)
    assert signed_text("", f"{whole}&signature={signature}") == (whole, signature)
    assert signed_text("symbol=BTCUSDT", f"&timestamp=1&signature={signature}")[1] == signature
