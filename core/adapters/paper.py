"""The paper account on disk: one row, replaced whole and durably at each change.

Rule 1: what the paper broker answered is in here before the answer is used.
"""

from __future__ import annotations

from core.adapters.db import Database


class SqlitePaperAccount:
    """Keeps the paper broker's book on a database of the ``main`` family."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def save(self, body: bytes) -> None:
        """Replace the kept book."""
        await self._db.write(lambda con: con.execute("INSERT OR REPLACE INTO paper VALUES (1, ?)", (body,)).rowcount)

    async def load(self) -> bytes | None:
        """The kept book, or None before the first change."""
        found = await self._db.read("SELECT body FROM paper WHERE id = 1")
        return bytes(found[0][0]) if found else None
