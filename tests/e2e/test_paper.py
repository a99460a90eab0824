"""Paper trading: real public data, orders matched in this process, and a service that waits for what is not there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from core.adapters.binance import Binance
from core.adapters.paper import SqlitePaperAccount
from core.adapters.statefolder import stores
from core.adapters.statelock import prepare
from core.compose import compose
from core.domain.market import Bar
from core.domain.orders import OrderState, Purpose
from core.domain.state import State
from core.run.assistant import Assistant
from core.run.supervisor import run_together
from core.settings import Settings
from core.sim.chat.server import ChatServer
from core.sim.chat.values import ChatUser
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_recorded import RecordedMarket
from core.sim.market_seeded import SeededMarket
from core.sim.paper import open_paper
from core.worlds import World
from tests.e2e import zigzag
from tests.e2e.program import Program, clean_env, rows, run, running

CASH = Decimal(10_000)
TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77
WAIT_S = 60.0


class NobodysKeys(Mapping[str, str]):
    """The keys of an exchange where nobody has an account; every look at them is a signed request."""

    def __init__(self) -> None:
        self.asked = 0

    def __getitem__(self, key: str) -> str:
        self.asked += 1
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@asynccontextmanager
async def paper(home: Path, exchange: SimExchange, url: str) -> AsyncIterator[Assistant]:
    """Paper mode as it is composed, on the exchange's clock instead of the wall's, so that bars close on demand."""
    settings = replace(Settings(), symbols=zigzag.SYMBOLS, history_bars=zigzag.HISTORY, approve="auto")
    prepare(home)
    async with stores(home) as kept:
        binance = Binance(url, exchange, paced=False)
        account = SqlitePaperAccount(kept.main)
        span = timedelta(hours=1)
        broker = await open_paper(binance, exchange, span, {"USDT": CASH}, save=account.save, load=account.load)

        async def play(bars: list[Bar]) -> None:
            for bar in bars:
                await broker.on_bar(bar)

        world = World(exchange, binance, broker, staged="", lockstep=True, play=play)
        try:
            yield (await compose(settings, "paper", kept, world, "fmtst", 900)).assistant
        finally:
            await binance.close()


async def live(home: Path, exchange: SimExchange, url: str, bars: int) -> State:
    """Start paper trading, let so many bars close, stop; the state then."""
    async with paper(home, exchange, url) as assistant:
        over = asyncio.Event()

        async def drive() -> None:
            await assistant.wake()
            await assistant.beat()
            for _ in range(bars):
                assert exchange.advance() is not None
                await assistant.beat()
            await assistant.save()
            over.set()

        await run_together({**assistant.parts(), "drive": drive}, over)
        return assistant.desk.state


async def test_paper_trades_whole_lives_and_the_exchange_never_sees_an_order(tmp_path: Path) -> None:
    """Bought, protected, sold at target or stop, over three restarts; only public data was ever asked for."""
    market = RecordedMarket(zigzag.write(tmp_path / "drawn"), zigzag.SYMBOLS, "1h")
    exchange = SimExchange(
        market, start=zigzag.START, speed=None, keys={}, balances={}, path=tmp_path / "exchange.jsonl"
    )
    keys = NobodysKeys()
    exchange.keys = keys  # type: ignore[assignment]
    home = tmp_path / "paper"
    async with listening(exchange) as url:
        first = await live(home, exchange, url, bars=2)
        (position, *_) = first.positions.values()
        protection = {o.purpose for o in first.orders.values() if o.live and o.symbol == position.symbol}
        assert protection == {Purpose.STOP, Purpose.TARGET}
        again = await live(home, exchange, url, bars=0)
        assert again.positions == first.positions
        assert again.balances == first.balances
        assert again.orders == first.orders
        await live(home, exchange, url, bars=25)
        last = await live(home, exchange, url, bars=25)
    exchange.close()
    assert keys.asked == 0
    assert '"place"' not in (tmp_path / "exchange.jsonl").read_text()
    assert '"list"' not in (tmp_path / "exchange.jsonl").read_text()
    ends = {why for (why,) in rows(home / "firstmate.db", "SELECT why FROM trades")}
    assert ends == {"target", "stop"}
    fills = rows(home / "firstmate.db", "SELECT side, qty, price, fee, fee_asset FROM fills")
    cash = CASH + sum(
        (1 if side == "SELL" else -1) * Decimal(str(qty)) * Decimal(str(price))
        - (Decimal(str(fee)) if asset == "USDT" else 0)
        for side, qty, price, fee, asset in fills
    )
    assert last.balances["USDT"] == cash
    assert all(order.state is not OrderState.MAYBE_SENT for order in last.orders.values())


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def service_env(home: Path, exchange_url: str, chat_url: str) -> dict[str, str]:
    """A configured paper service."""
    return clean_env(
        home,
        mode="paper",
        home=str(home / "state"),
        exchange_url=exchange_url,
        telegram_url=chat_url,
        telegram_token=TOKEN,
        owner_id=str(OWNER),
        symbols="BTCUSDT",
        timeframe="1m",
        history_bars="500",
    )


async def said_within(program: Program, text: str) -> None:
    """Wait until stderr says so."""
    await asyncio.to_thread(program.wait_until, lambda: text in program.err, text, WAIT_S)


async def test_a_service_without_network_waits_says_so_and_starts_when_it_comes(tmp_path: Path) -> None:
    """Chat and exchange away at start: one line each try; /status is answered as soon as the chat is there."""
    exchange_port, chat_port = free_port(), free_port()
    env = service_env(tmp_path, f"http://127.0.0.1:{exchange_port}", f"http://127.0.0.1:{chat_port}")
    chat = ChatServer(TOKEN, OWNER)
    with running(tmp_path, "run", env=env) as program:
        try:
            await said_within(program, "the chat cannot be reached")
            await said_within(program, "start-up is tried again")
            assert all(line.startswith("{") for line in program.err.splitlines())
            await chat.start(port=chat_port)
            chat.say("/positions", user=ChatUser(OWNER + 1))
            chat.say("/status")
            answer = await chat.wait_message(lambda m: m.from_bot, WAIT_S)
            assert "paper mode" in answer.text
            assert [m.text for m in chat.messages() if m.from_bot] == [answer.text]
            start = datetime.now(UTC).replace(second=0, microsecond=0)
            market = SeededMarket(("BTCUSDT",), 3, 60_000, int(start.timestamp() * 1000), 600)
            exchange = SimExchange(market, start=start, speed=1.0, keys={}, balances={})
            async with listening(exchange, exchange_port):
                db = tmp_path / "state" / "paper" / "firstmate.db"
                await asyncio.to_thread(
                    program.wait_until,
                    lambda: rows(db, "SELECT 1 FROM journal WHERE kind = 'BalancesSeen'"),
                    "the first balances",
                    WAIT_S,
                )
                chat.say("/balance")
                await chat.wait_message(lambda m: m.from_bot and "USDT 10,000" in m.text, WAIT_S)
            handled = "SELECT said FROM updates ORDER BY update_id"  # noted after the answer went out
            await asyncio.to_thread(program.wait_until, lambda: len(rows(db, handled)) > 1, "the note", WAIT_S)
            assert rows(db, handled) == [("/status",), ("/balance",)]
            assert await asyncio.to_thread(program.stop) == 0
        finally:
            await chat.stop()


async def test_a_wrong_token_stops_the_service_with_the_fix(tmp_path: Path) -> None:
    """A token Telegram does not know cannot come right by waiting."""
    chat = ChatServer("424242:ANOTHER-FAKE-TOKEN", OWNER)
    await chat.start()
    try:
        env = service_env(tmp_path, f"http://127.0.0.1:{free_port()}", chat.url)
        done = await asyncio.to_thread(run, tmp_path, "run", env=env)
    finally:
        await chat.stop()
    assert done.child.returncode == 2
    last = done.err.splitlines()[-1]
    assert last.startswith("firstmate: ")
    assert "keys set telegram" in last
    assert TOKEN not in done.err
