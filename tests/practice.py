"""A paper journal in which somebody has practised, for tests of what comes after."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.adapters.migrate import migrate
from core.domain.market import to_ms

INSERT = (
    "INSERT INTO trades (seq, symbol, intent, qty, entry_price, exit_price, profit, fees, dust, opened_ms, closed_ms,"
    " bars_held, why) VALUES (?, 'BTCUSDT', ?, '1', '1', '1', '0', '[]', '0', ?, ?, 1, 'target')"
)


def practised(home: Path, count: int) -> None:
    """A paper journal with so many round trips, the first of ten days ago, each nine days long."""
    path = home / "paper" / "firstmate.db"
    path.parent.mkdir(parents=True)
    migrate(path, "main")
    now = datetime.now(UTC)
    with contextlib.closing(sqlite3.connect(path)) as con:
        for number in range(count):
            opened = now - timedelta(days=10) + timedelta(hours=number)
            closed_ms = to_ms(opened + timedelta(days=9))
            con.execute(INSERT, (number, f"i{number}", to_ms(opened), closed_ms))
        con.commit()
