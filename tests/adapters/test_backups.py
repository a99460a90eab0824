"""Databases and their copies: for this user's eyes only, and with nothing in them that opens an account."""

from __future__ import annotations

import os
import stat

import pytest

from core.adapters import audit
from core.adapters.audit import What
from core.adapters.db import Database
from core.adapters.folders import MAIN_FILE
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import FOLDER, migrate
from core.configuration import config_of
from core.domain import events as ev
from core.setting_kinds import Secret
from core.settings import Settings
from tests.adapters.store_samples import opened
from tests.run.shell import shell

SECRETS = ("FAKE-KEY-for-tests-0123", "FAKE-SECRET-for-tests-0123", "1000:FAKE-token-for-tests-0123")


@pytest.fixture
def _careless():
    """A process that would let everybody read what it writes."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder):
    """Permissions of every file in a folder."""
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}


@pytest.mark.usefixtures("_careless")
async def test_a_database_its_log_and_its_copies_are_for_this_user_only(tmp_path):
    """Whatever the process allows by default, nobody else reads what the owner owns."""
    path = tmp_path / MAIN_FILE
    older = tmp_path.parent / f"{tmp_path.name}-steps" / "main"
    older.mkdir(parents=True)
    for step in sorted((FOLDER / "main").glob("*.sql"))[:-1]:
        (older / step.name).write_text(step.read_text())
    migrate(path, "main", older.parent)
    migrate(path, "main")
    db = await Database.open(path, durable=True)
    try:
        await db.write(lambda con: con.execute("INSERT INTO updates VALUES (1, 0, '')").rowcount)
        audit.append(path, audit.at_terminal(What.KEY_SET, "exchange-live"))
        await db.backup(tmp_path / "copy.db")
        found = modes(tmp_path)
    finally:
        await db.close()
    assert {f"{MAIN_FILE}{end}" for end in ("", "-wal", "-shm", ".before-0005")} | {"copy.db"} == set(found)
    assert set(found.values()) == {"0o600"}


async def test_no_secret_of_the_settings_is_in_a_database_its_log_or_a_copy(tmp_path):
    """A backup that falls into other hands opens no account and no chat."""
    key, secret, token = (Secret(text) for text in SECRETS)
    settings = Settings(home=tmp_path, mode="live", api_key=key, api_secret=secret, telegram_token=token)
    async with opened(tmp_path, "main") as db:
        async with shell(SqliteJournal(db)) as one:
            await one.open()
            configured = config_of(settings, "fmabc", 900, 1.0, 10, real_money=True)
            await one.engine.post(ev.Configured(one.clock.at, "start", configured))
        await db.backup(tmp_path / "copy.db")
        held = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert b"fmabc" in held["main.db-wal"]
    assert b"fmabc" in held["copy.db"]
    assert [text for text in SECRETS for body in held.values() if text.encode() in body] == []
