"""The analysts of all symbols: restored they go on as if they had never stopped, and refuse what does not fit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.market import Bar
from core.run.analysts import SHARED, Analysts
from tests.run.fakes import MemoryBars
from tests.run.history import BARS, SYMBOLS
from tests.run.samples import HOUR


@pytest.fixture
def store():
    return MemoryBars()


def analysts(store: MemoryBars, span: timedelta = HOUR) -> Analysts:
    return Analysts(SYMBOLS, span, store, 0.7)


def hour(n: int) -> list[Bar]:
    """The bars of one hour, a symbol each."""
    return [BARS[symbol][n] for symbol in SYMBOLS]


def told(all_: Analysts, hours: range) -> list[tuple[object, str]]:
    return [all_.seen(bar) for n in hours for bar in hour(n)]


async def test_restored_they_say_what_they_would_have_said(store):
    """A restart leaves no trace in any forecast."""
    whole, first, thawed = analysts(store), analysts(store), analysts(store)
    told(whole, range(250))
    told(first, range(250))
    await first.save()
    await thawed.restore()
    assert [thawed.open_at(symbol) for symbol in SYMBOLS] == [bar.open_at for bar in hour(249)]
    assert told(thawed, range(250, 300)) == told(whole, range(250, 300))


async def test_without_a_saved_state_they_begin_with_nothing(store):
    """A first start knows no bar."""
    new = analysts(store)
    await new.restore()
    assert [new.open_at(symbol) for symbol in SYMBOLS] == [None, None, None]
    await new.save()
    assert list(store.folds) == [SHARED]


@pytest.mark.parametrize("symbol", [*SYMBOLS, SHARED])
async def test_a_damaged_state_is_forgotten_and_folded_anew(store, symbol):
    """A saved state that cannot be read costs time, not a start."""
    first, thawed = analysts(store), analysts(store)
    told(first, range(250))
    await first.save()
    version, at, body = store.folds[symbol]
    store.folds[symbol] = (version, at, body[: len(body) // 2])
    await thawed.restore()
    known = {each for each in SYMBOLS if thawed.open_at(each)}
    assert known == set(SYMBOLS) - {symbol}


async def test_a_state_of_another_bar_length_is_not_taken(store):
    """Hours are not minutes: after a change of the bar length everything is folded anew."""
    first, thawed = analysts(store), analysts(store, timedelta(minutes=5))
    told(first, range(250))
    await first.save()
    await thawed.restore()
    assert {thawed.open_at(symbol) for symbol in SYMBOLS} == {None}


async def test_stored_history_is_folded_up_to_the_asked_bar(store):
    """What the machine has not seen yet is left for it to be told."""
    lived, read = analysts(store), analysts(store)
    told(lived, range(250))
    for symbol in SYMBOLS:
        await store.save(BARS[symbol])
        assert await read.catch_up(symbol, store, BARS[symbol][249].open_at) == 250
        assert await read.catch_up(symbol, store, BARS[symbol][249].open_at) == 0
    assert told(read, range(250, 300)) == told(lived, range(250, 300))


async def test_a_state_that_knows_more_than_the_journal_is_folded_anew(store):
    """Beside a journal from a backup: bars the machine was never told of must be left for it to be told."""
    ahead, lived = analysts(store), analysts(store)
    told(ahead, range(300))
    told(lived, range(250))
    await ahead.save()
    thawed = analysts(store)
    await thawed.restore()
    for symbol in SYMBOLS:
        await store.save(BARS[symbol])
        assert await thawed.catch_up(symbol, store, BARS[symbol][249].open_at) == 250
        assert thawed.open_at(symbol) == BARS[symbol][249].open_at
    assert [forecast and forecast.p_win for forecast, _ in told(thawed, range(250, 300))] == [
        forecast and forecast.p_win for forecast, _ in told(lived, range(250, 300))
    ]


async def test_stored_history_is_folded_to_its_end_where_nothing_was_told(store):
    """A first start learns from everything there is."""
    read = analysts(store)
    await store.save(BARS["BTCUSDT"])
    assert await read.catch_up("BTCUSDT", store, None) == len(BARS["BTCUSDT"])
    assert read.open_at("BTCUSDT") == BARS["BTCUSDT"][-1].open_at
