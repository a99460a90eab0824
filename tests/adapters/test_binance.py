"""Market data and orders through ccxt against a loopback server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.binance import Binance
from core.domain.errors import BadData, OutcomeUnknown, Refused
from core.domain.market import from_ms, to_ms
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side, Tif
from tests.adapters.scripted_exchange import Said, ScriptedExchange, StandingClock, scripted_exchange

HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
OPEN_MS = to_ms(NOW.replace(minute=0, second=0))


@pytest.fixture
async def server() -> AsyncIterator[ScriptedExchange]:
    """A scripted exchange whose clock stands at 22:13:20."""
    async with scripted_exchange() as exchange:
        exchange.answer("GET time", Said({"serverTime": to_ms(NOW)}))
        yield exchange


@pytest.fixture
async def binance(server: ScriptedExchange) -> AsyncIterator[Binance]:
    """The adapter, pointed at it, with a clock that agrees."""
    adapter = Binance(server.url, StandingClock(NOW), "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests", paced=False)
    yield adapter
    await adapter.close()


def kline(open_ms: int, close: str = "101.5", **changes: object) -> list[object]:
    """One row as /klines has it."""
    named = {"open": "100.10", "high": "102", "low": "99.99999999", "volume": "0.12345678", **changes}
    tail = [open_ms + HOUR_MS - 1, "0", 1, "0", "0", "0"]
    return [open_ms, named["open"], named["high"], named["low"], close, named["volume"], *tail]


def row(client_id: str, order_id: int, **changes: object) -> dict[str, object]:
    """An order as the exchange shows it."""
    base = {"symbol": "BTCUSDT", "clientOrderId": client_id, "orderId": order_id, "orderListId": -1}
    return {**base, "status": "NEW", "executedQty": "0.00000000", **changes}


def order(kind: OrderKind = OrderKind.LIMIT, **changes: object) -> Order:
    """An order of ours."""
    made = Order("fm-1-e", "BTCUSDT", Side.BUY, kind, Purpose.ENTRY, Decimal("0.00001"), NOW, Decimal("30000.10"))
    return replace(made, **changes)  # type: ignore[arg-type]


def pair(side: Side = Side.SELL) -> tuple[Order, Order]:
    """A stop and a target around a position."""
    stop = order(OrderKind.STOP_LOSS_LIMIT, client_id="fm-1-s", side=side, stop_price=Decimal("29000"))
    return stop, order(OrderKind.LIMIT_MAKER, client_id="fm-1-t", side=side, price=Decimal("32000"))


async def test_the_unfinished_candle_is_dropped(server: ScriptedExchange, binance: Binance) -> None:
    """Nothing is ever decided on a bar that may still change."""
    server.answer("GET klines", Said([kline(OPEN_MS - HOUR_MS), kline(OPEN_MS)]))
    bars = await binance.bars("BTCUSDT", HOUR, None, 1)
    assert [bar.open_at for bar in bars] == [from_ms(OPEN_MS - HOUR_MS)]


async def test_a_closed_candle_at_the_end_is_kept(server: ScriptedExchange, binance: Binance) -> None:
    """No trade in the new hour yet: the last candle is complete, and the exchange's clock proves it."""
    server.answer("GET klines", Said([kline(OPEN_MS - 2 * HOUR_MS), kline(OPEN_MS - HOUR_MS)]))
    assert len(await binance.bars("BTCUSDT", HOUR, None, 10)) == 2


async def test_a_candle_closed_by_our_clock_alone_is_not_trusted(server: ScriptedExchange, binance: Binance) -> None:
    """Our clock runs two hours fast: the exchange's own time decides."""
    fast = Binance(server.url, StandingClock(NOW + 2 * HOUR), paced=False)
    server.answer("GET klines", Said([kline(OPEN_MS - HOUR_MS), kline(OPEN_MS)]))
    assert [bar.open_at for bar in await fast.bars("BTCUSDT", HOUR, None, 10)] == [from_ms(OPEN_MS - HOUR_MS)]
    await fast.close()


async def test_a_candle_is_closed_once_the_next_one_exists(server: ScriptedExchange, binance: Binance) -> None:
    """Our clock is slow, but the exchange shows the next hour: the one before is complete."""
    server.answer("GET klines", Said([kline(OPEN_MS), kline(OPEN_MS + HOUR_MS)]))
    assert len(await binance.bars("BTCUSDT", HOUR, None, 10)) == 1


async def test_the_time_is_asked_once_for_all_symbols_of_one_close(server: ScriptedExchange, binance: Binance) -> None:
    """Twenty symbols cost twenty-one requests, not forty."""
    server.answer("GET klines", Said([kline(OPEN_MS - HOUR_MS), kline(OPEN_MS)]))
    for _ in range(5):
        await binance.bars("BTCUSDT", HOUR, None, 1)
    assert (server.count("GET time"), server.count("GET klines")) == (1, 5)
    assert server.last("GET klines")["limit"] == "2"


async def test_prices_keep_every_digit_even_where_a_server_sends_bare_numbers(
    server: ScriptedExchange, binance: Binance
) -> None:
    """0.1 stays 0.1; no float ever stood between."""
    text = json.dumps([kline(OPEN_MS - HOUR_MS)]).replace('"0.12345678"', "123456789.123456789012345678")
    server.answer("GET klines", Said(text))
    bar = (await binance.bars("BTCUSDT", HOUR, None, 10))[0]
    assert (str(bar.open), str(bar.low), str(bar.volume)) == ("100.10", "99.99999999", "123456789.123456789012345678")


@pytest.mark.parametrize(
    "rows",
    [
        [kline(OPEN_MS - HOUR_MS, high="1")],
        [kline(OPEN_MS - HOUR_MS, open="NaN")],
        [kline(OPEN_MS - HOUR_MS, volume="-1")],
        [kline(OPEN_MS - HOUR_MS), kline(OPEN_MS - 2 * HOUR_MS)],
        [kline(OPEN_MS - HOUR_MS), kline(OPEN_MS - HOUR_MS)],
        [[OPEN_MS - HOUR_MS, "1"]],
        [[True, "1", "1", "1", "1", "1"]],
        {"not": "bars"},
    ],
    ids=lambda rows: str(rows)[:40],
)
async def test_bars_that_cannot_be_are_refused(rows: object, server: ScriptedExchange, binance: Binance) -> None:
    """Bad data never becomes a price."""
    server.answer("GET klines", Said(rows))
    with pytest.raises(BadData):
        await binance.bars("BTCUSDT", HOUR, None, 10)


async def test_history_is_read_page_by_page_up_to_the_last_closed_bar(
    server: ScriptedExchange, binance: Binance
) -> None:
    """2,500 hours come in three pages, each bar once, the unfinished one never."""
    first = OPEN_MS - 2500 * HOUR_MS
    rows = [kline(first + i * HOUR_MS) for i in range(2501)]

    def klines(asked: dict[str, str]) -> object:
        return [r for r in rows if int(str(r[0])) >= int(asked["startTime"])][: int(asked["limit"])]

    server.reply("GET klines", klines)
    pages = [page async for page in binance.history("BTCUSDT", HOUR, from_ms(first))]
    assert [len(page) for page in pages] == [1000, 1000, 500]
    assert [to_ms(bar.open_at) for page in pages for bar in page] == [r[0] for r in rows[:-1]]


async def test_an_unknown_symbol_is_named_with_its_nearest_match(server: ScriptedExchange, binance: Binance) -> None:
    """A slip of the finger costs one line, not a search."""
    server.answer("GET exchangeInfo", Said({"code": -1121, "msg": "Invalid symbol."}, 400))
    server.answer("GET ticker/price", Said([{"symbol": "BTCUSDT", "price": "1"}, {"symbol": "ETHUSDT", "price": "1"}]))
    with pytest.raises(BadData, match="'BTCUSTD', did you mean BTCUSDT"):
        await binance.instruments(["ETHUSDT", "BTCUSTD"])


async def test_quotes_and_the_book_come_exactly(server: ScriptedExchange, binance: Binance) -> None:
    """Best prices of several symbols in one request."""
    quote = {"symbol": "BTCUSDT", "bidPrice": "30000.10", "bidQty": "1.5", "askPrice": "30000.11", "askQty": "2"}
    server.answer("GET ticker/bookTicker", Said([quote]))
    server.answer("GET depth", Said({"bids": [["3", "1"], ["2", "1"]], "asks": [["4", "1"], ["5", "1"]]}))
    assert (await binance.quotes(["BTCUSDT"]))["BTCUSDT"].mid == Decimal("30000.105")
    assert (await binance.depth("BTCUSDT", 1)).bids == ((Decimal(3), Decimal(1)),)


async def test_a_market_order_never_carries_a_price(server: ScriptedExchange, binance: Binance) -> None:
    """With a price it would be taken for an amount of money to spend."""
    server.answer("POST order", Said(row("fm-1-e", 7, status="FILLED", executedQty="0.00001000")))
    report = await binance.submit(order(OrderKind.MARKET))
    sent = server.last("POST order")
    assert (sent["quantity"], sent["type"], sent["newClientOrderId"]) == ("0.00001", "MARKET", "fm-1-e")
    assert not {"price", "quoteOrderQty", "timeInForce", "stopPrice"} & sent.keys()
    assert (report.state, report.filled_qty) == (OrderState.FILLED, Decimal("0.00001"))


@pytest.mark.parametrize("kind", [OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT])
async def test_a_conditional_order_carries_both_prices(
    kind: OrderKind, server: ScriptedExchange, binance: Binance
) -> None:
    """Where it wakes up and what it may cost."""
    server.answer("POST order", Said(row("fm-1-e", 7)))
    await binance.submit(order(kind, stop_price=Decimal("29000.5")))
    sent = server.last("POST order")
    assert (sent["price"], sent["stopPrice"], sent["timeInForce"]) == ("30000.10", "29000.5", "GTC")


async def test_an_order_without_its_price_is_refused_before_it_is_sent(
    server: ScriptedExchange, binance: Binance
) -> None:
    """Our own slip is proven not to have happened."""
    with pytest.raises(Refused):
        await binance.submit(order(price=None))
    with pytest.raises(Refused):
        await binance.submit_pair(*reversed(pair()))
    assert server.asked == []


@pytest.mark.parametrize(
    ("side", "stop_place", "target_place"), [(Side.SELL, "below", "above"), (Side.BUY, "above", "below")]
)
async def test_a_pair_goes_out_as_one_list_with_our_ids(
    side: Side, stop_place: str, target_place: str, server: ScriptedExchange, binance: Binance
) -> None:
    """Both legs or none, each known by our own name, stop reported first."""
    stop, target = pair(side)
    legs = [row("fm-1-t", 8, orderListId=3), row("fm-1-s", 9, orderListId=3)]
    server.answer("POST orderList/oco", Said({"orderListId": 3, "orders": [], "orderReports": legs}))
    reports = await binance.submit_pair(stop, target)
    sent = server.last("POST orderList/oco")
    assert [report.client_id for report in reports] == ["fm-1-s", "fm-1-t"]
    assert {report.list_id for report in reports} == {"3"}
    assert sent[f"{stop_place}Type"] == "STOP_LOSS_LIMIT"
    assert (sent[f"{stop_place}ClientOrderId"], sent[f"{target_place}ClientOrderId"]) == ("fm-1-s", "fm-1-t")
    assert (sent[f"{stop_place}StopPrice"], sent[f"{target_place}Price"]) == ("29000", "32000")
    assert f"{target_place}TimeInForce" not in sent
    assert 0 < len(sent["listClientOrderId"]) <= 36


@pytest.mark.parametrize("answer", [{"orderListId": 3}, {"orderReports": [row("fm-1-s", 9)]}, [], "nothing"])
async def test_a_pair_of_which_a_leg_is_not_shown_is_unknown(
    answer: object, server: ScriptedExchange, binance: Binance
) -> None:
    """Half a proof is none."""
    server.answer("POST orderList/oco", Said(answer))
    with pytest.raises(OutcomeUnknown):
        await binance.submit_pair(*pair())


async def test_a_bracket_the_exchange_has_already_is_adopted_order_by_order(
    server: ScriptedExchange, binance: Binance
) -> None:
    """Its word for a doubled name proves that it stands; how each order stands is then read."""
    stop, target = pair()
    server.answer("POST orderList/otoco", Said({"code": -2010, "msg": "Duplicate order sent."}, 400))
    states = {"fm-1-e": "FILLED", "fm-1-s": "NEW", "fm-1-t": "NEW"}
    server.reply("GET order", lambda a: row(a["origClientOrderId"], 5, status=states[a["origClientOrderId"]]))
    reports = await binance.submit_bracket(order(tif=Tif.FOK), stop, target)
    assert [r.client_id for r in reports] == list(states)
    assert [r.state for r in reports] == [OrderState.FILLED, OrderState.OPEN, OrderState.OPEN]


async def test_a_cancel_names_the_order_by_our_own_id(server: ScriptedExchange, binance: Binance) -> None:
    """The matching engine itself is asked, by the id we know."""
    server.answer("DELETE order", Said(row("x", 7, origClientOrderId="fm-1-e", status="CANCELED")))
    await binance.cancel("BTCUSDT", "fm-1-e")
    assert server.last("DELETE order")["origClientOrderId"] == "fm-1-e"


async def test_open_orders_include_those_of_others(server: ScriptedExchange, binance: Binance) -> None:
    """What the owner placed by hand is seen, too."""
    server.answer(
        "GET openOrders", Said([row("fm-1-e", 7, status="PARTIALLY_FILLED"), row("web_123", 8, orderListId=4)])
    )
    found = await binance.open_orders("BTCUSDT")
    assert [(r.client_id, r.state, r.list_id) for r in found] == [
        ("fm-1-e", OrderState.PARTIAL, ""),
        ("web_123", OrderState.OPEN, "4"),
    ]


async def test_what_the_exchange_knows_of_an_order_is_all_in_its_report(
    server: ScriptedExchange, binance: Binance
) -> None:
    """Kind, side, size, prices, distance, the time it last changed, and that it still waits for its entry."""
    pending = {"type": "STOP_LOSS_LIMIT", "side": "SELL", "origQty": "0.5", "price": "9.5", "stopPrice": "0.00000000"}
    seen = row("fm-1-s", 7, **pending, status="PENDING_NEW", trailingDelta=150, updateTime=to_ms(NOW))
    foreign = row("web_1", 8, type="STOP_LOSS", side="BUY", origQty="1", price="0.00", stopPrice="11")
    server.answer("GET openOrders", Said([seen, {**foreign, "cummulativeQuoteQty": "-1.0", "time": to_ms(NOW)}]))
    ours, other = await binance.open_orders()
    assert (ours.kind, ours.side, ours.qty, ours.price) == (
        OrderKind.STOP_LOSS_LIMIT,
        Side.SELL,
        Decimal("0.5"),
        Decimal("9.5"),
    )
    assert (ours.stop_price, ours.trail_bips, ours.waiting, ours.at) == (None, 150, True, NOW)
    assert (other.kind, other.price, other.stop_price, other.waiting) == (
        OrderKind.STOP_LOSS_LIMIT,
        None,
        Decimal(11),
        False,
    )
    assert server.last("GET openOrders").keys().isdisjoint({"symbol"})


async def test_balances_are_totals_without_zeros(server: ScriptedExchange, binance: Binance) -> None:
    """What open orders hold is still ours."""
    rows = [{"asset": "BTC", "free": "0.1", "locked": "0.2"}, {"asset": "DOGE", "free": "0", "locked": "0.00"}]
    server.answer("GET account", Said({"balances": rows}))
    assert await binance.balances() == {"BTC": Decimal("0.3")}
