"""The assistant's books as its database has them, read beside it, and the lines of its journal around an order."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from core.adapters.readonly import load_state
from tests.blackbox.judge import Booked, Books
from tests.e2e.program import rows

LINES_SHOWN = 12


def read(path: Path) -> Books:
    """Everything the assistant believes by now."""
    orders = rows(path, "SELECT client_id, state, filled_qty, purpose FROM orders")
    fills = rows(path, "SELECT symbol, trade_id, qty, price, fee, fee_asset FROM fills")
    state = load_state(path)
    assert state is not None
    return Books(
        {str(name): Booked(str(is_), Decimal(str(filled)), str(purpose)) for name, is_, filled, purpose in orders},
        frozenset(
            (str(s), str(i), Decimal(str(q)), Decimal(str(p)), Decimal(str(f)), str(a)) for s, i, q, p, f, a in fills
        ),
        {asset: total for asset, total in state.balances.items() if total},
        frozenset(symbol for symbol, position in state.positions.items() if position.alarmed),
    )


def entries(path: Path) -> int:
    """How many entries were decided and committed."""
    found = rows(path, "SELECT count(*) FROM orders WHERE purpose = 'ENTRY'")
    return int(str(found[0][0])) if found else 0


def unsent(path: Path) -> int:
    """How many messages the owner still waits for."""
    found = rows(path, "SELECT count(*) FROM outbox WHERE sent_ms IS NULL")
    return int(str(found[0][0])) if found else 0


def around(path: Path, name: str) -> list[str]:
    """The newest journal lines that name this order, trade or symbol, shortened."""
    sql = "SELECT seq, at_ms, kind, substr(body, 1, 300), substr(effects, 1, 200) FROM journal"
    sql += " WHERE kind <> 'BarSeen' AND (body LIKE ? OR effects LIKE ?) ORDER BY seq DESC LIMIT ?"
    found = rows(path, sql, f"%{name}%", f"%{name}%", LINES_SHOWN)
    return [" ".join(str(field) for field in line) for line in reversed(found)]
