"""What happened, read again from the read model: newest trades and orders, and which chat updates were handled.

Rule 1: reading never waits for the writer, and nothing here changes trading state.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from core.adapters.codec import encode
from core.adapters.db import Database, Row
from core.adapters.stored import stored
from core.domain.market import from_ms, to_ms
from core.domain.orders import Fill, Order, OrderKind, OrderState, Purpose, Side
from core.domain.state import Trade

_TRADES = """SELECT symbol, intent, qty, entry_price, exit_price, profit, fees, dust, opened_ms, closed_ms,
    bars_held, why FROM trades ORDER BY rowid DESC LIMIT ?"""
_ORDERS = """SELECT client_id, symbol, side, kind, purpose, qty, price, stop_price, state, filled_qty, filled_quote,
    exchange_id, list_id, reason, created_ms FROM orders ORDER BY created_ms DESC, rowid DESC LIMIT ?"""
_FILLS = """SELECT symbol, trade_id, client_id, side, qty, price, fee, fee_asset, maker, at_ms FROM fills
    WHERE at_ms >= ? ORDER BY at_ms DESC, rowid DESC LIMIT ?"""


class SqliteRecords:
    """Records on a database of the ``main`` family."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def trades(self, limit: int) -> Sequence[Trade]:
        """Closed round trips, newest first."""
        found = await self._db.read(_TRADES, (limit,))
        with stored("a closed trade"):
            return [_trade(row) for row in found]

    async def orders(self, limit: int) -> Sequence[Order]:
        """Orders of any state, newest first."""
        found = await self._db.read(_ORDERS, (limit,))
        with stored("an order"):
            return [_order(row) for row in found]

    async def fills(self, since: datetime, limit: int) -> Sequence[Fill]:
        """Trades of single orders from ``since`` on, newest first."""
        found = await self._db.read(_FILLS, (to_ms(since), limit))
        with stored("a trade"):
            return [_fill(row) for row in found]

    async def seen(self, update_id: int) -> bool:
        """Whether this chat update was handled before."""
        return bool(await self._db.read("SELECT 1 FROM updates WHERE update_id = ?", (update_id,)))

    async def note(self, update_id: int, at: datetime, text: str) -> None:
        """Keep that this chat update is handled, with the command it held."""
        sql = """INSERT INTO updates VALUES (?, ?, ?)
            ON CONFLICT (update_id) DO UPDATE SET said = excluded.said"""
        await self._db.write(lambda con: con.execute(sql, (update_id, to_ms(at), text)).rowcount)

    async def keep_reconciliation(self, at: datetime, report: object) -> None:
        """Keep how books and exchange compared at ``at``, as JSON, in place of the comparison before."""
        row = to_ms(at), encode(report).decode()
        await self._db.write(lambda con: con.execute("REPLACE INTO reconciliation VALUES (1, ?, ?)", row).rowcount)

    async def tidy(self, before: datetime) -> int:
        """Forget delivered messages and handled updates older than ``before``; how many. The journal is never cut."""
        ms = to_ms(before)

        def work(con: sqlite3.Connection) -> int:
            gone = con.execute("DELETE FROM outbox WHERE sent_ms IS NOT NULL AND at_ms < ?", (ms,)).rowcount
            return gone + con.execute("DELETE FROM updates WHERE at_ms < ?", (ms,)).rowcount

        return await self._db.write(work)

    async def hush(self) -> int:
        """Forget every message that waits to be delivered; how many. For a store that no chat reads."""
        if not await self._db.read("SELECT 1 FROM outbox WHERE sent_ms IS NULL LIMIT 1"):
            return 0
        return await self._db.write(lambda con: con.execute("DELETE FROM outbox WHERE sent_ms IS NULL").rowcount)


def _fill(row: Row) -> Fill:
    symbol, trade_id, client_id, side, qty, price, fee, fee_asset, maker, at_ms = row
    return Fill(
        symbol=symbol,
        trade_id=trade_id,
        client_id=client_id,
        side=Side(side),
        qty=Decimal(qty),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_asset=fee_asset,
        at=from_ms(at_ms),
        maker=bool(maker),
    )


def _trade(row: Row) -> Trade:
    symbol, intent, qty, entry, exit_, profit, fees, dust, opened_ms, closed_ms, bars_held, why = row
    return Trade(
        symbol=symbol,
        intent=intent,
        qty=Decimal(qty),
        entry_price=Decimal(entry),
        exit_price=Decimal(exit_),
        profit=Decimal(profit),
        fees=tuple((asset, Decimal(fee)) for asset, fee in json.loads(fees)),
        opened_at=from_ms(opened_ms),
        closed_at=from_ms(closed_ms),
        bars_held=bars_held,
        why=why,
        dust=Decimal(dust),
    )


def _order(row: Row) -> Order:
    client_id, symbol, side, kind, purpose, qty, price, stop, state, filled, quote, number, group, reason, made = row
    return Order(
        client_id=client_id,
        symbol=symbol,
        side=Side(side),
        kind=OrderKind(kind),
        purpose=Purpose[purpose],
        qty=Decimal(qty),
        created_at=from_ms(made),
        price=None if price is None else Decimal(price),
        stop_price=None if stop is None else Decimal(stop),
        state=OrderState(state),
        exchange_id=number,
        list_id=group,
        filled_qty=Decimal(filled),
        filled_quote=Decimal(quote),
        reason=reason,
    )
