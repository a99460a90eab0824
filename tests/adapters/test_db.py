"""The writer that commits in groups, the readers, and what is refused."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters import dbfile
from core.adapters.db import Database
from core.adapters.dbfile import connect, copy_database
from core.domain.errors import InvariantBroken, RetryLater, StoreUnusable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def db(tmp_path):
    database = await Database.open(tmp_path / "some.db", durable=True)
    await database.write(lambda con: con.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").rowcount)
    yield database
    await database.close()


def put(number):
    return lambda con: con.execute("INSERT INTO t VALUES (?)", (number,)).lastrowid


async def numbers(db):
    return [n for (n,) in await db.read("SELECT n FROM t ORDER BY n")]


async def test_what_write_returned_is_there_for_every_reader(db):
    """Whoever was told that a write is done finds it."""
    assert await db.write(put(7)) == 7
    assert await numbers(db) == [7]


async def test_writers_that_wait_together_share_one_transaction(db):
    """Sixteen writers cost one wait for the disk, not sixteen."""
    commits = []
    await db.write(lambda con: con.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None))
    commits.clear()
    await asyncio.gather(*(db.write(put(n)) for n in range(16)))
    assert len(commits) < 16
    assert await numbers(db) == list(range(16))


async def test_a_failing_job_spoils_none_of_its_batch(db):
    """One writer's mistake is undone alone; the others' work is kept."""

    def fails(con):
        put(100)(con)
        raise ValueError("my own mistake")

    results = await asyncio.gather(db.write(put(1)), db.write(fails), db.write(put(2)), return_exceptions=True)
    assert isinstance(results[1], ValueError)
    assert await numbers(db) == [1, 2]


async def test_a_broken_constraint_is_an_invariant(db):
    """Writing the same thing twice is our own books disagreeing, said in our own words."""
    await db.write(put(1))
    with pytest.raises(InvariantBroken, match=r"some\.db: UNIQUE"):
        await db.write(put(1))


async def test_a_cancelled_writer_leaves_nothing_and_harms_nobody(db):
    """A writer that gives up while it waits writes nothing, and no transaction stays open."""
    tasks = [asyncio.create_task(db.write(put(n))) for n in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await numbers(db) == [0, 1, 3, 4]
    assert await db.write(lambda con: con.in_transaction)
    await db.write(put(9))
    assert await numbers(db) == [0, 1, 3, 4, 9]


async def test_a_writer_cancelled_at_any_moment_is_all_or_nothing(db):
    """Wherever the cancel strikes, both rows of a job are there or neither."""

    def pair(n):
        return lambda con: [put(n)(con), put(n + 1)(con)]

    for n in range(0, 200, 2):
        task = asyncio.create_task(db.write(pair(n)))
        for _ in range(n % 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    found = await numbers(db)
    assert all((n ^ 1) in found for n in found)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["good", "bad", "cancelled"]), max_size=30))
def test_exactly_the_acknowledged_jobs_are_kept(tmp_path_factory, kinds):
    """Whatever mixture of good, failing and cancelled jobs comes, the good ones and no others are stored."""

    def job(number, kind):
        def work(con):
            put(number)(con)
            if kind == "bad":
                raise ValueError(number)

        return work

    async def play():
        db = await Database.open(tmp_path_factory.mktemp("mix") / "some.db", durable=False, readers=1)
        await db.write(lambda con: con.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").rowcount)
        tasks = [asyncio.create_task(db.write(job(n, kind))) for n, kind in enumerate(kinds)]
        await asyncio.sleep(0)
        for task, kind in zip(tasks, kinds, strict=True):
            if kind == "cancelled":
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        found = await numbers(db)
        await db.close()
        return found

    assert asyncio.run(play()) == [n for n, kind in enumerate(kinds) if kind == "good"]


async def test_a_full_disk_is_named_and_survived(db):
    """A full disk refuses the whole batch with the fix, and writing goes on once there is room."""
    await db.write(lambda con: con.execute("CREATE TABLE big (b BLOB)").rowcount)
    await db.write(lambda con: con.execute("PRAGMA max_page_count = 8").fetchone())

    def fat(con):
        return con.execute("INSERT INTO big VALUES (zeroblob(100000))").rowcount

    with pytest.raises(StoreUnusable, match="the disk is full: free some space"):
        await db.write(fat)
    await db.write(lambda con: con.execute("PRAGMA max_page_count = 100000").fetchone())
    assert await db.write(fat) == 1
    assert (await db.read("SELECT count(*) FROM big"))[0][0] == 1


async def test_a_reader_cannot_write(db):
    """What reads can never change anything, whatever it is asked to do."""
    with pytest.raises(StoreUnusable, match="readonly"):
        await db.look(put(1))


async def test_one_look_sees_one_moment(db):
    """A report never mixes what was before a commit with what came after."""
    await db.write(put(1))
    outside = sqlite3.connect(db.path, check_same_thread=False)

    def twice(con):
        first = con.execute("SELECT count(*) FROM t").fetchone()
        outside.execute("INSERT INTO t VALUES (2)")
        outside.commit()
        return first, con.execute("SELECT count(*) FROM t").fetchone()

    assert await db.look(twice) == ((1,), (1,))
    outside.close()
    assert await numbers(db) == [1, 2]


async def test_more_readers_than_connections_take_turns(db):
    """Ten reports at once wait for each other and all get their answer."""
    assert await asyncio.gather(*(numbers(db) for _ in range(10))) == [[]] * 10


async def test_closing_waits_for_what_was_taken(tmp_path):
    """A stop loses nothing that was handed over before it, and takes nothing after it."""
    db = await Database.open(tmp_path / "some.db", durable=True)
    await db.write(lambda con: con.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").rowcount)
    waiting = [asyncio.create_task(db.write(put(n))) for n in range(600)]
    await asyncio.sleep(0)
    await db.close()
    await db.close()
    await asyncio.gather(*waiting)
    with pytest.raises(StoreUnusable, match="is closed"):
        await db.write(put(1000))
    assert sqlite3.connect(tmp_path / "some.db").execute("SELECT count(*) FROM t").fetchone() == (600,)


async def test_another_program_that_holds_the_file_is_waited_for_then_named(tmp_path, monkeypatch):
    """A database held by a stranger is a sentence and a retry, not a crash."""
    monkeypatch.setattr(dbfile, "BUSY_MS", 50)
    db = await Database.open(tmp_path / "some.db", durable=True)
    stranger = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetryLater, match="held by another program"):
        await db.write(lambda con: None)
    stranger.execute("ROLLBACK")
    stranger.close()
    assert await db.write(lambda con: 1) == 1
    await db.close()


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    """A wrong file in the database's place is named and not touched."""
    path = tmp_path / "some.db"
    path.write_bytes(b"dear diary, " * 1000)
    with pytest.raises(StoreUnusable, match=r"some\.db .*damaged.*backup"):
        await Database.open(path, durable=True)
    assert path.read_bytes() == b"dear diary, " * 1000


async def test_a_damaged_database_is_refused_at_the_door(tmp_path):
    """Overwritten pages are found at the start, not in the middle of a trade."""
    path = tmp_path / "some.db"
    with connect(path) as con:
        con.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT)")
        con.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 100) for n in range(1000)])
    con.close()
    body = bytearray(path.read_bytes())
    body[8192:16384] = os.urandom(8192)
    path.write_bytes(body)
    with pytest.raises(StoreUnusable, match="damaged"):
        await Database.open(path, durable=True)


async def test_a_missing_folder_is_named(tmp_path):
    """A state folder that does not exist is one sentence."""
    with pytest.raises(StoreUnusable, match="cannot be written"):
        await Database.open(tmp_path / "nowhere" / "some.db", durable=True)


async def test_only_the_owner_can_read_the_file(db):
    """What the owner holds is nobody else's business on a shared machine."""
    assert db.path.stat().st_mode & 0o077 == 0


async def test_a_backup_is_whole_while_writing_goes_on(db, tmp_path):
    """A backup can be taken at any time and stands alone."""
    await asyncio.gather(*(db.write(put(n)) for n in range(100)))
    copy = tmp_path / "copy.db"
    backup = asyncio.create_task(db.backup(copy))
    await asyncio.gather(*(db.write(put(n)) for n in range(100, 200)))
    await backup
    assert not copy.with_name("copy.db-wal").exists()
    count = sqlite3.connect(copy).execute("SELECT count(*) FROM t").fetchone()[0]
    assert 100 <= count <= 200


def test_a_backup_that_fails_leaves_the_older_one(tmp_path):
    """A torn copy never takes the place of a good one."""
    good, bad, target = tmp_path / "good.db", tmp_path / "bad.db", tmp_path / "copy.db"
    for path in (good, bad):
        with connect(path) as con:
            con.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT)")
            con.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 100) for n in range(1000)])
        con.close()
    copy_database(good, target)
    before = target.read_bytes()
    body = bytearray(bad.read_bytes())
    body[8192:16384] = b"\xff" * 8192
    bad.write_bytes(body)
    with pytest.raises(StoreUnusable, match="damaged"):
        copy_database(bad, target)
    assert target.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


CHILD = """
import asyncio, sys
from pathlib import Path
from core.adapters.db import Database

async def write(db, who):
    for n in range(1_000_000):
        number = n * 16 + who
        await db.write(lambda con: con.execute("INSERT INTO t VALUES (?)", (number,)).rowcount)
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()

async def main():
    db = await Database.open(Path(sys.argv[1]), durable=True)
    await asyncio.gather(*(write(db, who) for who in range(16)))

asyncio.run(main())
"""


def test_no_acknowledged_commit_is_lost_to_kill_nine(tmp_path):
    """Ten times killed in the middle of writing, every write that was answered is there."""
    path = tmp_path / "some.db"
    for round_ in range(10):
        path.unlink(missing_ok=True)
        with connect(path) as con:
            con.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        con.close()
        child = subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, cwd=ROOT)
        lines = [child.stdout.readline() for _ in range(50 + 37 * round_)]
        child.kill()
        # the last line may be cut; every whole one was acknowledged
        said = b"".join(lines) + child.communicate()[0]
        acknowledged = {int(line) for line in said.split(b"\n")[:-1]}
        with connect(path) as con:
            stored = {n for (n,) in con.execute("SELECT n FROM t")}
        con.close()
        assert len(acknowledged) >= 50
        assert acknowledged <= stored


@pytest.mark.parametrize("kind", [sqlite3.DatabaseError, sqlite3.IntegrityError])
def test_what_a_damaged_file_says_of_itself_cannot_steer_a_terminal(kind):
    """SQLite quotes what it found; of that only what can be printed is shown."""
    told = dbfile.as_ours(kind('unrecognized token: "\x1b[2J"'), Path("some.db")).user_text
    assert told.isprintable()
    assert "[2J" in told


async def test_a_damaged_file_whose_names_are_no_text_is_one_sentence(tmp_path):
    """SQLite hands over the bytes of a column's name as they are; reading them is refused like any other damage."""
    path = tmp_path / "some.db"
    database = await Database.open(path, durable=True)
    await database.write(lambda con: con.execute("CREATE TABLE t (wholly INTEGER)").rowcount)
    await database.write(lambda con: con.execute("INSERT INTO t VALUES (1)").rowcount)
    await database.close()
    path.write_bytes(path.read_bytes().replace(b"wholly", b"wh\xb1lly"))
    database = await Database.open(path, durable=True)
    try:
        for ask in (database.look, database.write):
            with pytest.raises(StoreUnusable, match="damaged"):
                await ask(lambda con: con.execute("SELECT * FROM t").fetchall())
    finally:
        await database.close()
