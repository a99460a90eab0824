"""The journal on disk: one transaction a step, with everything that follows from it.

Rule 1: the lines of one commit, their effects, the state, the rows, the audit and the outgoing messages are
        committed together or not at all.
Rule 2: seq counts without a gap, and what can happen once only (a bar, a fill, a command) has a unique key.
Rule 3: the stored state is always the newest one; whole snapshots beside it let the journal be stepped again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial

from core.adapters import audit, audit_rows, parts, readmodel
from core.adapters.codec import decode_effects, decode_event, decode_state, encode_effects, encode_event, encode_state
from core.adapters.db import Database
from core.adapters.parts import Statement
from core.adapters.stored import stored
from core.domain.errors import InvariantBroken
from core.domain.events import BarSeen, Event, Filled, OwnerEvent
from core.domain.market import from_ms, to_ms
from core.domain.state import State
from core.ports import Change, Committed

TABLES = ("orders", "fills", "trades", "signals", "journal")
SNAPSHOTS_KEPT = 10
PAGE = 256

_LINE = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)"


class SqliteJournal:
    """Journal on a database of the ``main`` family; ``owner`` is the actor of the owner's words in its audit."""

    def __init__(self, db: Database, owner: str = "owner") -> None:
        self._db = db
        self._owner = owner
        self._stored: State | None = None

    async def commit(self, *changes: Change) -> None:
        """Make steps durable together; ones that do not follow on the last raise InvariantBroken and leave no trace."""
        rows: dict[str, list[tuple[object, ...]]] = {}  # of one table together, for that is quicker to write
        deeds: list[audit.Deed] = []
        last = changes[0].before.seq
        for change in changes:
            if (change.before.seq, change.after.seq) != (last, last + 1):
                raise InvariantBroken(f"journal line {change.after.seq} cannot follow line {last}")
            for sql, more in ((_LINE, [_line(change)]), *readmodel.rows(change)):
                rows.setdefault(sql, []).extend(more)
            deeds += audit_rows.deeds(change, self._owner)
            last = change.after.seq
        before, after = changes[0].before, changes[-1].after
        # a state that is not the one on disk (an older snapshot stepped again) is written whole
        statements = [*rows.items(), *parts.differences(before if before is self._stored else None, after)]

        def work(con: sqlite3.Connection) -> None:
            _execute(con, statements)
            if deeds:
                audit.write(con, deeds)

        await self._db.write(work)
        self._stored = after

    async def last_at(self) -> datetime | None:
        """The time of the newest line, aware UTC; None before the first."""
        found = await self._db.read("SELECT at_ms FROM journal ORDER BY seq DESC LIMIT 1")
        with stored("the time of the newest line"):
            return from_ms(found[0][0]) if found else None

    async def save_snapshot(self, state: State) -> None:
        """Keep ``state`` whole; the newest ten stay."""
        body = encode_state(state).decode()
        prune = "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)"
        keep = "INSERT OR REPLACE INTO snapshots VALUES (?, ?)"
        await self._db.write(lambda con: _execute(con, [(keep, [(state.seq, body)]), (prune, [(SNAPSHOTS_KEPT,)])]))

    async def latest_snapshot(self) -> State | None:
        """The state as last committed, else the newest whole snapshot that can be read, else None."""
        try:
            self._stored = await self._db.look(parts.load)
        except InvariantBroken:
            return await self._readable_snapshot()
        return self._stored

    async def snapshots(self) -> Sequence[int]:
        """Numbers of the journal lines after which a whole state is kept, oldest first."""
        return [seq for (seq,) in await self._db.read("SELECT seq FROM snapshots ORDER BY seq")]

    async def snapshot(self, seq: int) -> State:
        """The whole state kept after line ``seq``. Raises InvariantBroken where there is none that can be read."""
        found = await self._db.read("SELECT body FROM snapshots WHERE seq = ?", (seq,))
        if not found:
            raise InvariantBroken(f"no snapshot was kept after journal line {seq}")
        return decode_state(found[0][0])

    async def _readable_snapshot(self) -> State | None:
        for seq in reversed(await self.snapshots()):
            try:
                return await self.snapshot(seq)
            except InvariantBroken:
                continue
        return None

    async def events_after(self, seq: int) -> AsyncIterator[Committed]:
        """Every line with a number above ``seq``, in order, a page at a time."""
        sql = "SELECT seq, kind, body, effects FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
        while page := await self._db.read(sql, (seq, PAGE)):
            for number, kind, body, effects in page:
                if number != seq + 1:
                    raise InvariantBroken(f"journal line {seq + 1} is missing")
                seq = number
                yield Committed(seq, decode_event(kind, body), decode_effects(effects))

    async def rows(self, table: str) -> AsyncIterator[dict[str, object]]:
        """Rows of one of TABLES as column names and values, oldest first, a page at a time."""
        last = 0
        while page := await self._db.look(partial(table_page, table=table, after=last)):
            last = page[-1][0]
            for _, row in page:
                yield row


def table_page(con: sqlite3.Connection, table: str, after: int) -> list[tuple[int, dict[str, object]]]:
    """Up to PAGE rows of one of TABLES with a rowid above ``after``: (rowid, columns)."""
    if table not in TABLES:
        raise ValueError(f"{table} is none of {', '.join(TABLES)}")
    query = f"SELECT rowid, * FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT ?"  # nosec B608  # table: one of TABLES
    cursor = con.execute(query, (after, PAGE))
    names = [column[0] for column in cursor.description[1:]]
    return [(row[0], dict(zip(names, row[1:], strict=True))) for row in cursor]


def _execute(con: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    for sql, rows in statements:
        if rows:
            con.executemany(sql, rows)


def _line(change: Change) -> tuple[object, ...]:
    event = change.event
    kind, body = encode_event(event)
    # a duplicate is journaled too, but only the one that counted holds the key
    key = _key(event) if readmodel.changed(change.before, change.after) else None
    effects = encode_effects(change.effects).decode()
    return change.after.seq, to_ms(event.at), kind, event.trace, body.decode(), key, effects


def _key(event: Event) -> str | None:
    match event:
        case BarSeen(bar=bar):
            return f"bar:{bar.symbol}:{to_ms(bar.open_at)}"
        case Filled(fill=fill):
            return f"fill:{fill.symbol}:{fill.trade_id}"
        case OwnerEvent(update_id=update_id):
            return f"update:{update_id}"
        case _:
            return None
