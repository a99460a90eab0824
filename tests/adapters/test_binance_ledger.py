"""Our trades from the exchange's ledger, each with the id we gave its order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.adapters.binance import Binance
from core.domain.errors import BadData, RetryLater
from core.domain.market import to_ms
from core.domain.orders import Order, OrderKind, Purpose, Side
from tests.adapters.scripted_exchange import Said, ScriptedExchange, StandingClock, scripted_exchange

KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
ORDER = Order("fm-1-e", "BTCUSDT", Side.BUY, OrderKind.LIMIT, Purpose.ENTRY, Decimal("0.00001"), NOW, Decimal(9))


@pytest.fixture
async def server() -> AsyncIterator[ScriptedExchange]:
    """A scripted exchange."""
    async with scripted_exchange() as exchange:
        yield exchange


@pytest.fixture
async def binance(server: ScriptedExchange) -> AsyncIterator[Binance]:
    """The adapter, pointed at it, with a clock that agrees."""
    adapter = Binance(server.url, StandingClock(NOW), KEY, SECRET, paced=False)
    yield adapter
    await adapter.close()


def row(client_id: str, order_id: int, **changes: object) -> dict[str, object]:
    """An order as the exchange shows it."""
    base = {"symbol": "BTCUSDT", "clientOrderId": client_id, "orderId": order_id, "orderListId": -1}
    return {**base, "status": "NEW", "executedQty": "0.00000000", **changes}


def trade(trade_id: int, order_id: int) -> dict[str, object]:
    """A trade as myTrades has it."""
    ids = {"symbol": "BTCUSDT", "id": trade_id, "orderId": order_id, "time": to_ms(NOW) + trade_id}
    money = {"price": "30000.10", "qty": "0.00001", "commission": "0.00000001", "commissionAsset": "BNB"}
    return {**ids, **money, "isBuyer": True, "isMaker": False}


def ledger(server: ScriptedExchange, trades: int, shown: range) -> None:
    """A server holding ``trades`` trades, two to an order, that shows the orders numbered ``shown``."""
    rows = [trade(i, i // 2) for i in range(1, trades + 1)]
    orders = [row(f"fm-{i}-e", i) for i in shown]
    server.reply("GET myTrades", lambda asked: [r for r in rows if int(str(r["id"])) >= int(asked["fromId"])][:1000])
    server.reply("GET allOrders", lambda a: [r for r in orders if int(str(r["orderId"])) >= int(a["orderId"])][:1000])


async def test_all_trades_come_once_in_order_with_our_ids_even_after_a_restart(
    server: ScriptedExchange, binance: Binance
) -> None:
    """2,345 trades of orders this process never saw: three pages, and the ids from the list of orders."""
    ledger(server, 2345, range(1200))
    fills = await binance.trades("BTCUSDT", "")
    assert [fill.trade_id for fill in fills] == [str(i) for i in range(1, 2346)]
    assert {fill.client_id for fill in fills if fill.trade_id in ("10", "11")} == {"fm-5-e"}
    assert (fills[0].fee, fills[0].fee_asset, fills[0].qty) == (Decimal("0.00000001"), "BNB", Decimal("0.00001"))


async def test_only_newer_trades_come_and_known_orders_are_not_looked_up(
    server: ScriptedExchange, binance: Binance
) -> None:
    """The usual look after a fill is one request."""
    ledger(server, 10, range(0))
    server.answer("POST order", Said(row("fm-1-e", 5)))
    await binance.submit(ORDER)
    fills = await binance.trades("BTCUSDT", "9")
    assert [(fill.trade_id, fill.client_id) for fill in fills] == [("10", "fm-1-e")]
    assert server.count("GET allOrders") == 0
    assert await binance.trades("BTCUSDT", "10") == []


async def test_trades_of_an_order_not_shown_yet_wait(server: ScriptedExchange, binance: Binance) -> None:
    """A fill without its order would be booked to nobody."""
    ledger(server, 10, range(3))
    with pytest.raises(RetryLater):
        await binance.trades("BTCUSDT", "")


async def test_the_newest_trade_is_one_small_question(server: ScriptedExchange, binance: Binance) -> None:
    """Where a ledger begins for us is known without reading all of it."""
    server.answer("GET myTrades", Said([trade(41, 5)]), Said([]), Said({"odd": 1}))
    assert await binance.newest_trade_id("BTCUSDT") == 41
    assert server.last("GET myTrades")["limit"] == "1"
    assert await binance.newest_trade_id("BTCUSDT") == -1
    with pytest.raises(BadData):
        await binance.newest_trade_id("BTCUSDT")
