"""The paper twin over real databases: killed and started again, it goes on and its messages go nowhere."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.journal import SqliteJournal
from core.adapters.outbox import SqliteOutbox
from core.adapters.paper import SqlitePaperAccount
from core.adapters.records import SqliteRecords
from core.run import twin as twin_module
from core.run.twin import Twin, TwinKept, TwinParts
from core.sim.twin import open_twin
from tests.adapters.store_samples import opened
from tests.run.samples import HOUR
from tests.run.shell import running, until
from tests.run.twin_world import Live, Street, Told, quiet


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(twin_module, "LOOK_S", 0.005)


@contextlib.asynccontextmanager
async def following(live: Live, folder: Path) -> AsyncIterator[tuple[Twin, SqliteRecords, SqliteOutbox]]:
    """A twin of ``live`` on what is in the folder, running and caught up, with its record and its messages."""
    street = Street(live.clock, *live.symbols)
    boxes = []

    @contextlib.asynccontextmanager
    async def store() -> AsyncIterator[TwinKept]:
        async with opened(folder, "main") as db:
            account, records = SqlitePaperAccount(db), SqliteRecords(db)
            boxes.append((records, SqliteOutbox(db)))
            keep = {"save": account.save, "load": account.load}
            yield TwinKept(SqliteJournal(db), records, functools.partial(open_twin, street, live.clock, HOUR, **keep))

    twin = Twin(TwinParts(live.engine, live.journal, Told(live.journal), live.clock, store))
    async with running(twin.run):
        await until(lambda: twin.check().text == "0 lines behind live")
        yield twin, *boxes[-1]


async def test_a_twin_started_again_goes_on_where_it_was(tmp_path):
    """Bought before the end of the process, sold after it: one trade, compared with live's."""
    live = Live()
    await live.open()
    async with running(live.engine.run, live.executor.run):
        await live.first_events()
        await live.see(quiet(0))
        async with following(live, tmp_path) as (twin, _, outbox):
            await live.see(quiet(1), buy=True)
            await until(lambda: twin.check().text == "0 lines behind live")
            await silent(outbox)
            (row,) = (await twin.compare()).rows
            assert (row.missed, row.live_exit, row.twin_exit) == ("", None, None)
        await live.see(quiet(2, high="106"))
        async with following(live, tmp_path) as (twin, records, outbox):
            await silent(outbox)
            (row,) = (await twin.compare()).rows
            (trade,) = await records.trades(5)
            assert len(await records.fills(row.at, 9)) == 2
    assert (row.missed, row.live_profit) == ("", row.twin_profit)
    assert trade.profit == row.twin_profit


async def silent(outbox: SqliteOutbox) -> None:
    """Wait until no message waits any more."""
    for _ in range(2000):
        if not await outbox.pending(9):
            return
    raise AssertionError("messages of the twin wait to be delivered")
