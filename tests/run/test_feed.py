"""Closed bars only, each posted once and in order, through gaps, failures and restarts at any moment."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from core.domain import events as ev
from core.domain.errors import BadData, FirstmateError, RetryLater
from core.run import feed as feed_module
from core.run.analysts import Analysts
from core.run.engine import Engine, restore
from core.run.feed import Feed
from tests.run.fakes import HandClock, ListMarket, MemoryBars, MemoryJournal
from tests.run.forecasting import the_rule
from tests.run.history import BARS, FUTURE, PAST, SYMBOLS
from tests.run.samples import HOUR, START, opening
from tests.run.shell import running


class House:
    """What survives a restart: the journal, the bars, the folds, and the world outside."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.journal = MemoryJournal()
        self.store = MemoryBars()
        self.market = ListMarket(self.clock, BARS)
        self.met: list[tuple[int, ...]] = []

    async def meet(self, bars) -> None:
        """Note which bars met our orders, and how many bars had been posted by then."""
        self.met.append((*sorted({(bar.open_at - START) // HOUR for bar in bars}), len(self.posted())))

    @contextlib.asynccontextmanager
    async def awake(self, only_to_leave=()):
        """A feed that has just started over what is there."""
        engine = Engine(self.journal, await restore(self.journal))
        analysts = Analysts(SYMBOLS, HOUR, self.store, 0.7, the_rule())
        feed = Feed(
            engine,
            self.market,
            self.store,
            analysts,
            self.clock,
            symbols=SYMBOLS,
            only_to_leave=only_to_leave,
            span=HOUR,
            history_bars=PAST,
            before=self.meet,
        )
        async with running(engine.run):
            if not engine.state.seq:
                for event in opening(*SYMBOLS):
                    await engine.post(event)
            await feed.prepare()
            yield feed

    def posted(self) -> list[tuple[int, str]]:
        """Hour after START and symbol of each posted bar, in order."""
        seen = [event.bar for event in self.journal.events() if isinstance(event, ev.BarSeen)]
        return [((bar.open_at - START) // HOUR, bar.symbol) for bar in seen]

    def said(self) -> list[tuple[object, str]]:
        """Forecast and silence of each posted bar, in the order of bars."""
        seen = [event for event in self.journal.events() if isinstance(event, ev.BarSeen)]
        by_bar = sorted(seen, key=lambda event: (event.bar.open_at, event.bar.symbol))
        return [(event.forecast, event.silence) for event in by_bar]


@pytest.fixture
def house():
    return House()


def every(hours: range) -> list[tuple[int, str]]:
    return [(hour, symbol) for hour in hours for symbol in SYMBOLS]


async def test_the_first_start_posts_nothing_of_history(house):
    """What happened before we were here is learned from, not traded on."""
    async with house.awake() as feed:
        assert await feed.poll() == 0
    assert house.posted() == []
    assert {len(kept) for kept in house.store.bars.values()} == {PAST}


async def test_only_closed_bars_are_posted(house):
    """A bar that is still running decides nothing."""
    async with house.awake() as feed:
        house.clock.at = START + HOUR - timedelta(milliseconds=1)
        assert await feed.poll() == 0
        house.clock.at = START + HOUR
        assert await feed.poll() == 3
    assert house.posted() == every(range(1))


async def test_a_symbol_only_to_be_left_is_watched_without_a_forecast(house):
    """Taken out of the settings while it is held, a symbol still gets its bars but is not bought again."""
    async with house.awake(only_to_leave=SYMBOLS[:1]) as feed:
        house.clock.pass_(hours=1)
        assert await feed.poll() == len(SYMBOLS)
    silent = {e.bar.symbol: e.silence for e in house.journal.events() if isinstance(e, ev.BarSeen)}
    assert [s for s, why in silent.items() if why == feed_module.NO_LONGER_WATCHED] == [SYMBOLS[0]]
    assert len(silent) == len(SYMBOLS)


async def test_each_bar_is_posted_once(house):
    """Looking again finds nothing new."""
    async with house.awake() as feed:
        house.clock.pass_(hours=2)
        assert [await feed.poll() for _ in range(3)] == [6, 0, 0]


async def test_bars_are_posted_in_the_order_of_time_then_of_symbols(house):
    """After a pause the past is told as it happened, all symbols of an hour together."""
    async with house.awake() as feed:
        house.clock.pass_(hours=5)
        await feed.poll()
    assert house.posted() == every(range(5))


async def test_the_bars_of_a_moment_meet_our_orders_before_any_of_them_is_decided_on(house):
    """What a bar did to our orders is booked first, then it is looked at."""
    async with house.awake() as feed:
        house.clock.pass_(hours=3)
        await feed.poll()
    assert house.met == [(0, 0), (1, 3), (2, 6)]


async def test_a_gap_is_filled_from_the_exchange(house):
    """Bars that closed while nobody looked are fetched and posted."""
    async with house.awake() as feed:
        house.clock.pass_(hours=1)
        await feed.poll()
    async with house.awake() as feed:
        house.clock.pass_(hours=10)
        await feed.poll()
    assert house.posted() == every(range(11))


async def test_a_hole_of_the_exchange_is_reported_and_passed_over(house):
    """What the exchange itself does not have is told once, and the bars behind it go on."""
    missing = {START + HOUR, START + 2 * HOUR}
    kept = [bar for bar in BARS["ETHUSDT"] if bar.open_at not in missing]
    house.market.bars_of["ETHUSDT"] = kept
    async with house.awake() as feed:
        house.clock.pass_(hours=4)
        with capture_logs() as logs:
            await feed.poll()
            await feed.poll()
    (told,) = [line for line in logs if line["event"] == "bars are missing"]
    assert (told["symbol"], told["bars"]) == ("ETHUSDT", 2)
    assert [hour for hour, symbol in house.posted() if symbol == "ETHUSDT"] == [0, 3]


async def test_a_hole_in_the_years_before_the_first_start_is_no_alarm(house):
    """Old holes of the exchange are kept for the record, not shouted."""
    del house.market.bars_of["ETHUSDT"][10:13]
    with capture_logs() as logs:
        async with house.awake():
            pass
    told = [(line["symbol"], line["bars"], line["log_level"]) for line in logs if line["event"] == "bars are missing"]
    assert told == [("ETHUSDT", 3, "info")]


async def test_more_than_a_page_is_fetched_page_by_page(house, monkeypatch):
    """A long absence is caught up whole, a bounded piece at a time."""
    monkeypatch.setattr(feed_module, "PAGE", 7)
    async with house.awake() as feed:
        house.clock.pass_(hours=20)
        await feed.poll()
    assert house.posted() == every(range(20))


@pytest.mark.parametrize("trouble", [RetryLater("no answer", 3.0), BadData("an impossible bar")])
async def test_one_symbol_that_cannot_be_fetched_does_not_stop_the_others(house, trouble):
    """The others' bars go on, the failing one is named; it catches up when it can be had again."""
    async with house.awake() as feed:
        house.market.down["BTCUSDT"] = trouble
        house.clock.pass_(hours=1)
        with pytest.raises(FirstmateError, match="BTCUSDT") as raised:
            await feed.poll()
        assert trouble.user_text in raised.value.user_text
        assert house.posted() == [(0, "ETHUSDT"), (0, "LINKUSDT")]
        del house.market.down["BTCUSDT"]
        house.clock.pass_(hours=1)
        await feed.poll()
    assert sorted(house.posted()) == sorted(every(range(2)))


async def test_a_close_that_falls_into_a_look_is_left_to_the_next_look_whole(house):
    """Symbols are compared with each other: one look sees the close of all of them, or of none."""
    async with house.awake() as feed:
        house.clock.pass_(hours=1, milliseconds=-2)
        now = house.clock.now

        def later():
            house.clock.pass_(milliseconds=1)
            return now()

        house.clock.now = later
        assert await feed.poll() == 0
        assert await feed.poll() == len(SYMBOLS)
    assert house.met == [(0, 0)]


async def test_a_symbol_the_exchange_shows_a_moment_later_is_not_left_behind(house):
    """Its clock was behind ours at the first question: asked once more, all bars of the close are one batch."""
    early = {"BTCUSDT"}
    bars = house.market.bars

    async def a_little_behind(symbol, *about):
        if symbol in early:
            early.discard(symbol)
            return []
        return await bars(symbol, *about)

    async with house.awake() as feed:
        house.market.bars = a_little_behind
        house.clock.pass_(hours=1)
        assert await feed.poll() == len(SYMBOLS)
    assert house.posted() == every(range(1))
    assert house.met == [(0, 0)]


async def undisturbed() -> House:
    """A run that is never interrupted."""
    house = House()
    async with house.awake() as feed:
        for _ in range(FUTURE):
            house.clock.pass_(hours=1)
            await feed.poll()
        await feed.save()
    return house


class PowerCut(Exception):
    """The process ends here."""


async def cut_after(house: House, commits: int) -> None:
    """Run until the power goes right after this many commits of bars, the newest of them not folded into the store."""
    already = len(house.journal.lines)

    async def commit(*line):
        if len(house.journal.lines) - already >= commits:
            raise PowerCut
        await MemoryJournal.commit(house.journal, *line)

    house.journal.commit = commit
    with contextlib.suppress(FirstmateError):
        async with house.awake() as feed:
            house.clock.pass_(hours=1)
            await feed.poll()
            await feed.save()
    del house.journal.commit


async def test_a_power_cut_after_any_commit_neither_skips_nor_repeats_a_bar(house, monkeypatch):
    """Killed between any two bars, the next start goes on with the next bar and says of it what it would have said."""
    monkeypatch.setattr(feed_module, "SAVE_FOLDS_EVERY", 5)
    expected = await undisturbed()
    async with house.awake():
        pass
    for cut in range(12):
        await cut_after(house, cut % 4)
    async with house.awake() as feed:
        house.clock.at = START + FUTURE * HOUR
        await feed.poll()
        await feed.save()
    assert sorted(house.posted()) == sorted(every(range(FUTURE)))
    assert house.said() == expected.said()
    assert house.store.folds == expected.store.folds


async def test_a_power_cut_between_store_and_post_skips_no_bar(house):
    """A bar that is stored but not yet told is told by the next start."""
    async with house.awake() as feed:
        house.clock.pass_(hours=1)
        for symbol in SYMBOLS:
            await feed._fetch(symbol, house.clock.now())
    assert house.posted() == []
    async with house.awake() as feed:
        await feed.poll()
    assert house.posted() == every(range(1))


async def test_what_is_saved_while_a_bar_is_being_committed_does_not_skip_it(house):
    """Folds run ahead of the journal for a moment; a copy of that moment must not be kept."""
    async with house.awake() as feed:
        house.clock.pass_(hours=1)
        house.journal.held.clear()
        polling = asyncio.create_task(feed.poll())
        await house.journal.reached.wait()
        await feed.save()
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await polling
        await feed.save()
    house.journal.held.set()
    async with house.awake() as feed:
        await feed.poll()
    assert house.posted() == every(range(1))


@pytest.mark.parametrize("torn", [*SYMBOLS, "~correlation"])
async def test_a_power_cut_while_the_folds_are_saved_changes_no_forecast(house, torn):
    """Half of the folded states new and half of them old lead on to the same forecasts."""
    expected = await undisturbed()
    async with house.awake() as feed:
        house.clock.pass_(hours=6)
        await feed.poll()
        house.store.torn = torn
        with contextlib.suppress(ConnectionAbortedError):
            await feed.save()
    house.store.torn = ""
    async with house.awake() as feed:
        house.clock.at = START + FUTURE * HOUR
        await feed.poll()
        await feed.save()
    assert house.said() == expected.said()
    assert house.store.folds == expected.store.folds


async def test_folds_of_another_version_are_folded_anew(house):
    """After an update of the features history is read again, and the forecasts are those of the new ones."""
    expected = await undisturbed()
    async with house.awake() as feed:
        house.clock.pass_(hours=6)
        await feed.poll()
        await feed.save()
    house.store.folds = {name: ("older", *rest) for name, (_, *rest) in house.store.folds.items()}
    async with house.awake() as feed:
        house.clock.at = START + FUTURE * HOUR
        await feed.poll()
    assert house.said() == expected.said()


async def test_the_engine_is_told_who_moves_with_whom_where_that_is_news(house, monkeypatch):
    """From history before the first bar, and never again while nothing changes, not after a restart either."""
    monkeypatch.setattr(feed_module, "PEERS_EVERY", 1)
    house.market = ListMarket(
        house.clock, {symbol: [replace(bar, symbol=symbol) for bar in BARS["BTCUSDT"]] for symbol in SYMBOLS}
    )
    async with house.awake() as feed:
        house.clock.pass_(hours=3)
        await feed.poll()
    async with house.awake() as feed:
        house.clock.pass_(hours=1)
        await feed.poll()
    assert len(house.posted()) == 4 * len(SYMBOLS)
    assert [event.peers for event in house.journal.events() if isinstance(event, ev.PeersSeen)] == [
        {symbol: tuple(other for other in SYMBOLS if other != symbol) for symbol in SYMBOLS}
    ]


async def test_who_moves_with_whom_is_looked_at_now_and_then(house, monkeypatch):
    """A change is told behind the bars of some closes, the same ones whether or not there was a restart in between."""
    monkeypatch.setattr(feed_module, "PEERS_EVERY", 3)
    looks = []
    learned = {"BTCUSDT": ("ETHUSDT",), "ETHUSDT": ("BTCUSDT",), "LINKUSDT": ()}
    monkeypatch.setattr(Analysts, "peers", lambda self: looks.append(len(house.posted())) or learned)
    async with house.awake() as feed:
        before = learned
        learned = {**learned, "LINKUSDT": ("BTCUSDT",)}
        house.clock.pass_(hours=1)
        await feed.poll()
    async with house.awake() as feed:
        house.clock.pass_(hours=6)
        await feed.poll()
    assert [posted // len(SYMBOLS) for posted in looks] == [0, 1, 1, 4, 7]  # two of them at the starts
    told = [event.peers for event in house.journal.events() if isinstance(event, ev.PeersSeen)]
    assert told == [before, {"LINKUSDT": ("BTCUSDT",)}]
