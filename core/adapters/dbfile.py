"""One SQLite file: opened to write or only to read, checked, copied; what goes wrong with it in the owner's words.

Rule 1: what leaves this file are the errors of ``core.domain.errors``, with the fix in the sentence.
Rule 2: a file is the owner's alone, and a copy of it appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from core.adapters.redaction import printable
from core.domain.errors import FirstmateError, InvariantBroken, RetryLater, StoreUnusable

BUSY_MS = 5_000
# the log grows to this before it is copied home: a busy page is then copied once instead of many times
LOG_BYTES = 1 << 24

_FIXES = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space there",
    sqlite3.SQLITE_READONLY: "it cannot be written: make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "it cannot be written: make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: make file and folder writable for this user; reading needs it too",
    sqlite3.SQLITE_NOTADB: "it is damaged: move it away, and put a backup in its place if there is one",
    sqlite3.SQLITE_CORRUPT: "it is damaged: move it away, and put a backup in its place if there is one",
    sqlite3.SQLITE_IOERR: "the disk does not answer: check the disk and the space left on it",
}


UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a database raises; the second where a damaged file names a column by what is no text."""


def as_ours(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> FirstmateError:
    """The error to raise in place of SQLite's own, with one line that names the file and the fix."""
    if isinstance(error, UnicodeDecodeError):
        return StoreUnusable(f"{path} (a name in it is no text): {_FIXES[sqlite3.SQLITE_CORRUPT]}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    said = printable(str(error))  # it quotes a damaged file
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RetryLater(f"{path.name} is held by another program: close it and try again")
    if isinstance(error, sqlite3.IntegrityError):
        return InvariantBroken(f"{path.name}: {said}")
    fix = _FIXES.get(code, "bring it up to date with `./run migrate`")
    return StoreUnusable(f"{path} ({said}): {fix}")


def connect(path: Path, *, durable: bool = True, page_bytes: int = 4_096) -> sqlite3.Connection:
    """A checked connection that may write, WAL, autocommit until BEGIN; a new file gets pages of ``page_bytes``.

    Raises StoreUnusable.
    """
    try:
        # the journal holds what the owner owns: nobody else reads it
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be written ({error.strerror}): make it writable for this user") from error
    con = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
    try:
        con.execute(f"PRAGMA page_size = {page_bytes}")
        con.execute("PRAGMA journal_mode = WAL")
        con.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        page_bytes = con.execute("PRAGMA page_size").fetchone()[0]
        con.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // page_bytes}")
        con.execute("PRAGMA foreign_keys = ON")
        verify(con, path)
    except UNREADABLE as error:
        con.close()
        raise as_ours(error, path) from error
    except StoreUnusable:
        con.close()
        raise
    return con


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A connection that cannot change anything. Raises StoreUnusable where there is no usable file."""
    if not path.is_file():
        raise StoreUnusable(f"{path} does not exist: start firstmate once, or name the right folder with --state")
    con = sqlite3.connect(
        _uri(path, "mode=ro"), uri=True, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False
    )
    try:
        con.execute("PRAGMA query_only = ON")
        con.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except UNREADABLE as error:
        con.close()
        raise as_ours(error, path) from error
    return con


def verify(con: sqlite3.Connection, path: Path) -> None:
    """Nothing, or StoreUnusable when the file's pages contradict each other."""
    found = con.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreUnusable(f"{path} ({found.splitlines()[0]}): {_FIXES[sqlite3.SQLITE_CORRUPT]}")


def copy_database(source: Path, target: Path) -> None:
    """A checked, self-contained copy at ``target``, while others write; an older copy stays until this one is whole."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with contextlib.closing(connect_readonly(source)) as con, contextlib.closing(sqlite3.connect(part)) as copy:
            con.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            verify(copy, part)
        part.chmod(0o600)
        os.replace(part, target)
    except UNREADABLE as error:
        raise as_ours(error, target) from error
    finally:
        part.unlink(missing_ok=True)


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{options}"
