"""What a second program reads while the assistant runs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from core.adapters.journal import SqliteJournal
from core.adapters.migrate import migrate
from core.adapters.readonly import load_state, table_rows
from core.decide.step import step
from core.domain import events as ev
from core.domain.errors import StoreUnusable
from core.domain.state import State
from core.ports import Change
from tests.adapters.store_samples import START, opened, opening

ROOT = Path(__file__).resolve().parents[2]


async def test_the_state_is_read_while_the_assistant_writes(tmp_path):
    """Status answers with the newest commit and stops nobody."""
    async with opened(tmp_path, "main") as db:
        journal, state = SqliteJournal(db), State()
        for event in [*opening(), ev.OwnerPaused(START, "t", 1)]:
            after, effects = step(state, event)
            await journal.commit(Change(state, after, event, effects))
            state = after
            assert load_state(db.path) == state
        assert [row["kind"] for row in table_rows(db.path, "journal")][-1] == "OwnerPaused"


async def test_reading_changes_no_byte(tmp_path):
    """A look at a stopped assistant's database leaves it as it was."""
    async with opened(tmp_path, "main") as db:
        path = db.path
    before = path.read_bytes()
    assert load_state(path) is None
    assert list(table_rows(path, "orders")) == []
    assert path.read_bytes() == before


def test_a_folder_without_a_database_is_named(tmp_path):
    """Asking for the status of nothing says how to start or where to look."""
    with pytest.raises(StoreUnusable, match="does not exist: start firstmate once"):
        load_state(tmp_path / "main.db")
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path):
    """A broken database is one sentence with the fix."""
    path = tmp_path / "main.db"
    path.write_bytes(b"no database " * 500)
    with pytest.raises(StoreUnusable, match="damaged"):
        load_state(path)


def test_a_newer_database_is_named(tmp_path):
    """An old status command does not guess at a newer database."""
    path = tmp_path / "main.db"
    migrate(path, "main")
    with sqlite3.connect(path) as con:
        con.execute("INSERT INTO schema_migrations VALUES (99, 'later', 'x', 0)")
    con.close()
    with pytest.raises(StoreUnusable, match="newer firstmate"):
        list(table_rows(path, "fills"))


def test_status_stays_light():
    """Looking something up imports none of the heavy libraries."""
    script = (
        "import sys, core.adapters.readonly; "
        "print([n for n in ('aiogram', 'ccxt', 'numpy', 'pandas', 'aiohttp') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
