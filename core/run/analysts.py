"""One analyst a symbol and the correlation they share: what the feed asks for a forecast.

Rule 1: folded state is saved only after the bars in it were committed as events, so a restart never skips a bar.
Rule 2: a saved state of another version is forgotten and history is folded anew; nothing else may differ.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from core.domain.errors import BadData
from core.domain.forecast import Forecast
from core.domain.market import Bar, to_ms
from core.learn import analyst, correlation
from core.learn.analyst import Analyst
from core.learn.correlation import Correlation
from core.ports import BarStore, FoldStore

SHARED = "~correlation"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
log = structlog.get_logger()


class Analysts:
    """Forecasts for ``symbols`` at one bar length."""

    def __init__(self, symbols: Sequence[str], span: timedelta, folds: FoldStore, peer_correlation: float) -> None:
        self._span = span
        self._folds = folds
        self._correlation = Correlation(span, peer_correlation)
        self._each = {symbol: Analyst(symbol, span, self._correlation) for symbol in symbols}

    def open_at(self, symbol: str) -> datetime | None:
        """Open time of the newest bar this symbol's forecast knows."""
        return self._each[symbol].open_at

    def seen(self, bar: Bar) -> tuple[Forecast | None, str]:
        """The forecast on a closed bar, or None and the reason for silence."""
        return self._each[bar.symbol].seen(bar)

    async def restore(self) -> None:
        """Take up every saved state that still fits."""
        for symbol, each in self._each.items():
            await self._restore_one(symbol, analyst.version(), each)
        await self._restore_one(SHARED, correlation.version(), self._correlation)

    async def _restore_one(self, name: str, version: str, target: Analyst | Correlation) -> None:
        saved = await self._folds.load_fold(name, self._span, version)
        if saved is None:
            return
        try:
            target.restore(saved[1])
        except BadData as other:
            log.info("history is folded anew", symbol=name, why=other.user_text)

    async def catch_up(self, symbol: str, bars: BarStore, until: datetime | None) -> int:
        """Fold stored bars the analyst has not seen yet, up to and with the one opening ``until``; how many."""
        each = self._each[symbol]
        if until and each.open_at and each.open_at > until:  # saved with a bar that never became an event
            each = self._each[symbol] = Analyst(symbol, self._span, self._correlation)
        since = each.open_at + self._span if each.open_at else None
        folded = 0
        async for columns in bars.stream_columns(symbol, self._span, since):
            seen = columns.part(0, bisect_right(columns.open_ms, to_ms(until))) if until else columns
            open_, high, low, close, volume = seen.floats
            folded += each.backfill((seen.open_ms, open_, high, low, close, volume))
            await asyncio.sleep(0)  # folding is work of this thread: let others in between
        return folded

    async def save(self) -> None:
        """Keep every state as it is now.

        The shared one first: it passes over a bar it knows, so where only a part is saved the rest is folded again.
        """
        seen = [(symbol, each.open_at, each.dump()) for symbol, each in self._each.items() if each.open_at]
        newest = max((open_at for _, open_at, _ in seen), default=_LONG_AGO)
        version = correlation.version()
        await self._folds.save_fold(SHARED, self._span, version, newest, self._correlation.dump())
        for symbol, open_at, body in seen:
            await self._folds.save_fold(symbol, self._span, analyst.version(), open_at, body)
