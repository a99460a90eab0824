"""A file of bars goes into the store whole or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.adapters.barfiles import HEADER
from core.adapters.barimport import import_file
from core.adapters.bars import SqliteBars
from core.domain.errors import BadData
from tests.adapters.store_samples import HOUR, START, columns, opened

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 24


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path, "bars") as db:
        yield SqliteBars(db)


def write(folder, *pieces, name="LUNAUSDT_1h.csv"):
    """A file with these columns, one after the other."""
    rows = [",".join(map(str, row)) for piece in pieces for row in piece.rows()]
    path = folder / name
    path.write_text("\n".join([HEADER, *rows]))
    return path


async def count(store, symbol="LUNAUSDT"):
    return sum([len(block) async for block in store.stream_columns(symbol, HOUR)])


async def test_a_good_file_is_stored_and_reported(store, tmp_path):
    """What was read, what is new and which holes there are is said."""
    path = write(tmp_path, columns(range(10)), columns(range(15, 20)))
    report = await import_file(store, path, now=NOW)
    assert (report.symbol, report.span, report.read, report.new, report.holes) == ("LUNAUSDT", HOUR, 15, 15, 1)
    assert await count(store) == 15


async def test_importing_again_changes_nothing(store, tmp_path):
    """The same file twice is the same history."""
    path = write(tmp_path, columns(range(30)))
    await import_file(store, path, now=NOW)
    assert (await import_file(store, path, now=NOW)).new == 0
    assert await count(store) == 30


async def test_a_fault_at_the_end_stores_nothing(store, tmp_path):
    """A file that is bad in its last line leaves the store as it was."""
    path = write(tmp_path, columns(range(15_000)))
    path.write_text(path.read_text() + "\n1,2,3\n")
    with pytest.raises(BadData, match="15002: "):
        await import_file(store, path, now=NOW)
    assert await store.histories() == []
    assert sorted(p.name for p in tmp_path.iterdir() if "bars.db" not in p.name) == ["LUNAUSDT_1h.csv"]


async def test_a_bar_stored_before_stays_as_it_was(store, tmp_path):
    """A file does not rewrite what was seen before; the difference is counted."""
    await store.merge(columns(range(5), "LUNAUSDT"), "exchange")
    report = await import_file(store, write(tmp_path, columns(range(8), price=50.0)), now=NOW)
    assert (report.new, report.conflicting) == (3, 5)


async def test_a_long_hole_with_a_jump_splits_the_history(store, tmp_path):
    """Another asset under an old name is another history; the older one gets a name of its own."""
    later = range(15 * DAY + 10, 15 * DAY + 20)
    report = await import_file(store, write(tmp_path, columns(range(10)), columns(later, price=5.0)), now=NOW)
    assert report.split_at == (START + later.start * HOUR,)
    assert report.holes == 0
    assert {h.symbol: h.count for h in await store.histories()} == {"LUNAUSDT": 10, "LUNAUSDT~1": 10}
    assert (await store.last("LUNAUSDT", HOUR)).open_at == START + (later.stop - 1) * HOUR


async def test_two_splits_are_numbered_from_the_oldest(store, tmp_path):
    """The newest keeps the name, whatever came before it."""
    second, third = range(400, 410), range(800, 810)
    path = write(tmp_path, columns(range(10)), columns(second, price=5.0), columns(third, price=90.0))
    await import_file(store, path, now=NOW)
    firsts = {h.symbol: h.first for h in await store.histories()}
    assert firsts == {
        "LUNAUSDT~1": START,
        "LUNAUSDT~2": START + 400 * HOUR,
        "LUNAUSDT": START + 800 * HOUR,
    }


@pytest.mark.parametrize(
    ("hours_later", "price"),
    [(14 * DAY, 5.0), (15 * DAY, 60.0), (15 * DAY, 180.0), (1, 5.0)],
    ids=["a jump after fourteen days", "a long hole and a fall", "a long hole and a rise", "a crash without a hole"],
)
async def test_a_hole_or_a_jump_alone_splits_nothing(store, tmp_path, hours_later, price):
    """An outage or a crash alone is one and the same asset."""
    later = range(9 + hours_later, 9 + hours_later + 10)
    report = await import_file(store, write(tmp_path, columns(range(10)), columns(later, price=price)), now=NOW)
    assert report.split_at == ()
    assert [h.symbol for h in await store.histories()] == ["LUNAUSDT"]


async def test_an_unfinished_last_bar_is_left_out_and_said(store, tmp_path):
    """The bar that is still being made waits for the next time."""
    report = await import_file(store, write(tmp_path, columns(range(5))), now=START + 4.5 * HOUR)
    assert (report.read, report.dropped_unfinished) == (4, 1)
    assert await count(store) == 4


async def test_a_file_without_a_closed_bar_is_refused(store, tmp_path):
    """An import that would store nothing says so."""
    with pytest.raises(BadData, match="holds no closed bar"):
        await import_file(store, write(tmp_path, columns(range(1))), now=START)


async def test_progress_is_told(store, tmp_path):
    """A long import shows how far it is."""
    heard = []
    path = write(tmp_path, columns(range(5000)))
    await import_file(store, path, now=NOW, progress=lambda done, size: heard.append(done / size))
    assert heard == sorted(heard)
    assert heard[-1] == 1


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of recorded data is not here")
async def test_the_coin_that_fell_and_its_successor_are_two(store):
    """The real case: a coin collapsed, and weeks later another one traded under its name."""
    report = await import_file(store, DATA / "binance_LUNAUSDT_1h.csv.gz", now=NOW)
    assert report.split_at == (datetime(2022, 5, 31, 6, tzinfo=UTC),)
    assert {h.symbol: h.count for h in await store.histories()} == {"LUNAUSDT": 13_885, "LUNAUSDT~1": 9_665}
