"""Demo and paper send no signed order to a real host: asserted at the socket of the real program."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web

from core.sim.chat.server import ChatServer
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket
from tests import vaults
from tests.e2e.lookout import Lookout, post
from tests.e2e.program import ROOT, clean_env, rows, run, running

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77
WAIT_S = 60.0
KEYS = ("FAKE-KEY-for-tests-FAKE-KEY-for-tests", "FAKE-SECRET-for-tests-FAKE-SECRET")

# paper as it is composed by default, asked for everything an account can be asked for
EVERY_CALL = """
import asyncio, tempfile
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from core.adapters.statefolder import stores
from core.worlds import paper_world
from core.domain.errors import NeedsOwner
from core.domain.orders import Order, OrderKind, Purpose, Side
from core.setting_kinds import Secret
from core.setting_sources import load

async def main():
    key = Secret("FAKE-KEY-for-tests")
    settings = replace(load(overrides={"mode": "paper"}), api_key=key, api_secret=key)
    assert settings.exchange_url == "https://api.binance.com", settings.exchange_url
    at = datetime.now(UTC)
    entry = Order("fm-e", "BTCUSDT", Side.BUY, OrderKind.LIMIT, Purpose.ENTRY, Decimal(1), at, Decimal(9))
    stop = Order("fm-s", "BTCUSDT", Side.SELL, OrderKind.STOP_LOSS_LIMIT, Purpose.STOP, Decimal(1), at, Decimal(7),
                 Decimal(8))
    target = Order("fm-t", "BTCUSDT", Side.SELL, OrderKind.LIMIT_MAKER, Purpose.TARGET, Decimal(1), at, Decimal(12))
    async with stores(Path(tempfile.mkdtemp())) as kept, paper_world(settings, kept) as world:
        real = world.market
        calls = {
            "submit": lambda: real.submit(entry),
            "try_out": lambda: real.try_out(entry),
            "submit_pair": lambda: real.submit_pair(stop, target),
            "submit_bracket": lambda: real.submit_bracket(entry, stop, target),
            "cancel": lambda: real.cancel("BTCUSDT", "fm-e"),
            "find": lambda: real.find("BTCUSDT", "fm-e"),
            "open_orders": lambda: real.open_orders(),
            "trades": lambda: real.trades("BTCUSDT", ""),
            "newest_trade_id": lambda: real.newest_trade_id("BTCUSDT"),
            "balances": lambda: real.balances(),
            "rights": lambda: real.rights(),
        }
        for name, call in calls.items():
            try:
                await call()
            except NeedsOwner:
                print("refused", name)
        try:
            real.stream("wss://ws-api.binance.com:443/ws-api/v3")
        except NeedsOwner:
            print("refused stream")

asyncio.run(main())
"""


@asynccontextmanager
async def recorded(url: str) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """An address that passes everything on to ``url``, and all that was asked there."""
    asked: list[web.Request] = []

    async def pass_on(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        body = await request.read()
        async with session.request(request.method, f"{url}{request.raw_path}", data=body) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
        finally:
            await runner.cleanup()


def signed(request: web.Request) -> bool:
    """Whether a request comes from somebody with an account, or would change something."""
    keyed = "X-MBX-APIKEY" in request.headers or "signature" in request.query_string or "ws-api" in request.path
    return keyed or request.method != "GET"


def paper_env(home: Path, lookout: Lookout, exchange_url: str, chat_url: str) -> dict[str, str]:
    """A configured paper service under watch; it even has a key that it must not use."""
    settings = {
        "mode": "paper",
        "home": str(home / "state"),
        "telegram_url": chat_url,
        "telegram_token": TOKEN,
        "owner_id": str(OWNER),
        "symbols": "BTCUSDT",
        "timeframe": "1m",
        "history_bars": "500",
        "approve": "auto",
    }
    if exchange_url:
        settings["exchange_url"] = exchange_url
    keys = vaults.sealed(home / "state", vaults.exchange("live", *KEYS))
    return lookout.watched({**clean_env(home, **settings), **keys})


def test_a_demo_never_leaves_this_computer(tmp_path: Path) -> None:
    """It trades through sockets, and every one of them ends here."""
    lookout = post(tmp_path / "lookout")
    words = ("demo", "--headless", "--speed", "max", "--bars", "60", "--approve", "auto", "--symbols", "BTCUSDT")
    done = run(
        tmp_path, *words, env=lookout.watched(clean_env(tmp_path, home=str(tmp_path / "state"), history_bars="500"))
    )
    assert done.child.returncode == 0, done.err
    assert "socket.connect 127.0.0.1" in lookout.lines
    assert lookout.beyond == set()


async def test_paper_reads_public_data_and_signs_nothing(tmp_path: Path) -> None:
    """The service from its start to its first bars: no key, no signature, no change, no stream of an account."""
    lookout = post(tmp_path / "lookout")
    start = datetime.now(UTC).replace(second=0, microsecond=0)
    market = SeededMarket(("BTCUSDT",), 3, 60_000, int(start.timestamp() * 1000), 600)
    exchange = SimExchange(market, start=start, speed=1.0, keys={}, balances={})
    chat = ChatServer(TOKEN, OWNER)
    await chat.start()
    try:
        async with listening(exchange) as real, recorded(real) as (url, asked):
            with running(tmp_path, "run", env=paper_env(tmp_path, lookout, url, chat.url)) as program:
                db = tmp_path / "state" / "paper" / "firstmate.db"
                look = "SELECT 1 FROM journal WHERE kind = 'BalancesSeen'"
                await asyncio.to_thread(program.wait_until, lambda: rows(db, look), "the first balances", WAIT_S)
                read = {"/api/v3/exchangeInfo", "/api/v3/klines"}
                await asyncio.to_thread(
                    program.wait_until, lambda: read <= {request.path for request in asked}, "bars", WAIT_S
                )
                assert await asyncio.to_thread(program.stop) == 0
    finally:
        await chat.stop()
    assert [request.raw_path for request in asked if signed(request)] == []
    assert lookout.beyond == set()


async def test_a_whole_paper_life_with_trades_stays_on_this_computer(tmp_path: Path) -> None:
    """Bought, protected, sold, restarted: what the other test of paper trades is watched at the socket here."""
    lookout = post(tmp_path / "lookout")
    life = "tests/e2e/test_paper.py::test_paper_trades_whole_lives_and_the_exchange_never_sees_an_order"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-o", "addopts=", "-p", "no:cacheprovider", life]
    env = lookout.watched(clean_env(tmp_path))
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=WAIT_S * 2, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout
    assert "socket.connect 127.0.0.1" in lookout.lines
    assert lookout.beyond == set()


async def test_the_lookout_sees_the_real_host_where_paper_reads_its_prices(tmp_path: Path) -> None:
    """With its default address paper asks for public data there: were there more to see, it would be seen."""
    lookout = post(tmp_path / "lookout")
    chat = ChatServer(TOKEN, OWNER)
    await chat.start()
    try:
        with running(tmp_path, "run", env=paper_env(tmp_path, lookout, "", chat.url)) as program:
            await asyncio.to_thread(program.wait_until, lambda: lookout.beyond, "a look beyond", WAIT_S)
            await asyncio.to_thread(program.stop)
    finally:
        await chat.stop()
    assert lookout.beyond == {"api.binance.com"}


def test_paper_as_it_comes_has_no_key_and_so_nothing_to_sign_with(tmp_path: Path) -> None:
    """Every call of an account ends before a socket is made, though a key stands in the settings."""
    lookout = post(tmp_path / "lookout")
    env = lookout.watched(clean_env(tmp_path, home=str(tmp_path / "state")))
    words = [sys.executable, "-c", EVERY_CALL]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr
    refused = [line.removeprefix("refused ") for line in done.stdout.splitlines()]
    assert len(refused) == 12, done.stdout
    assert lookout.lines == []
