"""The shape of a database file, brought forward by numbered SQL files.

Rule 1: forward only; each file is one transaction; its sha256 is kept, and an applied file that changed is refused.
Rule 2: a file that holds anything is copied to ``<name>.before-000N`` before its first pending step; three copies stay.
Rule 3: a database of a newer version is refused before anything in it is touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.adapters.dbfile import UNREADABLE, as_ours, connect, connect_readonly, copy_database
from core.adapters.stored import stored
from core.domain.errors import StoreUnusable

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
BACKUPS_KEPT = 3
# a stretch of bars is half a megabyte: large pages read it in a quarter of the calls
PAGE_BYTES = {"bars": 16_384}

_LEDGER = """CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, the file's name, its text and the text's sha256."""

    version: int
    name: str
    sql: str
    sha256: str


def steps(family: str, folder: Path = FOLDER) -> list[Migration]:
    """The steps of one family of files (``main`` or ``bars``), numbered 1, 2, 3 without a gap."""
    found = [_load(path) for path in sorted((folder / family).glob("[0-9]*.sql"))]
    if not found or [step.version for step in found] != list(range(1, len(found) + 1)):
        raise StoreUnusable(f"the SQL files in {folder / family} are incomplete: install firstmate again")
    return found


def _load(path: Path) -> Migration:
    sql = path.read_text(encoding="utf-8")
    # a checkout may turn line ends over; that is no edit
    digest = hashlib.sha256(sql.replace("\r\n", "\n").encode()).hexdigest()
    return Migration(int(path.name.split("_")[0]), path.stem, sql, digest)


def migrate(path: Path, family: str, folder: Path = FOLDER) -> list[str]:
    """Names of the steps applied now, oldest first; the file is created if missing. Raises StoreUnusable."""
    known = steps(family, folder)
    with contextlib.closing(connect(path, page_bytes=PAGE_BYTES.get(family, 4_096))) as con:
        try:
            pending = _pending(con, path, known)
            if pending and _holds_anything(con):
                _back_up(path, pending[0].version)
            for step in pending:
                _apply(con, path, step)
        except UNREADABLE as error:
            raise as_ours(error, path) from error
    return [step.name for step in pending]


def check_current(path: Path, family: str, folder: Path = FOLDER) -> None:
    """Nothing, or StoreUnusable when the file is missing, damaged, newer than this version or not migrated yet."""
    with contextlib.closing(connect_readonly(path)) as con:
        try:
            pending = _pending(con, path, steps(family, folder))
        except UNREADABLE as error:
            raise as_ours(error, path) from error
    if pending:
        raise StoreUnusable(f"{path} was last used by an older firstmate: bring it up to date with `./run migrate`")


def _pending(con: sqlite3.Connection, path: Path, known: Sequence[Migration]) -> list[Migration]:
    applied = _applied(con)
    newest = max(applied, default=0)
    if newest > len(known):
        raise StoreUnusable(
            f"{path} was written by a newer firstmate (schema {newest}, this one knows {len(known)}): "
            "install that version again, or start with another --state"
        )
    for step in known:
        if applied.get(step.version, step.sha256) != step.sha256:
            raise StoreUnusable(
                f"migration {step.name} was changed after {path.name} was built with it: put the original SQL file back"
            )
    return [step for step in known if step.version not in applied]


def _applied(con: sqlite3.Connection) -> dict[int, str]:
    if not con.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").fetchone():
        return {}
    with stored("the list of migrations"):
        return {int(v): str(s) for v, s in con.execute("SELECT version, sha256 FROM schema_migrations").fetchall()}


def _holds_anything(con: sqlite3.Connection) -> bool:
    return con.execute("SELECT 1 FROM sqlite_schema").fetchone() is not None


def _back_up(path: Path, version: int) -> None:
    copy_database(path, path.with_name(f"{path.name}.before-{version:04d}"))
    kept = [p for p in path.parent.iterdir() if re.fullmatch(re.escape(path.name) + r"\.before-\d{4,}", p.name)]
    for old in sorted(kept)[:-BACKUPS_KEPT]:
        old.unlink()


def _apply(con: sqlite3.Connection, path: Path, step: Migration) -> None:
    con.execute("BEGIN IMMEDIATE")
    try:
        con.execute(_LEDGER)
        if step.version not in _applied(con):  # another program may have been first
            for statement in _statements(step.sql):
                con.execute(statement)
            row = (step.version, step.name, step.sha256, time.time_ns() // 1_000_000)
            con.execute("INSERT INTO schema_migrations VALUES (?, ?, ?, ?)", row)
        con.execute("COMMIT")
    except BaseException as error:
        if con.in_transaction:
            con.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise StoreUnusable(f"migration {step.name} failed on {path.name} and was undone: {error}") from error
        raise


def _statements(sql: str) -> Iterator[str]:
    """Single statements of a script; executing them one by one keeps them inside our own transaction."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
