"""fetch: what is missing from the bar store, from the exchange, once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.barstore import bar_store
from bot.commands import fetch
from core.adapters import statelock
from core.adapters.bars import SqliteBars
from core.domain.errors import RetryLater
from core.domain.market import Bar
from core.settings import Settings
from tests.adapters.store_samples import HOUR, START, bar, columns
from tests.bot.lived import environment, firstmate, one_line
from tests.sim.exchange.exchange_rig import served

NOWHERE = "http://127.0.0.1:9"
SINCE = "2023-12-28"


async def typed(*words: str, home: Path, url: str) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of the real process while an exchange is served from this one."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *words),
        env=environment(home, exchange_url=url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


class Exchange:
    """Hourly bars from START on, except in ``holes``; after ``pages`` answers the line is cut."""

    def __init__(self, count: int, holes: Sequence[int] = (), pages: int = 1_000) -> None:
        self.bars_there = [bar(hour) for hour in range(count) if hour not in holes]
        self.asked: list[datetime] = []
        self.end = START + count * HOUR
        self._pages = pages

    async def server_time(self) -> datetime:
        return self.end

    async def bars(self, symbol: str, span: timedelta, since: datetime, limit: int) -> Sequence[Bar]:
        self.asked.append(since)
        if len(self.asked) > self._pages:
            raise RetryLater("The exchange cannot be reached")
        return [bar for bar in self.bars_there if bar.open_at >= since][:limit]


@asynccontextmanager
async def store(home: Path) -> AsyncIterator[SqliteBars]:
    """The paper store of a state folder."""
    async with bar_store(Settings(home=home, mode="paper")) as opened:
        yield opened


async def fill(opened: SqliteBars, exchange: Exchange, since: datetime = START) -> int:
    """Fetch BTCUSDT."""
    return await fetch.fill(opened, exchange, "BTCUSDT", HOUR, since)  # type: ignore[arg-type]


async def test_closed_bars_are_fetched_and_a_second_time_nothing_is_new(tmp_path: Path):
    """The real process, ccxt and an exchange on loopback."""
    async with served() as (_, client):
        line = ("fetch", "BTCUSDT", "ETHUSDT", "--timeframe", "1h", "--since", SINCE)
        first = await typed(*line, home=tmp_path / "home", url=client.url)
        second = await typed(*line, home=tmp_path / "home", url=client.url)
    assert (first[0], first[2], second[0], second[2]) == (0, "", 0, "")
    assert first[1].splitlines() == [
        "BTCUSDT 1h: 96 new, 96 stored from 2023-12-28 00:00 to 2023-12-31 23:00 UTC, holes: 0.",
        "ETHUSDT 1h: 96 new, 96 stored from 2023-12-28 00:00 to 2023-12-31 23:00 UTC, holes: 0.",
        f"Stored in {tmp_path / 'home' / 'paper'}.",
    ]
    assert "BTCUSDT 1h: 0 new, 96 stored" in second[1]


async def test_an_unknown_symbol_is_told_with_its_nearest_match(tmp_path: Path):
    """A typing error is exit 2, names what was meant, and nothing is made."""
    async with served() as (_, client):
        code, out, err = await typed("fetch", "BTCUSTD", "--since", SINCE, home=tmp_path / "home", url=client.url)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "did you mean BTCUSDT?" in err
    assert not (tmp_path / "home").exists()


def test_no_network_is_one_line_and_exit_5(tmp_path: Path):
    """Offline is said at once, and nothing is made."""
    done = firstmate("fetch", "BTCUSDT", "--since", SINCE, home=tmp_path / "home", exchange_url=NOWHERE)
    assert done.returncode == 5
    assert "cannot be reached" in one_line(done)
    assert not (tmp_path / "home").exists()


async def test_nothing_is_fetched_under_a_running_assistant(tmp_path: Path):
    """The running one fetches for itself."""
    async with served() as (_, client):
        with statelock.hold(tmp_path / "home"):
            code, out, err = await typed("fetch", "BTCUSDT", "--since", SINCE, home=tmp_path / "home", url=client.url)
    assert (code, out, err.count("\n")) == (3, "", 1)


async def test_what_came_before_the_line_was_cut_is_kept_and_not_asked_for_again(tmp_path: Path):
    """A long download survives any number of interruptions."""
    cut = Exchange(2_500, pages=2)
    async with store(tmp_path) as opened:
        with pytest.raises(RetryLater):
            await fill(opened, cut)
        again = Exchange(2_500)
        assert await fill(opened, again) == 500
        known = await fetch.stored(opened, "BTCUSDT", HOUR)
    assert again.asked[0] == START + 2_000 * HOUR
    assert known is not None
    assert (known.count, known.holes) == (2_500, 0)


async def test_an_earlier_start_and_a_hole_are_filled_without_fetching_what_is_there(tmp_path: Path):
    """Only what is missing is asked for."""
    async with store(tmp_path) as opened:
        await opened.merge(columns(range(100, 200)), "file")
        await opened.merge(columns(range(210, 300)), "file")
        exchange = Exchange(300)
        assert await fill(opened, exchange) == 110
        assert [list(await opened.holes("BTCUSDT", HOUR)), exchange.asked] == [[], [START, START + 200 * HOUR]]


async def test_a_hole_of_the_exchange_itself_stays(tmp_path: Path):
    """What never was is asked for once a run and never invented."""
    async with store(tmp_path) as opened:
        assert await fill(opened, Exchange(50, holes=range(20, 23))) == 47
        again = Exchange(50, holes=range(20, 23))
        assert await fill(opened, again) == 0
        assert len(await opened.holes("BTCUSDT", HOUR)) == 1
    assert again.asked == [START + 20 * HOUR]


async def test_a_symbol_listed_later_begins_where_it_begins(tmp_path: Path):
    """A start before the listing costs one question a run."""
    async with store(tmp_path) as opened:
        assert await fill(opened, Exchange(30), START - timedelta(days=400)) == 30
        assert await fill(opened, Exchange(30), START - timedelta(days=400)) == 0


async def test_nothing_closed_yet_is_said(tmp_path: Path):
    """An empty answer is no error."""
    async with store(tmp_path) as opened:
        assert await fill(opened, Exchange(0)) == 0
        known = await fetch.stored(opened, "BTCUSDT", HOUR)
    assert "has no closed bar since then" in fetch.told(known, "BTCUSDT", HOUR, 0)
