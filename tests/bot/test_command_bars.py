"""bars list: every stored history of every mode."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from bot.commands import bars
from core.adapters.bars import History, SqliteBars
from core.adapters.columns import Columns
from core.adapters.db import Database
from core.adapters.folders import BARS_FILE, folder_of
from core.adapters.migrate import migrate
from tests.adapters.store_samples import START, columns
from tests.bot.lived import firstmate, one_line


def fill(home: Path, mode: str, *blocks: Columns) -> None:
    """Put bars into a mode's store."""
    folder = folder_of(home, mode)
    folder.mkdir(parents=True)
    migrate(folder / BARS_FILE, "bars")

    async def store() -> None:
        db = await Database.open(folder / BARS_FILE, durable=False)
        for block in blocks:
            await SqliteBars(db).merge(block, "file")
        await db.close()

    asyncio.run(store())


def test_every_history_of_every_mode_has_its_line(tmp_path: Path):
    """What a demo made up and what was imported stand apart."""
    home = tmp_path / "home"
    fill(home, "demo", columns(range(3), "ETHUSDT"))
    fill(home, "paper", columns(range(10)), columns(range(20, 30)))
    done = firstmate("bars", "list", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["mode", "symbol", "bar", "first", "last", "bars", "holes", "from"],
        ["demo", "ETHUSDT", "1h", "2024-01-01", "00:00", "2024-01-01", "02:00", "3", "0", "file"],
        ["paper", "BTCUSDT", "1h", "2024-01-01", "00:00", "2024-01-02", "05:00", "20", "1", "file"],
    ]


def test_an_empty_store_is_a_header(tmp_path: Path):
    """No bars yet is an empty table, not an error."""
    fill(tmp_path / "home", "paper")
    done = firstmate("bars", "list", home=tmp_path / "home")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_no_store_at_all_is_one_sentence(tmp_path: Path):
    """Asking too early says what to do, and makes no folder."""
    done = firstmate("bars", "list", home=tmp_path / "home")
    assert done.returncode == 4
    assert "holds no bars yet: fetch or import some" in one_line(done)
    assert not (tmp_path / "home").exists()


def test_a_damaged_store_is_one_sentence(tmp_path: Path):
    """Damage is exit 4 with the fix."""
    (tmp_path / "home" / "paper").mkdir(parents=True)
    (tmp_path / "home" / "paper" / BARS_FILE).write_bytes(b"no database " * 500)
    done = firstmate("bars", "list", home=tmp_path / "home")
    assert done.returncode == 4
    assert "damaged" in one_line(done)


def test_numbers_stand_to_the_right():
    """Large and small counts can be compared at a glance."""
    lines = [History("BTCUSDT", timedelta(hours=1), START, START, count, 0, "file") for count in (7, 1_234_567)]
    header, *rows = bars.table([bars.HEADER, *(bars.row("paper", line) for line in lines)])
    end = header.index("  holes")
    assert [row[:end].split()[-1] for row in rows] == ["7", "1,234,567"]
    assert all(row[end - 1] == "7" for row in rows)
