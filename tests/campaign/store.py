"""A database with the face of the real one, in memory and without threads: it outlives the process that writes it.

Rule 1: the same SQL on the same migrations; a job is committed whole or not at all.
Rule 2: the disk may be full, and the process may die just before or just after a commit.
Rule 3: others get their turn around each commit, as they do around a real one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from core.adapters.db import Row
from core.adapters.dbfile import as_ours, connect
from core.adapters.migrate import migrate
from core.domain.errors import StoreUnusable
from tests.campaign.process import Process, Reaper

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


@cache
def _image(family: str) -> bytes:
    """A freshly migrated database of this family."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{family}.db"
        migrate(path, family)
        with closing(connect(path)) as con:
            con.execute("PRAGMA journal_mode = DELETE")
            return con.serialize()


class Disk:
    """One database file of one life."""

    def __init__(self, family: str, rng: Random, full: float = 0.0) -> None:
        self.con = sqlite3.connect(":memory:", isolation_level=None)
        self.con.deserialize(_image(family))
        self.con.execute("PRAGMA foreign_keys = ON")
        self.path = Path(f"{family}.db")
        self.rng = rng
        self.full = full

    def close(self) -> None:
        """Forget everything."""
        self.con.close()


class InlineDatabase:
    """What ``core.adapters.db.Database`` is, for one process over one disk."""

    def __init__(self, disk: Disk, process: Process, reaper: Reaper) -> None:
        self.path = disk.path
        self._disk = disk
        self._process = process
        self._reaper = reaper

    async def write(self, work: Work[T]) -> T:
        """What ``work`` returns, once it is committed."""
        process, reaper, disk = self._process, self._reaper, self._disk
        await process.reach()
        await asyncio.sleep(disk.rng.uniform(0.0002, 0.004))
        reaper.commits += 1
        number = reaper.commits
        if reaper.meets("commit", number, after=False):
            process.die(f"before commit {number}")
        await process.reach()
        if disk.full and disk.rng.random() < disk.full:
            process.note("DISK FULL")
            raise StoreUnusable("firstmate.db (database or disk is full): the disk is full: free some space there")
        value = self._committed(work)
        if reaper.meets("commit", number, after=True):
            process.die(f"after commit {number}")
        await process.reach()
        return value

    def _committed(self, work: Work[T]) -> T:
        con = self._disk.con
        con.execute("BEGIN IMMEDIATE")
        try:
            value = work(con)
            con.execute("COMMIT")
        except sqlite3.Error as error:
            raise as_ours(error, self.path) from error
        finally:
            if con.in_transaction:
                con.execute("ROLLBACK")
        return value

    async def look(self, work: Work[T]) -> T:
        """What ``work`` returns of one moment."""
        await self._process.reach()
        try:
            return work(self._disk.con)
        except sqlite3.Error as error:
            raise as_ours(error, self.path) from error

    async def read(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """All rows of one query."""
        return await self.look(lambda con: con.execute(sql, params).fetchall())

    async def close(self) -> None:
        """The disk stays."""


def rows(disk: Disk, sql: str, *params: Any) -> list[Row]:
    """What stands on the disk, for whoever checks it."""
    return disk.con.execute(sql, params).fetchall()
