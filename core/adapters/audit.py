"""Who did what: a chain of rows in the main database, each with the hash of the row before it.

Rule 1: rows are only ever added; triggers refuse any other change, and ``verify`` finds what got past them.
Rule 2: a hash covers every column, the hash before it and the origin of this database: no row fits anywhere else.
Rule 3: the newest hash is read inside the transaction that writes the next row, so two programs make one chain.
Rule 4: no secret is ever written here: a key is named by its record and its fingerprint.
Rule 5: whoever can write the file and knows this one can make a whole new chain; only a head that was noted elsewhere
        shows that.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from core.adapters.dbfile import BUSY_MS, UNREADABLE, as_ours, connect_readonly
from core.adapters.folders import MAIN_FILE, TRADING_MODES, folder_of
from core.adapters.migrate import check_current, steps
from core.domain.errors import InvariantBroken

MACHINE = "machine"

_DOMAIN = b"firstmate audit 1"
_encoder = msgspec.json.Encoder(order="sorted")

_NEWEST = """SELECT origin, seq, hash FROM audit_origin
    LEFT JOIN audit ON seq = (SELECT max(seq) FROM audit)"""
_ADD = "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ALL = "SELECT seq, at_ms, actor, what, subject, details, prev, hash FROM audit ORDER BY seq"
_LAST = "SELECT seq, at_ms, actor, what, subject, details, prev, hash FROM audit ORDER BY seq DESC LIMIT ?"
_SCHEMA = "SELECT name, sql FROM sqlite_schema WHERE tbl_name IN ('audit', 'audit_origin') ORDER BY name"
_KINDS = (int, int, str, str, str, str, str, str)

Row = tuple[int, int, str, str, str, str, str, str]


class What(StrEnum):
    """What was done; the row's subject says to what."""

    COMMAND = "COMMAND"
    APPROVED = "APPROVED"
    SKIPPED = "SKIPPED"
    LIMIT = "LIMIT"
    SETTING = "SETTING"
    TRADING = "TRADING"
    TRUST = "TRUST"
    ORDER = "ORDER"
    CANCEL = "CANCEL"
    KEY_LOST = "KEY_LOST"
    KEY_USED = "KEY_USED"
    KEY_SET = "KEY_SET"
    KEY_ROTATED = "KEY_ROTATED"
    KEY_REMOVED = "KEY_REMOVED"
    KEYS_EXPORTED = "KEYS_EXPORTED"
    KEYS_IMPORTED = "KEYS_IMPORTED"
    GO_LIVE = "GO_LIVE"
    PAIRED = "PAIRED"
    STEP_UP = "STEP_UP"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done: when (epoch ms), by whom, what, to what; ``details`` hold plain values, amounts as Decimal."""

    at_ms: int
    actor: str
    what: What
    subject: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audited:
    """What a reading of the whole chain showed.

    ``rows`` how many there are; ``head`` the newest hash, the origin where there is no row; ``broken_at`` the number of
    the first row that does not fit, 0 where it is the table itself, None where all is well; ``fault`` says why;
    ``noted_at`` the row whose hash is the head that was noted, 0 for the origin, None where none is.
    """

    rows: int
    head: str
    broken_at: int | None
    fault: str
    noted_at: int | None


def owner(owner_id: int) -> str:
    """The owner as an actor."""
    return f"owner:{owner_id}"


def at_terminal(what: What, subject: str, **details: object) -> Deed:
    """A deed of whoever is logged in here, now."""
    return Deed(time.time_ns() // 1_000_000, f"terminal:{user()}", what, subject, details)


def user() -> str:
    """Who is logged in here."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def write(con: sqlite3.Connection, deeds: Iterable[Deed]) -> str:
    """The head after these deeds; ``con`` is inside a transaction that may write, which commits them or does not."""
    found = con.execute(_NEWEST).fetchone()
    if found is None:
        raise InvariantBroken("the audit has lost its origin: put a backup in place of the database")
    origin, last, head = found[0], found[1] or 0, found[2] or found[0]
    for seq, deed in enumerate(deeds, last + 1):
        columns = (seq, deed.at_ms, deed.actor, deed.what.value, deed.subject, canonical(deed.details), head)
        head = digest(origin, columns)
        con.execute(_ADD, (*columns, head))
    return str(head)


def append(path: Path, *deeds: Deed) -> str:
    """The head once these deeds are on the disk, in the main database at ``path``, beside a running assistant or not.

    Raises StoreUnusable where there is no current database, RetryLater where it stays held: then nothing was written.
    """
    check_current(path, "main")
    uri = f"{path.absolute().as_uri()}?mode=rw"
    con = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
    with contextlib.closing(con):
        try:
            con.execute("PRAGMA synchronous = FULL")
            con.execute("BEGIN IMMEDIATE")
            head = write(con, deeds)
            con.execute("COMMIT")
        except UNREADABLE as error:  # closing rolls back
            raise as_ours(error, path) from error
    return head


def append_everywhere(home: Path, *deeds: Deed) -> Sequence[str]:
    """The modes whose chains took these deeds: every trading mode that has a database here. Raises as ``append``.

    Without a deed nothing is written; it raises all the same where a chain would not take one.
    """
    found = [mode for mode in TRADING_MODES if (folder_of(home, mode) / MAIN_FILE).is_file()]
    for mode in found:
        append(folder_of(home, mode) / MAIN_FILE, *deeds)
    return found


def canonical(details: Mapping[str, object]) -> str:
    """Details as JSON: the same values give the same text, other values another; names sorted, no blanks."""
    return _encoder.encode(details).decode()


def digest(origin: str, columns: Sequence[object]) -> str:
    """SHA-256, 64 hex digits, over origin and columns, each after its length: none can lend to its neighbour."""
    hashed = hashlib.sha256()
    for value in (_DOMAIN, origin, *columns):
        part = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.hexdigest()


def verify(path: Path, noted: str = "") -> Audited:
    """The whole chain computed again, a row at a time, as of one moment. Raises StoreUnusable."""
    check_current(path, "main")
    with _reading(path) as con:
        fault = _schema_fault(con)
        if fault:
            return Audited(0, "", 0, fault, None)
        return _walk(con, noted.lower())


def newest(path: Path, count: int) -> list[Row]:
    """The newest rows, oldest of them first. Raises StoreUnusable."""
    check_current(path, "main")
    with _reading(path) as con:
        return con.execute(_LAST, (count,)).fetchall()[::-1]


def head_of(path: Path) -> tuple[int, str]:
    """How many rows there are and the newest hash, nothing computed. Raises StoreUnusable."""
    check_current(path, "main")
    with _reading(path) as con:
        origin, seq, newest_hash = con.execute(_NEWEST).fetchone()
    return seq or 0, newest_hash or origin


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(connect_readonly(path)) as con:
        # what was forged need not be text, and must still be read
        con.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            con.execute("BEGIN")
            yield con
        except UNREADABLE as error:
            raise as_ours(error, path) from error


def _schema_fault(con: sqlite3.Connection) -> str:
    """Why tables and triggers are not as they were made; empty where they are."""
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        for step in steps("main"):
            fresh.executescript(step.sql)
        made = dict(fresh.execute(_SCHEMA))
    found = dict(con.execute(_SCHEMA))
    wrong = sorted(name for name in made.keys() | found.keys() if made.get(name) != found.get(name))
    return f"{wrong[0]} is not as it was made" if wrong else ""


def _walk(con: sqlite3.Connection, noted: str) -> Audited:
    origins = con.execute("SELECT origin FROM audit_origin").fetchall()
    if len(origins) != 1 or not isinstance(origins[0][0], str):
        return Audited(0, "", 0, "the chain has no origin", None)
    origin = newest_hash = origins[0][0]
    noted_at = 0 if noted == origin else None
    seq = 0
    for seq, row in enumerate(con.execute(_ALL), 1):
        fault = _row_fault(origin, seq, newest_hash, row)
        if fault:
            return Audited(*_counted(con), seq, fault, noted_at)
        newest_hash = row[-1]
        noted_at = seq if newest_hash == noted else noted_at
    return Audited(seq, newest_hash, None, "", noted_at)


def _row_fault(origin: str, seq: int, prev: str, row: Row) -> str:
    """Why this row cannot be number ``seq`` after ``prev``; empty where it can."""
    if tuple(map(type, row)) != _KINDS:
        return "a column holds another kind of value"
    if row[0] != seq:
        return f"number {row[0]} stands in its place"
    if row[6] != prev:
        return "it does not continue the row before it"
    return "" if digest(origin, row[:-1]) == row[-1] else "its hash is not that of its contents"


def _counted(con: sqlite3.Connection) -> tuple[int, str]:
    rows, newest_hash = con.execute(
        "SELECT count(*), (SELECT hash FROM audit ORDER BY seq DESC LIMIT 1) FROM audit"
    ).fetchone()
    return rows, str(newest_hash)
