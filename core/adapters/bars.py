"""History of bars: sealed stretches of columns plus a tail of recent rows.

Rule 1: a history streams in the memory of one stretch, however long it is.
Rule 2: storing a bar again changes nothing; where it differs from the stored one, the first stays and it is counted.
Rule 3: holes stay holes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from core.adapters.columns import Columns, Saved, from_bars, merged
from core.adapters.db import Database
from core.domain.market import Bar, from_ms, to_ms
from core.ports import Hole

# a week of minutes: large enough that reading is one copy, small enough that rewriting one is cheap
STRETCH = 10_080
BLOCK = 256

_SERIES = "SELECT id FROM series WHERE symbol = ? AND span_ms = ?"
_CHUNK = "SELECT body FROM chunks WHERE series = ? AND last_ms > ? ORDER BY last_ms LIMIT 1"
_TAIL = """SELECT open_ms, open, high, low, close, volume FROM tail
    WHERE series = ? AND open_ms > ? ORDER BY open_ms LIMIT ?"""
_SEAL = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?)"
_EVER = -(2**62)


@dataclass(frozen=True, slots=True)
class History:
    """One stored history: open times of its ends, how many bars, how many holes, the words for its sources."""

    symbol: str
    span: timedelta
    first: datetime
    last: datetime
    count: int
    holes: int
    source: str


class SqliteBars:
    """BarStore and FoldStore on a database of the ``bars`` family."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self._db.path.parent

    async def save(self, bars: Sequence[Bar]) -> int:
        """Store closed bars of one symbol and span; how many were new."""
        return (await self.merge(from_bars(bars), "exchange")).new if bars else 0

    async def merge(self, columns: Columns, source: str) -> Saved:
        """Store closed bars and the word for where they came from; what became of them."""
        return await self._db.write(lambda con: store(con, columns, source))

    async def merge_all(self, blocks: Iterator[Columns], source: str) -> Saved:
        """Store every block in one transaction, all or none; one block at a time is held in memory."""

        def work(con: sqlite3.Connection) -> Saved:
            return sum((store(con, block, source) for block in blocks), Saved())

        return await self._db.write(work)

    async def last(self, symbol: str, span: timedelta) -> Bar | None:
        """The newest stored bar."""
        found = await self._db.look(partial(_newest, symbol=symbol, span_ms=_ms(span)))
        return found.bars()[0] if found else None

    async def stream_columns(
        self, symbol: str, span: timedelta, since: datetime | None = None
    ) -> AsyncIterator[Columns]:
        """All bars from ``since`` on, oldest first, up to two stretches at a time."""
        after = to_ms(since) - 1 if since else _EVER
        while block := await self._db.look(partial(_block, symbol=symbol, span_ms=_ms(span), after=after)):
            yield block
            after = block.open_ms[-1]

    async def stream(self, symbol: str, span: timedelta, since: datetime | None = None) -> AsyncIterator[Sequence[Bar]]:
        """All bars from ``since`` on, oldest first, in blocks of at most BLOCK."""
        async for columns in self.stream_columns(symbol, span, since):
            for start in range(0, len(columns), BLOCK):
                yield columns.part(start, start + BLOCK).bars()
                await asyncio.sleep(0)  # building Bars is work of this thread: let others in between

    async def holes(self, symbol: str, span: timedelta) -> Sequence[Hole]:
        """Every gap in the stored history, oldest first."""

        def work(con: sqlite3.Connection) -> list[tuple[int, int]]:
            series = _series(con, symbol, _ms(span))
            return list(_gaps(con, series, _ms(span))) if series else []

        return [Hole(symbol, span, from_ms(a), from_ms(b)) for a, b in await self._db.look(work)]

    async def histories(self) -> list[History]:
        """A line for each stored history, by symbol and span."""
        return await self._db.look(_histories)

    async def save_fold(self, symbol: str, span: timedelta, version: str, open_at: datetime, body: bytes) -> None:
        """Keep the feature state after the bar that opened at ``open_at``, in place of the one before."""
        row = (symbol, _ms(span), version, to_ms(open_at), body)
        await self._db.write(
            lambda con: con.execute("INSERT OR REPLACE INTO folds VALUES (?, ?, ?, ?, ?)", row).rowcount
        )

    async def load_fold(self, symbol: str, span: timedelta, version: str) -> tuple[datetime, bytes] | None:
        """State and open time of the bar it includes, or None for another version or nothing."""
        sql = "SELECT open_ms, body FROM folds WHERE symbol = ? AND span_ms = ? AND version = ?"
        found = await self._db.read(sql, (symbol, _ms(span), version))
        return (from_ms(found[0][0]), found[0][1]) if found else None


def store(con: sqlite3.Connection, columns: Columns, source: str) -> Saved:
    """Merge bars into their history, inside the caller's transaction."""
    series = _open_series(con, columns, source)
    sealed = con.execute("SELECT max(last_ms) FROM chunks WHERE series = ?", (series,)).fetchone()[0]
    cut = bisect_right(columns.open_ms, _EVER if sealed is None else sealed)
    older = _into_chunks(con, series, columns.part(0, cut))
    return older + _into_tail(con, series, columns.part(cut, len(columns)))


def _open_series(con: sqlite3.Connection, columns: Columns, source: str) -> int:
    sql = """INSERT INTO series (symbol, span_ms, sources) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
        SET sources = sources || ', ' || excluded.sources
        WHERE instr(', ' || sources || ',', ', ' || excluded.sources || ',') = 0"""
    con.execute(sql, (columns.symbol, columns.span_ms, source))
    return _series(con, columns.symbol, columns.span_ms)


def _into_chunks(con: sqlite3.Connection, series: int, columns: Columns) -> Saved:
    """Merge bars no newer than the newest sealed one, stretch by stretch; a stretch that grew too long is cut."""
    saved = Saved()
    while columns:
        found = con.execute(_CHUNK, (series, columns.open_ms[0] - 1)).fetchone()
        stored = _unpack(columns, found[0])
        cut = bisect_right(columns.open_ms, stored.open_ms[-1])
        both, became = merged(stored, columns.part(0, cut))
        if became.new:
            con.execute("DELETE FROM chunks WHERE series = ? AND last_ms = ?", (series, stored.open_ms[-1]))
            _seal(con, series, both)
        saved += became
        columns = columns.part(cut, len(columns))
    return saved


def _into_tail(con: sqlite3.Connection, series: int, columns: Columns) -> Saved:
    """Add bars newer than every stretch; a tail that fills a stretch is sealed."""
    if not columns:
        return Saved()
    waiting = con.execute("SELECT count(*) FROM tail WHERE series = ?", (series,)).fetchone()[0]
    if waiting + len(columns) < STRETCH:
        return _insert(con, series, columns)
    both, saved = merged(_tail(con, series, columns, _EVER, -1), columns)
    full = len(both) // STRETCH * STRETCH
    con.execute("DELETE FROM tail WHERE series = ?", (series,))
    _seal(con, series, both.part(0, full))
    _insert(con, series, both.part(full, len(both)))
    return saved


def _insert(con: sqlite3.Connection, series: int, columns: Columns) -> Saved:
    rows = [(series, *row) for row in columns.rows()]
    before = con.total_changes
    con.executemany("INSERT OR IGNORE INTO tail VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    new = con.total_changes - before
    if new == len(rows):
        return Saved(new)
    known = "SELECT 1 FROM tail WHERE (series, open_ms, open, high, low, close, volume) = (?, ?, ?, ?, ?, ?, ?)"
    as_stored = sum(con.execute(known, row).fetchone() is not None for row in rows)
    return Saved(new, as_stored - new, len(rows) - as_stored)


def _seal(con: sqlite3.Connection, series: int, columns: Columns) -> None:
    """Write stretches of STRETCH bars; a rest joins the last of them, so that none is tiny."""
    start = 0
    while start < len(columns):
        stop = start + STRETCH if len(columns) - start >= 2 * STRETCH else len(columns)
        piece = columns.part(start, stop)
        edges = (series, piece.open_ms[0], piece.open_ms[-1], len(piece))
        con.execute(_SEAL, (*edges, b"".join((piece.open_ms, *piece.floats))))
        start = stop


def _block(con: sqlite3.Connection, symbol: str, span_ms: int, after: int) -> Columns | None:
    """The next bars later than ``after``: the rest of a stretch, else of the tail, or None."""
    series = _series(con, symbol, span_ms)
    like = Columns(symbol, span_ms)
    found = con.execute(_CHUNK, (series, after)).fetchone()
    columns = _unpack(like, found[0]).after(after) if found else _tail(con, series, like, after, STRETCH)
    return columns or None


def _newest(con: sqlite3.Connection, symbol: str, span_ms: int) -> Columns | None:
    series = _series(con, symbol, span_ms)
    ends = """SELECT max(open_ms) FROM tail WHERE series = ?
        UNION ALL SELECT max(last_ms) FROM chunks WHERE series = ?"""
    known = [ms for (ms,) in con.execute(ends, (series, series)) if ms is not None]
    return _block(con, symbol, span_ms, max(known) - 1) if known else None


def _tail(con: sqlite3.Connection, series: int, like: Columns, after: int, limit: int) -> Columns:
    columns = Columns(like.symbol, like.span_ms)
    for ms, *numbers in con.execute(_TAIL, (series, after, limit)):
        columns.append(ms, numbers)
    return columns


def _unpack(like: Columns, body: bytes) -> Columns:
    """A stretch as it was sealed: six columns of eight bytes a bar, one after the other."""
    columns = Columns(like.symbol, like.span_ms)
    view, size = memoryview(body), len(body) // 6
    columns.open_ms.frombytes(view[:size])
    for n, column in enumerate(columns.floats, 1):
        column.frombytes(view[n * size : (n + 1) * size])
    return columns


def _series(con: sqlite3.Connection, symbol: str, span_ms: int) -> int:
    """Number of the history, 0 where there is none."""
    found = con.execute(_SERIES, (symbol, span_ms)).fetchone()
    return int(found[0]) if found else 0


def _gaps(con: sqlite3.Connection, series: int, span_ms: int) -> Iterator[tuple[int, int]]:
    """Open times before and after each gap; the times of a stretch are read only where it has one."""
    end: int | None = None
    stretches = con.execute(
        "SELECT first_ms, last_ms, count FROM chunks WHERE series = ? ORDER BY last_ms", (series,)
    ).fetchall()
    for first, last, count in stretches:
        whole = (last - first) // span_ms + 1 == count
        yield from _steps(end, [first] if whole else _times(con, series, last), span_ms)
        end = last
    tail = con.execute("SELECT open_ms FROM tail WHERE series = ? ORDER BY open_ms", (series,))
    yield from _steps(end, [ms for (ms,) in tail], span_ms)


def _times(con: sqlite3.Connection, series: int, last_ms: int) -> array[int]:
    sql = "SELECT substr(body, 1, 8 * count) FROM chunks WHERE series = ? AND last_ms = ?"
    return array("q", con.execute(sql, (series, last_ms)).fetchone()[0])


def _steps(before: int | None, times: Sequence[int], span_ms: int) -> Iterator[tuple[int, int]]:
    for ms in times:
        if before is not None and ms - before != span_ms:
            yield before, ms
        before = ms


def _histories(con: sqlite3.Connection) -> list[History]:
    sql = """SELECT id, symbol, span_ms, sources, min(first_ms), max(last_ms), sum(n) FROM series JOIN (
            SELECT series, first_ms, last_ms, count AS n FROM chunks
            UNION ALL SELECT series, open_ms, open_ms, 1 FROM tail
        ) ON series = id GROUP BY id ORDER BY symbol, span_ms"""
    return [
        History(
            symbol,
            timedelta(milliseconds=span_ms),
            from_ms(first),
            from_ms(last),
            count,
            sum(1 for _ in _gaps(con, series, span_ms)),
            sources,
        )
        for series, symbol, span_ms, sources, first, last, count in con.execute(sql).fetchall()
    ]


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
