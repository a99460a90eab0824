"""Unmodified clients of two kinds go through the same life of orders."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import ccxt.pro
import pytest

from tests.sim.exchange.exchange_rig import CcxtClient, ConnectorClient, ccxt_options, served


@pytest.mark.parametrize("kind", [CcxtClient, ConnectorClient], ids=["ccxt", "binance-connector"])
async def test_both_clients_pass_the_same_order_scenario(kind):
    """Buy, rest, look, cancel, protect, be stopped or paid, read the trades: the same with either client."""
    async with served() as (exchange, plain):
        client = kind(plain.url)
        try:
            last = await client.last()
            bought = await client.buy_market("0.1")
            assert (bought["status"], bought["executedQty"]) == ("FILLED", "0.10000000")

            low = f"{last * Decimal('0.7'):.2f}"
            await client.buy_limit("0.01", low, "resting")
            assert [o["clientOrderId"] for o in await client.open()] == ["resting"]
            assert await client.code_of(client.buy_limit("0.01", low, "resting")) == -2010
            assert (await client.cancel("resting"))["status"] == "CANCELED"
            assert await client.code_of(client.cancel("resting")) == -2011
            assert (await client.get("resting"))["status"] == "CANCELED"
            assert await client.code_of(client.get("never")) == -2013
            assert await client.code_of(client.buy_limit("10", low, "huge")) == -2010

            pair = await client.sell_pair(
                quantity="0.0999",
                aboveType="LIMIT_MAKER",
                abovePrice=f"{last * Decimal('1.01'):.2f}",
                belowType="STOP_LOSS_LIMIT",
                belowStopPrice=f"{last * Decimal('0.99'):.2f}",
                belowPrice=f"{last * Decimal('0.9'):.2f}",
                belowTimeInForce="GTC",
            )
            assert pair["listOrderStatus"] == "EXECUTING"
            while exchange.venue.open:
                exchange.advance()
            states = sorted([(await client.get(o["clientOrderId"]))["status"] for o in pair["orders"]])
            assert states == ["EXPIRED", "FILLED"]
            trades = await client.trades()
            assert [t["isBuyer"] for t in trades] == [True, False]
            held = await client.balances()
            assert {a: v for a, v in held.items() if v} == exchange.totals()
        finally:
            await client.close()


async def test_ccxt_reads_markets_candles_book_and_tickers():
    """What a bot needs to know before it trades, in ccxt's own shapes."""
    async with served() as (_, plain):
        client = CcxtClient(plain.url)
        try:
            markets = await client.api.load_markets()
            assert sorted(markets) == ["BTC/USDT", "ETH/USDT", "LINK/USDT"]
            assert markets["BTC/USDT"]["limits"]["cost"]["min"] == 5
            candles = await client.api.fetch_ohlcv("BTC/USDT", "1h", limit=3)
            assert candles[-1][0] == await client.api.fetch_time()
            ticker = await client.api.fetch_ticker("ETH/USDT")
            assert ticker["bid"] < ticker["last"] < ticker["ask"]
            book = await client.api.fetch_order_book("LINK/USDT", limit=10)
            assert len(book["bids"]) == len(book["asks"]) == 10
            prints = await client.api.fetch_trades("BTC/USDT", limit=5)
            assert len(prints) == 5
            rights = await client.api.sapi_get_account_apirestrictions()
            assert rights["enableWithdrawals"] is False
        finally:
            await client.close()


async def test_ccxt_pro_watches_candles_the_book_and_our_orders():
    """Streams as ccxt.pro wants them: a closed candle, a book that stays whole, an order report."""
    async with served() as (exchange, plain):
        options = ccxt_options(plain.url)
        client = ccxt.pro.binance(options)
        try:
            await client.load_markets()
            watches = [
                asyncio.create_task(client.watch_ohlcv("BTC/USDT", "1h")),
                asyncio.create_task(client.watch_order_book("BTC/USDT")),
                asyncio.create_task(client.watch_orders("BTC/USDT")),
            ]
            async with asyncio.timeout(15):
                while not all(w.done() for w in watches):
                    await asyncio.sleep(0.05)
                    exchange.advance()
                    if not watches[2].done():
                        await client.create_order("BTC/USDT", "market", "buy", 0.001)
            candles, book, orders = (w.result() for w in watches)
            assert len(candles[-1]) == 6
            assert book["bids"][0][0] < book["asks"][0][0]
            assert orders[-1]["symbol"] == "BTC/USDT"
        finally:
            await client.close()
