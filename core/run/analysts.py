"""One analyst a symbol, what they share, and the model they ask: what the feed asks for forecasts.

Rule 1: folded state is saved only after the bars in it were committed as events, so a restart never skips a bar.
Rule 2: a saved state of another version is forgotten and history is folded anew; nothing else may differ.
Rule 3: one batch a bar close. Where a model is in use it forecasts or nobody does: no answer is no forecast, never an
        older one, and never the rule in its place.
Rule 4: whoever listens hears of each batch what was asked, what was answered and what came of it.
Rule 5: no decision waits for who moves with whom: ``learn`` takes the newest close in, once there is time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from core.domain.errors import BadData
from core.domain.forecast import Forecast
from core.domain.market import Bar, as_float, from_ms, to_ms
from core.domain.model import Model
from core.learn import analyst, correlation, cross
from core.learn.analyst import Analyst, Look
from core.learn.correlation import Correlation
from core.learn.cross import Cross
from core.learn.features import model_row
from core.ports import BarStore, Columns, FoldStore
from core.run.asking import Asking, Heard

CORRELATION = "~correlation"
CROSS = "~cross"
OTHERS_EVERY = 200
PART = 1024  # bars of a history held at once, for each symbol
NOT_WARM = "The features are not warm yet."
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
log = structlog.get_logger()

Row = tuple[float, ...]
Stored = tuple[int, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Batch:
    """One bar close: the rows a model was asked about, what came of it, and what each symbol's forecast is now."""

    open_at: datetime
    rows: Mapping[str, Row]
    forecasts: Mapping[str, Forecast]
    heard: Heard


def nobody(batch: Batch) -> None:
    """Nobody listens."""


class Analysts:
    """Forecasts for ``symbols`` at one bar length, by the rule until a model is put to ``use``."""

    def __init__(
        self, symbols: Sequence[str], span: timedelta, folds: FoldStore, peer_correlation: float, asking: Asking
    ) -> None:
        self._symbols = tuple(symbols)
        self._span = span
        self._folds = folds
        self._peer_correlation = peer_correlation
        self._asking = asking
        self._listener: Callable[[Batch], None] = nobody
        self._begin()

    def _begin(self) -> None:
        self._cross = Cross()
        self._correlation = Correlation(self._span, self._peer_correlation)
        self._unlearned: tuple[int, Mapping[str, float]] | None = None
        self._each = {symbol: Analyst(symbol, self._span) for symbol in self._symbols}

    def open_at(self, symbol: str) -> datetime | None:
        """Open time of the newest bar this symbol's forecast knows."""
        return self._each[symbol].open_at

    def listen(self, listener: Callable[[Batch], None]) -> None:
        """Call ``listener`` with each batch, before its bars are posted."""
        self._listener = listener

    async def use(self, champion: Model | None, challenger: Model | None = None) -> None:
        """From the next bar on forecast by ``champion``, the rule where there is none; ``challenger`` only speaks."""
        await self._asking.use(champion, challenger)

    async def seen(self, bars: Sequence[Bar]) -> list[tuple[Forecast | None, str]]:
        """For each bar of one close, a symbol each, its forecast and "", or None and the reason for silence."""
        looks = {bar.symbol: self._each[bar.symbol].look(bar) for bar in bars}
        self.learn()
        open_ms = to_ms(bars[0].open_at)
        self._unlearned = (open_ms, {bar.symbol: as_float(bar.close) for bar in bars})
        among = self._among(open_ms, looks)
        rows = {s: row for s, look in looks.items() if not look.silence and (row := self._row(s, among))}
        heard = await self._asking.about(rows)
        told = {symbol: self._told(look, heard) for symbol, look in looks.items()}
        forecasts = {symbol: forecast for symbol, (forecast, _) in told.items() if forecast}
        asked = {symbol: row for symbol, row in rows.items() if symbol not in heard.unlearned}
        self._listener(Batch(bars[0].open_at, asked, forecasts, heard))
        return [told[bar.symbol] for bar in bars]

    def learn(self) -> None:
        """Let who moves with whom take the newest close, if it has not yet."""
        if self._unlearned:
            self._correlation.seen(*self._unlearned)
            self._unlearned = None

    def peers(self) -> dict[str, tuple[str, ...]]:
        """For each symbol those whose returns move with its own."""
        self.learn()
        return self._correlation.peers()

    def _row(self, symbol: str, among: Mapping[str, Row]) -> Row | None:
        return model_row(self._each[symbol].row, among[symbol]) if symbol in among else None

    def _told(self, look: Look, heard: Heard) -> tuple[Forecast | None, str]:
        symbol = look.bar.symbol
        each = self._each[symbol]
        if look.silence:
            return None, look.silence
        if heard.by_rule:
            return each.by_rule(look), ""
        if said := heard.said.get(symbol):
            return each.forecast(look.bar, said), ""
        return None, heard.unlearned.get(symbol) or heard.failure or NOT_WARM

    def _among(self, open_ms: int, symbols: Iterable[str]) -> dict[str, Row]:
        """The features of one bar close among these symbols, of those it is news for."""
        news = {s: self._each[s].row for s in symbols if self._cross.newest_ms(s) < open_ms}
        return self._cross.seen(open_ms, news)

    async def restore(self) -> None:
        """Take up every saved state that still fits."""
        for symbol, each in self._each.items():
            await self._restore_one(symbol, analyst.version(), each)
        await self._restore_one(CORRELATION, correlation.version(), self._correlation)
        await self._restore_one(CROSS, cross.version(), self._cross)

    async def _restore_one(self, name: str, version: str, target: Analyst | Correlation | Cross) -> None:
        saved = await self._folds.load_fold(name, self._span, version)
        if saved is None:
            return
        try:
            target.restore(saved[1])
        except BadData as other:
            log.info("history is folded anew", symbol=name, why=other.user_text)

    async def catch_up(self, bars: BarStore, until: Mapping[str, datetime | None]) -> int:
        """Fold stored bars nobody has seen yet, close by close, of each symbol up to and with the one that opened
        ``until``, to the end where that is None; how many."""
        if any(self._ahead_of(symbol, last) for symbol, last in until.items()):
            self._begin()  # saved with a bar that never became an event
        tapes = {symbol: self._tape(symbol, bars, last) for symbol, last in until.items()}
        heads = {symbol: head for symbol, tape in tapes.items() if (head := await anext(tape, None))}
        folded = 0
        while heads:
            open_ms = min(head[0] for head in heads.values())
            now = [symbol for symbol, head in heads.items() if head[0] == open_ms]
            closes = {symbol: heads[symbol][4] for symbol in now}
            for symbol in now:
                self._each[symbol].take(*heads.pop(symbol))
            self._correlation.seen(open_ms, closes)
            self._among(open_ms, now)
            heads |= {symbol: head for symbol in now if (head := await anext(tapes[symbol], None))}
            if folded // OTHERS_EVERY != (folded + len(now)) // OTHERS_EVERY:
                await asyncio.sleep(0)  # folding is work of this thread: let others in between
            folded += len(now)
        return folded

    def _ahead_of(self, symbol: str, last: datetime | None) -> bool:
        known = self._each[symbol].open_at
        return bool(last and known and known > last)

    async def _tape(self, symbol: str, bars: BarStore, last: datetime | None) -> AsyncIterator[Stored]:
        """Stored bars of a symbol that are news, oldest first, in the memory of PART of them."""
        known = self._each[symbol].open_at
        since = known + self._span if known else None
        while part := await self._part(symbol, bars, since):
            for row in zip(part.open_ms, *part.floats, strict=True):
                if last and row[0] > to_ms(last):
                    return
                yield row
            since = from_ms(part.open_ms[-1]) + self._span

    async def _part(self, symbol: str, bars: BarStore, since: datetime | None) -> Columns | None:
        async for columns in bars.stream_columns(symbol, self._span, since):
            return columns.part(0, PART)
        return None

    async def save(self) -> None:
        """Keep every state as it is now.

        The shared ones first: they pass over a bar they know, so where only a part is saved the rest is folded again.
        """
        self.learn()
        seen = [(symbol, each.open_at, each.dump()) for symbol, each in self._each.items() if each.open_at]
        newest = max((open_at for _, open_at, _ in seen), default=_LONG_AGO)
        shared = (
            (CORRELATION, correlation.version(), newest, self._correlation.dump()),
            (CROSS, cross.version(), newest, self._cross.dump()),
        )
        own = ((symbol, analyst.version(), open_at, body) for symbol, open_at, body in seen)
        for name, version, open_at, body in (*shared, *own):
            await self._folds.save_fold(name, self._span, version, open_at, body)
