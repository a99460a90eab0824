"""Closed bars from the exchange into the store, through the analysts, to the engine.

Rule 1: only closed bars; each is posted once, in the order of time, then of symbol, those of one close together: what
        symbols show beside each other is learned from whole closes, so one moment decides what a look sees.
Rule 2: a gap is fetched again; what the exchange does not have stays a hole and is reported.
Rule 3: history is folded at start without events; only bars after it are posted.
Rule 4: a symbol that cannot be fetched is named and does not hold up the others.
Rule 5: before a bar is posted, what happened to our orders up to its close is booked.
Rule 6: a symbol taken out of the settings while it is held is watched until it is left, and not bought again.
Rule 7: who moves with whom is told of a symbol when it is first watched, and of all where it changed every PEERS_EVERY
        closes, after their decisions; which closes those are does not depend on when anybody started.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import structlog

from core.decide.naming import bar_trace
from core.domain.errors import BadData, FirstmateError, OutcomeUnknown, Refused, RetryLater
from core.domain.events import BarSeen, PeersSeen
from core.domain.forecast import Forecast
from core.domain.market import Bar, to_ms
from core.ports import BarStore, Clock, MarketData
from core.run.analysts import Analysts
from core.run.engine import Engine

PAGE = 1000
SAVE_FOLDS_EVERY = 50
PEERS_EVERY = 24  # closes: it is learned over hundreds of them, and a day of hours makes little difference
FIRST_TRADES = datetime(2009, 1, 3, tzinfo=UTC)
UNREACHABLE_AFTER = 2  # symbols in vain: then it is the exchange, and asking for the others only costs time
NO_LONGER_WATCHED = "It is no longer among the symbols in the settings; what is held is only protected and left."
log = structlog.get_logger()


async def at_once() -> None:
    """No pause between two bars: engine and executor follow at their own pace."""


class Feed:
    """Keeps the stored history of ``symbols`` complete and tells the engine of each new closed bar."""

    def __init__(
        self,
        engine: Engine,
        market: MarketData,
        bars: BarStore,
        analysts: Analysts,
        clock: Clock,
        *,
        symbols: Sequence[str],
        only_to_leave: Collection[str] = (),
        span: timedelta,
        history_bars: int,
        before: Callable[[Sequence[Bar]], Awaitable[None]],
        pace: Callable[[], Awaitable[None]] = at_once,
    ) -> None:
        self._engine = engine
        self._market = market
        self._bars = bars
        self._analysts = analysts
        self._clock = clock
        self._symbols = tuple(symbols)
        self._only_to_leave = frozenset(only_to_leave)
        self._span = span
        self._history_bars = history_bars
        self._before = before
        self._pace = pace
        self._unsaved = 0
        self._ahead = False  # a bar is folded whose commit is not proven

    async def prepare(self, progress: Callable[[str, int], None] = lambda symbol, bars: None) -> None:
        """Fetch and fold history up to now, but not past what the engine has seen: the rest is posted by ``poll``."""
        await self._analysts.restore()
        for symbol in self._symbols:
            progress(symbol, await self._fetch(symbol, self._clock.now()))
        await self._analysts.catch_up(self._bars, {symbol: self._told(symbol) for symbol in self._symbols})
        await self._analysts.save()
        known = self._engine.state.peers
        await self._tell_peers({s: peers for s, peers in self._analysts.peers().items() if s not in known})

    def _told(self, symbol: str) -> datetime | None:
        """Open time of the newest bar the engine or, before its first, the analyst was told of."""
        mark = self._engine.state.marks.get(symbol)
        return mark.bar.open_at if mark else self._analysts.open_at(symbol)

    async def poll(self) -> int:
        """Fetch what closed since the last look and post it; how many bars were posted.

        Raises FirstmateError with the symbols that could not be fetched, once the others' bars are posted.
        """
        failures = await self._fetch_all()
        due = sorted([bar for s in self._symbols async for bar in self._unposted(s)], key=self._order)
        for _, together in groupby(due, key=lambda bar: bar.open_at):
            await self._post_all(list(together))
        if failures:
            why = next(iter(failures.values()))
            raise FirstmateError(f"No bars of {', '.join(failures)}: {why}")
        return len(due)

    async def save(self) -> None:
        """Keep the folded state, for a quick next start; not while it runs ahead of the journal."""
        if not self._ahead:
            await self._analysts.save()

    def _order(self, bar: Bar) -> tuple[datetime, int]:
        return bar.open_at, self._symbols.index(bar.symbol)

    async def _fetch_all(self) -> dict[str, str]:
        """Bring the store up to now, the same for all symbols; which could not be fetched, and why.

        Where some have news and others none, those are asked once more: the exchange's clock was behind ours at first.
        """
        now = self._clock.now()
        failures, news = await self._fetch_each(self._symbols, now)
        quiet = [symbol for symbol, bars in news.items() if not bars]
        if len(quiet) < len(news):
            failures |= (await self._fetch_each(quiet, now))[0]
        return failures

    async def _fetch_each(self, symbols: Sequence[str], now: datetime) -> tuple[dict[str, str], dict[str, int]]:
        """What could not be fetched, with the reason, and how many bars of what could were new."""
        failures: dict[str, str] = {}
        news: dict[str, int] = {}
        unreachable = 0
        for symbol in symbols:
            try:
                news[symbol] = await self._fetch(symbol, now)
            except (RetryLater, OutcomeUnknown, Refused, BadData) as failure:
                failures[symbol] = failure.user_text
                unreachable += isinstance(failure, RetryLater)
            if unreachable == UNREACHABLE_AFTER:
                break
        return failures, news

    async def _fetch(self, symbol: str, now: datetime) -> int:
        """Bring the store up to the newest bar that is closed ``now``; how many bars were new."""
        last = await self._bars.last(symbol, self._span)
        tell = log.warning if last else log.info  # holes of the years before the first start are no news
        since = last.open_at + self._span if last else self._beginning(now)
        new = 0
        while now >= since + self._span:
            page = await self._market.bars(symbol, self._span, since, PAGE)
            if not page:
                break
            for missing, before in self._holes([last, *page] if last else page):
                tell("bars are missing", symbol=symbol, bars=missing, before=before.isoformat())
            new += await self._bars.save(page)
            last = page[-1]
            since = last.open_at + self._span
        return new

    def _beginning(self, now: datetime) -> datetime:
        """Where history begins that was asked for, but not before there was anything to trade."""
        return _align(max(now - self._span * self._history_bars, FIRST_TRADES), self._span)

    def _holes(self, bars: Sequence[Bar]) -> Iterator[tuple[int, datetime]]:
        """How many bars are missing before which open time."""
        for before, after in pairwise(bars):
            missing = (after.open_at - before.close_at) // self._span
            if missing > 0:
                yield missing, after.open_at

    async def _unposted(self, symbol: str) -> AsyncIterator[Bar]:
        known = self._analysts.open_at(symbol)
        since = known + self._span if known else None
        async for block in self._bars.stream(symbol, self._span, since):
            for bar in block:
                yield bar

    async def _post_all(self, bars: Sequence[Bar]) -> None:
        """Post the bars of one moment, after what they did to our orders is booked."""
        await self._before(bars)
        await self._pace()
        self._ahead = True
        told = await self._analysts.seen(bars)
        await self._engine.post_all(
            self._event(bar, forecast, silence) for bar, (forecast, silence) in zip(bars, told, strict=True)
        )
        self._ahead = False
        self._analysts.learn()
        if bars[0].open_at.timestamp() // self._span.total_seconds() % PEERS_EVERY == 0:
            known = self._engine.state.peers
            await self._tell_peers({s: peers for s, peers in self._analysts.peers().items() if peers != known.get(s)})
        await self._pace()
        self._unsaved += len(bars)
        if self._unsaved >= SAVE_FOLDS_EVERY:
            self._unsaved = 0
            await self._analysts.save()

    async def _tell_peers(self, news: Mapping[str, tuple[str, ...]]) -> None:
        if news:
            await self._engine.post(PeersSeen(self._clock.now(), "peers", news))

    def _event(self, bar: Bar, forecast: Forecast | None, silence: str) -> BarSeen:
        if bar.symbol in self._only_to_leave:
            forecast, silence = None, NO_LONGER_WATCHED
        trace = bar_trace(bar.symbol, bar.open_at)
        return BarSeen(self._clock.now(), trace, bar, forecast, silence)


def _align(at: datetime, span: timedelta) -> datetime:
    """The first open time of a bar of this length at or after ``at``; bars open on multiples of it since the epoch."""
    span_ms = span // timedelta(milliseconds=1)
    return at + timedelta(milliseconds=-to_ms(at) % span_ms)
