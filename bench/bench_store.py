"""The store beside its peers: writers of orders, a million bars out, a step of the journal, an import.

Run: ``python bench/bench_store.py [--orders N] [--bars N]``. Every line is measured here and now; trust the ratios.
Each reading of bars runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import aiosqlite

from core.adapters.barimport import import_file
from core.adapters.bars import SqliteBars
from core.adapters.columns import Columns
from core.adapters.db import Database
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import migrate
from core.decide.step import step
from core.domain import events as ev
from core.domain.forecast import Contribution, Forecast
from core.domain.market import Bar, Instrument
from core.domain.state import State
from core.ports import Change

WRITERS = 16
POOL = 4
MINUTE_MS = 60_000
START = datetime(2024, 1, 1, tzinfo=UTC)
ORDER = """INSERT INTO orders VALUES
    (?, 'BTCUSDT', 'BUY', 'LIMIT', 'ENTRY', '0.01', '50000', NULL, 'PLANNED', '0', '0', '', '', '', 0, 0)"""

Insert = Callable[[str], Awaitable[object]]


async def drive(insert: Insert, orders: int) -> tuple[float, list[float]]:
    """Orders a second and the sorted waits in ms of sixteen writers that each await their order's commit."""
    waits: list[float] = []

    async def writer(who: int) -> None:
        for n in range(orders // WRITERS):
            began = time.perf_counter()
            await insert(f"fm-{who}-{n}")
            waits.append((time.perf_counter() - began) * 1e3)

    began = time.perf_counter()
    await asyncio.gather(*(writer(who) for who in range(WRITERS)))
    return len(waits) / (time.perf_counter() - began), sorted(waits)


async def grouped(path: Path, orders: int) -> tuple[float, list[float]]:
    """One writer with group commit, synchronous=FULL."""
    migrate(path, "main")
    db = await Database.open(path, durable=True)
    figures = await drive(lambda name: db.write(lambda con: con.execute(ORDER, (name,)).rowcount), orders)
    await db.close()
    return figures


async def pooled(path: Path, orders: int) -> tuple[float, list[float]]:
    """A pool of four writing connections, synchronous=FULL, WAL, BEGIN IMMEDIATE, a busy timeout of 30 s."""
    migrate(path, "main")
    idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
    for _ in range(POOL):
        con = await aiosqlite.connect(path, timeout=30, isolation_level=None)
        await con.execute("PRAGMA synchronous = FULL")
        idle.put_nowait(con)

    async def insert(name: str) -> None:
        con = await idle.get()
        try:
            await con.execute("BEGIN IMMEDIATE")
            await con.execute(ORDER, (name,))
            await con.execute("COMMIT")
        finally:
            idle.put_nowait(con)

    figures = await drive(insert, orders)
    while not idle.empty():
        await idle.get_nowait().close()
    return figures


def bench_orders(folder: Path, orders: int) -> None:
    print(f"{WRITERS} writers, {orders} orders, each awaited, FULL durability")
    ours = asyncio.run(grouped(folder / "ours.db", orders))
    peer = asyncio.run(pooled(folder / "peer.db", max(WRITERS, orders // 8)))
    for name, (rate, waits) in (("one writer, group commit", ours), (f"pool of {POOL} writers", peer)):
        p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
        print(f"  {name:26} {rate:9,.0f} orders/s   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms")
    print(f"  ratio                      {ours[0] / peer[0]:9.1f} x\n")


def walk(count: int) -> Columns:
    """A seeded walk of minute bars."""
    rng = random.Random(7)
    made = Columns("BTCUSDT", MINUTE_MS)
    price = 50_000.0
    for n in range(count):
        close = round(price * (1 + rng.gauss(0, 0.0005)), 2)
        low, high = round(min(price, close) * 0.9995, 2), round(max(price, close) * 1.0005, 2)
        made.append(n * MINUTE_MS, (price, high, low, close, round(rng.random() * 10, 5)))
        price = close
    return made


async def fill(folder: Path, columns: Columns) -> None:
    """The same bars in our store and in a table of rows."""
    migrate(folder / "bars.db", "bars")
    db = await Database.open(folder / "bars.db", durable=False)
    began = time.perf_counter()
    pieces = (columns.part(n, n + 10_080) for n in range(0, len(columns), 10_080))
    await SqliteBars(db).merge_all(pieces, "file")
    print(f"  into our store             {time.perf_counter() - began:9.3f} s")
    await db.close()
    with sqlite3.connect(folder / "rows.db") as con:
        con.execute("CREATE TABLE bars (open_ms INTEGER PRIMARY KEY, open, high, low, close, volume)")
        con.executemany("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?)", columns.rows())
    con.close()


async def read_ours(folder: Path) -> float:
    """Seconds to have every bar in numpy arrays."""
    import numpy as np

    db = await Database.open(folder / "bars.db", durable=False)
    store = SqliteBars(db)
    began = time.perf_counter()
    (history,) = await store.histories()
    times = np.empty(history.count, dtype=np.int64)
    floats = np.empty((5, history.count))
    at = 0
    async for block in store.stream_columns("BTCUSDT", history.span):
        here = slice(at, at + len(block))
        times[here] = block.open_ms
        for row, column in zip(floats, block.floats, strict=True):
            row[here] = column
        at += len(block)
    spent = time.perf_counter() - began
    assert at == len(times)
    await db.close()
    return spent


async def stream_ours(folder: Path) -> float:
    """Seconds to have seen every bar once, block by block."""
    db = await Database.open(folder / "bars.db", durable=False)
    began = time.perf_counter()
    async for block in SqliteBars(db).stream_columns("BTCUSDT", timedelta(minutes=1)):
        array("d", block.close)
    spent = time.perf_counter() - began
    await db.close()
    return spent


async def read_pandas(folder: Path) -> float:
    """Seconds of pandas.read_sql on the table of rows."""
    import pandas as pd

    con = sqlite3.connect(folder / "rows.db")
    began = time.perf_counter()
    frame = pd.read_sql("SELECT * FROM bars ORDER BY open_ms", con)
    spent = time.perf_counter() - began
    assert len(frame.columns) == 6
    con.close()
    return spent


def peak_mb() -> float:
    """Peak of this process's resident memory, MB; getrusage would hand on the peak of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


READERS = {"ours": read_ours, "stream": stream_ours, "pandas": read_pandas}


def in_a_process(reader: str, folder: Path) -> tuple[float, float]:
    """Best seconds of three and peak of resident memory in MB, each time in a process of its own."""
    command = [sys.executable, __file__, "--reader", reader, "--folder", str(folder)]
    runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3)]
    return min(run[0] for run in runs), max(run[1] for run in runs)


def bench_bars(folder: Path, count: int) -> None:
    print(f"{count} bars out of SQLite, each reader in a process of its own (peak is the whole process)")
    asyncio.run(fill(folder, walk(count)))
    figures = {reader: in_a_process(reader, folder) for reader in READERS}
    names = {"ours": "ours, all as numpy arrays", "stream": "ours, streamed", "pandas": "pandas.read_sql on rows"}
    for reader, (spent, peak) in figures.items():
        print(f"  {names[reader]:26} {spent:9.3f} s   peak {peak:6.0f} MB")
    for reader in ("ours", "stream"):
        faster, smaller = figures["pandas"][0] / figures[reader][0], figures[reader][1] / figures["pandas"][1]
        print(f"  ratio, {names[reader]:26} {faster:6.1f} x faster, {smaller:5.2f} of the memory")
    print()


def story(symbols: int, steps: int) -> list[ev.Event]:
    """Closed bars of many symbols, each with a forecast that does not fire."""
    names = [f"SYM{n:02}USDT" for n in range(symbols)]
    rules = {s: Instrument(s, s[:-4], "USDT", *map(Decimal, ("0.01", "0.001", "0.001", "5"))) for s in names}
    events: list[ev.Event] = [
        ev.InstrumentsSeen(START, "start", rules),
        ev.BalancesSeen(START, "start", {"USDT": Decimal(10_000)}),
    ]
    said = "what it says in a sentence of usual length"
    spoke = tuple(Contribution(f"feature {n}", n / 7, 0.1, said) for n in range(6))
    hour = timedelta(hours=1)
    price = Decimal("101.25")
    for n in range(steps):
        symbol, at = names[n % symbols], START + n // symbols * hour
        bar = Bar(symbol, at, hour, price, price, price, price, Decimal("12.5"))
        view = Forecast(symbol, at, False, 0.55, 0.48, 0.02, 0.02, 24, 120, 0.6, "rule-1", spoke)
        events.append(ev.BarSeen(bar.close_at, f"t{n}", bar, view))
    return events


async def journal_steps(path: Path, steps: int) -> None:
    migrate(path, "main")
    db = await Database.open(path, durable=True)
    journal, state = SqliteJournal(db), State()
    waits = []
    for event in story(20, steps):
        after, effects = step(state, event)
        began = time.perf_counter()
        await journal.commit(Change(state, after, event, effects))
        waits.append((time.perf_counter() - began) * 1e3)
        state = after
    began = time.perf_counter()
    again = await SqliteJournal(db).latest_snapshot()
    loaded = (time.perf_counter() - began) * 1e3
    assert again == state
    await db.close()
    waits.sort()
    p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    print(f"one step after the other, {steps} bars of 20 symbols with forecasts, FULL durability")
    size = (await asyncio.to_thread(path.stat)).st_size / steps / 1e3
    print(f"  commit                     p50 {p50:.2f} ms   p99 {p99:.2f} ms   {size:.1f} kB a bar")
    print(f"  state at start             {loaded:.2f} ms\n")


async def import_rows(folder: Path, columns: Columns) -> None:
    path = folder / "TESTUSDT_1m.csv"
    shift = 1_600_000_020_000 // MINUTE_MS * MINUTE_MS
    with path.open("w") as file:
        file.write("timestamp,open,high,low,close,volume\n")
        file.writelines(f"{ms + shift},{o},{h},{lo},{c},{v}\n" for ms, o, h, lo, c, v in columns.rows())
    db = await Database.open(folder / "bars.db", durable=False)
    began = time.perf_counter()
    report = await import_file(SqliteBars(db), path, now=datetime.now(UTC))
    spent = time.perf_counter() - began
    await db.close()
    print(f"import of a CSV with {report.new} bars")
    print(f"  read, checked, stored      {spent:9.2f} s   {report.new / spent:,.0f} bars/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=40_000)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--reader", choices=READERS)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.reader:
        spent = asyncio.run(READERS[asked.reader](asked.folder))
        print(json.dumps([spent, peak_mb()]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench_orders(folder, asked.orders)
        bench_bars(folder, asked.bars)
        asyncio.run(journal_steps(folder / "journal.db", 2_000))
        asyncio.run(import_rows(folder, walk(min(asked.bars, 300_000))))


if __name__ == "__main__":
    main()
