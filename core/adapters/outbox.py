"""Messages to the owner that were committed with the event they tell of, until the chat has them.

Rule 1: a message is born in the journal's transaction and leaves this list only when the chat took it.
Rule 2: what was delivered stays on record: when, and under which id of the chat.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from core.adapters.codec import decode_effect
from core.adapters.db import Database, Row
from core.domain.effects import Tell, Topic
from core.domain.errors import InvariantBroken
from core.domain.market import from_ms
from core.ports import Parcel


class SqliteOutbox:
    """Outbox on a database of the ``main`` family."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def pending(self, limit: int) -> Sequence[Parcel]:
        """Up to ``limit`` undelivered messages, oldest first."""
        sql = "SELECT id, body, at_ms, trace FROM outbox WHERE sent_ms IS NULL ORDER BY id LIMIT ?"
        return [_parcel(row) for row in await self._db.read(sql, (limit,))]

    async def delivered(self, parcel_id: int, message_id: int) -> None:
        """Take a message off the list; the first note of its delivery stands."""
        sql = "UPDATE outbox SET sent_ms = ?, message_id = ? WHERE id = ? AND sent_ms IS NULL"
        row = (time.time_ns() // 1_000_000, message_id, parcel_id)
        await self._db.write(lambda con: con.execute(sql, row).rowcount)

    async def message_id(self, topic: Topic, ref: str) -> int:
        """The chat's id of the newest delivered message of this topic and reference, or 0."""
        sql = "SELECT message_id FROM outbox WHERE topic = ? AND ref = ? AND message_id > 0 ORDER BY id DESC LIMIT 1"
        found = await self._db.read(sql, (topic.value, ref))
        return found[0][0] if found else 0


def _parcel(row: Row) -> Parcel:
    parcel_id, body, at_ms, trace = row
    tell = decode_effect("Tell", body)
    if not isinstance(tell, Tell):
        raise InvariantBroken(f"message {parcel_id} is no message")
    return Parcel(parcel_id, tell, from_ms(at_ms), trace)
