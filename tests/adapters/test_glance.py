"""What a second program asks of the tables beside the state."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.glance import Waiting, columns, reconciliation, waiting
from core.adapters.journal import TABLES
from core.adapters.records import SqliteRecords
from core.domain.errors import StoreUnusable
from tests.adapters.store_samples import HOUR, START, opened
from tests.bot.lived import live


def test_nothing_waits_before_anything_happened(tmp_path: Path):
    """An empty outbox has no oldest message."""
    live(tmp_path, until="empty")
    assert waiting(folder_of(tmp_path, "demo") / MAIN_FILE) == Waiting(0, None)


def test_the_oldest_undelivered_message_gives_its_time(tmp_path: Path):
    """It is the time of what the message tells of."""
    live(tmp_path, until="bought")
    found = waiting(folder_of(tmp_path, "demo") / MAIN_FILE)
    assert (found.count > 0, found.oldest) == (True, START + HOUR)


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_has_its_columns(tmp_path: Path, table: str):
    """A header can be written without a row."""
    live(tmp_path, until="empty")
    assert len(columns(folder_of(tmp_path, "demo") / MAIN_FILE, table)) > 5


def test_only_named_tables_are_looked_at(tmp_path: Path):
    """A name from outside never becomes SQL."""
    with pytest.raises(ValueError, match="none of"):
        columns(tmp_path / MAIN_FILE, "orders; DROP TABLE orders")


def test_a_missing_file_is_named(tmp_path: Path):
    """Asking about nothing makes nothing."""
    with pytest.raises(StoreUnusable, match="does not exist"):
        waiting(tmp_path / MAIN_FILE)
    assert not list(tmp_path.iterdir())


async def test_the_comparison_that_is_read_is_the_one_that_was_kept(tmp_path: Path):
    """None before the first, then the newest, to the last digit."""
    path = tmp_path / "main.db"
    async with opened(tmp_path, "main") as db:
        assert reconciliation(path) is None
        for gap in ("1", "0.10"):
            await SqliteRecords(db).keep_reconciliation(START, {"gap": Decimal(gap)})
        assert reconciliation(path) == '{"gap":"0.10"}'
