"""State folders with a short life in them, and the real command line run on them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.adapters.db import Database
from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import migrate
from core.decide.step import step
from core.domain import events as ev
from core.domain.orders import Fill, Side
from core.domain.state import State
from core.ports import Change
from tests.adapters.store_samples import HOUR, START, bar, forecast, opening

ROOT = Path(__file__).resolve().parents[2]


def firstmate(
    *words: str, home: Path, env: Mapping[str, str] | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """One command as its own process, with no setting but its state folder and those given."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *words],
        env={**environment(home, **settings), **(env or {})},
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def environment(home: Path, **settings: str) -> dict[str, str]:
    """A clean environment that finds this project and this state folder."""
    named = {f"FIRSTMATE_{name.upper()}": value for name, value in settings.items()}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "FIRSTMATE_HOME": str(home),
        **named,
    }


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line on stderr; nothing may stand on stdout."""
    assert (done.stdout, done.stderr.count("\n")) == ("", 1), (done.stdout, done.stderr)
    return done.stderr


def live(home: Path, mode: str = "demo", *, until: str = "sold") -> State:
    """A life in the mode's folder: ``empty``, ``opened`` (configured), ``bought``, ``protected`` or ``sold``."""
    folder = folder_of(home, mode)
    folder.mkdir(parents=True, exist_ok=True)
    migrate(folder / MAIN_FILE, "main")
    return asyncio.run(_live(folder / MAIN_FILE, until))


async def _live(path: Path, until: str) -> State:
    db = await Database.open(path, durable=False)
    try:
        life = _Life(SqliteJournal(db))
        for name, chapter in (("opened", life.open), ("bought", life.buy), ("protected", life.protect)):
            if until == "empty":
                break
            await chapter()
            if until == name:
                break
        else:
            await life.sell()
        return life.state
    finally:
        await db.close()


class _Life:
    """Steps events and journals them."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.state = State()
        self._journal = journal
        self._trades = 0

    async def open(self) -> None:
        await self._happen(opening())

    async def buy(self) -> None:
        await self._happen([ev.BarSeen(bar(0).close_at, "bar-0", bar(0), forecast(0))])
        (entry,) = self.state.orders.values()
        at = bar(0).close_at
        await self._happen([ev.Accepted(at, "bar-0", entry.client_id, "1")])
        await self._happen([self._filled(entry.client_id, Side.BUY, entry.qty, "101.5", at)])

    async def protect(self) -> None:
        await self._accept()

    async def sell(self) -> None:
        at = START + 2 * HOUR
        stop = next(order for order in self.state.orders.values() if order.live and order.purpose.name == "STOP")
        await self._happen([self._filled(stop.client_id, Side.SELL, stop.qty, "99", at)])
        await self._happen([ev.BarSeen(bar(1, "98").close_at, "bar-1", bar(1, "98"), None, "warming up")])

    async def _accept(self) -> None:
        waiting = [o.client_id for o in self.state.orders.values() if o.live]
        await self._happen([ev.Accepted(bar(0).close_at, "bar-0", name, str(i)) for i, name in enumerate(waiting, 2)])

    def _filled(self, client_id: str, side: Side, qty: Decimal, price: str, at: datetime) -> ev.Filled:
        self._trades += 1
        fill = Fill("BTCUSDT", str(self._trades), client_id, side, qty, Decimal(price), Decimal(0), "USDT", at)
        return ev.Filled(at, "bar-0", fill)

    async def _happen(self, events: Sequence[ev.Event]) -> None:
        for event in events:
            after, effects = step(self.state, event)
            await self._journal.commit(Change(self.state, after, event, effects))
            self.state = after
