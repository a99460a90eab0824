"""The audit: rows that only ever grow, and a chain that shows whoever got past that."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters import audit
from core.adapters.audit import Deed, What
from core.adapters.db import Database
from core.adapters.folders import MAIN_FILE
from core.adapters.migrate import migrate
from core.domain.errors import RetryLater, StoreUnusable

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("at_ms", "actor", "what", "subject", "details", "prev", "hash")
DEEDS = (
    Deed(1_700_000_000_000, "owner:1", What.COMMAND, "OwnerPaused", {"update": 7}),
    Deed(1_700_000_000_001, "machine", What.ORDER, "fm-BTCUSDT-x-e0", {"qty": Decimal("0.10"), "state": "PLANNED"}),
    Deed(1_700_000_000_002, "terminal:é", What.KEY_SET, "exchange-live", {"fingerprint": "abc123"}),
)
TRIGGERS = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name LIKE 'audit%'"


@pytest.fixture
def path(tmp_path):
    """A database with three rows in its audit."""
    made = tmp_path / MAIN_FILE
    migrate(made, "main")
    audit.append(made, *DEEDS)
    return made


def ask(path, sql, params=()):
    with contextlib.closing(sqlite3.connect(path)) as con, con:
        return con.execute(sql, params).fetchall()


def forge(path, *statements):
    """What somebody does who may write the file: the triggers away, the change made, the triggers back."""
    with contextlib.closing(sqlite3.connect(path)) as con, con:
        triggers = con.execute(TRIGGERS).fetchall()
        for name, _ in triggers:
            con.execute(f"DROP TRIGGER {name}")
        for sql, *params in statements:
            con.execute(sql, params)
        for _, sql in triggers:
            con.execute(sql)


def chain_anew(path, first=1):
    """Every hash from row ``first`` on computed again, as the program itself does it."""
    ((origin,),) = ask(path, "SELECT origin FROM audit_origin")
    rows = ask(path, "SELECT seq, at_ms, actor, what, subject, details, prev, hash FROM audit ORDER BY seq")
    prev, changes = origin, []
    for row in rows:
        if row[0] >= first:
            columns = (*row[:6], prev)
            row = (*columns, audit.digest(origin, columns))
            changes.append(("UPDATE audit SET prev = ?, hash = ? WHERE seq = ?", prev, row[7], row[0]))
        prev = row[7]
    forge(path, *changes)


def test_rows_come_back_as_they_were_written(path):
    """Who, what, to what and the exact values, in order."""
    rows = audit.newest(path, 10)
    assert [(row[1], row[2], row[3], row[4]) for row in rows] == [
        (deed.at_ms, deed.actor, deed.what.value, deed.subject) for deed in DEEDS
    ]
    assert json.loads(rows[1][5]) == {"qty": "0.10", "state": "PLANNED"}
    assert [row[0] for row in audit.newest(path, 2)] == [2, 3]


def test_a_chain_nobody_touched_is_whole(path):
    """Every row follows, and the head is that of the newest row."""
    found = audit.verify(path)
    assert (found.rows, found.broken_at, found.fault) == (3, None, "")
    assert (3, found.head) == audit.head_of(path)
    assert found.head == audit.newest(path, 1)[0][7]


def test_an_empty_chain_has_its_origin_for_a_head(tmp_path):
    """Even the head of nothing can be noted: all that comes later follows from it."""
    path = tmp_path / MAIN_FILE
    migrate(path, "main")
    rows, origin = audit.head_of(path)
    assert (rows, len(origin)) == (0, 64)
    audit.append(path, *DEEDS)
    assert audit.verify(path, origin).noted_at == 0


REFUSED = [
    "UPDATE audit SET subject = 'x' WHERE seq = 2",
    "UPDATE audit SET subject = subject",
    "UPDATE OR REPLACE audit SET seq = 1 WHERE seq = 2",
    "UPDATE OR IGNORE audit SET actor = 'x'",
    "DELETE FROM audit WHERE seq = 3",
    "DELETE FROM audit",
    "INSERT OR REPLACE INTO audit SELECT 2, at_ms, 'x', what, subject, details, prev, hash FROM audit WHERE seq = 2",
    "REPLACE INTO audit SELECT * FROM audit WHERE seq = 3",
    "REPLACE INTO audit (rowid, at_ms, actor, what, subject, details, prev, hash) "
    "SELECT 3, at_ms, 'x', what, subject, details, hash, hash FROM audit WHERE seq = 3",
    "INSERT INTO audit SELECT seq, at_ms, 'x', what, subject, details, prev, hash FROM audit WHERE seq = 3 "
    "ON CONFLICT (seq) DO UPDATE SET actor = 'x'",
    "INSERT INTO audit SELECT 5, at_ms, actor, what, subject, details, hash, hash FROM audit WHERE seq = 3",
    "INSERT INTO audit SELECT 0, at_ms, actor, what, subject, details, hash, hash FROM audit WHERE seq = 3",
    "INSERT INTO audit SELECT NULL, at_ms, actor, what, subject, details, hash, hash FROM audit WHERE seq = 3",
    "INSERT INTO audit SELECT 4, at_ms, actor, what, subject, details, prev, hash FROM audit WHERE seq = 3",
    "INSERT OR IGNORE INTO audit SELECT 9, at_ms, actor, what, subject, details, hash, hash FROM audit WHERE seq = 3",
    "UPDATE audit_origin SET origin = 'x'",
    "DELETE FROM audit_origin",
    "REPLACE INTO audit_origin VALUES (1, 'x')",
    "INSERT INTO audit_origin VALUES (2, 'x')",
]


@pytest.mark.parametrize("recursive", ["OFF", "ON"])
@pytest.mark.parametrize("sql", REFUSED)
def test_the_store_refuses_every_change_of_what_was_done(path, sql, recursive):
    """No statement changes, removes, replaces or slips in a row, whatever the connection has set."""
    before = ask(path, "SELECT * FROM audit"), ask(path, "SELECT * FROM audit_origin")
    with contextlib.closing(sqlite3.connect(path)) as con:
        con.execute(f"PRAGMA recursive_triggers = {recursive}")
        with pytest.raises(sqlite3.IntegrityError, match="audit"):
            con.execute(sql)
        con.commit()
    assert (ask(path, "SELECT * FROM audit"), ask(path, "SELECT * FROM audit_origin")) == before


def flipped(value):
    """Every value that differs from ``value`` in one byte."""
    if isinstance(value, int):
        return [value ^ (1 << 8 * byte) for byte in range(7)]
    raw = value.encode()
    return [raw[:i] + bytes([raw[i] ^ (1 << i % 8)]) + raw[i + 1 :] for i in range(len(raw))]


@pytest.mark.parametrize("column", COLUMNS)
def test_one_byte_changed_anywhere_is_found(path, column):
    """Past the triggers, in any column, at any place: the row is named."""
    ((was,),) = ask(path, f"SELECT {column} FROM audit WHERE seq = 2")
    for forged in flipped(was):
        value = "?" if isinstance(was, int) else "CAST(? AS TEXT)"
        forge(path, (f"UPDATE audit SET {column} = {value} WHERE seq = 2", forged))
        found = audit.verify(path)
        assert (found.broken_at, found.rows) == (2, 3), forged
    forge(path, (f"UPDATE audit SET {column} = ? WHERE seq = 2", was))
    assert audit.verify(path).broken_at is None


def test_one_byte_less_or_more_is_found(path):
    """Cut or lengthened text does not pass either, nor text that moves from one column to its neighbour."""
    for change in (
        "details = substr(details, 2)",
        "subject = subject || char(0)",
        "actor = actor || substr(what, 1, 1), what = substr(what, 2)",
        "subject = '', what = what || subject",
    ):
        was = ask(path, "SELECT actor, what, subject, details FROM audit WHERE seq = 2")[0]
        forge(path, (f"UPDATE audit SET {change} WHERE seq = 2",))
        assert audit.verify(path).broken_at == 2, change
        forge(path, ("UPDATE audit SET actor = ?, what = ?, subject = ?, details = ? WHERE seq = 2", *was))


@pytest.mark.parametrize("change", ["at_ms = at_ms + 0.5", "details = CAST(details AS BLOB)", "hash = x'00'"])
def test_another_kind_of_value_is_found(path, change):
    """The same bytes as another type are no longer the same row."""
    forge(path, (f"UPDATE audit SET {change} WHERE seq = 2",))
    found = audit.verify(path)
    assert (found.broken_at, found.fault) == (2, "a column holds another kind of value")


@pytest.mark.parametrize(
    ("changes", "broken_at"),
    [
        (["DELETE FROM audit WHERE seq = 1"], 1),
        (["DELETE FROM audit WHERE seq = 2"], 2),
        (["DELETE FROM audit WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 3"], 2),
        (["UPDATE audit SET seq = 99 WHERE seq = 1"], 1),
        (["UPDATE audit SET seq = 0 WHERE seq = 1"], 1),
        (
            [
                "UPDATE audit SET seq = 9 WHERE seq = 1",
                "UPDATE audit SET seq = 1 WHERE seq = 2",
                "UPDATE audit SET seq = 2 WHERE seq = 9",
            ],
            1,
        ),
        (["INSERT INTO audit SELECT 4, at_ms, actor, what, subject, details, hash, hash FROM audit WHERE seq = 3"], 4),
        (["INSERT INTO audit SELECT 4, at_ms, actor, what, subject, details, prev, hash FROM audit WHERE seq = 3"], 4),
        (["UPDATE audit_origin SET origin = replace(origin, substr(origin, 1, 1), 'x')"], 1),
        (["DELETE FROM audit_origin"], 0),
    ],
)
def test_rows_that_went_moved_or_came_are_found(path, changes, broken_at):
    """Missing, swapped and added rows break the chain where they are, and another origin breaks all of it."""
    forge(path, *((sql,) for sql in changes))
    assert audit.verify(path).broken_at == broken_at


def test_a_row_changed_and_given_a_fitting_hash_breaks_the_next_one(path):
    """Hiding one change means to make every row after it anew."""
    forge(path, ("UPDATE audit SET subject = 'nothing' WHERE seq = 2",))
    ((origin,),) = ask(path, "SELECT origin FROM audit_origin")
    row = ask(path, "SELECT seq, at_ms, actor, what, subject, details, prev FROM audit WHERE seq = 2")[0]
    forge(path, ("UPDATE audit SET hash = ? WHERE seq = 2", audit.digest(origin, row)))
    assert audit.verify(path).broken_at == 3


def test_a_number_passed_over_is_found(path):
    """A last row with a later number and a hash to match still does not stand in its place."""
    ((origin,),) = ask(path, "SELECT origin FROM audit_origin")
    row = (9, *ask(path, "SELECT at_ms, actor, what, subject, details, prev FROM audit WHERE seq = 3")[0])
    forge(path, ("UPDATE audit SET seq = 9, hash = ? WHERE seq = 3", audit.digest(origin, row)))
    found = audit.verify(path)
    assert (found.broken_at, found.fault) == (3, "number 9 stands in its place")


def test_a_row_of_another_installation_does_not_fit(path, tmp_path):
    """The same deeds at the same time have other hashes elsewhere: nothing can be carried over."""
    other = tmp_path / "other.db"
    migrate(other, "main")
    audit.append(other, *DEEDS)
    theirs = ask(other, "SELECT * FROM audit ORDER BY seq")
    forge(path, ("DELETE FROM audit",), *(("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *r) for r in theirs))
    assert audit.verify(path).broken_at == 1


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TRIGGER audit_stays",
        "DROP TRIGGER audit_follows",
        "DROP TABLE audit",
        "ALTER TABLE audit ADD COLUMN more TEXT",
        "CREATE TRIGGER helpful AFTER INSERT ON audit BEGIN SELECT 1; END",
        "CREATE UNIQUE INDEX one_of_each ON audit (hash)",
    ],
)
def test_guards_that_are_gone_are_found(path, sql):
    """A table whose triggers were taken away or joined by others is broken, though every row fits."""
    ask(path, sql)
    found = audit.verify(path)
    assert found.broken_at == 0
    assert found.fault.endswith("is not as it was made")


def test_a_cut_tail_is_found_by_the_head_noted_before(path):
    """Rows missing at the end leave a whole chain; the noted head is not in it any more."""
    noted = audit.verify(path).head
    forge(path, ("DELETE FROM audit WHERE seq = 3",))
    assert audit.verify(path).broken_at is None
    assert audit.verify(path, noted).noted_at is None


def test_a_cut_tail_that_was_written_over_is_found_by_the_head_noted_before(path):
    """A tail replaced by other deeds, chained as it should be, does not hold what was noted."""
    noted = audit.verify(path).head
    forge(path, ("DELETE FROM audit WHERE seq = 3",))
    audit.append(path, Deed(1_700_000_000_002, "machine", What.COMMAND, "nothing"))
    assert audit.verify(path).rows == 3
    assert audit.verify(path, noted).noted_at is None


def test_a_chain_made_anew_as_a_whole_is_found_by_nothing_but_a_noted_head(path):
    """What a chain cannot prove: who may write the file can make all of it again. The head noted elsewhere tells."""
    noted = audit.verify(path).head
    forge(path, ("UPDATE audit SET subject = 'nothing' WHERE seq = 1",))
    chain_anew(path)
    assert audit.verify(path).broken_at is None
    assert audit.verify(path, noted).noted_at is None


def test_a_noted_head_is_found_again_after_more_was_done(path):
    """A head noted in the past is a row of the chain for ever."""
    noted = audit.verify(path).head
    audit.append(path, *DEEDS)
    assert audit.verify(path, noted.upper()).noted_at == 3


def test_a_missing_or_older_database_is_one_sentence(tmp_path):
    """What cannot be written to is named, and nothing is created."""
    with pytest.raises(StoreUnusable, match="does not exist"):
        audit.append(tmp_path / "none.db", DEEDS[0])
    assert not list(tmp_path.iterdir())
    path = tmp_path / MAIN_FILE
    migrate(path, "main")
    ask(path, "DELETE FROM schema_migrations WHERE version = 4")
    with pytest.raises(StoreUnusable, match=r"\./run migrate"):
        audit.append(path, DEEDS[0])


def test_a_deed_beside_a_writer_that_never_ends_is_given_up(path, monkeypatch):
    """A terminal command does not hang on a held database: it says so, and nothing was written."""
    monkeypatch.setattr(audit, "BUSY_MS", 20)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryLater, match="held by another program"):
            audit.append(path, DEEDS[0])
    assert audit.verify(path).rows == 3


async def test_a_terminal_and_the_assistant_make_one_chain(path):
    """Rows from two programs at once follow each other without a gap or a fork."""
    db = await Database.open(path, durable=True)
    try:
        inside = [db.write(lambda con: audit.write(con, [DEEDS[0]])) for _ in range(60)]
        outside = [asyncio.to_thread(audit.append, path, DEEDS[2]) for _ in range(20)]
        heads = await asyncio.gather(*inside, *outside)
    finally:
        await db.close()
    found = audit.verify(path)
    assert (found.rows, found.broken_at) == (83, None)
    assert len(set(heads)) == 80


async def test_a_deed_that_is_undone_leaves_no_gap(path):
    """Of jobs that commit together, one that fails takes its own rows along and no other."""

    def fails(con):
        audit.write(con, DEEDS)
        raise RuntimeError

    db = await Database.open(path, durable=True)
    try:
        done = await asyncio.gather(
            db.write(lambda con: audit.write(con, [DEEDS[0]])),
            db.write(fails),
            db.write(lambda con: audit.write(con, [DEEDS[1]])),
            return_exceptions=True,
        )
    finally:
        await db.close()
    assert isinstance(done[1], RuntimeError)
    found = audit.verify(path)
    assert (found.rows, found.broken_at) == (5, None)


CHILD = """
import sys
from pathlib import Path
from core.adapters import audit
from core.adapters.audit import Deed, What
for n in range(1, 100_000):
    audit.append(Path(sys.argv[1]), *[Deed(n, "machine", What.COMMAND, f"{n} of 3") for _ in range(3)])
    print(n, flush=True)
"""


def test_a_kill_leaves_whole_rows_only(path):
    """Killed at any moment: what was acknowledged is there, the rest is whole or not there at all."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, cwd=ROOT)
    lines = [child.stdout.readline() for _ in range(25)]
    child.kill()
    said = b"".join(lines) + child.communicate()[0]
    acknowledged = int(said.split(b"\n")[:-1][-1])
    found = audit.verify(path)
    assert found.broken_at is None
    assert (found.rows - 3) % 3 == 0
    assert found.rows - 3 >= 3 * acknowledged


def test_a_key_change_is_kept_in_every_mode_that_trades(tmp_path):
    """A key belongs to no mode: each chain that exists tells of it, and none is made for it."""
    for mode in ("demo", "paper", "live"):
        (tmp_path / mode).mkdir()
        migrate(tmp_path / mode / MAIN_FILE, "main")
    assert list(audit.append_everywhere(tmp_path, DEEDS[2])) == ["paper", "live"]
    assert [audit.head_of(tmp_path / mode / MAIN_FILE)[0] for mode in ("demo", "paper", "live")] == [0, 1, 1]
    assert not (tmp_path / "testnet").exists()


def test_whether_a_row_could_be_written_is_told_without_writing_one(tmp_path):
    """Who is about to change a key hears of a chain that takes nothing before, and leaves no trace by asking."""
    (tmp_path / "paper").mkdir()
    path = tmp_path / "paper" / MAIN_FILE
    migrate(path, "main")
    assert list(audit.append_everywhere(tmp_path)) == ["paper"]
    assert audit.head_of(path)[0] == 0
    with contextlib.closing(sqlite3.connect(path)) as con:
        con.execute("DROP TABLE audit")
    with pytest.raises(StoreUnusable):
        audit.append_everywhere(tmp_path)


def test_a_deed_at_the_terminal_names_who_is_logged_in(monkeypatch):
    """Somebody did it: the name of the account, or its number where it has none."""
    monkeypatch.setenv("LOGNAME", "skipper")
    made = audit.at_terminal(What.KEY_ROTATED, "exchange-live", old="abc123", new="def456")
    assert (made.actor, made.details) == ("terminal:skipper", {"old": "abc123", "new": "def456"})
    assert audit.owner(42) == "owner:42"


def test_verifying_writes_nothing(path):
    """The proof can run beside the assistant and on a copy that must not change."""
    copy = path.with_name("copy.db")
    with contextlib.closing(sqlite3.connect(path)) as con:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(path, copy)
    before = copy.read_bytes()
    assert audit.verify(copy).broken_at is None
    assert copy.read_bytes() == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\,:{}', max_size=3), inner, max_size=3),
    max_leaves=8,
)
DETAILS = st.dictionaries(st.text('ab"\\,:{}é', max_size=4), JSON, max_size=4)


def exact(value):
    """``value`` with its types, since True == 1."""
    if isinstance(value, dict):
        return {"dict": sorted((key, repr(exact(inner))) for key, inner in value.items())}
    return [exact(inner) for inner in value] if isinstance(value, list) else (type(value).__name__, value)


@given(DETAILS, DETAILS)
def test_other_details_are_other_text(one, other):
    """No two different details look the same to the hash, and the same ones always do."""
    assert (audit.canonical(one) == audit.canonical(other)) == (exact(one) == exact(other))


@given(DETAILS)
def test_details_are_read_back_from_their_text(details):
    """The text loses nothing, and does not depend on the order in which the names were given."""
    assert exact(json.loads(audit.canonical(details))) == exact(details)
    assert audit.canonical(dict(reversed(details.items()))) == audit.canonical(details)


TEXTS = st.lists(st.text("ab\x00\x01é", max_size=4), min_size=1, max_size=5)


@given(TEXTS, TEXTS)
def test_other_columns_are_another_hash(one, other):
    """Text that moves from a column into its neighbour, or another number of columns, is another row."""
    assert (audit.digest("origin", one) == audit.digest("origin", other)) == (one == other)


@given(TEXTS, st.integers(0, 3), st.integers(0, 4))
def test_text_cannot_move_between_columns(columns, where, count):
    """However the same characters are shared out among columns, each sharing has a hash of its own."""
    here = min(where, len(columns) - 1)
    left, right = columns[here][:count], columns[here][count:]
    split = [*columns[:here], left, right, *columns[here + 1 :]]
    merged = [*columns[:here], left + right, "", *columns[here + 1 :]]
    assert (audit.digest("o", split) == audit.digest("o", merged)) == (split == merged)
    assert audit.digest("o", split) != audit.digest("o", columns)


def test_the_hash_is_the_documented_one(path):
    """Anybody can compute the chain from the documentation, without this program."""
    import hashlib

    ((origin,),) = ask(path, "SELECT origin FROM audit_origin")
    prev = origin
    for row in ask(path, "SELECT * FROM audit ORDER BY seq"):
        parts = [b"firstmate audit 1", origin.encode(), *(str(column).encode() for column in row[:-1])]
        assert row[6] == prev
        prev = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
        assert re.fullmatch("[0-9a-f]{64}", prev)
        assert row[7] == prev
