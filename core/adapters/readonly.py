"""What a second program may read while the assistant runs: the state and the tables, with sqlite3 alone.

Rule 1: nothing here can write, wait for the assistant, or make it wait.
Rule 2: a missing, damaged, outdated or newer database is one sentence.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from core.adapters import parts
from core.adapters.dbfile import UNREADABLE, as_ours, connect_readonly
from core.adapters.journal import table_page
from core.adapters.migrate import check_current
from core.domain.state import State


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    check_current(path, "main")
    with contextlib.closing(connect_readonly(path)) as con:
        try:
            yield con
        except UNREADABLE as error:
            raise as_ours(error, path) from error


def load_state(path: Path) -> State | None:
    """The newest committed state, or None where nothing was committed yet. Raises StoreUnusable."""
    with _reading(path) as con:
        return parts.load(con)


def table_rows(path: Path, table: str) -> Iterator[dict[str, object]]:
    """Rows of orders, fills, trades, signals or journal, oldest first. Raises StoreUnusable."""
    last = 0
    with _reading(path) as con:
        while page := table_page(con, table, last):
            last = page[-1][0]
            for _, row in page:
                yield row
