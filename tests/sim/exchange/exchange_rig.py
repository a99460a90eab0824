"""A served exchange in lock-step, a client of each kind, and plain signed requests."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from core.domain.market import to_ms
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket

KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR_MS = 3_600_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "LINKUSDT")
BALANCES = {"USDT": Decimal(100_000)}


def seeded(seed: int = 7, symbols: tuple[str, ...] = SYMBOLS, history: int = 400) -> SeededMarket:
    """A small made-up market of hourly bars."""
    return SeededMarket(symbols, seed, HOUR_MS, to_ms(START), history)


def exchange(
    speed: float | None = None,
    path: Path | None = None,
    seed: int = 7,
    balances: Mapping[str, Decimal] = BALANCES,
    start: datetime = START,
) -> SimExchange:
    """An exchange over that market."""
    return SimExchange(seeded(seed), start=start, speed=speed, keys={KEY: SECRET}, balances=balances, path=path)


@asynccontextmanager
async def served(**kwargs: Any) -> AsyncIterator[tuple[SimExchange, Plain]]:
    """An exchange on a free port and a plain client of it."""
    found = exchange(**kwargs)
    async with listening(found) as url, aiohttp.ClientSession() as session:
        yield found, Plain(url, session)
    found.close()


class Plain:
    """HTTP as it is: status, headers, JSON."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def ask(self, method: str, path: str, key: str = "", **params: object) -> tuple[int, Mapping[str, str], Any]:
        """An unsigned request."""
        headers = {"X-MBX-APIKEY": key} if key else {}
        target = f"{self.url}{path}?{urlencode(params)}"
        async with self.session.request(method, target, headers=headers) as reply:
            return reply.status, reply.headers, await reply.json()

    async def get(self, path: str, **params: object) -> Any:
        """The JSON of an unsigned GET."""
        return (await self.ask("GET", path, **params))[2]

    async def signed(
        self, method: str, path: str, key: str = KEY, secret: str = SECRET, **params: object
    ) -> tuple[int, Mapping[str, str], Any]:
        """A signed request."""
        params.setdefault("timestamp", 1)
        text = urlencode(params)
        signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        target = f"{self.url}{path}?{text}&signature={signature}"
        async with self.session.request(method, target, headers={"X-MBX-APIKEY": key}) as reply:
            return reply.status, reply.headers, await reply.json()

    async def error(self, method: str, path: str, **params: object) -> tuple[int, int, str]:
        """Status, code and sentence of a signed request that is refused."""
        status, _, body = await self.signed(method, path, **params)
        return status, body["code"], body["msg"]


def ccxt_options(url: str) -> dict[str, Any]:
    """What points ccxt at a loopback exchange."""
    ws = url.replace("http", "ws")
    api = {
        "public": f"{url}/api/v3",
        "private": f"{url}/api/v3",
        "sapi": f"{url}/sapi/v1",
        "ws": {"spot": f"{ws}/stream/ws", "ws-api": {"spot": f"{ws}/ws-api/v3"}},
    }
    return {
        "apiKey": KEY,
        "secret": SECRET,
        "enableRateLimit": False,
        "enableLastJsonResponse": True,
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        },
        "urls": {"api": api},
    }


class CcxtClient:
    """The scenario's verbs in ccxt's words."""

    def __init__(self, url: str) -> None:
        import ccxt.async_support as ccxt  # half a second: paid only by the tests that use it

        self.api = ccxt.binance(ccxt_options(url))

    async def last(self) -> Decimal:
        return Decimal((await self.api.public_get_ticker_price({"symbol": "BTCUSDT"}))["price"])

    async def buy_market(self, qty: str) -> dict[str, Any]:
        await self.api.load_markets()
        return (await self.api.create_order("BTC/USDT", "market", "buy", float(qty)))["info"]

    async def buy_limit(self, qty: str, price: str, name: str) -> dict[str, Any]:
        params = {"newClientOrderId": name}
        return (await self.api.create_order("BTC/USDT", "limit", "buy", float(qty), float(price), params))["info"]

    async def get(self, name: str) -> dict[str, Any]:
        return (await self.api.fetch_order("", "BTC/USDT", {"origClientOrderId": name}))["info"]

    async def open(self) -> list[dict[str, Any]]:
        return [o["info"] for o in await self.api.fetch_open_orders("BTC/USDT")]

    async def cancel(self, name: str) -> dict[str, Any]:
        return (await self.api.cancel_order("", "BTC/USDT", {"origClientOrderId": name}))["info"]

    async def sell_pair(self, **params: str) -> dict[str, Any]:
        return await self.api.private_post_orderlist_oco({"symbol": "BTCUSDT", "side": "SELL", **params})

    async def trades(self) -> list[dict[str, Any]]:
        return [t["info"] for t in await self.api.fetch_my_trades("BTC/USDT")]

    async def balances(self) -> dict[str, Decimal]:
        held = (await self.api.private_get_account())["balances"]
        return {b["asset"]: Decimal(b["free"]) + Decimal(b["locked"]) for b in held}

    async def code_of(self, what: Any) -> int:
        """The exchange's code in the error that ``what`` raises."""
        import ccxt

        try:
            await what
        except ccxt.BaseError:
            return int(self.api.last_json_response["code"])
        raise AssertionError("nothing was refused")

    async def close(self) -> None:
        await self.api.close()


class ConnectorClient:
    """The same verbs in the words of Binance's own connector, which blocks: it lives in threads."""

    def __init__(self, url: str) -> None:
        from binance.spot import Spot

        self.api = Spot(api_key=KEY, api_secret=SECRET, base_url=url, timeout=10)

    async def last(self) -> Decimal:
        return Decimal((await asyncio.to_thread(self.api.ticker_price, "BTCUSDT"))["price"])

    async def buy_market(self, qty: str) -> dict[str, Any]:
        return await asyncio.to_thread(self.api.new_order, "BTCUSDT", "BUY", "MARKET", quantity=qty)

    async def buy_limit(self, qty: str, price: str, name: str) -> dict[str, Any]:
        return await asyncio.to_thread(
            self.api.new_order,
            "BTCUSDT",
            "BUY",
            "LIMIT",
            quantity=qty,
            price=price,
            timeInForce="GTC",
            newClientOrderId=name,
        )

    async def get(self, name: str) -> dict[str, Any]:
        return await asyncio.to_thread(self.api.get_order, "BTCUSDT", origClientOrderId=name)

    async def open(self) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self.api.get_open_orders, "BTCUSDT")

    async def cancel(self, name: str) -> dict[str, Any]:
        return await asyncio.to_thread(self.api.cancel_order, "BTCUSDT", origClientOrderId=name)

    async def sell_pair(self, quantity: str, aboveType: str, belowType: str, **params: str) -> dict[str, Any]:
        return await asyncio.to_thread(
            self.api.new_oco_order, "BTCUSDT", "SELL", quantity, aboveType, belowType, **params
        )

    async def trades(self) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self.api.my_trades, "BTCUSDT")

    async def balances(self) -> dict[str, Decimal]:
        held = (await asyncio.to_thread(self.api.account))["balances"]
        return {b["asset"]: Decimal(b["free"]) + Decimal(b["locked"]) for b in held}

    async def code_of(self, what: Any) -> int:
        """The exchange's code in the error that ``what`` raises."""
        from binance.error import ClientError

        try:
            await what
        except ClientError as refused:
            return int(refused.error_code)
        raise AssertionError("nothing was refused")

    async def close(self) -> None:
        self.api.session.close()
