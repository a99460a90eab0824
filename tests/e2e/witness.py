"""What the simulated exchange itself can tell: its log of inputs, read back without the assistant.

Rule 1: the log is the independent witness; the assistant's books are compared with it, never the other way round.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.adapters.db import Database
from core.adapters.journal import SqliteJournal
from core.adapters.readonly import load_state
from core.domain.market import from_ms
from core.domain.state import State
from core.run.replay import verify
from core.sim.exchange.world import SimExchange
from core.sim.market import Market
from tests.e2e.program import rows

DB = "firstmate.db"
LOG = "exchange.jsonl"
# a plan that never left the process, or that the exchange refused: nothing of it exists there
NEVER_THERE = ("ABSENT", "REJECTED")


@dataclass(frozen=True, slots=True)
class Seen:
    """What reached the exchange: client ids in the order they came, and what it held and traded at the end."""

    client_ids: tuple[str, ...]
    totals: Mapping[str, Decimal]
    trades: frozenset[tuple[str, str, str, Decimal, Decimal]]


class Log:
    """Whole lines of the exchange's log after its head, as far as it is written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._read_bytes = 0
        self._lines: list[dict[str, Any]] = []

    def lines(self) -> list[dict[str, Any]]:
        """Every input so far, oldest first; none where there is no log yet."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        self._lines += [line for text in whole.splitlines() if "k" in (line := json.loads(text))]
        return self._lines


def placed(lines: list[dict[str, Any]]) -> tuple[str, ...]:
    """Client ids of every order the exchange took, legs of lists and the order they wait for included."""
    return tuple(order["client_id"] for line in lines for order in _orders_in(line))


def _orders_in(line: dict[str, Any]) -> list[dict[str, Any]]:
    if line["k"] == "place":
        return [line["order"]]
    if line["k"] != "list":
        return []
    working = line["list"].get("working")
    return [*([working] if working else []), *line["list"]["legs"]]


def seen(folder: Path, market: Market, cash: Decimal = Decimal(10_000)) -> Seen:
    """The exchange raised again from its log alone."""
    head = json.loads((folder / LOG).read_bytes().split(b"\n")[0])
    start = from_ms(int(head["start_ms"]))
    exchange = SimExchange(market, start=start, speed=None, keys={}, balances={"USDT": cash}, path=folder / LOG)
    try:
        trades = frozenset(
            (symbol, str(t.trade_id), t.client_id, t.qty, t.price)
            for symbol in market.symbols
            for t in exchange.history.trades(symbol)
        )
        return Seen(placed(Log(folder).lines()), dict(exchange.totals()), trades)
    finally:
        exchange.close()


def assert_nothing_lost_or_doubled(folder: Path, market: Market) -> None:
    """The assistant's books against the exchange's log: orders, fills, money, entries, and the journal itself."""
    there = seen(folder, market)
    twice = [name for name, times in Counter(there.client_ids).items() if times > 1]
    assert not twice
    ours = rows(folder / DB, "SELECT client_id, state, purpose FROM orders")
    assert {name for name, state, _ in ours if state not in NEVER_THERE} == set(there.client_ids)
    fills = rows(folder / DB, "SELECT symbol, trade_id, client_id, qty, price FROM fills")
    assert len(fills) == len(there.trades)
    assert {(s, i, c, Decimal(str(q)), Decimal(str(p))) for s, i, c, q, p in fills} == there.trades
    bought = Counter(
        str(name).rsplit("-", 1)[0] for name, state, purpose in ours if (state, purpose) == ("FILLED", "ENTRY")
    )
    assert all(times == 1 for times in bought.values())
    protected = rows(folder / DB, "SELECT symbol FROM orders WHERE purpose = 'STOP' AND state = 'OPEN' ORDER BY symbol")
    assert [str(symbol) for (symbol,) in protected] == sorted(positions(folder))
    assert balances(folder) == {asset: held for asset, held in there.totals.items() if held}
    assert asyncio.run(_verified(folder / DB)) == rows(folder / DB, "SELECT max(seq) FROM journal")[0][0]


def balances(folder: Path) -> dict[str, Decimal]:
    """What the assistant believes to hold, without zeros."""
    return {asset: held for asset, held in _state(folder).balances.items() if held}


def positions(folder: Path) -> tuple[str, ...]:
    """Symbols the assistant holds."""
    return tuple(_state(folder).positions)


def _state(folder: Path) -> State:
    state = load_state(folder / DB)
    assert state is not None
    return state


async def _verified(path: Path) -> int:
    db = await Database.open(path, durable=False)
    try:
        return (await verify(SqliteJournal(db))).lines
    finally:
        await db.close()
