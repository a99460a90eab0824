"""What a second program asks of the tables beside the state, with sqlite3 alone.

Rule 1: like ``readonly``, nothing here can write, wait for the assistant, or make it wait.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from core.adapters.dbfile import UNREADABLE, as_ours, connect_readonly
from core.adapters.journal import TABLES
from core.adapters.stored import stored
from core.domain.market import from_ms

T = TypeVar("T")

_WAITING = "SELECT count(*), min(at_ms) FROM outbox WHERE sent_ms IS NULL"
_COLUMNS = "SELECT name FROM pragma_table_info(?) ORDER BY cid"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages the chat has not taken yet: how many, and when what the oldest tells of happened."""

    count: int
    oldest: datetime | None


def waiting(path: Path) -> Waiting:
    """The undelivered messages of a current database. Raises StoreUnusable."""
    count, oldest_ms = _ask(path, lambda con: con.execute(_WAITING).fetchone())
    with stored("the time of a message"):
        return Waiting(count, None if oldest_ms is None else from_ms(oldest_ms))


def reconciliation(path: Path) -> str | None:
    """The newest comparison with the exchange, as JSON, or None before the first. Raises StoreUnusable."""
    found = _ask(path, lambda con: con.execute("SELECT body FROM reconciliation").fetchone())
    return found[0] if found else None


def columns(path: Path, table: str) -> list[str]:
    """Names of the columns of one of TABLES, empty or not. Raises StoreUnusable."""
    if table not in TABLES:
        raise ValueError(f"{table} is none of {', '.join(TABLES)}")
    return [name for (name,) in _ask(path, lambda con: con.execute(_COLUMNS, (table,)).fetchall())]


def _ask(path: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    with contextlib.closing(connect_readonly(path)) as con:
        try:
            return question(con)
        except UNREADABLE as error:
            raise as_ours(error, path) from error
