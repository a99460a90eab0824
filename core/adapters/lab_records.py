"""What models forecast and what became of it, on a database of the ``main`` family.

Rule 1: a bet is one row whoever forecast it; its outcome is kept once, the features behind it for some weeks only.
Rule 2: rows are numbered as they come, which is the order of time: long answers and long deletions go by number, in
        slices, so that neither reader nor writer is held for long.
Rule 3: a long answer is thinned by whole bar closes, every k-th, k prime and no divisor of a day: all hours stay.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from core.adapters.db import Database, Row
from core.adapters.stored import stored
from core.lab_ports import Bet, Ended, LiveRow, Said, Settled, Spoken, Twofold

SLICE = 500
BLOCK = 500
BETS_MAX = 400_000
ROWS_MAX = 50_000
_STRIDES = (1, 5, 7, 11, 13, 17, 23, 31, 43, 61, 83, 113, 157, 211, 307, 401, 599, 797)

_BET = """INSERT INTO lab_bets (span_ms, open_ms, symbol, win, loss, horizon) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (span_ms, open_ms, symbol) DO NOTHING"""
_BET_ID = "SELECT bet_id FROM lab_bets WHERE span_ms = ? AND open_ms = ? AND symbol = ?"
_WAITING = "SELECT symbol, span_ms, min(open_ms) FROM lab_bets WHERE ended_ms IS NULL GROUP BY span_ms, symbol"
_UNSETTLED = """SELECT symbol, span_ms, open_ms, win, loss, horizon FROM lab_bets
    WHERE ended_ms IS NULL AND symbol = ? AND span_ms = ? AND open_ms > ? ORDER BY open_ms LIMIT ?"""
_SETTLE = """UPDATE lab_bets SET ended_ms = ?, outcome = ? WHERE span_ms = ? AND open_ms = ? AND symbol = ?
    AND ended_ms IS NULL"""
_SETTLED = """FROM lab_forecasts f JOIN lab_bets b USING (bet_id) WHERE f.model_id = :model AND f.bet_id > :after
    AND b.ended_ms IS NOT NULL AND b.open_ms >= :since AND (:role = '' OR f.role = :role)"""
_TWOFOLD = """FROM lab_forecasts f JOIN lab_forecasts o ON o.model_id = :other AND o.bet_id = f.bet_id
    JOIN lab_bets b ON b.bet_id = f.bet_id WHERE f.model_id = :model AND f.bet_id > :after
    AND b.ended_ms IS NOT NULL AND b.open_ms >= :since"""
_ROWS = """FROM lab_forecasts f JOIN lab_bets b USING (bet_id) JOIN lab_rows r USING (bet_id)
    WHERE f.model_id = :model AND f.bet_id > :after AND b.open_ms >= :since"""
_THINNED = " AND (b.open_ms / b.span_ms) % :stride = 0"
_MODELS = """WITH RECURSIVE each (id) AS (SELECT min(model_id) FROM lab_forecasts UNION ALL
    SELECT (SELECT min(model_id) FROM lab_forecasts WHERE model_id > id) FROM each WHERE id IS NOT NULL)
    SELECT id FROM each WHERE id IS NOT NULL"""
_OLDEST_KEPT = "SELECT bet_id FROM lab_bets WHERE open_ms >= ? ORDER BY bet_id LIMIT 1"


class SqliteLabRecords:
    """LabRecords on a database of the ``main`` family."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def keep(self, spoken: Sequence[Spoken]) -> int:
        """Keep forecasts; each model's word on a bet once, the first one. How many bets were new."""
        new = 0
        for part in _parts(spoken):
            new += await self._db.write(partial(_keep, part))
        return new

    async def waiting(self) -> Sequence[tuple[str, int, int]]:
        """Symbol, bar length in ms and first open time of the bets that are not settled."""
        with stored("a forecast"):
            return [(str(symbol), int(span), int(first)) for symbol, span, first in await self._db.read(_WAITING)]

    async def unsettled(self, symbol: str, span_ms: int, after_ms: int, limit: int) -> Sequence[Bet]:
        """Up to ``limit`` bets not settled yet, on bars that opened later than ``after_ms``, oldest first."""
        found = await self._db.read(_UNSETTLED, (symbol, span_ms, after_ms, limit))
        with stored("a forecast"):
            return [Bet(str(s), int(span), int(at), float(w), float(x), int(n)) for s, span, at, w, x, n in found]

    async def settle(self, ends: Sequence[Ended]) -> None:
        """Keep what became of bets."""
        for part in _parts(ends):
            await self._db.write(partial(_settle, part))

    async def settled(
        self, model_id: str, since_ms: int, most: int, role: str = ""
    ) -> AsyncIterator[Sequence[Settled]]:
        """A model's settled forecasts (as ``role`` only, where named), in the order they were made, in blocks."""
        what = "b.symbol, b.open_ms, b.ended_ms, f.p, f.p_low, b.outcome"
        asked = {"model": model_id, "since": since_ms, "role": role}
        async for block in self._blocks(what, _SETTLED, asked, most):
            with stored("a settled forecast"):
                yield [
                    Settled(str(symbol), int(at), int(end), float(p), float(low), float(worth))
                    for symbol, at, end, p, low, worth in block
                ]

    async def twofold(self, model_id: str, other_id: str, since_ms: int, most: int) -> AsyncIterator[Sequence[Twofold]]:
        """The settled bets both models forecast, in the order they were made, in blocks."""
        asked = {"model": model_id, "other": other_id, "since": since_ms}
        async for block in self._blocks("b.open_ms, f.p, o.p, b.outcome", _TWOFOLD, asked, most):
            with stored("a settled forecast"):
                yield [Twofold(int(at), float(p), float(other), float(worth)) for at, p, other, worth in block]

    async def rows(self, model_id: str, since_ms: int, most: int) -> Sequence[LiveRow]:
        """The features a model was asked about, oldest first."""
        asked = {"model": model_id, "since": since_ms}
        found = []
        async for block in self._blocks("b.symbol, b.open_ms, r.x", _ROWS, asked, most):
            with stored("the features behind a forecast"):
                found += [LiveRow(str(symbol), int(at), bytes(x)) for symbol, at, x in block]
        return found

    async def _blocks(self, what: str, where: str, asked: dict[str, Any], most: int) -> AsyncIterator[list[Row]]:
        """Blocks of rows in the order of their numbers; every k-th bar close where there are more than ``most``."""
        count = (await self._asked(f"SELECT count(*) {where}", asked | {"after": 0}))[0][0]
        stride = next((k for k in _STRIDES if count <= most * k), _STRIDES[-1])
        sql = f"SELECT f.bet_id, {what} {where}{_THINNED} ORDER BY f.bet_id LIMIT {BLOCK}"
        after, more = 0, True
        while more:
            block = await self._asked(sql, asked | {"after": after, "stride": stride})
            if more := len(block) == BLOCK:
                after = block[-1][0]
            yield [row[1:] for row in block]

    async def _asked(self, sql: str, values: Mapping[str, object]) -> list[Row]:
        return await self._db.look(lambda con: con.execute(sql, values).fetchall())

    async def recall(self, name: str) -> str:
        """What was remembered under this name, "" for nothing."""
        found = await self._db.read("SELECT said FROM lab_memory WHERE name = ?", (name,))
        return str(found[0][0]) if found else ""

    async def remember(self, name: str, said: str) -> None:
        """Keep a text under a name, in place of the one before."""
        await self._db.write(lambda con: con.execute("REPLACE INTO lab_memory VALUES (?, ?)", (name, said)).rowcount)

    async def tidy(self, before_ms: int, rows_before_ms: int) -> int:
        """Forget bets decided before ``before_ms``, and features older than ``rows_before_ms``; how many bets.

        Of more than BETS_MAX bets or ROWS_MAX rows the oldest go whatever their age.
        """
        first, last = await self._ends()
        rows_until = max(await self._oldest(rows_before_ms, last), last + 1 - ROWS_MAX)
        until = max(await self._oldest(before_ms, last), last + 1 - BETS_MAX)
        await self._db.write(lambda con: con.execute("DELETE FROM lab_rows WHERE bet_id < ?", (rows_until,)).rowcount)
        gone = 0
        for upto in range(first + SLICE, until + SLICE, SLICE):
            gone += await self._db.write(partial(_forget, min(upto, until)))
        return gone

    async def _ends(self) -> tuple[int, int]:
        first, last = (await self._db.read("SELECT min(bet_id), max(bet_id) FROM lab_bets"))[0]
        return first or 0, last or 0

    async def _oldest(self, ms: int, last: int) -> int:
        """Number of the first bet decided at or after ``ms``, one above all where there is none."""
        found = await self._db.read(_OLDEST_KEPT, (ms,))
        return int(found[0][0]) if found else last + 1


def _parts(whole: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (whole[k : k + SLICE] for k in range(0, len(whole), SLICE))


def _keep(spoken: Sequence[Spoken], con: sqlite3.Connection) -> int:
    return sum(_kept(con, one) for one in spoken)


def _settle(ends: Sequence[Ended], con: sqlite3.Connection) -> None:
    con.executemany(_SETTLE, [(end, worth, bet.span_ms, bet.open_ms, bet.symbol) for bet, end, worth in ends])


def _kept(con: sqlite3.Connection, one: Spoken) -> int:
    bet = one.bet
    key = (bet.span_ms, bet.open_ms, bet.symbol)
    new = con.execute(_BET, (*key, bet.win, bet.loss, bet.horizon)).rowcount
    bet_id = con.execute(_BET_ID, key).fetchone()[0]
    con.executemany("INSERT OR IGNORE INTO lab_forecasts VALUES (?, ?, ?, ?, ?)", [_said(bet_id, s) for s in one.said])
    if new:
        con.execute("INSERT OR IGNORE INTO lab_rows VALUES (?, ?)", (bet_id, one.row))
    return new


def _said(bet_id: int, said: Said) -> tuple[object, ...]:
    return said.model_id, bet_id, said.role, said.p, said.p_low


def _forget(until: int, con: sqlite3.Connection) -> int:
    for (model_id,) in con.execute(_MODELS).fetchall():
        con.execute("DELETE FROM lab_forecasts WHERE model_id = ? AND bet_id < ?", (model_id, until))
    con.execute("DELETE FROM lab_rows WHERE bet_id < ?", (until,))
    return con.execute("DELETE FROM lab_bets WHERE bet_id < ?", (until,)).rowcount
