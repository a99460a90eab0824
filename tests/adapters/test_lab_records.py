"""Forecasts of models and what became of them: once each, through restarts, for a bounded time."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters import lab_records
from core.adapters.lab_records import SqliteLabRecords
from core.domain.errors import StoreUnusable
from core.lab_ports import Bet, Ended, Said, Settled, Spoken
from tests.adapters.store_samples import HOUR_MS, opened

ROW = array("d", [0.5, -1.25]).tobytes()
BIG = 10**15


def bet(hour: int, symbol: str = "BTCUSDT", span_ms: int = HOUR_MS) -> Bet:
    return Bet(symbol, span_ms, hour * span_ms, 0.06, 0.03, 96)


def spoken(hour: int, symbol: str = "BTCUSDT", p: float = 0.4, challenger: bool = True) -> Spoken:
    said = (Said("aaa", "champion", p, p - 0.1), Said("bbb", "challenger", p + 0.1, p))
    return Spoken(bet(hour, symbol), said if challenger else said[:1], ROW)


async def flat(blocks) -> list:
    return [one async for block in blocks for one in block]


@pytest.fixture
async def db(tmp_path):
    async with opened(tmp_path, "main") as database:
        yield database


@pytest.fixture
def records(db):
    return SqliteLabRecords(db)


async def test_the_same_bar_twice_is_one_row(records):
    """A bar seen again after a restart is not counted twice, and the first word stands."""
    assert await records.keep([spoken(1), spoken(1, p=0.6)]) == 1
    assert await records.keep([spoken(1, p=0.7)]) == 0
    await records.settle([Ended(bet(1), 5 * HOUR_MS, 0.75)])
    assert await flat(records.settled("aaa", 0, BIG)) == [
        Settled("BTCUSDT", HOUR_MS, 5 * HOUR_MS, 0.4, pytest.approx(0.3), 0.75)
    ]


async def test_a_new_challenger_speaks_of_a_bar_that_is_there_already(records):
    """Who comes later adds its word to the same bet."""
    await records.keep([spoken(1, challenger=False)])
    assert await records.keep([spoken(1)]) == 0
    await records.settle([Ended(bet(1), 2 * HOUR_MS, 1.0)])
    [one] = await flat(records.twofold("aaa", "bbb", 0, BIG))
    assert (one.p, one.other_p, one.outcome) == (0.4, 0.5, 1.0)


async def test_what_waits_to_be_settled_outlives_a_restart(tmp_path):
    """Whatever was written is settled later, by whoever runs then."""
    async with opened(tmp_path, "main") as db:
        await SqliteLabRecords(db).keep([spoken(hour) for hour in (3, 1, 2)])
    async with opened(tmp_path, "main") as db:
        records = SqliteLabRecords(db)
        assert await records.waiting() == [("BTCUSDT", HOUR_MS, HOUR_MS)]
        waits = await records.unsettled("BTCUSDT", HOUR_MS, HOUR_MS, 10)
        assert waits == [bet(2), bet(3)]
        await records.settle([Ended(one, 9 * HOUR_MS, 0.0) for one in waits])
        assert await records.unsettled("BTCUSDT", HOUR_MS, -1, 10) == [bet(1)]


async def test_what_is_settled_stays_as_it_was_settled(records):
    """An outcome is known once; nothing later rewrites the record."""
    await records.keep([spoken(1)])
    await records.settle([Ended(bet(1), 3 * HOUR_MS, 1.0)])
    await records.settle([Ended(bet(1), 4 * HOUR_MS, 0.0)])
    assert [(one.ended_ms, one.outcome) for one in await flat(records.settled("aaa", 0, BIG))] == [(3 * HOUR_MS, 1.0)]


async def test_roles_and_times_are_kept_apart(records):
    """What a model said as challenger is not counted where its time as champion is asked for."""
    before = Spoken(bet(1), (Said("aaa", "challenger", 0.2, 0.1),), ROW)
    await records.keep([before, spoken(2), spoken(3)])
    await records.settle([Ended(bet(hour), 9 * HOUR_MS, 1.0) for hour in (1, 2, 3)])
    hours = lambda found: [one.open_ms // HOUR_MS for one in found]  # noqa: E731
    assert hours(await flat(records.settled("aaa", 0, BIG))) == [1, 2, 3]
    assert hours(await flat(records.settled("aaa", 0, BIG, "champion"))) == [2, 3]
    assert hours(await flat(records.settled("aaa", 3 * HOUR_MS, BIG))) == [3]


async def test_long_answers_come_in_blocks_and_in_order(records, monkeypatch):
    """No block holds more than its size, none is left out."""
    monkeypatch.setattr(lab_records, "BLOCK", 7)
    await records.keep([spoken(hour) for hour in range(40)])
    await records.settle([Ended(bet(hour), BIG, 1.0) for hour in range(40)])
    blocks = [block async for block in records.settled("bbb", 0, BIG)]
    assert max(map(len, blocks)) == 7
    assert [one.open_ms // HOUR_MS for block in blocks for one in block] == list(range(40))


@settings(max_examples=15, deadline=None)
@given(most=st.integers(5, 400), hours=st.integers(1, 300))
async def test_a_long_answer_is_thinned_by_whole_bar_closes_and_keeps_every_hour(tmp_path_factory, most, hours):
    """Every symbol of a bar close that is shown is shown, and no hour of the day is left out for good."""
    async with opened(tmp_path_factory.mktemp("lab"), "main") as db:
        records = SqliteLabRecords(db)
        await records.keep([spoken(hour, symbol) for hour in range(hours) for symbol in ("A", "B")])
        found = await records.rows("aaa", 0, most)
        assert len(found) <= most + 2 * 2 or hours * 2 <= most
        shown = sorted({one.open_ms // HOUR_MS for one in found})
        assert [(one.symbol, one.open_ms // HOUR_MS) for one in found] == [(s, h) for h in shown for s in ("A", "B")]
        if len(shown) >= 24:
            assert {hour % 24 for hour in shown[:24]} == set(range(24))


async def test_features_go_after_weeks_and_bets_after_a_year(records):
    """What nobody asks for any more leaves, the newer stays, with every word on it."""
    await records.keep([spoken(hour) for hour in range(10)])
    assert await records.tidy(4 * HOUR_MS, 7 * HOUR_MS) == 4
    await records.settle([Ended(bet(hour), BIG, 1.0) for hour in range(10)])
    assert [one.open_ms // HOUR_MS for one in await records.rows("aaa", 0, BIG)] == [7, 8, 9]
    for model in ("aaa", "bbb"):
        assert [one.open_ms // HOUR_MS for one in await flat(records.settled(model, 0, BIG))] == [4, 5, 6, 7, 8, 9]


async def test_however_many_symbols_there_are_the_record_stays_bounded(db, records, monkeypatch):
    """Bars of a minute and hundreds of pairs fill no disk: the oldest go first."""
    monkeypatch.setattr(lab_records, "BETS_MAX", 6)
    monkeypatch.setattr(lab_records, "ROWS_MAX", 2)
    monkeypatch.setattr(lab_records, "SLICE", 3)
    await records.keep([spoken(hour) for hour in range(10)])
    assert await records.tidy(0, 0) == 4
    counted = [
        (await db.read(f"SELECT count(*) FROM {name}"))[0][0] for name in ("lab_bets", "lab_forecasts", "lab_rows")
    ]
    assert counted == [6, 12, 2]
    assert await records.tidy(0, 0) == 0


async def test_an_empty_record_has_nothing_to_forget(records):
    """The first housekeeping of a new installation does nothing."""
    assert await records.tidy(BIG, BIG) == 0
    assert await records.waiting() == []


async def test_what_is_remembered_replaces_what_was(records):
    """There is one last word under a name, and none before the first."""
    assert await records.recall("lab") == ""
    await records.remember("lab", "one")
    await records.remember("lab", "two")
    assert await records.recall("lab") == "two"


async def test_an_odd_cell_is_one_sentence(db, records):
    """A database somebody wrote in does not break the lab with a riddle."""
    await records.keep([spoken(1)])
    await records.settle([Ended(bet(1), BIG, 1.0)])
    await db.write(lambda con: con.execute("UPDATE lab_forecasts SET p = 'much'").rowcount)
    with pytest.raises(StoreUnusable, match="a settled forecast in the database cannot be read"):
        await flat(records.settled("aaa", 0, BIG))
