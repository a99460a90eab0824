"""The shape of the database goes forward only, with a backup first."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from core.adapters.migrate import FOLDER, check_current, migrate, steps
from core.domain.errors import StoreUnusable


@pytest.fixture
def folder(tmp_path):
    """A migrations folder with two steps of a family of its own."""
    family = tmp_path / "migrations" / "toy"
    family.mkdir(parents=True)
    (family / "0001_first.sql").write_text("CREATE TABLE a (n INTEGER);\nINSERT INTO a VALUES (1);\n")
    (family / "0002_second.sql").write_text("-- a comment; with a semicolon\nCREATE TABLE b (s TEXT DEFAULT 'x;y');\n")
    return family.parent


def ask(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as con, con:
        return con.execute(sql).fetchall()


def add(folder, name, sql):
    (folder / "toy" / name).write_text(sql)


@pytest.mark.parametrize("family", ["main", "bars"])
def test_the_shipped_steps_build_a_database_and_only_once(tmp_path, family):
    """A new installation gets every table, and a second start changes nothing."""
    path = tmp_path / "new.db"
    assert migrate(path, family) == [step.name for step in steps(family)]
    assert migrate(path, family) == []
    check_current(path, family)


def test_the_shipped_steps_lie_in_the_checkout():
    """The SQL files are found from the source tree, wherever it was started from."""
    assert (FOLDER / "main" / "0001_journal.sql").is_file()


def test_an_empty_file_needs_no_backup(tmp_path, folder):
    """Where there is nothing yet there is nothing to copy."""
    path = tmp_path / "toy.db"
    assert migrate(path, "toy", folder) == ["0001_first", "0002_second"]
    assert not list(tmp_path.glob("*.before-*"))


def test_a_backup_is_taken_before_the_first_pending_step(tmp_path, folder):
    """What an update may spoil can be had back as it was."""
    path = tmp_path / "toy.db"
    migrate(path, "toy", folder)
    add(folder, "0003_third.sql", "DROP TABLE a;")
    assert migrate(path, "toy", folder) == ["0003_third"]
    assert ask(tmp_path / "toy.db.before-0003", "SELECT n FROM a") == [(1,)]


def test_the_newest_three_backups_stay(tmp_path, folder):
    """Backups do not fill the disk over the years."""
    path = tmp_path / "toy.db"
    migrate(path, "toy", folder)
    for number in range(3, 8):
        add(folder, f"{number:04d}_more.sql", f"CREATE TABLE t{number} (n);")
        migrate(path, "toy", folder)
    assert sorted(p.name[-4:] for p in tmp_path.glob("toy.db.before-*")) == ["0005", "0006", "0007"]


def test_a_step_that_fails_is_undone_whole(tmp_path, folder):
    """Half a step never stays, and the steps before it do."""
    path = tmp_path / "toy.db"
    add(folder, "0003_broken.sql", "CREATE TABLE c (n);\nINSERT INTO nowhere VALUES (1);")
    with pytest.raises(StoreUnusable, match=r"0003_broken failed on toy\.db and was undone"):
        migrate(path, "toy", folder)
    assert ask(path, "SELECT max(version) FROM schema_migrations") == [(2,)]
    assert ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'") == [(0,)]


def test_a_database_from_the_future_is_refused_untouched(tmp_path, folder):
    """An older program never works on a newer database."""
    path = tmp_path / "toy.db"
    migrate(path, "toy", folder)
    ask(path, "INSERT INTO schema_migrations VALUES (9, '0009_later', 'x', 0)")
    with pytest.raises(StoreUnusable, match=r"newer firstmate \(schema 9, this one knows 2\): install that version"):
        migrate(path, "toy", folder)
    with pytest.raises(StoreUnusable, match="newer firstmate"):
        check_current(path, "toy", folder)


def test_an_applied_step_that_was_edited_is_refused(tmp_path, folder):
    """History is not rewritten: the file that built the database must still be the one that ships."""
    path = tmp_path / "toy.db"
    migrate(path, "toy", folder)
    add(folder, "0001_first.sql", "CREATE TABLE a (n INTEGER, more TEXT);")
    with pytest.raises(StoreUnusable, match="0001_first was changed"):
        migrate(path, "toy", folder)


def test_line_ends_of_another_system_are_no_edit(tmp_path, folder):
    """A checkout with other line ends runs on the same database."""
    path = tmp_path / "toy.db"
    migrate(path, "toy", folder)
    sql = (folder / "toy" / "0001_first.sql").read_bytes()
    (folder / "toy" / "0001_first.sql").write_bytes(sql.replace(b"\n", b"\r\n"))
    assert migrate(path, "toy", folder) == []


def test_a_gap_in_the_numbers_is_refused(tmp_path, folder):
    """A half-copied installation is named before it does harm."""
    (folder / "toy" / "0001_first.sql").unlink()
    with pytest.raises(StoreUnusable, match="incomplete: install firstmate again"):
        migrate(tmp_path / "toy.db", "toy", folder)


def test_a_reader_is_told_of_an_older_database(tmp_path, folder):
    """What only reads asks for the update and never does it by itself."""
    path = tmp_path / "toy.db"
    migrate(path, "toy", folder)
    add(folder, "0003_third.sql", "DROP TABLE a;")
    with pytest.raises(StoreUnusable, match=r"\./run migrate"):
        check_current(path, "toy", folder)
    assert ask(path, "SELECT n FROM a") == [(1,)]


def test_a_damaged_database_is_refused_before_any_step(tmp_path, folder):
    """A broken file is not migrated, it is named."""
    path = tmp_path / "toy.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreUnusable, match="damaged"):
        migrate(path, "toy", folder)
