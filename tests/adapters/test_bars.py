"""History of bars: stored once, streamed in order, holes kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters import bars as bars_module
from core.adapters.bars import STRETCH, SqliteBars
from core.adapters.columns import Columns, Saved
from tests.adapters.store_samples import HOUR, START, bar, columns, opened


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path, "bars") as db:
        yield SqliteBars(db)


@pytest.fixture
def short(monkeypatch):
    """Stretches of ten bars, so that a few bars show what a million do."""
    monkeypatch.setattr(bars_module, "STRETCH", 10)


async def everything(store, symbol="BTCUSDT", since=None):
    whole = Columns(symbol, 3_600_000)
    async for block in store.stream_columns(symbol, HOUR, since):
        whole.extend(block)
    return whole


async def test_what_was_saved_comes_back(store):
    """Bars from the exchange are read back as they came, oldest first."""
    assert await store.save([bar(2), bar(1), bar(3)]) == 3
    assert [b async for block in store.stream("BTCUSDT", HOUR) for b in block] == [bar(1), bar(2), bar(3)]


async def test_saving_again_changes_nothing(store):
    """A repeated fetch stores nothing twice."""
    await store.save([bar(1), bar(2)])
    assert await store.save([bar(1), bar(2), bar(3)]) == 1
    assert await store.save([]) == 0


async def test_a_bar_told_differently_keeps_its_first_telling(store):
    """A rewritten bar does not change history behind the machine's back; it is counted."""
    await store.merge(columns(range(5)), "exchange")
    assert await store.merge(columns(range(3, 7), price=50.0), "file") == Saved(2, 0, 2)
    assert list((await everything(store)).open) == [100.0] * 5 + [50.0] * 2


async def test_a_history_of_many_stretches_streams_whole(store, short):
    """Sealing loses nothing, doubles nothing and keeps the order."""
    for start in range(0, 95, 7):
        await store.merge(columns(range(start, min(start + 7, 95))), "exchange")
    assert await everything(store) == columns(range(95))


async def test_a_stream_begins_where_it_is_asked_to(store, short):
    """Reading from a moment on starts at the first bar that opens then or later."""
    await store.merge(columns(range(35)), "exchange")
    for hour in (0, 9, 10, 23, 34):
        found = await everything(store, since=START + hour * HOUR)
        assert found == columns(range(hour, 35))
    assert len(await everything(store, since=START + 35 * HOUR)) == 0


async def test_bars_come_in_small_blocks(store):
    """Reading bars as values never holds a whole history."""
    await store.merge(columns(range(600)), "exchange")
    sizes = [len(block) async for block in store.stream("BTCUSDT", HOUR)]
    assert sum(sizes) == 600
    assert max(sizes) <= 256


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(1, 40), st.integers(1, 3)), max_size=12))
def test_any_order_of_pieces_gives_the_same_history(tmp_path_factory, pieces):
    """Back-fills, repairs, repeats and overlaps end in every bar once, in order, with each gap known."""
    default = bars_module.STRETCH
    bars_module.STRETCH = 10

    async def play():
        expected = set()
        async with opened(tmp_path_factory.mktemp("bars"), "bars") as db:
            store = SqliteBars(db)
            for start, count, step in pieces:
                hours = range(start, start + count, step)
                saved = await store.merge(columns(hours), "exchange")
                assert saved == Saved(len(set(hours) - expected), len(set(hours) & expected))
                expected |= set(hours)
            whole = columns(sorted(expected))
            assert await everything(store) == whole
            holes = await store.holes("BTCUSDT", HOUR)
            assert [(h.last_before, h.first_after) for h in holes] == [
                (START + (a - base) * timedelta(milliseconds=1), START + (b - base) * timedelta(milliseconds=1))
                for base in [columns(range(1)).open_ms[0]]
                for a, b in whole.holes()
            ]
            assert [h.count for h in await store.histories()] == ([len(expected)] if expected else [])

    try:
        asyncio.run(play())
    finally:
        bars_module.STRETCH = default


async def test_the_newest_bar_is_known(store, short):
    """The feed goes on from the newest bar, sealed or not."""
    assert await store.last("BTCUSDT", HOUR) is None
    await store.merge(columns(range(20)), "exchange")
    assert (await store.last("BTCUSDT", HOUR)).open_at == START + 19 * HOUR
    await store.save([bar(25)])
    assert (await store.last("BTCUSDT", HOUR)) == bar(25)


async def test_histories_do_not_mix(store):
    """Symbols and bar lengths are kept apart."""
    await store.save([bar(1)])
    await store.save([bar(1, symbol="ETHUSDT")])
    await store.merge(Columns("BTCUSDT", 60_000, *[column[:] for column in parts(columns(range(1)))]), "file")
    names = [(h.symbol, h.span, h.count) for h in await store.histories()]
    assert names == [("BTCUSDT", timedelta(minutes=1), 1), ("BTCUSDT", HOUR, 1), ("ETHUSDT", HOUR, 1)]


def parts(some):
    return (some.open_ms, *some.floats)


async def test_a_history_tells_its_ends_holes_and_sources(store, short):
    """`bars list` says what is there and where it came from."""
    await store.merge(columns(range(30)), "exchange")
    await store.merge(columns(range(40, 45)), "file")
    await store.merge(columns(range(50, 55)), "file")
    (history,) = await store.histories()
    assert (history.first, history.last) == (START, START + 54 * HOUR)
    assert (history.count, history.holes, history.source) == (40, 2, "exchange, file")


async def test_an_unknown_history_is_empty(store):
    """Asking for what was never stored gives nothing, not an error."""
    assert await store.holes("BTCUSDT", HOUR) == []
    assert await store.histories() == []
    assert len(await everything(store)) == 0


async def test_all_blocks_or_none(store):
    """A source that breaks off in the middle leaves the store as it was."""

    def breaks_off():
        yield columns(range(10))
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await store.merge_all(breaks_off(), "file")
    assert await store.histories() == []


async def test_a_reader_is_not_disturbed_by_sealing(store, short):
    """While new bars are stored and sealed, a stream goes on without a gap or a repeat."""
    await store.merge(columns(range(25)), "exchange")
    seen = []
    async for block in store.stream_columns("BTCUSDT", HOUR):
        seen.extend(block.open_ms)
        if len(seen) < 60:
            await store.merge(columns(range(len(seen) + 5, len(seen) + 20)), "exchange")
    assert seen == sorted(set(seen))
    assert seen == list((await everything(store)).open_ms)


async def test_no_stretch_grows_without_end(store):
    """Back-filling years of minutes keeps stretches small, so that a stream keeps its memory."""
    for start in range(50_000, -1, -5_000):
        await store.merge(columns(range(start, start + 5_000)), "exchange")
    sizes = [len(block) async for block in store.stream_columns("BTCUSDT", HOUR)]
    assert sum(sizes) == 55_000
    assert max(sizes) < 2 * STRETCH


async def test_feature_state_is_kept_for_its_version_only(store):
    """A restart resumes from the folded state, but never from one another version wrote."""
    await store.save_fold("BTCUSDT", HOUR, "v1", START, b"old")
    await store.save_fold("BTCUSDT", HOUR, "v1", START + HOUR, b"\x00state")
    assert await store.load_fold("BTCUSDT", HOUR, "v1") == (START + HOUR, b"\x00state")
    assert await store.load_fold("BTCUSDT", HOUR, "v2") is None
    assert await store.load_fold("ETHUSDT", HOUR, "v1") is None
