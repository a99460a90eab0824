"""migrate: every database of the state folder, after a backup."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.adapters import statelock
from core.adapters.folders import BARS_FILE, MAIN_FILE
from core.adapters.migrate import migrate, steps
from tests.bot.lived import firstmate, live, one_line

NEWEST = steps("main")[-1]


def change(path: Path, sql: str) -> None:
    """Run one statement on a database."""
    con = sqlite3.connect(path)
    with con:
        con.execute(sql)
    con.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A demo and a paper account, both of this version."""
    for mode in ("demo", "paper"):
        live(tmp_path / "home", mode, until="opened")
        migrate(tmp_path / "home" / mode / BARS_FILE, "bars")
    return tmp_path / "home"


def test_what_is_of_this_version_is_left_as_it_is(home: Path):
    """Both databases of every mode are named."""
    done = firstmate("migrate", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{mode}/{name}: up to date" for mode in ("demo", "paper") for name in (MAIN_FILE, BARS_FILE)
    ]


def test_an_older_database_is_brought_forward_after_a_backup(home: Path):
    """The steps are named and the copy lies beside it."""
    path = home / "paper" / MAIN_FILE
    for table in ("lab_bets", "lab_forecasts", "lab_rows", "lab_memory"):
        change(path, f"DROP TABLE {table}")
    change(path, f"DELETE FROM schema_migrations WHERE version = {NEWEST.version}")
    done = firstmate("migrate", home=home)
    assert f"paper/{MAIN_FILE}: applied {NEWEST.name}" in done.stdout.splitlines()
    assert f"paper/{MAIN_FILE}: up to date" in firstmate("migrate", home=home).stdout.splitlines()
    assert list(path.parent.glob(f"{MAIN_FILE}.before-*"))


def test_a_database_from_the_future_is_refused_and_not_touched(home: Path):
    """An older program never writes into a newer database."""
    path = home / "demo" / MAIN_FILE
    change(path, "INSERT INTO schema_migrations VALUES (9999, 'future', 'x', 0)")
    before = path.read_bytes()
    done = firstmate("migrate", home=home)
    assert done.returncode == 4
    assert "written by a newer firstmate" in one_line(done)
    assert path.read_bytes() == before


def test_a_damaged_database_is_refused(home: Path):
    """Damage is exit 4 with the fix."""
    (home / "demo" / MAIN_FILE).write_bytes(b"no database " * 500)
    done = firstmate("migrate", home=home)
    assert done.returncode == 4
    assert "damaged" in one_line(done)


def test_nothing_is_migrated_under_a_running_assistant(home: Path):
    """The running one is named and left alone."""
    with statelock.hold(home):
        done = firstmate("migrate", home=home)
    assert done.returncode == 3
    one_line(done)


def test_an_empty_folder_has_nothing_to_do(tmp_path: Path):
    """Nothing is made where nothing was."""
    done = firstmate("migrate", home=tmp_path / "home")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing to do" in done.stdout
    assert not (tmp_path / "home").exists()
