"""`firstmate fetch SYMBOL...`: closed bars from the exchange into the bar store, what is missing and nothing else.

Rule 1: every page is stored before the next is asked for, so an interrupted download goes on where it stopped.
Rule 2: missing is what lies before the first stored bar, in a hole, or after the last one; a hole the exchange itself
        has stays.
Rule 3: the state folder is touched only once the exchange knows every symbol.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.barstore import bar_store, progress
from core.adapters import telemetry
from core.adapters.bars import History, SqliteBars
from core.adapters.binance import PAGE, Binance
from core.adapters.clock import WallClock
from core.domain.market import SPANS, Bar, span_name
from core.ports import MarketData
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bars that are missing: open times from ``since`` up to before ``until``."""

    since: datetime
    until: datetime


def main(args: Namespace, settings: Settings) -> int:
    """Fetch every symbol; 0. Raises BadData for a symbol the exchange does not trade, RetryLater without a network."""
    telemetry.start(settings)
    asyncio.run(_fetch(list(dict.fromkeys(args.pairs)), SPANS[settings.timeframe], args.since, settings))
    return 0


async def _fetch(symbols: Sequence[str], span: timedelta, since: datetime, settings: Settings) -> None:
    async with exchange(settings.exchange_url) as market:
        await market.instruments(symbols)
        async with bar_store(settings) as store:
            for symbol in symbols:
                new = await fill(store, market, symbol, span, since)
                print(told(await stored(store, symbol, span), symbol, span, new), flush=True)
            print(f"Stored in {store.folder}.")


@asynccontextmanager
async def exchange(url: str) -> AsyncIterator[Binance]:
    """The public half of the exchange at ``url``."""
    market = Binance(url, WallClock())
    try:
        yield market
    finally:
        await market.close()


async def fill(store: SqliteBars, market: MarketData, symbol: str, span: timedelta, since: datetime) -> int:
    """How many bars from ``since`` on were missing and are stored now."""
    now = await market.server_time()
    missing = await gaps(store, symbol, span, since, now)
    total = sum((gap.until - gap.since) // span for gap in missing)
    new = 0
    with progress(symbol, " bars") as reached:
        for gap in missing:
            async with aclosing(pages(market, symbol, span, gap)) as found:
                async for page in found:
                    new += await store.save(page)
                    reached(new, total)
    return new


async def gaps(store: SqliteBars, symbol: str, span: timedelta, since: datetime, now: datetime) -> list[Stretch]:
    """What is missing from ``since`` to ``now``, oldest first."""
    known = await stored(store, symbol, span)
    if known is None:
        return [Stretch(since, now)]
    holes = await store.holes(symbol, span)
    found = [
        Stretch(since, known.first),
        *(Stretch(max(since, hole.last_before + span), hole.first_after) for hole in holes),
        Stretch(max(since, known.last + span), now),
    ]
    return [gap for gap in found if gap.since < gap.until]


async def pages(market: MarketData, symbol: str, span: timedelta, gap: Stretch) -> AsyncGenerator[Sequence[Bar], None]:
    """The closed bars of a stretch that the exchange has, oldest first, up to 1000 at a time."""
    since = gap.since
    while since < gap.until:
        page = await market.bars(symbol, span, since, PAGE)
        inside = [bar for bar in page if bar.open_at < gap.until]
        if inside:
            yield inside
        if len(inside) < len(page) or not page:
            return
        since = page[-1].close_at


async def stored(store: SqliteBars, symbol: str, span: timedelta) -> History | None:
    """The stored history of a symbol, or None."""
    return next((h for h in await store.histories() if (h.symbol, h.span) == (symbol, span)), None)


def told(known: History | None, symbol: str, span: timedelta, new: int) -> str:
    """One line about a symbol."""
    if known is None:
        return f"{symbol} {span_name(span)}: the exchange has no closed bar since then."
    ends = f"{known.first:%Y-%m-%d %H:%M} to {known.last:%Y-%m-%d %H:%M} UTC"
    return f"{symbol} {span_name(span)}: {new:,} new, {known.count:,} stored from {ends}, holes: {known.holes:,}."
