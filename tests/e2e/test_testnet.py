"""Mode testnet as a process, beside `firstmate exchange` and `firstmate chat-server` as processes of their own.

The exchange stands at --speed max: its market moves by ``POST /sim/v1/advance`` alone, on bars of the last hour, which
the wall clock of the assistant takes for old but (FIRSTMATE_STALE_BARS=100) usable ones.
"""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bot.commands.exchange import KEY, SECRET
from core.adapters.binance import Binance
from core.adapters.clock import WallClock
from tests import vaults
from tests.e2e import zigzag
from tests.e2e.program import Program, clean_env, rows, running

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = "77"
BARS = 50
BARS_TO_BUY = 12  # the drawn market breaks its high soon after these
BARS_TO_THE_TARGET = 8
FLAGS = ("--symbols", "BTCUSDT", "--timeframe", "1m")


@dataclass(frozen=True, slots=True)
class Town:
    """The two servers an assistant needs, and the settings that lead to them."""

    exchange_url: str
    env: dict[str, str]
    home: Path

    def advance(self) -> None:
        """Let the exchange play one bar."""
        request = urllib.request.Request(f"{self.exchange_url}/sim/v1/advance", data=b"", method="POST")
        urllib.request.urlopen(request, timeout=30).read()

    @property
    def database(self) -> Path:
        return self.home / "testnet" / "firstmate.db"


def address_in(program: Program) -> str:
    """The http address a server printed."""
    program.wait_until(lambda: re.search(r"http://[\w.]+:\d+", program.out), "an address")
    found = re.search(r"http://[\w.]+:\d+", program.out)
    assert found
    return found.group()


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    """Exchange and chat, listening on free ports."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=BARS + 5)
    market = zigzag.write(folder / "drawn", symbols=("BTCUSDT",), span="1m", start=start)
    begin = f"{start + timedelta(minutes=BARS_TO_BUY):%Y-%m-%dT%H:%M}"
    shared = {"telegram_token": TOKEN, "owner_id": OWNER}
    env = clean_env(folder, **shared)
    words = ("exchange", "--market", f"recorded:{market}", "--from", begin, "--speed", "max", *FLAGS)
    with ExitStack() as stack:
        exchange = stack.enter_context(running(folder, *words, name="exchange", env=env))
        chat = stack.enter_context(running(folder, "chat-server", name="chat", env=env))
        exchange_url = address_in(exchange)
        settings = {
            "home": str(folder / "state"),
            "testnet_url": exchange_url,
            "telegram_url": address_in(chat),
            "symbols": "BTCUSDT",
            "timeframe": "1m",
            "history_bars": "1400",
            "stale_bars": "100",
        }
        keys = vaults.sealed(folder / "state", vaults.exchange("testnet", KEY, SECRET))
        yield Town(exchange_url, {**clean_env(folder, **shared, **settings), **keys}, folder / "state")


def seen_bars(place: Town) -> int:
    """How many bars are in the journal."""
    return len(rows(place.database, "SELECT 1 FROM journal WHERE kind = 'BarSeen'"))


def trade_until_closed(program: Program, place: Town) -> None:
    """One bar after another, each looked at, until a position is protected; then bars enough to end it."""
    db = place.database
    program.wait_until(lambda: rows(db, "SELECT 1 FROM journal WHERE kind = 'BalancesSeen'"), "the first balances")
    program.wait_until(lambda: '"history"' in program.err, "the history")
    held = "SELECT 1 FROM journal WHERE kind = 'Filled'"
    for _ in range(BARS):
        known = seen_bars(place)
        place.advance()
        program.wait_until(lambda known=known: seen_bars(place) > known, "the next bar")
        if rows(db, held):
            break
    standing = "SELECT 1 FROM orders WHERE state = 'OPEN'"
    program.wait_until(lambda: len(rows(db, standing)) == 2, "a stop and a target")
    for _ in range(BARS_TO_THE_TARGET):
        place.advance()
    program.wait_until(lambda: rows(db, "SELECT 1 FROM trades"), "the end of the round trip")


async def balances_there(place: Town) -> dict[str, Decimal]:
    """What the exchange itself says we hold."""
    binance = Binance(place.exchange_url, WallClock(), KEY, SECRET, paced=False)
    try:
        return dict(await binance.balances())
    finally:
        await binance.close()


async def test_testnet_buys_protects_and_sells_and_its_books_are_the_exchanges(tmp_path: Path) -> None:
    """A whole round trip by key and signature, every message delivered, and the same money on both sides."""
    with town(tmp_path) as place:
        words = ("run", "--mode", "testnet", "--approve", "auto")
        with running(tmp_path, *words, env=place.env) as program:
            await asyncio.to_thread(trade_until_closed, program, place)
            unsent = "SELECT 1 FROM outbox WHERE sent_ms IS NULL"
            await asyncio.to_thread(program.wait_until, lambda: not rows(place.database, unsent), "all messages sent")
            assert await asyncio.to_thread(program.stop) == 0
        theirs = await balances_there(place)
    fills = rows(place.database, "SELECT side, qty, price, fee, fee_asset FROM fills")
    ours = {"USDT": Decimal(10_000)}
    for side, qty, price, fee, asset in fills:
        sign = 1 if side == "BUY" else -1
        moves = {"BTC": sign * Decimal(str(qty)), "USDT": -sign * Decimal(str(qty)) * Decimal(str(price))}
        for name, change in (*moves.items(), (str(asset), -Decimal(str(fee)))):
            ours[name] = ours.get(name, Decimal(0)) + change
    assert {side for side, *_ in fills} == {"BUY", "SELL"}
    assert {asset: held for asset, held in ours.items() if held} == theirs
    assert SECRET not in program.err
    assert KEY not in program.err
