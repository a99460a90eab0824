"""One SQLite file: one writer that commits in groups, and a pool of read-only readers.

Rule 1: whoever awaits ``write`` goes on only after COMMIT; what was acknowledged is on the disk (``durable``: fsynced).
Rule 2: jobs that wait together share one transaction, each in its own savepoint: one that fails spoils no other.
Rule 3: a waiter that is cancelled leaves its whole job done or none of it, and never an open transaction.
Rule 4: what leaves this file are the errors of ``core.domain.errors``, with the fix in the sentence.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from core.adapters.dbfile import UNREADABLE, as_ours, connect, connect_readonly, copy_database
from core.domain.errors import StoreUnusable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Row = tuple[Any, ...]

QUEUE_MAX = 1_024
BATCH_MAX = 256
CLOSE_WITHIN_S = 1.0


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    done: asyncio.Future[Any]


@dataclass(slots=True)
class _Failed:
    error: BaseException


class _Rolledback(Exception):
    """SQLite gave up the whole transaction by itself (full disk, I/O error): nothing of the batch exists."""


def _commit_together(jobs: Sequence[_Job], con: sqlite3.Connection) -> list[Any]:
    """What each job returned, or _Failed with its error; all that returned are committed when this returns."""
    con.execute("BEGIN IMMEDIATE")
    try:
        # a savepoint keeps a copy of every page a job touches: one that is alone has nobody to spare
        attempt = _attempt if len(jobs) > 1 else _alone
        outcomes = [attempt(job, con) for job in jobs]
        con.execute("COMMIT")
    except BaseException:
        if con.in_transaction:
            con.execute("ROLLBACK")
        raise
    return outcomes


def _alone(job: _Job, con: sqlite3.Connection) -> Any:
    return None if job.done.cancelled() else job.work(con)


def _attempt(job: _Job, con: sqlite3.Connection) -> Any:
    if job.done.cancelled():
        return None
    con.execute("SAVEPOINT job")
    try:
        value = job.work(con)
    except Exception as error:
        if not con.in_transaction:
            raise _Rolledback from error
        con.execute("ROLLBACK TO job")
        value = _Failed(error)
    else:
        if job.done.cancelled():
            con.execute("ROLLBACK TO job")
    con.execute("RELEASE job")
    return value


def _look(work: Work[T], con: sqlite3.Connection) -> T:
    con.execute("BEGIN")
    try:
        return work(con)
    finally:
        con.execute("ROLLBACK")


class _Connection(aiosqlite.Connection):
    """aiosqlite with one thing more: a whole function in the connection's own thread, for one hop instead of many."""

    async def run(self, work: Work[T]) -> T:
        return await self._execute(work, self._conn)  # type: ignore[no-any-return, no-untyped-call]


class Database:
    """One SQLite file, opened by ``open``; the same file is to be opened once in a process."""

    def __init__(self, path: Path, writer: _Connection, readers: Sequence[_Connection]) -> None:
        self.path = path
        self._writer = writer
        self._readers = tuple(readers)
        self._idle: asyncio.Queue[_Connection] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self._room = asyncio.Semaphore(QUEUE_MAX)
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._closed = False
        self._task = asyncio.create_task(self._serve(), name=f"writer of {path.name}")

    @classmethod
    async def open(cls, path: Path, *, durable: bool, readers: int = 3) -> Database:
        """The file at ``path``, created if missing, checked; ``durable`` fsyncs every commit. Raises StoreUnusable."""
        opened: list[_Connection] = []
        ways = [partial(connect, path, durable=durable)] + [partial(connect_readonly, path)] * readers
        try:
            for way in ways:
                connection = _Connection(way, iter_chunk_size=64)
                await connection
                opened.append(connection)
        except BaseException:
            await asyncio.to_thread(connection._thread.join, CLOSE_WITHIN_S)  # the failed one ends by itself
            for connection in opened:
                await connection.close()
            raise
        return cls(path, opened[0], opened[1:])

    async def write(self, work: Work[T]) -> T:
        """What ``work`` returns, once all it wrote is committed; what it raises, once all it wrote is undone."""
        async with self._room:
            if self._closed:
                raise StoreUnusable(f"{self.path.name} is closed: firstmate is stopping")
            job = _Job(work, asyncio.get_running_loop().create_future())
            self._jobs.put_nowait(job)
            return await job.done  # type: ignore[no-any-return]

    async def look(self, work: Work[T]) -> T:
        """What ``work`` returns; all it reads is of one moment, and it cannot write."""
        reader = await self._idle.get()
        try:
            return await reader.run(partial(_look, work))
        except UNREADABLE as error:
            raise as_ours(error, self.path) from error
        finally:
            self._idle.put_nowait(reader)

    async def read(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """All rows of one query; page through large answers."""
        return await self.look(lambda con: con.execute(sql, params).fetchall())

    async def backup(self, path: Path) -> None:
        """A checked copy at ``path``, taken while work goes on."""
        await asyncio.to_thread(copy_database, self.path, path)

    async def close(self) -> None:
        """Return once every job that was taken is committed and the file is let go; more calls do no harm."""
        if not self._closed:
            self._closed = True
            self._jobs.put_nowait(None)
        await asyncio.shield(self._task)

    async def _serve(self) -> None:
        try:
            while batch := await self._next_batch():
                await self._commit(batch)
        finally:
            for connection in (*self._readers, self._writer):
                await connection.close()

    async def _next_batch(self) -> list[_Job]:
        """Everything that waits, at least one job and at most BATCH_MAX; empty once closing."""
        job = await self._jobs.get()
        batch = []
        while job is not None:
            batch.append(job)
            if self._jobs.empty() or len(batch) == BATCH_MAX:
                return batch
            job = self._jobs.get_nowait()
        if batch:
            self._jobs.put_nowait(None)
        return batch

    async def _commit(self, batch: Sequence[_Job]) -> None:
        try:
            outcomes = await self._writer.run(partial(_commit_together, batch))
        except Exception as error:
            cause = error.__cause__ if isinstance(error, _Rolledback) and error.__cause__ else error
            outcomes = [_Failed(cause)] * len(batch)
        for job, outcome in zip(batch, outcomes, strict=True):
            self._settle(job.done, outcome)

    def _settle(self, done: asyncio.Future[Any], outcome: Any) -> None:
        if done.done():
            return
        if not isinstance(outcome, _Failed):
            done.set_result(outcome)
        elif isinstance(outcome.error, UNREADABLE):
            done.set_exception(as_ours(outcome.error, self.path))
        else:
            done.set_exception(outcome.error)
